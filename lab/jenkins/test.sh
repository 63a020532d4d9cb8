#!/bin/sh
# The JVM unit tests; ends with Surefire's own counts, and with a failure when none ran.
set -eu
cd "$(dirname "$0")"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
mvn -B -ntp -Dstyle.color=never test >"$log" 2>&1 || status=$?
counts=$(grep -E '^\[(INFO|WARNING|ERROR)\] Tests run: [0-9]+, Failures: [0-9]+, Errors: [0-9]+, Skipped: [0-9]+ *$' "$log" | tail -n 1 || true)
if [ "$status" -ne 0 ] || [ -z "$counts" ]; then
  grep -E '^\[ERROR\]' "$log" || tail -n 30 "$log"
  echo "lab/jenkins: mvn test failed (exit $status); ${counts:-no tests were run}"
  exit 1
fi
grep -E 'Tests run: .*Time elapsed' "$log" | sed 's/^\[[A-Z]*\] //' || true
echo "lab/jenkins: ${counts#*] }"
