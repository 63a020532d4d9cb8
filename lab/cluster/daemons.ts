import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT } from '../../operations/engine/urns';
import {
  BACKUP_BUCKET,
  BACKUP_ENDPOINT,
  MIRROR,
  MIRROR_PUSH,
  NODE_IP,
  NODE_NAME,
  S3_ENDPOINT,
  S3_REGION,
  SERVICE_CIDR,
  STATE_BUCKET,
} from '../machine/addresses';
import type { Daemon } from '../machine/daemons';
import { answers, get } from '../machine/probe';
import { cacheHome, labHome } from '../steps';
import { toolPath } from '../toolchain';
import {
  cniConfig,
  containerdConfig,
  dockerConfig,
  hostsToml,
  kubeletConfig,
  kubeProxyConfig,
  lacksSysResource,
  mirrorConfig,
  mirrorPushConfig,
  PLAIN_REGISTRIES,
} from './config';
import { adminTls, pki } from './pki';

const run = promisify(execFile);
const home = (...parts: string[]): string => join(labHome(), ...parts);
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function write(file: string, text: string): string {
  mkdirSync(join(file, '..'), { recursive: true });
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text, { mode: 0o600 });
  return text;
}

/** Socket of the lab's dockerd, for DOCKER_HOST as `unix://…`. */
export const dockerSocket = (): string => home('run', 'docker.sock');

function mirrorPart(
  name: string,
  network: Daemon['network'],
  address: string,
  config: (folder: string) => object,
): Daemon {
  const file = home(`${name}.json`);
  return {
    name,
    command: 'docker-registry',
    args: ['serve', file],
    // The telemetry exporter that newer versions carry looks for a collector on the network.
    env: { OTEL_TRACES_EXPORTER: 'none' },
    network,
    config: write(file, json(config(join(cacheHome(), 'mirror')))),
    ready: () => answers(`http://${address}/v2/`),
  };
}

/** The registry that stands for the upstream mirror of an air-gapped site. */
export const mirrorDaemon = (): Daemon => mirrorPart('mirror', 'lab', MIRROR, mirrorConfig);

/** Where the lab pushes what that one serves. */
export const mirrorPushDaemon = (): Daemon =>
  mirrorPart('mirror-push', 'host', MIRROR_PUSH, mirrorPushConfig);

/** The Docker engine: only builds and pushes images. */
export function dockerDaemon(): Daemon {
  const config = write(home('docker.json'), json(dockerConfig(labHome())));
  return {
    name: 'dockerd',
    command: 'dockerd',
    args: ['--config-file', home('docker.json')],
    network: 'host',
    config,
    ready: () => answers('http://docker/_ping', { socketPath: dockerSocket() }),
  };
}

/** A secret of the lab in `LAB_HOME/secrets`, made once; readable by root only. */
export function secret(name: string, bytes = 20): string {
  const file = home('secrets', name);
  mkdirSync(home('secrets'), { recursive: true, mode: 0o700 });
  if (!existsSync(file)) writeFileSync(file, randomBytes(bytes).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

/** An S3 server with one bucket, a folder of `LAB_HOME/<name>`, and one account. */
function store(name: string, endpoint: string, bucket: string): Daemon {
  mkdirSync(home(name, bucket), { recursive: true });
  return {
    name,
    command: toolPath('versitygw'),
    args: ['--port', new URL(endpoint).host, '--region', S3_REGION, '--quiet', 'posix', home(name)],
    env: {
      ROOT_ACCESS_KEY: secret(`${name}-access-key`, 10),
      ROOT_SECRET_KEY: secret(`${name}-secret-key`),
    },
    network: 'lab',
    // 403 is S3's answer to a caller without a signature: the server is up and asks for one.
    ready: async () => (await get(`${endpoint}/${bucket}`))?.status === 403,
  };
}

/**
 * The S3 server that keeps the Pulumi state. With the last lock below a folder it removes that folder, and another run
 * that takes a lock just then is refused (versitygw, backend/posix `removeParents` and backend `MkdirAll`), which no
 * store without folders does. One file keeps the folder that all locks have in common.
 */
export function s3Daemon(): Daemon {
  const daemon = store('s3', S3_ENDPOINT, STATE_BUCKET);
  const locks = home('s3', STATE_BUCKET, '.pulumi', 'locks', 'organization', PROJECT);
  mkdirSync(locks, { recursive: true });
  writeFileSync(join(locks, '.keep'), '');
  return daemon;
}

/** The S3 server that keeps the backups: whoever has the keys of the state has none here. */
export const backupStoreDaemon = (): Daemon => store('backup-store', BACKUP_ENDPOINT, BACKUP_BUCKET);

export function etcdDaemon(): Daemon {
  const client = 'http://127.0.0.1:2379';
  const peer = 'http://127.0.0.1:2380';
  return {
    name: 'etcd',
    command: 'etcd',
    args: [
      `--name=${NODE_NAME}`,
      `--data-dir=${home('etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${NODE_NAME}=${peer}`,
      `--listen-metrics-urls=http://${NODE_IP}:2381`,
      '--auto-compaction-retention=1h',
      '--log-level=warn',
    ],
    network: 'lab',
    ready: async () => (await get(`http://${NODE_IP}:2381/health`))?.body.includes('"true"') === true,
  };
}

export function containerdDaemon(): Daemon {
  const restricted = lacksSysResource(readFileSync('/proc/self/status', 'utf8'));
  const config = write(home('containerd.toml'), containerdConfig(labHome(), restricted));
  for (const registry of PLAIN_REGISTRIES) {
    write(home('containerd-registries', registry, 'hosts.toml'), hostsToml(registry));
  }
  const network = write(home('cni', '10-lab.conflist'), json(cniConfig()));
  return {
    name: 'containerd',
    command: 'containerd',
    args: ['--config', home('containerd.toml')],
    network: 'lab',
    config: config + network,
    ready: async () => {
      await run('ctr', ['--address', home('run', 'containerd.sock'), 'version']);
      return true;
    },
  };
}

export function apiServerDaemon(): Daemon {
  return {
    name: 'kube-apiserver',
    command: toolPath('kube-apiserver'),
    args: [
      `--advertise-address=${NODE_IP}`,
      '--secure-port=6443',
      '--etcd-servers=http://127.0.0.1:2379',
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      '--profiling=false',
      `--service-cluster-ip-range=${SERVICE_CIDR}`,
      `--client-ca-file=${pki('ca.crt')}`,
      `--tls-cert-file=${pki('apiserver.crt')}`,
      `--tls-private-key-file=${pki('apiserver.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      `--kubelet-certificate-authority=${pki('ca.crt')}`,
      `--kubelet-client-certificate=${pki('apiserver-kubelet.crt')}`,
      `--kubelet-client-key=${pki('apiserver-kubelet.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${pki('sa.pub')}`,
      `--service-account-signing-key-file=${pki('sa.key')}`,
      `--requestheader-client-ca-file=${pki('front-proxy-ca.crt')}`,
      '--requestheader-allowed-names=front-proxy',
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      `--proxy-client-cert-file=${pki('front-proxy.crt')}`,
      `--proxy-client-key-file=${pki('front-proxy.key')}`,
    ],
    network: 'lab',
    timeoutSeconds: 180,
    ready: () => answers(`https://${NODE_IP}:6443/readyz`, adminTls()),
  };
}

/** A part of the control plane that talks to the API server as itself; it answers for its health on `port`. */
function controlPlaneDaemon(name: string, port: number, args: readonly string[]): Daemon {
  const config = pki(`${name}.kubeconfig`);
  return {
    name,
    command: toolPath(name),
    args: [
      `--kubeconfig=${config}`,
      `--authentication-kubeconfig=${config}`,
      `--authorization-kubeconfig=${config}`,
      `--bind-address=${NODE_IP}`,
      `--tls-cert-file=${pki('node.crt')}`,
      `--tls-private-key-file=${pki('node.key')}`,
      '--leader-elect=false',
      '--profiling=false',
      ...args,
    ],
    network: 'lab',
    timeoutSeconds: 120,
    ready: () => answers(`https://${NODE_IP}:${port}/healthz`, adminTls()),
  };
}

export function controllerManagerDaemon(): Daemon {
  return controlPlaneDaemon('kube-controller-manager', 10257, [
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${pki('sa.key')}`,
    `--root-ca-file=${pki('ca.crt')}`,
    `--cluster-signing-cert-file=${pki('ca.crt')}`,
    `--cluster-signing-key-file=${pki('ca.key')}`,
  ]);
}

export function schedulerDaemon(): Daemon {
  return controlPlaneDaemon('kube-scheduler', 10259, []);
}

export function kubeletDaemon(): Daemon {
  const config = write(home('kubelet.json'), json(kubeletConfig(labHome())));
  // No upstream name server: names outside the cluster fail at once.
  write(home('resolv.conf'), '');
  return {
    name: 'kubelet',
    command: toolPath('kubelet'),
    args: [
      `--config=${home('kubelet.json')}`,
      `--kubeconfig=${pki('kubelet.kubeconfig')}`,
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${NODE_IP}`,
      '--root-dir=/var/lib/kubelet',
    ],
    network: 'lab',
    config,
    timeoutSeconds: 120,
    ready: () => answers(`http://${NODE_IP}:10248/healthz`),
  };
}

export function kubeProxyDaemon(): Daemon {
  const config = write(home('kube-proxy.json'), json(kubeProxyConfig(labHome())));
  return {
    name: 'kube-proxy',
    command: toolPath('kube-proxy'),
    args: [`--config=${home('kube-proxy.json')}`],
    network: 'lab',
    config,
    timeoutSeconds: 120,
    ready: () => answers(`http://${NODE_IP}:10256/healthz`),
  };
}

/**
 * Enforces network policies: kube-router's firewall alone. The account's rights are among the add-ons, so it starts after
 * them.
 */
export function firewallDaemon(): Daemon {
  return {
    name: 'kube-router',
    command: toolPath('kube-router'),
    args: [
      `--kubeconfig=${pki('kube-router.kubeconfig')}`,
      `--hostname-override=${NODE_NAME}`,
      `--service-cluster-ip-range=${SERVICE_CIDR}`,
      '--iptables-sync-period=30s',
      '--health-port=20244',
      '--v=1',
    ],
    network: 'lab',
    timeoutSeconds: 60,
    ready: () => answers(`http://${NODE_IP}:20244/healthz`),
  };
}

/** What images are made with and kept in, in the order of its start. */
export function storageDaemons(): Daemon[] {
  return [mirrorDaemon(), mirrorPushDaemon(), dockerDaemon()];
}

/** Where Pulumi's state and the backups are kept. */
export function stateStoreDaemons(): Daemon[] {
  return [s3Daemon(), backupStoreDaemon()];
}

/** What the node runs, in the order of its start. */
export function nodeDaemons(): Daemon[] {
  return [
    etcdDaemon(),
    containerdDaemon(),
    apiServerDaemon(),
    controllerManagerDaemon(),
    schedulerDaemon(),
    kubeletDaemon(),
    kubeProxyDaemon(),
  ];
}
