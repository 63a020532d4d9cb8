#!/usr/bin/env bash
# Checks, while the image is built, what jenkins-plugin-cli installed against the pins, and records the closure.
#   check-plugins.sh <pins> <folder of *.jpi> <closure to write>
# Fails when a pinned plugin is missing or was installed in another version, which is what happens when a dependency
# asks for a newer one. Every plugin of the closure is written with its version and SHA-256; those that no pin names
# are shown, ready to be pinned.
set -euo pipefail
pins=$1 folder=$2 closure=$3

field() { unzip -p "$1" META-INF/MANIFEST.MF | tr -d '\r' | sed -n "s/^$2: //p" | head -n 1; }

: >"$closure"
for file in "$folder"/*.jpi; do
  [ -f "$file" ] || { echo "check-plugins: no plugin in $folder" >&2; exit 1; }
  printf '%s:%s sha256:%s\n' "$(field "$file" Short-Name)" "$(field "$file" Plugin-Version)" \
    "$(sha256sum "$file" | cut -d ' ' -f 1)"
done | LC_ALL=C sort >"$closure"

faults=0
while IFS=: read -r id version; do
  installed=$(sed -n "s/^$id:\([^ ]*\) .*/\1/p" "$closure")
  if [ "$installed" != "$version" ]; then
    echo "check-plugins: $id is pinned to $version, but ${installed:-nothing} was installed" >&2
    faults=$((faults + 1))
  fi
done < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' "$pins" | grep .)
echo "check-plugins: $(wc -l <"$closure") plugins; not pinned:"
while IFS=' :' read -r id version _; do
  grep -q "^$id:" "$pins" || echo "  $id:$version"
done <"$closure"
exit $((faults > 0))
