import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every cgroup of the lab's Pods and containers lies below this one. */
export const CGROUP_ROOT = '/switchyard-lab';

/** Mount points of the cgroup hierarchies in the text of /proc/self/mountinfo (proc(5)). */
export function cgroupMounts(mountinfo: string): { path: string; version: 1 | 2; controllers: string[] }[] {
  const found = new Map<string, { path: string; version: 1 | 2; controllers: string[] }>();
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const path = before?.split(' ')[4];
    const [type, , options] = (after ?? '').split(' ');
    if (!path || (type !== 'cgroup' && type !== 'cgroup2')) continue;
    const known = new Set(['rw', 'ro', 'xattr', 'nsdelegate', 'memory_recursiveprot']);
    const controllers = (options ?? '').split(',').filter((option) => option && !known.has(option));
    found.set(path, {
      path,
      version: type === 'cgroup' ? 1 : 2,
      controllers: type === 'cgroup' ? controllers : [],
    });
  }
  return [...found.values()];
}

function hierarchies() {
  return cgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** True where the node runs on cgroup v1 (controllers mounted one by one). */
export function isCgroupV1(): boolean {
  return hierarchies().some((mount) => mount.version === 1 && mount.controllers.includes('memory'));
}

function copy(parent: string, child: string, file: string): void {
  const from = join(parent, file);
  if (existsSync(from)) writeFileSync(join(child, file), readFileSync(from, 'utf8').trim());
}

/** Creates the lab's root cgroup in every hierarchy, usable by kubelet and dockerd. */
export function createCgroups(): void {
  for (const { path, version, controllers } of hierarchies()) {
    const root = join(path, CGROUP_ROOT);
    mkdirSync(root, { recursive: true });
    if (controllers.includes('cpuset')) {
      // A new v1 cpuset is empty and refuses processes until both are set.
      copy(path, root, 'cpuset.cpus');
      copy(path, root, 'cpuset.mems');
    }
    if (version === 2 && existsSync(join(path, 'cgroup.controllers'))) {
      const available = readFileSync(join(path, 'cgroup.controllers'), 'utf8').trim();
      if (!available) continue;
      const enable = available
        .split(' ')
        .map((name) => `+${name}`)
        .join(' ');
      for (const folder of [path, root]) {
        try {
          writeFileSync(join(folder, 'cgroup.subtree_control'), enable);
        } catch {
          // Already delegated by the init system, or refused for single controllers: kubelet says which it misses.
        }
      }
    }
  }
}

/** Removes the lab's cgroups. @returns folders that the kernel would not give up (still holding a process) */
export function removeCgroups(): string[] {
  const left: string[] = [];
  const remove = (folder: string): void => {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(join(folder, entry.name));
    }
    try {
      rmdirSync(folder);
    } catch {
      left.push(folder);
    }
  };
  for (const { path } of hierarchies()) remove(join(path, CGROUP_ROOT));
  return left;
}
