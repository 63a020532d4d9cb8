#!/bin/sh
# Takes the place of the official mongo image. A database comes into being with its first document, as in MongoDB, so
# MONGO_INITDB_DATABASE asks for nothing. The account of MONGO_INITDB_ROOT_USERNAME and _PASSWORD is the program's to
# make; it knows no roles, so that every account may do everything. Init scripts are not to be had and are refused.
set -eu
for unknown in MONGO_INITDB_ROOT_USERNAME_FILE MONGO_INITDB_ROOT_PASSWORD_FILE; do
  eval "set_to=\${$unknown-}"
  if [ -n "$set_to" ]; then
    echo "ferretdb: $unknown is not supported; give the value itself" >&2
    exit 1
  fi
done
# As the official image says it (docker-entrypoint.sh of docker-library/mongo).
user=${MONGO_INITDB_ROOT_USERNAME:+given} password=${MONGO_INITDB_ROOT_PASSWORD:+given}
if [ "$user" != "$password" ]; then
  echo 'ferretdb: MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD go together: give both or neither' >&2
  exit 1
fi
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
