# Base of the delivery image (`images.replace.agent`): all that `delivery` and `switchyard` start. No Java: Jenkins' own
# agent runs beside it, in an image of its own. Make it once and push it to where the stack's `images` look for it:
#
#   docker build --tag registry.example.com/switchyard/agent:1 - < delivery/image/agent.Dockerfile
#
# Not built by the tests, which have no internet: lab/images/agent has the same programs from other sources. That the
# versions are those of package.json and of the lab is tested (test/delivery/recipes.test.ts).
ARG NODE=22.23.3
ARG PULUMI=3.270.0
ARG KUBERNETES=1.37.2
ARG BUILDKIT=0.34.2
FROM node:${NODE}-bookworm-slim AS node
FROM registry.k8s.io/kubectl:v${KUBERNETES} AS kubectl
FROM moby/buildkit:v${BUILDKIT} AS buildkit

FROM debian:bookworm-slim
ARG PULUMI
ARG PULUMI_KUBERNETES=4.34.2
ARG PULUMI_GITLAB=10.1.1
ARG PULUMI_DOCKER=5.2.0
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl git restic tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd -g 1000 jenkins && useradd -u 1000 -g 1000 -d /home/jenkins -m -s /bin/sh jenkins \
    && git config --system --add safe.directory '*'
COPY --from=node /usr/local/bin/node /usr/local/bin/
COPY --from=kubectl /bin/kubectl /usr/local/bin/
COPY --from=buildkit /usr/bin/buildctl /usr/local/bin/
# The plug-ins stand on the PATH, where the engine looks first: Pods have a read-only root and download nothing.
RUN curl -fsSL "https://get.pulumi.com/releases/sdk/pulumi-v${PULUMI}-linux-x64.tar.gz" \
      | tar -xz -C /usr/local/bin --strip-components=1 \
    && for plugin in kubernetes:${PULUMI_KUBERNETES} gitlab:${PULUMI_GITLAB} docker:${PULUMI_DOCKER}; do \
         PULUMI_HOME=/tmp/pulumi pulumi plugin install resource "${plugin%%:*}" "${plugin##*:}" \
         && cp "/tmp/pulumi/plugins/resource-${plugin%%:*}-v${plugin##*:}/pulumi-resource-${plugin%%:*}" /usr/local/bin/; \
       done \
    && rm -rf /tmp/pulumi
ENV HOME=/home/jenkins LANG=C.UTF-8 PULUMI_SKIP_UPDATE_CHECK=true
USER 1000:1000
WORKDIR /home/jenkins
ENTRYPOINT ["tini", "--"]
CMD ["sleep", "infinity"]
