# shellcheck shell=bash disable=SC2034,SC2154
# Google Cloud Storage: fake-gcs-server, all in memory. On files it lists some names under others, and writes outside its folder for some.
ports=(24443)
version="fake-gcs-server v1.55.1"

missing() {
  need go "Get Go 1.21 or newer from https://go.dev/dl, or on macOS by: brew install go"
}

install_program() {
  go_install "github.com/fsouza/$(echo "$version" | tr ' ' '@')"
}

serve() {
  exec "$program/bin/fake-gcs-server" -scheme http -host 127.0.0.1 -port "${ports[0]}" -backend memory \
    -external-url "http://127.0.0.1:${ports[0]}" -public-host "127.0.0.1:${ports[0]}" -log-level warn
}

probe() {
  answers_http "${ports[0]}" /_internal/healthcheck
}
