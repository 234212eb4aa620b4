# shellcheck shell=bash disable=SC2034,SC2154
# RabbitMQ, as the machine's own packages have it: AMQP on the first port, then what Erlang needs to find and talk to other nodes.
ports=(24484 24485 24486)
version="rabbitmq-server 3.10.8"
patience=120

missing() {
  is_present || need_apt rabbitmq-server
}

install_program() {
  is_present || apt_install rabbitmq-server
}

is_present() {
  [[ -n $(rabbitmq_path) ]]
}

# The node and epmd, Erlang's register of nodes, which would otherwise be started for the whole machine and outlive all: one ends with the other.
serve() {
  local node register
  write_settings
  export HOME=$data ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=${ports[2]}
  export RABBITMQ_NODENAME=event-driver-${ports[0]}@localhost RABBITMQ_DIST_PORT=${ports[1]}
  export RABBITMQ_CONF_ENV_FILE=$data/env.conf RABBITMQ_CONFIG_FILE=$data/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$data/enabled_plugins
  export RABBITMQ_MNESIA_BASE=$data/mnesia RABBITMQ_LOG_BASE=$data RABBITMQ_PID_FILE=$data/node.process
  export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}"
  epmd &
  register=$!
  "$(rabbitmq_path)" &
  node=$!
  # A trapped signal ends the first wait; the second one is for the node's own end.
  trap 'kill "$node"' TERM
  wait "$node" || wait "$node" || true
  kill "$register"
  wait "$register"
}

probe() {
  grep -q "Server startup complete" "$folder/log" && answers_tcp "${ports[0]}"
}

# Guests are let in over the loopback interface without being told to.
write_settings() {
  : >env.conf
  echo '[].' >enabled_plugins
  cat >rabbitmq.conf <<CONF
$(listeners)
log.console = true
log.console.level = info
log.file = false
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
CONF
}

listeners() {
  if ! secured; then
    echo "listeners.tcp.1 = 127.0.0.1:${ports[0]}"
  else
    cat <<CONF
listeners.tcp = none
listeners.ssl.1 = 127.0.0.1:${ports[0]}
ssl_options.cacertfile = $EVENT_DRIVER_TLS/authority.pem
ssl_options.certfile = $EVENT_DRIVER_TLS/certificate.pem
ssl_options.keyfile = $EVENT_DRIVER_TLS/key.pem
ssl_options.verify = verify_none
default_user = $EVENT_DRIVER_USER
default_pass = $EVENT_DRIVER_PASSWORD
CONF
  fi
}

# Debian's command of that name becomes another user; what it calls can be run by anyone.
rabbitmq_path() {
  local debian=/usr/lib/rabbitmq/bin/rabbitmq-server
  if [[ -x $debian ]]; then
    echo "$debian"
  else
    PATH="$PATH:/usr/local/sbin:/opt/homebrew/sbin" command -v rabbitmq-server || true
  fi
}
