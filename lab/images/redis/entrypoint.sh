#!/bin/sh
# As the official image: options alone mean `redis-server`, which listens on every address without protected mode.
set -eu
[ $# -gt 0 ] || set -- redis-server
case "$1" in
  -* | *.conf) set -- redis-server "$@" ;;
esac
[ "$1" = redis-server ] || exec "$@"
shift
# A configuration file must stay the first argument; what the caller gives later wins over these.
configuration=
case "${1:-}" in
  *.conf) configuration=$1; shift ;;
esac
exec redis-server ${configuration:+"$configuration"} --bind '*' '-::*' --protected-mode no --dir /data "$@"
