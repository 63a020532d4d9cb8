import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hashFiles, LabError, labHome, type Step } from '../steps';
import { createCgroups, removeCgroups } from './cgroups';
import { runningDaemons, stopDaemon } from './daemons';
import { holder, removeMountpoints, startHolder, stopHolder } from './holder';
import { restoreHostSettings, saveHostSettings } from './host-settings';
import { createLink, linkUp, removeLink, setKernel } from './network';
import { sleep } from './process';

export { type Daemon, daemonLog, daemonProcess, runningDaemons, startDaemon, stopDaemon } from './daemons';
export { holder } from './holder';
export { inMachine } from './network';

/** Mount points at or below `folder` in the text of /proc/self/mountinfo, deepest first. */
export function mountsBelow(mountinfo: string, folder: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, code) =>
        String.fromCharCode(parseInt(code, 8)),
      ),
    )
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
}

/** Brings up the machine: namespaces, link, kernel settings, cgroups. */
export function machineSteps(): Step[] {
  return [
    {
      name: 'machine',
      title: 'Machine: namespaces, link 198.18.0.1 to 198.18.0.2, cgroups',
      // unshare, nsenter, ip, modprobe, tini.
      needs: ['packages'],
      inputs: () => hashFiles([join(__dirname, 'holder.ts'), join(__dirname, 'network.ts')]),
      done: async () => {
        const machine = holder();
        return machine !== undefined && linkUp(machine);
      },
      run: async (log) => {
        mkdirSync(join(labHome(), 'logs'), { recursive: true });
        saveHostSettings();
        const machine = await startHolder();
        log.line(`PID 1 of the machine is ${machine.pid} on the host`);
        createLink(machine);
        setKernel(machine);
        createCgroups();
      },
    },
  ];
}

/**
 * Ends the machine: its processes, mounts, interfaces and cgroups; host settings are as before. LAB_HOME stays, so
 * that a start goes on with the same data.
 * @throws LabError naming a cgroup that would not go
 */
export async function endMachine(): Promise<void> {
  // dockerd and databases get the chance to write; everything else goes with PID 1.
  await Promise.all(runningDaemons().map((name) => stopDaemon(name, 3)));
  await stopHolder();
  removeLink();
  let left = removeCgroups();
  for (let attempt = 0; left.length > 0 && attempt < 50; attempt++) {
    await sleep(100);
    left = removeCgroups();
  }
  removeMountpoints();
  restoreHostSettings();
  if (left.length > 0) {
    throw new LabError(`cgroups still hold processes: ${left[0]}`, 'See `cat` of its cgroup.procs');
  }
}

/**
 * Ends the machine and removes LAB_HOME. The cache stays. Works on whatever is left after a crash or a reboot,
 * and twice.
 * @throws LabError naming what would not go
 */
export async function stopMachine(): Promise<void> {
  await endMachine();
  const home = labHome();
  for (const path of mountsBelow(readFileSync('/proc/self/mountinfo', 'utf8'), home)) {
    execFileSync('umount', ['--lazy', path], { stdio: 'ignore' });
  }
  rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  if (existsSync(home)) throw new LabError(`${home} could not be removed`, 'Remove it by hand');
}
