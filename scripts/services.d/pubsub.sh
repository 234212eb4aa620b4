# shellcheck shell=bash disable=SC2034,SC2154
# Pub/Sub: Google's own emulator, where the machine has it. No package registry does.
ports=(24460)
optional="optional"
version="the emulator of google-cloud-cli-pubsub-emulator"

missing() {
  if [[ -z $(emulator_jar) ]]; then
    echo "Google's Pub/Sub emulator is not on this machine and in no package registry. Get it by: gcloud components install pubsub-emulator"
  else
    need java "Get Java 17 or newer, on Debian by: apt-get install default-jre-headless"
  fi
}

install_program() {
  emulator_jar
}

serve() {
  exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -jar "$(emulator_jar)" --host=127.0.0.1 --port="${ports[0]}"
}

probe() {
  answers_http "${ports[0]}" /
}

# From the Debian package, or from beside gcloud.
emulator_jar() {
  local gcloud=""
  if command -v dpkg >/dev/null && dpkg -L google-cloud-cli-pubsub-emulator 2>/dev/null | grep -- '-all\.jar$'; then return; fi
  gcloud=$(command -v gcloud) || return 0
  find "$(dirname "$gcloud")/../platform/pubsub-emulator/lib" -name '*-all.jar' 2>/dev/null || true
}
