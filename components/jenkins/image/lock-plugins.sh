#!/usr/bin/env bash
# Prints the lock of the plugins in a folder: each with its version, its SHA-256, and what it cannot do without.
#   lock-plugins.sh <folder of *.jpi>
#   lock-plugins.sh --download <pins>   the pins, with what they need in the newest versions of the update centre
# A new lock comes from the base image, where the update centre can be reached; in this folder:
#   docker run --rm -v "$PWD:/image:ro" jenkins/jenkins:2.568.3-jdk21 \
#     bash /image/lock-plugins.sh --download /image/plugins.txt >plugins.lock.new && mv plugins.lock.new plugins.lock
# A pin that is older than another plugin's newest version asks for is refused by name: raise it.
set -euo pipefail
shopt -s inherit_errexit

if [ "$1" = --download ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  jenkins-plugin-cli --plugin-file "$2" --plugin-download-directory "$folder" >&2
else
  folder=$1
fi

# The manifest's lines end at 72 bytes; the next one goes on after a space.
manifest() { unzip -p "$1" META-INF/MANIFEST.MF | tr -d '\r' | sed -e ':a' -e 'N' -e '$!ba' -e 's/\n //g'; }
field() { sed -n "s/^$1: //p" <<<"$text" | head -n 1; }

lock() {
  for file in "$folder"/*.jpi; do
    [ -f "$file" ] || { echo "lock-plugins: no plugin in $folder" >&2; return 1; }
    text=$(manifest "$file")
    needs=$(field Plugin-Dependencies | tr ',' '\n' | { grep -v ';resolution:=optional' || true; } | LC_ALL=C sort | tr '\n' ' ')
    line="$(field Short-Name):$(field Plugin-Version) # sha256:$(sha256sum "$file" | cut -d ' ' -f 1) $needs"
    echo "${line%"${line##*[! ]}"}"
  done
}

lines=$(lock)
echo '# Every plugin of the image and no other, as lock-plugins.sh prints them: the version, the SHA-256, and the plugins'
echo '# that it cannot do without, in their lowest versions.'
LC_ALL=C sort -t : -k 1,1 <<<"$lines"
