import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';
import { cacheHome, LabError, labHome } from '../steps';
import { HOST_LINK } from './addresses';
import { isCgroupV1 } from './cgroups';
import { holder } from './holder';
import { addressTakenBy } from './network';

const GIBI = 1024 ** 3;
const DISK_GIB = 12;
const MEMORY_GIB = 4;

/** What the checks look at; gathered from the machine by {@link survey}, given by tests. */
export interface Survey {
  nodeVersion: string;
  platform: string;
  uid: number;
  /** Free bytes where LAB_HOME and the cache lie, the smaller of the two. */
  freeBytes: number;
  memoryBytes: number;
  /** Contents of /proc/filesystems. */
  filesystems: string;
  /** Names in /proc/self/ns. */
  namespaces: string[];
  /** Is there any cgroup hierarchy with a memory controller? */
  memoryCgroup: boolean;
  /** Interface, not the lab's, that has an address in 198.18.0.0/30. */
  takenBy?: string;
  /** The lab runs already: its own addresses and disk use are no fault. */
  running: boolean;
}

export interface Fault {
  what: string;
  remedy: string;
}

/** Every fault of the machine, one line each; empty when the lab can run. */
export function faults(survey: Survey): Fault[] {
  const found: Fault[] = [];
  const fault = (what: string, remedy: string): void => {
    found.push({ what, remedy });
  };
  const major = Number(survey.nodeVersion.replace(/^v/, '').split('.')[0]);
  if (!(major >= 22)) {
    fault(`Node ${survey.nodeVersion} is too old: 22 or newer is needed`, 'Run `npm ci`, then `npm run lab`');
  }
  if (survey.platform !== 'linux') {
    fault(`the lab needs Linux, this is ${survey.platform}`, 'Run it in a Linux virtual machine');
    return found;
  }
  if (survey.uid !== 0) fault('the lab needs root (namespaces, mounts)', 'Run it as root: sudo npm run lab');
  if (survey.takenBy) {
    fault(`198.18.0.0/30 is in use on ${survey.takenBy}`, `Free it: ip link show ${survey.takenBy}`);
  }
  if (!survey.running && survey.freeBytes < DISK_GIB * GIBI) {
    const free = (survey.freeBytes / GIBI).toFixed(1);
    fault(
      `only ${free} GiB of disk are free, ${DISK_GIB} are needed`,
      'Free some, or move the lab: SWITCHYARD_LAB_HOME and XDG_CACHE_HOME',
    );
  }
  if (survey.memoryBytes < MEMORY_GIB * GIBI) {
    const memory = (survey.memoryBytes / GIBI).toFixed(1);
    fault(`${memory} GiB of memory, ${MEMORY_GIB} are needed`, 'Use a larger machine');
  }
  if (!/\boverlay$/m.test(survey.filesystems)) {
    fault('the kernel has no overlayfs', 'Load it: modprobe overlay');
  }
  for (const name of ['pid', 'mnt', 'net']) {
    if (!survey.namespaces.includes(name)) {
      fault(`the kernel has no ${name} namespaces`, 'Use a kernel with namespaces');
    }
  }
  if (!survey.memoryCgroup) fault('no memory cgroup is mounted', 'Mount cgroups below /sys/fs/cgroup');
  return found;
}

function freeAt(path: string): number {
  let folder = path;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function memoryCgroup(): boolean {
  const unified = '/sys/fs/cgroup/cgroup.controllers';
  return isCgroupV1() || (existsSync(unified) && readFileSync(unified, 'utf8').includes('memory'));
}

/** Looks at this machine. */
export function survey(): Survey {
  return {
    nodeVersion: process.version,
    platform: process.platform,
    uid: process.getuid?.() ?? -1,
    freeBytes: Math.min(freeAt(labHome()), freeAt(cacheHome())),
    memoryBytes: totalmem(),
    filesystems: existsSync('/proc/filesystems') ? readFileSync('/proc/filesystems', 'utf8') : '',
    namespaces: ['pid', 'mnt', 'net'].filter((name) => existsSync(`/proc/self/ns/${name}`)),
    memoryCgroup: process.platform === 'linux' && memoryCgroup(),
    takenBy: addressTakenBy(),
    running: holder() !== undefined || existsSync(`/sys/class/net/${HOST_LINK}`),
  };
}

/** @throws LabError with every fault, one line each */
export function preflight(found: Survey = survey()): void {
  const [first, ...others] = faults(found);
  if (!first) return;
  const more = others.map(({ what, remedy }) => `\n${what}. ${remedy}`).join('');
  throw new LabError(first.what, first.remedy + more);
}
