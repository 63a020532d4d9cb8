import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hashFiles, LabError, type Step, type StepLog } from '../steps';

/** Debian packages and the program that shows that each is there. */
export const PACKAGES: Record<string, string> = {
  containerd: 'containerd',
  runc: 'runc',
  'etcd-server': 'etcd',
  'docker.io': 'dockerd',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  'docker-registry': 'docker-registry',
  restic: 'restic',
  iptables: 'iptables',
  iproute2: 'ip',
  ipset: 'ipset',
  conntrack: 'conntrack',
  socat: 'socat',
  kmod: 'modprobe',
  'util-linux': 'nsenter',
  openssl: 'openssl',
  debootstrap: 'debootstrap',
  tini: 'tini',
  git: 'git',
  unzip: 'unzip',
  'openjdk-17-jdk-headless': 'javac',
  maven: 'mvn',
  'python3-venv': '/usr/share/doc/python3-venv',
  'python3-pip': 'pip3',
};

const FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export function present(probe: string): boolean {
  if (probe.startsWith('/')) return existsSync(probe);
  const path = (process.env.PATH ?? '').split(':').filter(Boolean);
  return [...path, ...FOLDERS].some((folder) => existsSync(`${folder}/${probe}`));
}

/** Packages whose program is missing. */
export function missingPackages(has: (probe: string) => boolean = present): string[] {
  return Object.entries(PACKAGES)
    .filter(([, probe]) => !has(probe))
    .map(([name]) => name);
}

/** The command that a user without root is told to run. */
export function installCommand(packages: string[]): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
}

const GUARD = '/usr/sbin/policy-rc.d';
const KEPT = `${GUARD}.before-switchyard`;
const GUARD_TEXT =
  '#!/bin/sh\n# switchyard: packages are installed for the lab, which starts their programs itself\nexit 101\n';

/** Undoes the guard, also one that a killed run left behind. */
export function removeGuard(): void {
  if (existsSync(GUARD) && readFileSync(GUARD, 'utf8') === GUARD_TEXT) rmSync(GUARD);
  if (existsSync(KEPT)) renameSync(KEPT, GUARD);
}

/** Installs packages without letting their scripts start services on the host. */
async function install(packages: string[], log: StepLog): Promise<void> {
  if (existsSync(GUARD) && !existsSync(KEPT)) renameSync(GUARD, KEPT);
  writeFileSync(GUARD, GUARD_TEXT, { mode: 0o755 });
  const env = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  try {
    // Waits for a package manager that is already at work instead of failing on its lock.
    const wait = ['-o', 'DPkg::Lock::Timeout=300'];
    await log.exec('apt-get', [...wait, 'update'], { env });
    await log.exec('apt-get', [...wait, 'install', '-y', '--no-install-recommends', ...packages], { env });
  } finally {
    removeGuard();
  }
}

function haveApt(): boolean {
  try {
    execFileSync('apt-get', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Debian's own parts of the lab. */
export function packageStep(): Step {
  return {
    name: 'packages',
    title: 'Debian packages',
    inputs: () => hashFiles([], Object.keys(PACKAGES).sort()),
    done: async () => missingPackages().length === 0,
    run: async (log) => {
      removeGuard();
      const missing = missingPackages();
      if (missing.length === 0) return;
      if (process.getuid?.() !== 0 || !haveApt()) {
        throw new LabError(
          `missing programs of the packages ${missing.join(', ')}`,
          `As root on Debian: ${installCommand(missing)}`,
        );
      }
      await install(missing, log);
      const still = missingPackages();
      if (still.length > 0) {
        throw new LabError(`installed, but still without ${still.join(', ')}`, 'See the log', log.path);
      }
    },
  };
}
