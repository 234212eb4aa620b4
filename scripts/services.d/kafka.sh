# shellcheck shell=bash disable=SC2034,SC2154
# Kafka, one node without ZooKeeper: clients on the first port, its controller on the second. A topic exists only when it was created.
ports=(24482 24483)
version="kafka 4.3.1 (log4j-slf4j-impl 2.25.4)"

missing() {
  need java "Get Java 17 or newer, on Debian by: apt-get install default-jre-headless"
  need mvn "Get Maven, on Debian by: apt-get install maven, or on macOS by: brew install maven"
}

# Without the second one the server writes no log at all.
install_program() {
  maven_install "" org.apache.kafka:kafka_2.13:4.3.1 org.apache.logging.log4j:log4j-slf4j-impl:2.25.4
}

serve() {
  local jvm=(-Xms256m -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC "-Dlog4j2.configurationFile=$data/log4j2.properties" -cp "$program/libs/*")
  local users=()
  write_log_settings
  write_settings
  if secured; then
    write_security
    users=(--add-scram "SCRAM-SHA-512=[name=$EVENT_DRIVER_USER,password=$EVENT_DRIVER_PASSWORD]")
  fi
  # Any identity will do. What is formatted already is left as it is.
  java "${jvm[@]}" kafka.tools.StorageTool format --ignore-formatted -t 6LrNJjVtQs2M0wGsWEw_HQ -c server.properties ${users[@]+"${users[@]}"}
  exec java "${jvm[@]}" kafka.Kafka server.properties
}

probe() {
  answers_tcp "${ports[0]}"
}

# One of everything, as there is one node. After a hard end it waits until its own old session has lapsed, so that of an instance that a test may kill is
# short. On a busy machine a short one is missed by a node that lives, and all its partitions are without a leader then.
write_settings() {
  local session=18000 protocol=PLAINTEXT
  ! secured || protocol=SASL_SSL
  [[ -z ${EVENT_DRIVER_INSTANCE:-} ]] || session=2000
  cat >server.properties <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${ports[1]}
listeners=$protocol://127.0.0.1:${ports[0]},CONTROLLER://127.0.0.1:${ports[1]}
advertised.listeners=$protocol://127.0.0.1:${ports[0]}
listener.security.protocol.map=$protocol:$protocol,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=$protocol
log.dirs=$data/logs
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=$session
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
PROPERTIES
}

# The one user is that of the broker itself, too, which trusts what its clients trust.
write_security() {
  local user=$EVENT_DRIVER_USER password=$EVENT_DRIVER_PASSWORD
  cat "$EVENT_DRIVER_TLS/key.pem" "$EVENT_DRIVER_TLS/certificate.pem" >keystore.pem
  cat >>server.properties <<PROPERTIES
ssl.keystore.type=PEM
ssl.keystore.location=$data/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$EVENT_DRIVER_TLS/authority.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="$user" password="$password" user_$user="$password";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
PROPERTIES
}

write_log_settings() {
  cat >log4j2.properties <<'PROPERTIES'
status=error
rootLogger.level=warn
rootLogger.appenderRef.0.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c{1} %m%n
PROPERTIES
}
