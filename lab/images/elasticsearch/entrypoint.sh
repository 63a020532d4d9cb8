#!/bin/bash
# Takes the place of docker-entrypoint.sh in the official image: the password of the start goes into the keystore, then
# Elasticsearch starts. Files in place of values, settings named with dots and other users than the image's are not here.
set -euo pipefail
umask 0002
if [ "${1-eswrapper}" != eswrapper ]; then exec "$@"; fi
if [ -n "${ELASTIC_PASSWORD_FILE-}" ]; then
  echo 'elasticsearch: ELASTIC_PASSWORD_FILE is not supported; give ELASTIC_PASSWORD' >&2
  exit 1
fi
conf=${ES_PATH_CONF-/usr/share/elasticsearch/config}
for folder in "$conf" /usr/share/elasticsearch/data /usr/share/elasticsearch/logs /tmp; do
  [ -w "$folder" ] || { echo "elasticsearch: $folder is not writable; mount a volume there" >&2; exit 1; }
done
if [ -n "${ELASTIC_PASSWORD-}" ]; then
  [ -f "$conf/elasticsearch.keystore" ] || elasticsearch-keystore create
  # A keystore keeps the password that it has.
  if ! elasticsearch-keystore list | grep -qx bootstrap.password; then
    echo "$ELASTIC_PASSWORD" | elasticsearch-keystore add -x bootstrap.password
  fi
fi
export ES_JAVA_OPTS="-Des.cgroups.hierarchy.override=/ ${ES_JAVA_OPTS-}"
exec elasticsearch
