# shellcheck shell=bash disable=SC2034,SC2154
# NATS with JetStream: clients on the first port, its state over HTTP on the second. Debian's own is too old: it takes newer settings of a stream and ignores them.
ports=(24480 24481)
version="nats-server v2.15.2"

missing() {
  need go "Get Go 1.21 or newer from https://go.dev/dl, or on macOS by: brew install go"
}

install_program() {
  go_install "github.com/nats-io/nats-server/v2@${version#* }"
}

serve() {
  cat >server.conf <<CONF
server_name: "event-driver-${ports[0]}"
listen: "127.0.0.1:${ports[0]}"
http: "127.0.0.1:${ports[1]}"
max_payload: 8MB
jetstream { store_dir: "$data/jetstream", max_mem: 256MB, max_file: 4GB }
CONF
  ! secured || cat >>server.conf <<CONF
tls { cert_file: "$EVENT_DRIVER_TLS/certificate.pem", key_file: "$EVENT_DRIVER_TLS/key.pem" }
authorization { user: "$EVENT_DRIVER_USER", password: "$EVENT_DRIVER_PASSWORD" }
CONF
  exec "$program/bin/nats-server" -c server.conf
}

probe() {
  answers_http "${ports[1]}" /healthz && answers_tcp "${ports[0]}"
}
