#!/bin/sh
# Takes the place of /etc/kafka/docker/run in the official apache/kafka image: Kafka's own program for that image writes
# the server's properties from the variables KAFKA_… and formats an empty volume. What the image does for JMX, SSL and
# files mounted below /mnt/shared/config is not here.
set -eu
: "${CLUSTER_ID:?kafka: CLUSTER_ID is not set}"
[ -w /opt/kafka/config ] || { echo 'kafka: /opt/kafka/config is not writable; mount a volume there' >&2; exit 1; }
case "${KAFKA_ADVERTISED_LISTENERS-}" in
  *SSL://* | *SASL_*://*)
    echo 'kafka: listeners with TLS, or named after SASL, ask for KAFKA_OPTS and key stores in the official image: not here' >&2
    exit 1 ;;
esac
said=$(/opt/kafka/bin/kafka-run-class.sh kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
  --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
  case "$said" in
    *'already formatted'*) ;;
    *) echo "$said" >&2; exit 1 ;;
  esac
export KAFKA_LOG4J_OPTS="${KAFKA_LOG4J_OPTS--Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml}"
exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka /opt/kafka/config/server.properties
