import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { addonSteps, dnsAnswers, kubeconfigPath, nodeSteps, storageSteps } from '../../../lab/cluster';
import { only } from '../../../lab/graph';
import { productionVersion } from '../../../lab/journey';
import { daemonProcess, endMachine, holder, machineSteps, runningDaemons } from '../../../lab/machine';
import { cgroupMounts } from '../../../lab/machine/cgroups';
import { isAlive, sleep } from '../../../lab/machine/process';
import { runSteps } from '../../../lab/run';
import { labSteps } from '../../../lab/sequence';
import { labHome, lockLab } from '../../../lab/steps';
import { toolchainSteps, toolPath } from '../../../lab/toolchain';

/** Recovery of the machine and the cluster. Needs root and a lab whose images are in the mirror; leaves it running. */
jest.setTimeout(900_000);

const DAEMONS = [
  'containerd',
  'dockerd',
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-proxy',
  'kube-scheduler',
  'kubelet',
  'mirror',
  'mirror-push',
  's3',
];

const up = () => {
  const parts = [toolchainSteps(), machineSteps(), storageSteps(), nodeSteps(), addonSteps()];
  const names = parts.flat().map(({ name }) => name);
  return runSteps(only(labSteps(), names));
};
const kubectl = (...args: string[]): string =>
  execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), ...args], { encoding: 'utf8' });

let release: () => void;
beforeAll(async () => {
  release = lockLab();
  await up();
});
afterAll(() => release());

test('every daemon runs and the cluster answers', async () => {
  expect(runningDaemons()).toEqual(expect.arrayContaining(DAEMONS));
  expect(kubectl('get', 'nodes', '-o', 'name').trim()).toBe('node/lab');
  expect(await dnsAnswers()).toBe(true);
});

test('a second start changes nothing', async () => {
  const before = DAEMONS.map((name) => daemonProcess(name));
  const results = await up();
  expect(results.filter(({ skipped }) => !skipped)).toEqual([]);
  expect(DAEMONS.map((name) => daemonProcess(name))).toEqual(before);
});

test.each(DAEMONS)(
  'after kill -9 of %s the next start brings it back and leaves the others alone',
  async (name) => {
    const victim = daemonProcess(name);
    if (!victim) throw new Error(`${name} runs`);
    const others = DAEMONS.filter((other) => other !== name);
    const before = others.map((other) => daemonProcess(other));
    process.kill(victim.pid, 'SIGKILL');
    while (isAlive(victim)) await sleep(20);
    await up();
    expect(daemonProcess(name)).toBeDefined();
    expect(daemonProcess(name)).not.toEqual(victim);
    // Control-plane programs end themselves when the API server or etcd goes away: those may be new.
    const mayRestart = name === 'etcd' || name === 'kube-apiserver' ? others : [];
    others.forEach((other, index) => {
      if (!mayRestart.includes(other)) expect([other, daemonProcess(other)]).toEqual([other, before[index]]);
    });
    expect(kubectl('get', '--raw', '/readyz')).toBe('ok');
  },
);

test('after kill -9 of the machine itself the next start brings everything back with its data', async () => {
  kubectl('delete', 'configmap', 'survivor', '-n', 'default', '--ignore-not-found');
  kubectl('create', 'configmap', 'survivor', '-n', 'default', '--from-literal=a=b');
  const victim = holder();
  if (!victim) throw new Error('the machine runs');
  process.kill(victim.pid, 'SIGKILL');
  while (isAlive(victim)) await sleep(20);
  expect(runningDaemons()).toEqual([]);
  await up();
  expect(kubectl('get', 'configmap', 'survivor', '-n', 'default', '-o', 'jsonpath={.data.a}')).toBe('b');
  expect(await dnsAnswers()).toBe(true);
  kubectl('delete', 'configmap', 'survivor', '-n', 'default');
});

test('the end leaves no process, mount, interface or cgroup, may be called twice, and a start goes on from there', async () => {
  await endMachine();
  await endMachine();
  expect(holder()).toBeUndefined();
  expect(readdirSync('/sys/class/net').filter((name) => /^(swy|docker0)/.test(name))).toEqual([]);
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  expect(mountinfo).not.toContain(labHome());
  for (const { path } of cgroupMounts(mountinfo)) expect(existsSync(`${path}/switchyard-lab`)).toBe(false);
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
  expect(processes).not.toContain(labHome());
  expect(processes).not.toMatch(/tini -- sleep infinity|containerd-shim/);
  await up();
  expect(runningDaemons()).toEqual(expect.arrayContaining(DAEMONS));
});

test('then the whole lab goes on: production answers with what it served before', async () => {
  const results = await runSteps(labSteps());
  // Images, certificates and the topology itself are still there: only programs had to be started.
  const made = results.filter(({ skipped }) => !skipped).map(({ name }) => name);
  expect(made.filter((name) => /^(image-|toolchain-|jenkins-|certificates)/.test(name))).toEqual([]);
  expect(await productionVersion()).toMatch(/^\d+\.\d+\.\d+$/);
});
