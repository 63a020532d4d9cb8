#!/bin/sh
# As the official image: a configuration file alone means "serve", `registry` is Debian's docker-registry.
set -eu
case "${1:-}" in
  *.yml | *.yaml) set -- serve "$@" ;;
  registry) shift ;;
  serve | garbage-collect | --*) ;;
  *) exec "$@" ;;
esac
exec docker-registry "$@"
