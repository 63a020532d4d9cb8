#!/usr/bin/env bash
# Holds the image, while it is built, to the lock, and records what is in it in the lock's own form.
#   check-plugins.sh <pins> <lock> <folder of *.jpi> <record to write>
# Fails, naming all faults, when a pin is not in the lock, when a plugin of the lock is missing or is there in another
# version or with another SHA-256, and when a plugin is there that the lock does not name.
#   PLUGIN_DIGESTS  `compare` (default), or `record` in a base image whose plugins are its own: SHA-256 is written down only
set -euo pipefail
pins=$1 lock=$2 folder=$3 record=$4
digests=${PLUGIN_DIGESTS:-compare}

faults=0
fault() {
  echo "check-plugins: $*" >&2
  faults=$((faults + 1))
}

declare -A locked locked_digest found found_digest

while read -r pin _ digest _ || [ -n "$pin" ]; do
  case $pin in '' | '#'*) continue ;; esac
  locked[${pin%%:*}]=${pin#*:} locked_digest[${pin%%:*}]=$digest
done <"$lock"

bash "$(dirname "$0")/lock-plugins.sh" "$folder" >"$record"
while read -r pin _ digest _; do
  case $pin in '#'*) continue ;; esac
  found[${pin%%:*}]=${pin#*:} found_digest[${pin%%:*}]=$digest
done <"$record"

ids() { printf '%s\n' "$@" | LC_ALL=C sort; }

while IFS=: read -r id version; do
  [ "${locked[$id]:-}" = "$version" ] || fault "$id is pinned to $version, but the lock has ${locked[$id]:-none}"
done < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' "$pins" | grep .)
for id in $(ids "${!locked[@]}"); do
  if [ "${found[$id]:-}" != "${locked[$id]}" ]; then
    fault "$id is locked at ${locked[$id]}, but ${found[$id]:-nothing} was installed"
  elif [ "$digests" != record ] && [ "${found_digest[$id]}" != "${locked_digest[$id]}" ]; then
    fault "$id:${found[$id]} has ${found_digest[$id]}, but the lock says ${locked_digest[$id]:-nothing}"
  fi
done
for id in $(ids "${!found[@]}"); do
  [ -n "${locked[$id]:-}" ] || fault "$id:${found[$id]} was installed, but the lock does not name it"
done
if [ "$faults" -gt 0 ]; then
  echo 'check-plugins: a new lock is made as lock-plugins.sh says; read what it changes before you commit it' >&2
  exit 1
fi
echo "check-plugins: ${#found[@]} plugins, as locked$([ "$digests" != record ] || echo '; SHA-256 recorded, not compared')"
