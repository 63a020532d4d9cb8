import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Processes of a session that are alive: the engine and its plug-ins have process groups of their own, but no session. */
const membersOf = (session: number): number[] =>
  readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const fields = readFileSync(`/proc/${entry}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      return Number(fields[3]) === session && fields[0] !== 'Z' ? [Number(entry)] : [];
    } catch {
      return [];
    }
  });

/**
 * Ends all processes of a session with kill -9, as a container's end does.
 * @param session of a process that was started `detached`: its pid
 */
export async function killSession(session: number): Promise<void> {
  for (let left = membersOf(session); left.length > 0; left = membersOf(session)) {
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended in between.
      }
    }
    await sleep(10);
  }
}
