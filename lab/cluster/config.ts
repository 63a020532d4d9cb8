import { join } from 'node:path';
import {
  BUILD_BRIDGE,
  CLUSTER_DOMAIN,
  DNS_IP,
  MIRROR,
  MIRROR_PUSH,
  NODE_IP,
  NODE_NAME,
  POD_BRIDGE,
  POD_CIDR,
  REGISTRY,
} from '../machine/addresses';
import { CGROUP_ROOT } from '../machine/cgroups';

/** Plain-HTTP registries that containerd, dockerd and buildkit know. */
export const PLAIN_REGISTRIES = [MIRROR, REGISTRY];

/** Part of {@link POD_CIDR} that the one node hands out. */
export const NODE_POD_SUBNET = POD_CIDR.replace(/\/\d+$/, '/24');

/**
 * True when this capability set (the hexadecimal `CapEff` of /proc/self/status) lacks CAP_SYS_RESOURCE,
 * without which runc cannot lower a container's oom_score_adj.
 */
export function lacksSysResource(status: string): boolean {
  const hex = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1];
  return hex !== undefined && ((BigInt(`0x${hex}`) >> 24n) & 1n) === 0n;
}

/** containerd 1.6 config.toml. */
export function containerdConfig(home: string, restrictOomScore: boolean): string {
  const cri = '[plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = "${home}/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
  address = "${home}/run/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "${home}/containerd/opt"

${cri}]
  sandbox_image = "${MIRROR}/pause:3.10"
  restrict_oom_score_adj = ${restrictOomScore}
  enable_selinux = false
  ignore_image_defined_volumes = true

${cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

${cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false

${cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${home}/cni"

${cri}.registry]
  config_path = "${home}/containerd-registries"
`;
}

/** hosts.toml of one plain-HTTP registry. */
export function hostsToml(registry: string): string {
  return `server = "http://${registry}"

[host."http://${registry}"]
  capabilities = ["pull", "resolve"]
`;
}

/** CNI network of the Pods: a bridge, addresses from a local store, NodePort-style host ports. */
export function cniConfig(): object {
  return {
    cniVersion: '0.4.0',
    name: 'lab',
    plugins: [
      {
        type: 'bridge',
        bridge: POD_BRIDGE,
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        promiscMode: false,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: NODE_POD_SUBNET }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

/** KubeletConfiguration. */
export function kubeletConfig(home: string): object {
  const pki = (file: string): string => join(home, 'pki', file);
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: NODE_IP,
    healthzBindAddress: NODE_IP,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true, cacheTTL: '10s' },
      x509: { clientCAFile: pki('ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: pki('node.crt'),
    tlsPrivateKeyFile: pki('node.key'),
    containerRuntimeEndpoint: `unix://${home}/run/containerd.sock`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: CGROUP_ROOT,
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    clusterDNS: [DNS_IP],
    clusterDomain: CLUSTER_DOMAIN,
    resolvConf: join(home, 'resolv.conf'),
    maxPods: 110,
    serializeImagePulls: false,
    nodeStatusUpdateFrequency: '5s',
    syncFrequency: '20s',
    // A shared machine's disk is often nearly full without harm; the preflight check guards the start.
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    imageGCHighThresholdPercent: 99,
    imageGCLowThresholdPercent: 98,
    shutdownGracePeriod: '0s',
    logging: { flushFrequency: '1s' },
  };
}

/** KubeProxyConfiguration; conntrack limits 0 leave the kernel's global settings alone. */
export function kubeProxyConfig(home: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    bindAddress: NODE_IP,
    healthzBindAddress: `${NODE_IP}:10256`,
    metricsBindAddress: '127.0.0.1:10249',
    clusterCIDR: POD_CIDR,
    hostnameOverride: NODE_NAME,
    oomScoreAdj: 0,
    clientConnection: { kubeconfig: join(home, 'pki', 'kube-proxy.kubeconfig') },
    conntrack: {
      maxPerCore: 0,
      min: 0,
      tcpEstablishedTimeout: '0s',
      tcpCloseWaitTimeout: '0s',
      udpTimeout: '0s',
      udpStreamTimeout: '0s',
    },
    iptables: { minSyncPeriod: '0s', syncPeriod: '30s', localhostNodePorts: false },
  };
}

/** config.yml of a registry of the mirror (docker-registry 2.8), which asks nobody for a login. */
const mirrorPart = (folder: string, addr: string, maintenance: object): object => ({
  version: 0.1,
  log: { level: 'warn' },
  storage: {
    filesystem: { rootdirectory: folder },
    cache: { blobdescriptor: 'inmemory' },
    maintenance,
  },
  http: { addr },
});

/** What Pods and nodes reach of the mirror: it is read, whoever asks. */
export const mirrorConfig = (folder: string): object =>
  mirrorPart(folder, MIRROR, { readonly: { enabled: true }, uploadpurging: { enabled: false } });

/** The registry over the same folder that takes what the lab pushes; it deletes nothing. */
export const mirrorPushConfig = (folder: string): object => mirrorPart(folder, MIRROR_PUSH, {});

/** daemon.json of dockerd. Its bridge serves `RUN` steps of images; nothing is forwarded out of the machine. */
export function dockerConfig(home: string): object {
  return {
    'data-root': join(home, 'docker'),
    'exec-root': '/run/docker',
    pidfile: '/run/dockerd.pid',
    hosts: [`unix://${join(home, 'run', 'docker.sock')}`],
    'deprecated-key-path': join(home, 'docker', 'key.json'),
    // Its own bridge, never docker0: the host may have an engine of its own.
    bridge: BUILD_BRIDGE,
    iptables: false,
    ip6tables: false,
    'ip-forward': false,
    'ip-masq': false,
    'userland-proxy': false,
    'storage-driver': 'overlay2',
    'cgroup-parent': `${CGROUP_ROOT}/docker`,
    'insecure-registries': [...PLAIN_REGISTRIES, MIRROR_PUSH],
    'oom-score-adjust': 0,
    'live-restore': false,
  };
}
