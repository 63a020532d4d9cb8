import { type Builds, keyOf, type Run } from './jenkins';

// Since when builds wait for their agent though there is room for it. All first agents are made alike, so where anybody gets one,
// or may have got one, nobody waits in vain: their time begins anew. So it does when this is started anew.

export class Waiting {
  /** Build → when it was first seen to wait in vain. */
  private readonly since = new Map<string, number>();
  /** Builds that had an agent, or their end, at the last look. */
  private served = new Set<string>();

  /** @param most agents at a time */
  see({ hooked, others, inUse }: Builds, most: number, now: number): void {
    const [waiting, served] = split([...hooked, ...others]);
    if (inUse >= most || [...served].some((key) => !this.served.has(key))) this.since.clear();
    for (const key of this.since.keys()) if (!waiting.has(key)) this.since.delete(key);
    for (const key of waiting) if (!this.since.has(key) && inUse < most) this.since.set(key, now);
    this.served = served;
  }

  /** Milliseconds for which a build waits in vain; 0 for any other. */
  of(build: Run, now: number): number {
    return now - (this.since.get(keyOf(build)) ?? now);
  }
}

/** Keys of the builds that run without an agent, and of those that have or had one. */
function split(builds: readonly Run[]): [ReadonlySet<string>, Set<string>] {
  const started = builds.filter(({ number }) => number !== undefined);
  const waits = ({ endedAt, hasAgent }: Run) => endedAt === undefined && !hasAgent;
  return [
    new Set(started.filter(waits).map(keyOf)),
    new Set(started.filter((build) => !waits(build)).map(keyOf)),
  ];
}
