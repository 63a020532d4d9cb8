#!/bin/sh
# Takes the place of the official mongo image. A database comes into being with its first document, as in MongoDB, so
# MONGO_INITDB_DATABASE asks for nothing; accounts and init scripts are not to be had and are refused.
set -eu
for unknown in MONGO_INITDB_ROOT_USERNAME MONGO_INITDB_ROOT_PASSWORD; do
  eval "set_to=\${$unknown-}"
  if [ -n "$set_to" ]; then
    echo "ferretdb: $unknown is not supported: this stand-in has no accounts; leave it out" >&2
    exit 1
  fi
done
if [ -d /docker-entrypoint-initdb.d ] && [ -n "$(ls -A /docker-entrypoint-initdb.d)" ]; then
  echo 'ferretdb: scripts in /docker-entrypoint-initdb.d are not supported: create the data from the module' >&2
  exit 1
fi
case "${1:-mongod}" in
  mongod)
    [ $# -le 1 ] || { shift; echo "ferretdb: mongod options are not supported: $*" >&2; exit 1; }
    exec ferretdb ;;
  -*) echo "ferretdb: mongod options are not supported: $*" >&2; exit 1 ;;
  *) exec "$@" ;;
esac
