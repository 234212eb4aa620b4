# shellcheck shell=bash disable=SC2034,SC2154
# toxiproxy: delays and cuts connections to the other servers, as a test tells it over its HTTP interface.
ports=(24470)
version="toxiproxy v2.12.0"

missing() {
  need go "Get Go 1.21 or newer from https://go.dev/dl, or on macOS by: brew install go"
}

install_program() {
  go_install "github.com/Shopify/toxiproxy/v2/cmd/server@${version#* }"
}

serve() {
  exec "$program/bin/server" -host 127.0.0.1 -port "${ports[0]}"
}

probe() {
  answers_http "${ports[0]}" /version
}
