import { readFileSync } from 'node:fs';

/** A process that cannot be mistaken for another: a pid is reused, a pid with its start time is not. */
export interface ProcessIdentity {
  pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks since boot (proc(5)). */
  startTime: string;
  /** /proc/sys/kernel/random/boot_id: after a reboot both numbers above may recur. */
  bootId: string;
}

/**
 * Start time out of the text of /proc/<pid>/stat, or undefined for a zombie.
 * The command name may hold spaces and brackets, so fields are counted from the last `)`.
 */
export function parseStat(stat: string): { state: string; startTime: string; parent: number } | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, parent] = fields;
  const startTime = fields[19];
  if (!state || !startTime) return undefined;
  return { state, startTime, parent: Number(parent) };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** This boot's id; empty where the kernel does not tell. */
export function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
}

/** Identity of a running process; undefined when there is none or it is a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = read(`/proc/${pid}/stat`);
  const parsed = stat === undefined ? undefined : parseStat(stat);
  if (!parsed || parsed.state === 'Z' || parsed.state === 'X') return undefined;
  return { pid, startTime: parsed.startTime, bootId: bootId() };
}

/** True while exactly that process runs. */
export function isAlive(identity: ProcessIdentity | undefined): boolean {
  if (!identity) return false;
  const now = identify(identity.pid);
  return now !== undefined && now.startTime === identity.startTime && now.bootId === identity.bootId;
}

/** Reads an identity that {@link identityText} wrote; undefined when the text is not one. */
export function parseIdentity(text: string | undefined): ProcessIdentity | undefined {
  const [pid, startTime, boot] = (text ?? '').trim().split(/\s+/);
  if (!pid || !/^\d+$/.test(pid) || !startTime) return undefined;
  return { pid: Number(pid), startTime, bootId: boot ?? '' };
}

/** One line: `<pid> <start time> <boot id>`. */
export function identityText(identity: ProcessIdentity): string {
  return `${identity.pid} ${identity.startTime} ${identity.bootId}\n`;
}

/** The identity kept in a pid file; undefined when the file is missing or damaged. */
export function readIdentity(file: string): ProcessIdentity | undefined {
  return parseIdentity(read(file));
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Sends a signal to exactly that process; a process that is gone is no error. */
export function signal(identity: ProcessIdentity | undefined, name: NodeJS.Signals): void {
  if (!identity || !isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ends a process: SIGTERM, then SIGKILL after `graceSeconds`. */
export async function endProcess(identity: ProcessIdentity | undefined, graceSeconds = 10): Promise<void> {
  signal(identity, 'SIGTERM');
  const deadline = Date.now() + graceSeconds * 1000;
  while (isAlive(identity) && Date.now() < deadline) await sleep(50);
  signal(identity, 'SIGKILL');
  const killed = Date.now() + 5000;
  while (isAlive(identity) && Date.now() < killed) await sleep(20);
}
