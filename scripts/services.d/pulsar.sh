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
  local path=/admin/v2/brokers/health
  if secured; then answers_https "${ports[1]}" "$path" "Bearer $(token)"; else answers_http "${ports[1]}" "$path"; fi
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
$(listeners)
webSocketServiceEnabled=true
webSocketMaxTextFrameSize=8388608
allowLoopback=true
listeningInterface=$loopback
managedLedgerDefaultEnsembleSize=1
managedLedgerDefaultWriteQuorum=1
managedLedgerDefaultAckQuorum=1
CONF
}

listeners() {
  if secured; then secured_listeners; else printf '%s\n' "brokerServicePort=${ports[0]}" "webServicePort=${ports[1]}"; fi
}

# The user is a role of tokens, and the password the secret that these are signed with. It may do everything, as it is the broker's own too.
secured_listeners() {
  cat <<CONF
brokerServicePort=
webServicePort=
brokerServicePortTls=${ports[0]}
webServicePortTls=${ports[1]}
tlsTrustCertsFilePath=$EVENT_DRIVER_TLS/authority.pem
tlsCertificateFilePath=$EVENT_DRIVER_TLS/certificate.pem
tlsKeyFilePath=$EVENT_DRIVER_TLS/key.pem
tlsRequireTrustedClientCertOnConnect=false
authenticationEnabled=true
authorizationEnabled=true
authenticationProviders=org.apache.pulsar.broker.authentication.AuthenticationProviderToken
tokenSecretKey=data:;base64,$(printf %s "$EVENT_DRIVER_PASSWORD" | base64 | tr -d '\n')
superUserRoles=$EVENT_DRIVER_USER
brokerClientTlsEnabled=true
brokerClientTrustCertsFilePath=$EVENT_DRIVER_TLS/authority.pem
brokerClientAuthenticationPlugin=org.apache.pulsar.client.impl.auth.AuthenticationToken
brokerClientAuthenticationParameters=token:$(token)
CONF
}

# A JSON Web Token of that role.
token() {
  local content
  content=$(printf %s '{"alg":"HS256"}' | base64url).$(printf %s "{\"sub\":\"$EVENT_DRIVER_USER\"}" | base64url)
  echo "$content.$(printf %s "$content" | openssl dgst -sha256 -hmac "$EVENT_DRIVER_PASSWORD" -binary | base64url)"
}

base64url() {
  base64 | tr -d '\n=' | tr '+/' '-_'
}

write_log_settings() {
  cat >log4j2.xml <<'XML'
<Configuration status="ERROR">
  <Appenders><Console name="console"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
XML
}
