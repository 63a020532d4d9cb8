#!/bin/sh
# First start: makes the data folder, the root account, and what MYSQL_DATABASE, MYSQL_USER and MYSQL_PASSWORD ask for,
# then runs /docker-entrypoint-initdb.d. Every start: becomes the server. Runs as whatever user the container has.
set -eu

fail() {
  echo "mysql: $*" >&2
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

text() { printf "'%s'" "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e "s/'/\\\\'/g")"; }
name() { printf '`%s`' "$(printf '%s' "$1" | sed 's/`/``/g')"; }

[ $# -gt 0 ] || set -- mysqld
case "$1" in
  -*) set -- mysqld "$@" ;;
esac
[ "$1" = mysqld ] || exec "$@"

for unknown in MYSQL_ONETIME_PASSWORD MYSQL_RANDOM_ROOT_PASSWORD; do
  eval "asked=\${$unknown-}"
  [ -z "$asked" ] || fail "$unknown is not supported here; set MYSQL_ROOT_PASSWORD"
done

data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock
for folder in "$data" /run/mysqld /tmp; do
  [ -w "$folder" ] || fail "$folder is not writable by user $(id -u); mount a volume there"
done

# The marker is written last: a first start that was cut off begins again.
if [ ! -e "$data/.switchyard-initialised" ]; then
  for variable in MYSQL_ROOT_PASSWORD MYSQL_DATABASE MYSQL_USER MYSQL_PASSWORD; do take "$variable"; done
  if [ -z "$MYSQL_ROOT_PASSWORD" ] && [ -z "${MYSQL_ALLOW_EMPTY_PASSWORD-}" ]; then
    fail 'the database is not initialised and no password is given; set MYSQL_ROOT_PASSWORD or MYSQL_ALLOW_EMPTY_PASSWORD'
  fi
  [ "$MYSQL_USER" != root ] || fail 'MYSQL_USER must not be root; MYSQL_ROOT_PASSWORD is for root'
  if [ -n "$MYSQL_USER" ] && [ -z "$MYSQL_PASSWORD" ]; then fail 'MYSQL_USER is set without MYSQL_PASSWORD'; fi
  if [ -d "$data/mysql" ] && [ ! -e "$data/.switchyard-initialising" ]; then
    fail "$data holds a database that this image did not make; give it an empty volume"
  fi

  find "$data" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
  : >"$data/.switchyard-initialising"
  # Into a folder below: mysqld makes a data folder in an empty one only.
  mysqld --initialize-insecure --datadir="$data/.new" >/tmp/initialize.log 2>&1 ||
    { cat /tmp/initialize.log >&2; fail 'cannot initialise the data folder'; }
  find "$data/.new" -mindepth 1 -maxdepth 1 -exec mv -t "$data" {} +
  rmdir "$data/.new"

  # Without a network port, so that a probe of 3306 succeeds only once everything is there.
  "$@" --skip-networking &
  server=$!
  trap 'kill -TERM $server 2>/dev/null; wait $server; exit 143' TERM INT
  tries=0
  until mysqladmin -uroot --silent ping >/dev/null 2>&1; do
    kill -0 $server 2>/dev/null || fail 'the server ended while it was being set up'
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail 'the server did not answer within 60 s'
    sleep 0.1
  done

  {
    [ -z "$MYSQL_DATABASE" ] || printf 'CREATE DATABASE IF NOT EXISTS %s;\n' "$(name "$MYSQL_DATABASE")"
    if [ -n "$MYSQL_USER" ]; then
      printf "CREATE USER %s@'%%' IDENTIFIED BY %s;\n" "$(text "$MYSQL_USER")" "$(text "$MYSQL_PASSWORD")"
      [ -z "$MYSQL_DATABASE" ] ||
        printf "GRANT ALL ON %s.* TO %s@'%%';\n" "$(name "$MYSQL_DATABASE" | sed 's/_/\\_/g')" "$(text "$MYSQL_USER")"
    fi
    printf "CREATE USER root@'%%' IDENTIFIED BY %s;\n" "$(text "$MYSQL_ROOT_PASSWORD")"
    printf "GRANT ALL ON *.* TO root@'%%' WITH GRANT OPTION;\n"
    printf "ALTER USER root@localhost IDENTIFIED BY %s;\n" "$(text "$MYSQL_ROOT_PASSWORD")"
  } | mysql -uroot || fail 'cannot create the accounts'

  export MYSQL_PWD="$MYSQL_ROOT_PASSWORD"
  for script in /docker-entrypoint-initdb.d/*; do
    case "$script" in
      *.sh) if [ -x "$script" ]; then "$script"; else sh "$script"; fi || fail "$script failed" ;;
      *.sql) mysql -uroot ${MYSQL_DATABASE:+"$MYSQL_DATABASE"} <"$script" || fail "$script failed" ;;
      *.sql.gz) gunzip -c "$script" | mysql -uroot ${MYSQL_DATABASE:+"$MYSQL_DATABASE"} || fail "$script failed" ;;
      '/docker-entrypoint-initdb.d/*') ;;
      *) fail "$script: only .sh, .sql and .sql.gz are known" ;;
    esac
  done
  kill -TERM $server
  wait $server || fail 'the server did not stop cleanly after it was set up'
  trap - TERM INT
  unset MYSQL_PWD
  : >"$data/.switchyard-initialised"
  rm "$data/.switchyard-initialising"
fi

unset MYSQL_ROOT_PASSWORD MYSQL_PASSWORD
exec "$@"
