# shellcheck shell=bash disable=SC2034,SC2154
# MQTT 5: mosquitto, as the machine's own packages have it.
ports=(24487)
version="mosquitto 2.0.11"

missing() {
  is_present || need_apt mosquitto
}

install_program() {
  is_present || apt_install mosquitto
}

is_present() {
  [[ -n $(mosquitto_path) ]]
}

# Queued messages are kept in a snapshot of all that there is. An instance that a test may kill saves it after each change; the one that all tests share would
# be slowed down by what any of them leaves behind.
serve() {
  local on_changes=false
  [[ -z ${EVENT_DRIVER_INSTANCE:-} ]] || on_changes=true
  cat >mosquitto.conf <<CONF
listener ${ports[0]} 127.0.0.1
allow_anonymous $(secured && echo false || echo true)
persistence true
persistence_location $data/
autosave_interval 1
autosave_on_changes $on_changes
max_queued_messages 100000
log_dest stdout
CONF
  # Else it would become a user who may not write here.
  ((EUID != 0)) || echo "user root" >>mosquitto.conf
  ! secured || write_security
  exec "$(mosquitto_path)" -c mosquitto.conf
}

write_security() {
  mosquitto_passwd -c -b passwords "$EVENT_DRIVER_USER" "$EVENT_DRIVER_PASSWORD"
  cat >>mosquitto.conf <<CONF
cafile $EVENT_DRIVER_TLS/authority.pem
certfile $EVENT_DRIVER_TLS/certificate.pem
keyfile $EVENT_DRIVER_TLS/key.pem
password_file $data/passwords
CONF
}

probe() {
  answers_tcp "${ports[0]}"
}

# Folders for administrators are not in everyone's PATH.
mosquitto_path() {
  PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin" command -v mosquitto || true
}
