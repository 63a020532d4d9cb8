import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LabError, labHome } from '../steps';
import { identify, identityText, isAlive, type ProcessIdentity, readIdentity, sleep } from './process';

const holderFile = (): string => join(labHome(), 'run', 'machine.pid');
const createdFile = (): string => join(labHome(), 'mountpoints');

/**
 * Folders that programs of the node use whatever their flags say. Inside the machine each is a bind mount of
 * a folder in LAB_HOME, so the host's own stay as they are.
 */
const BOUND: Record<string, string> = {
  '/var/lib/kubelet': 'kubelet',
  '/var/lib/cni': 'run/cni',
  '/var/log/pods': 'logs/pods',
  '/var/log/containers': 'logs/containers',
};

/** PID 1 of the machine: the process that holds its PID, mount and network namespaces. */
export function holder(): ProcessIdentity | undefined {
  const identity = readIdentity(holderFile());
  return isAlive(identity) ? identity : undefined;
}

/** Shell text that PID 1 runs before it becomes tini. */
export function setupScript(home: string): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  return [
    'set -e',
    // Shared among the processes inside (Pods see volumes that kubelet mounts later), private towards the host.
    'mount --make-rprivate /',
    'mount --make-rshared /',
    'resolv=$(cat /etc/resolv.conf 2>/dev/null || true)',
    // Sockets, network namespaces and locks of the daemons go away with the machine.
    'mount -t tmpfs -o mode=755 tmpfs /run',
    'if [ ! -e /etc/resolv.conf ] && [ -L /etc/resolv.conf ]; then',
    '  target=$(readlink -m /etc/resolv.conf)',
    '  mkdir -p "$(dirname "$target")"',
    '  printf "%s\\n" "$resolv" > "$target"',
    'fi',
    'mkdir -p /run/lock',
    ...Object.entries(BOUND).map(([target, source]) => `mount --bind ${quote(join(home, source))} ${target}`),
    'ip link set lo up',
    'exec tini -- sleep infinity',
  ].join('\n');
}

/** Missing mount points on the host; noted before they are made, so that a kill in between loses none. */
function createMountpoints(): void {
  const known = existsSync(createdFile())
    ? readFileSync(createdFile(), 'utf8').split('\n').filter(Boolean)
    : [];
  const missing: string[] = [];
  for (const target of Object.keys(BOUND)) {
    for (let folder = target; !existsSync(folder); folder = dirname(folder)) missing.push(folder);
  }
  const all = [...new Set([...known, ...missing])].sort((a, b) => b.length - a.length);
  writeFileSync(createdFile(), all.map((folder) => `${folder}\n`).join(''));
  for (const target of Object.keys(BOUND)) mkdirSync(target, { recursive: true });
}

/** Removes the mount points that the lab made, when they are empty. */
export function removeMountpoints(): void {
  if (!existsSync(createdFile())) return;
  for (const folder of readFileSync(createdFile(), 'utf8').split('\n').filter(Boolean)) {
    try {
      rmdirSync(folder);
    } catch {
      // Someone else put something there meanwhile: theirs now.
    }
  }
}

/** Starts the machine's PID 1. What a machine before it left in `run/` is removed: nothing there outlives it. */
export async function startHolder(): Promise<ProcessIdentity> {
  const existing = holder();
  if (existing) return existing;
  const home = labHome();
  rmSync(join(home, 'run'), { recursive: true, force: true });
  for (const source of Object.values(BOUND)) mkdirSync(join(home, source), { recursive: true });
  createMountpoints();
  const logFile = join(home, 'logs', 'machine.log');
  const output = openSync(logFile, 'a');
  const script = setupScript(home);
  const unshare = spawn(
    'unshare',
    ['--pid', '--mount', '--net', '--ipc', '--fork', '--mount-proc', '--', '/bin/sh', '-c', script],
    { detached: true, stdio: ['ignore', output, output], cwd: '/' },
  );
  let fault = '';
  unshare.on('error', (error) => {
    fault = error.message;
  });
  unshare.unref();
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline && !fault && unshare.exitCode === null) {
    const children = unshare.pid ? readFileText(`/proc/${unshare.pid}/task/${unshare.pid}/children`) : '';
    const pid = Number(children.trim().split(' ')[0]);
    if (pid && readFileText(`/proc/${pid}/comm`).trim() === 'tini') {
      const identity = identify(pid);
      if (identity) {
        writeFileSync(holderFile(), identityText(identity));
        return identity;
      }
    }
    await sleep(10);
  }
  if (unshare.pid && unshare.exitCode === null) process.kill(unshare.pid, 'SIGKILL');
  const words = fault || readFileText(logFile).trim().split('\n').pop() || 'no message';
  throw new LabError(
    `the machine's namespaces could not be made: ${words}`,
    'The lab needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN',
    logFile,
  );
}

function readFileText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Ends PID 1: the kernel then ends every process of the machine and drops its mounts and interfaces. */
export async function stopHolder(): Promise<void> {
  const identity = holder();
  if (identity) {
    process.kill(identity.pid, 'SIGKILL');
    const deadline = Date.now() + 20_000;
    // The entry stays until the last process inside is gone: PID 1 waits for them in the kernel.
    while (isAlive(identity) || existsSync(`/proc/${identity.pid}`)) {
      if (Date.now() > deadline) {
        throw new LabError(
          `process ${identity.pid} of the lab does not end`,
          'A process inside hangs in the kernel: see `dmesg`',
        );
      }
      await sleep(20);
    }
  }
  rmSync(holderFile(), { force: true });
}
