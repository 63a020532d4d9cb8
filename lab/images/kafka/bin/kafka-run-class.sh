#!/bin/bash
# A class of Kafka's with the variables that the official scripts read.
set -euo pipefail
config=${KAFKA_LOG4J_OPTS--Dlog4j2.configurationFile=/opt/kafka/config/tools-log4j2.yaml}
read -ra options <<< "${KAFKA_HEAP_OPTS--Xmx256M} $config ${KAFKA_OPTS-}"
exec java "${options[@]}" -cp '/opt/kafka/libs/*' "$@"
