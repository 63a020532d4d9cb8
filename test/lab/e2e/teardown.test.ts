import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { storageSteps } from '../../../lab/cluster';
import { holder, machineSteps, stopMachine } from '../../../lab/machine';
import { cgroupMounts } from '../../../lab/machine/cgroups';
import { labHome, lockLab, runSteps } from '../../../lab/steps';

/** Takes the lab down for good: belongs at the end of a run. */
jest.setTimeout(120_000);

let release: () => void;
beforeAll(() => {
  release = lockLab();
});
afterAll(() => release());

test('the end leaves no process, mount, interface, cgroup or file, and may be called twice', async () => {
  await runSteps([...machineSteps(), ...storageSteps()]);
  expect(holder()).toBeDefined();
  await stopMachine();
  await stopMachine();
  expect(existsSync(labHome())).toBe(false);
  expect(existsSync('/sys/class/net/swy-host')).toBe(false);
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  expect(mountinfo).not.toContain(labHome());
  for (const { path } of cgroupMounts(mountinfo)) expect(existsSync(`${path}/switchyard-lab`)).toBe(false);
  const processes = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
  expect(processes).not.toContain(labHome());
  expect(processes).not.toMatch(/tini -- sleep infinity/);
});
