#!/bin/sh
# First start: makes the cluster in PGDATA with the account and database that POSTGRES_USER, POSTGRES_PASSWORD and
# POSTGRES_DB ask for, then runs /docker-entrypoint-initdb.d. Every start: becomes the server. As the official image.
set -eu

fail() {
  echo "postgresql: $*" >&2
  exit 1
}

# VAR or the file that VAR_FILE names, never both.
take() {
  eval "value=\${$1-} file=\${$1_FILE-}"
  if [ -n "$value" ] && [ -n "$file" ]; then fail "$1 and $1_FILE are both set; set one"; fi
  if [ -n "$file" ]; then value=$(cat "$file") || fail "$1_FILE: cannot read $file"; fi
  eval "$1=\$value"
  unset "$1_FILE" value file
}

[ $# -gt 0 ] || set -- postgres
case "$1" in
  -*) set -- postgres "$@" ;;
esac
[ "$1" = postgres ] || exec "$@"

[ -z "${POSTGRES_INITDB_WALDIR-}" ] || fail 'POSTGRES_INITDB_WALDIR is not supported here; leave it out'
PGDATA=${PGDATA:-/var/lib/postgresql/data}
export PGDATA
socket=/run/postgresql
mkdir -p "$PGDATA" 2>/dev/null || fail "cannot make $PGDATA as user $(id -u); mount a volume there"
for folder in "$PGDATA" "$socket" /tmp; do
  [ -w "$folder" ] || fail "$folder is not writable by user $(id -u); mount a volume there"
done

# Made in a folder of its own and moved up when complete: a first start that was cut off begins again.
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  for variable in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do take "$variable"; done
  POSTGRES_USER=${POSTGRES_USER:-postgres}
  POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
  export POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$method" != trust ]; then
    fail 'the database is not initialised and no password is given; set POSTGRES_PASSWORD'
  fi
  chmod 700 "$PGDATA" 2>/dev/null || fail "$PGDATA belongs to another user than $(id -u); set PGDATA to a folder inside it"

  new=$PGDATA/.new
  find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
  passwords=$(mktemp /tmp/initdb.XXXXXX)
  printf '%s\n' "$POSTGRES_PASSWORD" >"$passwords"
  # The arguments are words of a shell, as they are to the official image.
  eval "initdb --pgdata=\"\$new\" --username=\"\$POSTGRES_USER\" ${POSTGRES_PASSWORD:+--pwfile=\"\$passwords\"} \
    --no-instructions --no-sync $POSTGRES_INITDB_ARGS" >/tmp/initdb.log 2>&1 ||
    { cat /tmp/initdb.log >&2; fail 'cannot initialise the data folder'; }
  rm -f "$passwords"
  printf '\nhost all all all %s\n' "$method" >>"$new/pg_hba.conf"
  printf "\nlisten_addresses = '*'\nunix_socket_directories = '%s'\n" "$socket" >>"$new/postgresql.conf"

  # Without a network port, so that a probe of 5432 succeeds only once everything is there.
  export PGHOST="$socket"
  pg_ctl --pgdata="$new" --silent --wait --timeout=60 --options="-c listen_addresses=''" start ||
    fail 'the server did not start to be set up'
  trap 'pg_ctl --pgdata="$new" --silent --mode=immediate stop; exit 143' TERM INT
  sql() { psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --quiet --username "$POSTGRES_USER" "$@"; }
  if [ "$POSTGRES_DB" != postgres ]; then
    printf 'CREATE DATABASE :"name";\n' | sql --dbname postgres -v name="$POSTGRES_DB" || fail 'cannot create the database'
  fi
  for script in /docker-entrypoint-initdb.d/*; do
    case "$script" in
      *.sh) if [ -x "$script" ]; then "$script"; else sh "$script"; fi || fail "$script failed" ;;
      *.sql) sql --dbname "$POSTGRES_DB" --file "$script" || fail "$script failed" ;;
      *.sql.gz) gunzip -c "$script" | sql --dbname "$POSTGRES_DB" || fail "$script failed" ;;
      '/docker-entrypoint-initdb.d/*') ;;
      *) fail "$script: only .sh, .sql and .sql.gz are known" ;;
    esac
  done
  pg_ctl --pgdata="$new" --silent --wait --mode=fast stop || fail 'the server did not stop cleanly after it was set up'
  trap - TERM INT
  unset PGHOST
  # PG_VERSION goes last: where it stands, the cluster is whole.
  find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
  sync
  mv "$new/PG_VERSION" "$PGDATA/PG_VERSION"
  rmdir "$new"
fi

unset POSTGRES_PASSWORD
exec "$@"
