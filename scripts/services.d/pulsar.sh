# shellcheck shell=bash disable=SC2034,SC2154
# Pulsar standalone, broker, bookie and metadata in one process: its binary protocol on the first port, administration and WebSocket on the second.
ports=(24488 24489)
version="pulsar 4.2.4"
patience=120

missing() {
  need java "Get Java 17 or newer, on Debian by: apt-get install default-jre-headless"
  need mvn "Get Maven, on Debian by: apt-get install maven, or on macOS by: brew install maven"
}

# Without its own list of versions Maven would mix some that do not fit together.
install_program() {
  maven_install "org.apache.pulsar:pulsar:${version#* }" "org.apache.pulsar:pulsar-broker:${version#* }"
}

serve() {
  write_log_settings
  write_settings
  exec java -Xms256m -Xmx768m -XX:MaxDirectMemorySize=768m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC "-Dlog4j2.configurationFile=$data/log4j2.xml" \
    -cp "$program/libs/*" org.apache.pulsar.PulsarStandaloneStarter --config "$data/standalone.conf" --no-functions-worker --no-stream-storage \
    --metadata-dir "$data/metadata" --bookkeeper-dir "$data/bookkeeper"
}

probe() {
  answers_http "${ports[1]}" /admin/v2/brokers/health
}

# The bookie takes a port of the system's choice on the interface named here, and on all of them where none is named. By default a text over WebSocket may
# have 1 MiB, too little for a message of that size in base64.
write_settings() {
  local loopback=lo
  [[ -e /proc/net/dev ]] || loopback=lo0
  cat >standalone.conf <<CONF
clusterName=standalone
bindAddress=127.0.0.1
advertisedAddress=127.0.0.1
brokerServicePort=${ports[0]}
webServicePort=${ports[1]}
webSocketServiceEnabled=true
webSocketMaxTextFrameSize=8388608
allowLoopback=true
listeningInterface=$loopback
managedLedgerDefaultEnsembleSize=1
managedLedgerDefaultWriteQuorum=1
managedLedgerDefaultAckQuorum=1
CONF
}

write_log_settings() {
  cat >log4j2.xml <<'XML'
<Configuration status="ERROR">
  <Appenders><Console name="console"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
XML
}
