#!/bin/sh
# Starts Jenkins as the real image does: JAVA_OPTS to the JVM, JENKINS_OPTS and arguments to Jenkins.
# Word splitting of both is wanted.
# shellcheck disable=SC2086
exec java -Duser.home="${JENKINS_HOME:-/var/jenkins_home}" -Djava.io.tmpdir=/tmp ${JAVA_OPTS-} -jar /usr/share/jenkins/jenkins.jar ${JENKINS_OPTS-} "$@"
