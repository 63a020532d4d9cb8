#!/bin/sh
# Takes the place of the official rabbitmq image: the server itself reads RABBITMQ_DEFAULT_USER, RABBITMQ_DEFAULT_PASS,
# RABBITMQ_DEFAULT_VHOST and RABBITMQ_NODENAME, and /etc/rabbitmq/conf.d.
set -eu

fail() {
  echo "rabbitmq: $*" >&2
  exit 1
}

[ $# -gt 0 ] || set -- rabbitmq-server
[ "$1" = rabbitmq-server ] || exec "$@"

for unknown in RABBITMQ_DEFAULT_USER_FILE RABBITMQ_DEFAULT_PASS_FILE RABBITMQ_ERLANG_COOKIE; do
  eval "asked=\${$unknown-}"
  [ -z "$asked" ] || fail "$unknown is not supported; give RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS"
done
if [ -n "${RABBITMQ_DEFAULT_USER-}" ] && [ -z "${RABBITMQ_DEFAULT_PASS-}" ]; then
  fail 'RABBITMQ_DEFAULT_USER is set without RABBITMQ_DEFAULT_PASS'
fi
for folder in /var/lib/rabbitmq /tmp; do
  [ -w "$folder" ] || fail "$folder is not writable by user $(id -u); mount a volume there"
done

# Container engines allow a thousand million open files, and Erlang's port mapper walks through all of them.
[ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -le 65536 ] || ulimit -n 65536 2>/dev/null || true
exec "$@"
