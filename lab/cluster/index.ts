import { Resolver } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { API_SERVICE_IP, CLUSTER_DOMAIN, DNS_IP, NODE_NAME } from '../machine/addresses';
import { type Daemon, daemonProcess, startDaemon } from '../machine/daemons';
import { holder } from '../machine/holder';
import { sleep } from '../machine/process';
import { hashFiles, LabError, labHome, type Step, type StepLog } from '../steps';
import { toolPath } from '../toolchain';
import { addonImages, corednsManifests, storageManifests } from './addons';
import { nodeDaemons, stateStoreDaemons, storageDaemons } from './daemons';
import { createPki, kubeconfigPath } from './pki';

export { dockerSocket } from './daemons';
export { kubeconfigPath } from './pki';

const sources = (...files: string[]): Promise<string> =>
  hashFiles(files.map((file) => join(__dirname, file)));

/** One step that keeps a group of daemons running; a daemon with changed settings is started anew. */
function daemonStep(name: string, title: string, needs: string[], daemons: () => Daemon[]): Step {
  const healthy = async (): Promise<boolean> => {
    const states = await Promise.all(
      daemons().map(async (daemon) => daemonProcess(daemon.name) !== undefined && (await daemon.ready())),
    );
    return states.every(Boolean);
  };
  return {
    name,
    title,
    needs,
    // A new machine starts with none of its daemons, whatever was recorded.
    inputs: async () => sources('config.ts', 'daemons.ts'),
    done: async () => {
      try {
        return holder() !== undefined && (await healthy());
      } catch {
        return false;
      }
    },
    run: async (log) => {
      for (const daemon of daemons()) {
        log.line(`${daemon.name}: ${daemon.command} ${daemon.args.join(' ')}`);
        await startDaemon(daemon);
      }
    },
  };
}

async function kubectl(log: StepLog, args: string[], input?: string): Promise<string> {
  const all = ['--kubeconfig', kubeconfigPath(), ...args];
  return (await log.exec(toolPath('kubectl'), all, { input, timeoutSeconds: 200 })).stdout;
}

/** Asks the cluster's DNS for the API server's Service, from the host through the Service address. */
export async function dnsAnswers(): Promise<boolean> {
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([DNS_IP]);
  try {
    const found = await resolver.resolve4(`kubernetes.default.svc.${CLUSTER_DOMAIN}`);
    return found.includes(API_SERVICE_IP);
  } catch {
    return false;
  }
}

async function waitUntil(what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      throw new LabError(`${what} did not happen in ${seconds} s`, 'See the log and kubectl get pods -A');
    }
    await sleep(250);
  }
}

async function nodeReady(log: StepLog): Promise<boolean> {
  const path = '{.status.conditions[?(@.type=="Ready")].status}';
  const text = await kubectl(log, ['get', 'node', NODE_NAME, '--ignore-not-found', '-o', `jsonpath=${path}`]);
  return text.trim() === 'True';
}

/** Mirror and Docker engine, for the images; the S3 server, for Pulumi's state. Neither needs a cluster. */
export function storageSteps(): Step[] {
  return [
    // docker-registry, dockerd.
    daemonStep('storage', 'Image mirror, Docker engine', ['packages', 'machine'], storageDaemons),
    daemonStep('state-store', 'State store (S3)', ['machine', 'toolchain-s3'], stateStoreDaemons),
  ];
}

/** Certificates, etcd, containerd, control plane, kubelet, kube-proxy; ends when the node is Ready. */
export function nodeSteps(): Step[] {
  const control = daemonStep(
    'cluster',
    'Kubernetes: etcd, containerd, control plane, kubelet',
    // etcd, containerd, runc, CNI and kube-proxy's own programs are packages. No Pod runs yet, so no image is needed.
    ['packages', 'machine', 'certificates', 'toolchain-kubernetes'],
    nodeDaemons,
  );
  return [
    {
      name: 'certificates',
      title: 'Certificates and kubeconfig',
      // openssl.
      needs: ['packages'],
      inputs: () => sources('pki.ts'),
      done: async () => existsSync(kubeconfigPath()),
      run: createPki,
    },
    {
      ...control,
      run: async (log) => {
        await control.run(log);
        // Ready within seconds, but for a machine that compiles with all its cores meanwhile.
        await waitUntil('node Ready', 120, () => nodeReady(log));
      },
    },
  ];
}

/** DNS and volumes; their images must be in the mirror. Ends when DNS answers. */
export function addonSteps(): Step[] {
  return [
    {
      name: 'addons',
      title: 'Cluster DNS and volume provisioner',
      needs: ['toolchain-kubernetes', 'storage', 'cluster', ...addonImages.map((name) => `image-${name}`)],
      inputs: () => sources('addons.ts'),
      done: dnsAnswers,
      run: async (log) => {
        const items = [...corednsManifests(), ...storageManifests(labHome())];
        const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
        await kubectl(log, ['apply', '--server-side', '--force-conflicts', '-f', '-'], list);
        for (const name of ['coredns', 'local-path-provisioner']) {
          await kubectl(log, [
            '-n',
            'kube-system',
            'rollout',
            'status',
            `deployment/${name}`,
            '--timeout=120s',
          ]);
        }
        await waitUntil('an answer from the cluster DNS', 30, dnsAnswers);
      },
    },
  ];
}
