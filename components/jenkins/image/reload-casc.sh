#!/usr/bin/env bash
# Runs beside Jenkins and has it reload its configuration as code whenever the mounted files change, so that a change
# needs no restart. A configuration that Jenkins refuses is said once and offered again until it is mended.
#
#   JENKINS_ADDRESS    e.g. http://127.0.0.1:8080
#   WATCHED            folders to watch, separated by spaces
#   CASC_RELOAD_TOKEN  the token that Jenkins was started with
#   POLL_SECONDS       between two looks at the files (5)
#   RETRY_SECONDS      after a reload that failed (15)
set -uo pipefail
: "${JENKINS_ADDRESS:?}" "${WATCHED:?}" "${CASC_RELOAD_TOKEN:?}"
poll=${POLL_SECONDS:-5}
retry=${RETRY_SECONDS:-15}

say() { printf '%s %s\n' "$(date -u +%FT%TZ)" "$*"; }

# As process 1 it would ignore the signal that ends the Pod. `wait` hears it, a foreground `sleep` does not.
trap 'exit 0' TERM INT
pause() { sleep "$1" & wait $!; }

# Of the visible entries only: Kubernetes keeps its own book-keeping in hidden ones, and swaps all files at once.
fingerprint() {
  for folder in $WATCHED; do
    for file in "$folder"/*; do
      [ -f "$file" ] && sha256sum -- "$file"
    done
  done 2>/dev/null | sha256sum
}

# Prints the answer's body and, on a line of its own, the HTTP status, 000 when nobody answers. The address goes through standard input: it holds the token, and
# arguments can be read by every process.
reload() {
  printf 'url = "%s/reload-configuration-as-code/?casc-reload-token=%s"\n' "$JENKINS_ADDRESS" "$CASC_RELOAD_TOKEN" |
    curl --config - --silent --request POST --max-time 300 --write-out '\n%{http_code}'
}

# Nothing counts as loaded at the start: what changed while this was not looking is caught up with.
loaded=''
reported=''
while true; do
  current=$(fingerprint)
  if [ "$current" != "$loaded" ]; then
    answer=$(reload)
    status=${answer##*$'\n'}
    # The plugin answers a configuration that it refuses with 200 and says so in the body (its #2864). What it says is
    # not repeated here: it may quote a value, and values may be secret.
    if [ "$status" = 200 ] && [[ ${answer%$'\n'*} =~ \"status\"[[:space:]]*:[[:space:]]*\"error\" ]]; then
      status=refused
    fi
    case $status in
      200) message='configuration reloaded' ;;
      000 | 503) message='waiting for Jenkins to answer' ;;
      401) message='Jenkins does not know the token: it was started with another one. Delete the Pod to give both the new one' ;;
      404) message='Jenkins does not reload by token: it was started without CASC_RELOAD_TOKEN' ;;
      refused) message='Jenkins refuses the configuration, and may have taken a part of it; its log says why' ;;
      *) message="Jenkins failed at the configuration (HTTP $status), and may have taken a part of it; its log says why" ;;
    esac
    # Said once for each state of the files, not at each try.
    if [ "$message $current" != "$reported" ]; then
      say "$message"
      reported="$message $current"
    fi
    if [ "$status" = 200 ]; then
      loaded=$current
    else
      # A refused one may be in force in part: whatever comes next is loaded, be it what was there before.
      loaded=''
      pause "$retry"
      continue
    fi
  fi
  pause "$poll"
done
