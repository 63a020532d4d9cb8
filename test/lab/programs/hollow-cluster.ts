import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  PatchStrategy,
  setHeaderOptions,
  type V1Pod,
} from '@kubernetes/client-node';
import { sleep } from '../../../lab/machine/process';
import { toolPath } from '../../../lab/toolchain';
import { freePort } from '../../support/port';

// A cluster with a real API server, etcd and controller manager, and a node that runs nothing: each Pod is said to be
// ready as soon as it is there. Enough for everything about objects and who may change them.

export interface HollowCluster {
  readonly server: string;
  /** Kubeconfig entries of its administrator, under the cluster's name as the context. */
  readonly kubeconfig: KubeConfig;
  readonly core: CoreV1Api;
  readonly apps: AppsV1Api;
  readonly stop: () => Promise<void>;
}

const openssl = (folder: string, ...args: string[]) =>
  execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });

/** An authority, the server's certificate and the key of service account tokens. */
function createKeys(folder: string, name: string, host: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl(folder, 'req', '-x509', ...key, '-subj', `/CN=${name}`, '-keyout', 'ca.key', '-out', 'ca.crt');
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-addext', 'basicConstraints=critical,CA:FALSE'];
  const server = ['-addext', `subjectAltName=IP:${host}`, '-keyout', 'server.key', '-out', 'server.crt'];
  openssl(folder, 'req', '-x509', ...key, '-subj', '/CN=kube-apiserver', ...signed, ...server);
  openssl(folder, 'genrsa', '-out', 'sa.key', '2048');
}

/** @param ended what is said where it cannot happen any more */
async function until(
  what: string,
  holds: () => Promise<boolean>,
  ended: () => string | undefined,
): Promise<void> {
  // Beside the lab's own suites a program starts slowly.
  for (const end = Date.now() + 180_000; Date.now() < end; await sleep(250)) {
    if (await holds().catch(() => false)) return;
    const why = ended();
    if (why !== undefined) throw new Error(`${what}: ${why}`);
  }
  throw new Error(`${what} did not happen within three minutes`);
}

const readyStatus = ({ spec, metadata }: V1Pod) => {
  const at = new Date().toISOString();
  const running = (containers: readonly { readonly name: string; readonly image?: string }[] = []) =>
    containers.map(({ name, image }) => ({
      name,
      image: image ?? '',
      imageID: image ?? '',
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: at } },
    }));
  const conditions = ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
    type,
    status: 'True',
    lastTransitionTime: at,
  }));
  // Told apart by name alone: no two Pods of a test share an address, and nothing answers there.
  const number = [...(metadata?.name ?? '')].reduce(
    (sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 64000,
    7,
  );
  const podIP = `198.19.${128 + (number >> 9)}.${(number % 250) + 1}`;
  const containerStatuses = running(spec?.containers);
  return {
    status: {
      phase: 'Running',
      startTime: at,
      podIP,
      podIPs: [{ ip: podIP }],
      conditions,
      containerStatuses,
    },
  };
};

/** Binds new Pods to the node, says that they run, and lets those go that are to be deleted. */
async function pretendToRun(core: CoreV1Api): Promise<void> {
  const { items } = await core.listPodForAllNamespaces();
  for (const pod of items) {
    const where = { namespace: pod.metadata?.namespace ?? '', name: pod.metadata?.name ?? '' };
    if (pod.metadata?.deletionTimestamp) {
      await core.deleteNamespacedPod({ ...where, gracePeriodSeconds: 0 });
    } else if (!pod.spec?.nodeName) {
      const body = { metadata: { name: where.name }, target: { kind: 'Node', name: 'hollow' } };
      await core.createNamespacedPodBinding({ ...where, body });
    } else if (pod.status?.phase !== 'Running') {
      await core.patchNamespacedPodStatus(
        { ...where, body: readyStatus(pod) },
        setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
      );
    }
  }
  const claims = await core.listPersistentVolumeClaimForAllNamespaces();
  for (const { metadata, spec, status } of claims.items) {
    if (status?.phase === 'Bound') continue;
    const where = { namespace: metadata?.namespace ?? '', name: metadata?.name ?? '' };
    await core.patchNamespacedPersistentVolumeClaimStatus(
      { ...where, body: { status: { phase: 'Bound', capacity: spec?.resources?.requests } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
  }
}

/** Who may do nothing but what roles of the test's own say; its token is `<cluster>-reader`. */
export const READER = 'reader';

/**
 * Starts a cluster in a folder of its own, on free ports.
 * @param host address at which its API server listens
 */
export async function startHollowCluster(
  name: string,
  parent: string,
  host = '127.0.0.1',
  port?: number,
): Promise<HollowCluster> {
  const folder = path.join(parent, name);
  mkdirSync(folder);
  createKeys(folder, name, host);
  const inFolder = (file: string) => path.join(folder, file);
  const [client, peer, api] = [await freePort(), await freePort(), port ?? (await freePort(host))];
  const server = `https://${host}:${api}`;
  const token = `${name}-administrator`;
  const users = [`${token},administrator,1,system:masters`, `${name}-reader,${READER},2`];
  writeFileSync(inFolder('tokens.csv'), `${users.join('\n')}\n`, { mode: 0o600 });
  const kubeconfig = new KubeConfig();
  kubeconfig.loadFromOptions({
    clusters: [{ name, server, caFile: inFolder('ca.crt') }],
    users: [{ name, token }],
    contexts: [{ name, cluster: name, user: name }],
    currentContext: name,
  });
  writeFileSync(inFolder('kubeconfig'), kubeconfig.exportConfig(), { mode: 0o600 });

  const children: ChildProcess[] = [];
  const start = (command: string, args: string[]) => {
    const log = openSync(inFolder(`${path.basename(command)}.log`), 'a');
    const child = spawn(command, args, { cwd: folder, stdio: ['ignore', log, log] });
    closeSync(log);
    children.push(child);
  };
  /** The first one that has ended, with the end of what it said. */
  const ended = (): string | undefined => {
    const child = children.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
    if (!child) return undefined;
    const name = path.basename(child.spawnfile);
    const said = readFileSync(inFolder(`${name}.log`), 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-5);
    return `${name} ended with ${child.exitCode ?? child.signalCode}\n${said.join('\n')}`;
  };
  const etcd = `http://127.0.0.1:${client}`;
  const between = `http://127.0.0.1:${peer}`;
  start('etcd', [
    ...['--data-dir=etcd', '--log-level=error', '--unsafe-no-fsync'],
    ...[`--listen-client-urls=${etcd}`, `--advertise-client-urls=${etcd}`],
    ...[`--listen-peer-urls=${between}`, `--initial-advertise-peer-urls=${between}`],
    `--initial-cluster=default=${between}`,
  ]);
  start(toolPath('kube-apiserver'), [
    ...[`--bind-address=${host}`, `--secure-port=${api}`, `--etcd-servers=${etcd}`],
    ...['--endpoint-reconciler-type=none', '--service-cluster-ip-range=198.19.0.0/20'],
    ...['--authorization-mode=RBAC', '--token-auth-file=tokens.csv', '--allow-privileged=true'],
    ...['--tls-cert-file=server.crt', '--tls-private-key-file=server.key', '--client-ca-file=ca.crt'],
    ...['--service-account-issuer=https://kubernetes.default.svc', '--service-account-key-file=sa.key'],
    '--service-account-signing-key-file=sa.key',
  ]);
  const core = kubeconfig.makeApiClient(CoreV1Api);
  const apps = kubeconfig.makeApiClient(AppsV1Api);
  let stopping = false;
  let pretending: Promise<void> = Promise.resolve();
  const stop = async () => {
    stopping = true;
    await pretending;
    for (const child of children.reverse()) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.kill('SIGTERM')) await Promise.race([gone, sleep(5000)]);
      if (child.exitCode === null) child.kill('SIGKILL');
    }
  };
  try {
    const asked = async () => (await core.listNamespace()).items.length >= 4;
    await until(`the API server of ${name}`, asked, ended);
    start(toolPath('kube-controller-manager'), [
      // Nobody asks it for anything, and a port that was free may be another's by now.
      ...['--kubeconfig=kubeconfig', '--secure-port=0'],
      ...['--service-account-private-key-file=sa.key', '--root-ca-file=ca.crt', '--leader-elect=false'],
      '--controllers=*,-node-lifecycle-controller,-persistentvolume-binder-controller',
    ]);
    await core.createNode({ body: { metadata: { name: 'hollow' } } });
    const account = { namespace: 'default', name: 'default' };
    const made = async () => (await core.readNamespacedServiceAccount(account)).metadata !== undefined;
    await until(`the controllers of ${name}`, made, ended);
  } catch (error) {
    await stop();
    throw error;
  }
  pretending = (async () => {
    while (!stopping) {
      // An object that changed or went meanwhile is met again in the next round.
      await pretendToRun(core).catch(() => undefined);
      await sleep(300);
    }
  })();
  return { server, kubeconfig, core, apps, stop };
}
