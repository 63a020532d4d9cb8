# Base of the delivery image (`images.replace.agent`): all that `delivery` and `switchyard` start. No Java: Jenkins' own
# agent runs beside it, in an image of its own. Make it once and push it to where the stack's `images` look for it:
#
#   docker build --tag registry.example.com/switchyard/agent:1 --build-arg PULUMI_SHA256=… \
#     --build-arg PULUMI_KUBERNETES_SHA256=… --build-arg PULUMI_GITLAB_SHA256=… --build-arg PULUMI_DOCKER_SHA256=… \
#     - < delivery/image/agent.Dockerfile
#
# Each is the SHA-256 of an archive for linux-x64 (Pulumi) or linux-amd64 (plug-ins), as the project's release on GitHub
# lists it in its file of checksums: pulumi/pulumi, pulumi-kubernetes, pulumi-gitlab and pulumi-docker. Look them up once for
# the versions below, and keep them with your pipeline. None is written here, since none of these releases could be read
# where this recipe was made. Without one the build ends.
#
# Not built by the tests, which have no internet: lab/images/agent has the same programs from other sources. That the
# versions are those of package.json and of the lab is tested (test/delivery/recipes.test.ts).
ARG PULUMI=3.270.0
ARG KUBERNETES=1.37.2
ARG BUILDKIT=0.34.2
FROM node:22.23.3-bookworm-slim@sha256:c3de60bf2f9dd0ac6370e6117950ff62d6e339527e7472301c9c78a017978392 AS node
FROM registry.k8s.io/kubectl:v${KUBERNETES} AS kubectl
FROM moby/buildkit:v${BUILDKIT} AS buildkit

FROM debian:bookworm-20261005-slim@sha256:7c7b2c966bc9ee8cedfeef67e0e279108992c77681fa595db4a9d65c06ccc587
ARG PULUMI
ARG PULUMI_KUBERNETES=4.34.2
ARG PULUMI_GITLAB=10.1.1
ARG PULUMI_DOCKER=5.2.0
ARG PULUMI_SHA256
ARG PULUMI_KUBERNETES_SHA256
ARG PULUMI_GITLAB_SHA256
ARG PULUMI_DOCKER_SHA256
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl git restic tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd -g 1000 jenkins && useradd -u 1000 -g 1000 -d /home/jenkins -m -s /bin/sh jenkins \
    && git config --system --add safe.directory '*'
COPY --from=node /usr/local/bin/node /usr/local/bin/
COPY --from=kubectl /bin/kubectl /usr/local/bin/
COPY --from=buildkit /usr/bin/buildctl /usr/local/bin/
# The plug-ins stand on the PATH, where the engine looks first: Pods have a read-only root and download nothing.
RUN set -eu; \
    : "${PULUMI_SHA256:?build argument: SHA-256 of pulumi-v${PULUMI}-linux-x64.tar.gz}"; \
    : "${PULUMI_KUBERNETES_SHA256:?build argument: SHA-256 of pulumi-resource-kubernetes-v${PULUMI_KUBERNETES}-linux-amd64.tar.gz}"; \
    : "${PULUMI_GITLAB_SHA256:?build argument: SHA-256 of pulumi-resource-gitlab-v${PULUMI_GITLAB}-linux-amd64.tar.gz}"; \
    : "${PULUMI_DOCKER_SHA256:?build argument: SHA-256 of pulumi-resource-docker-v${PULUMI_DOCKER}-linux-amd64.tar.gz}"; \
    curl -fsSL -o /tmp/pulumi.tar.gz "https://get.pulumi.com/releases/sdk/pulumi-v${PULUMI}-linux-x64.tar.gz"; \
    echo "${PULUMI_SHA256}  /tmp/pulumi.tar.gz" | sha256sum -c -; \
    tar -xzf /tmp/pulumi.tar.gz -C /usr/local/bin --strip-components=1; \
    plugin() { \
      PULUMI_HOME=/tmp/pulumi pulumi plugin install resource "$1" "$2" --checksum "$3"; \
      cp "/tmp/pulumi/plugins/resource-$1-v$2/pulumi-resource-$1" /usr/local/bin/; \
    }; \
    plugin kubernetes "${PULUMI_KUBERNETES}" "${PULUMI_KUBERNETES_SHA256}"; \
    plugin gitlab "${PULUMI_GITLAB}" "${PULUMI_GITLAB_SHA256}"; \
    plugin docker "${PULUMI_DOCKER}" "${PULUMI_DOCKER_SHA256}"; \
    rm -rf /tmp/pulumi /tmp/pulumi.tar.gz
ENV HOME=/home/jenkins LANG=C.UTF-8 PULUMI_SKIP_UPDATE_CHECK=true
USER 1000:1000
WORKDIR /home/jenkins
ENTRYPOINT ["tini", "--"]
CMD ["sleep", "infinity"]
