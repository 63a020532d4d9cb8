#!/usr/bin/env bash
# Starts Jenkins with the plugins of its image and no others. The base image's own start lays them into the home, but
# never lowers one, leaves what a person raised and removes nothing (jenkinsci/docker: jenkins-support): what ran would
# be what the home once had, not what plugins.lock says. From an empty folder it lays down exactly the image's.
set -euo pipefail
plugins=${JENKINS_HOME:?}/plugins
if [ -d "$plugins" ]; then
  find "$plugins" -mindepth 1 -delete
fi
exec jenkins.sh "$@"
