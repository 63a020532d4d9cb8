import { scalingTimes } from '../../../catalog/scaling';
import type { Trace } from '../../../operations/replay/trace';

/** Random numbers that are the same each time (Mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A load by published parameters: users of SURGE (Barford and Crovella, "Generating Representative Web Workloads for
 * Network and Server Performance Evaluation", SIGMETRICS 1998), whose pages have Pareto(1, 2.43) files and whose pauses
 * are Pareto(1 s, 1.5). Their heavy tail makes bursts on all scales. How many users there are follows a day, from a
 * third of them to all: the day is our own choice, and so is a crowd of as many again for three minutes.
 */
export function surge(users: number, seconds: number, seed: number): Trace {
  const next = random(seed);
  const pareto = (least: number, shape: number): number => least / (1 - next()) ** (1 / shape);
  const { scrape } = scalingTimes;
  const requests = Array<number>(seconds / scrape).fill(0);
  const crowd = { from: seconds * 0.7, to: seconds * 0.7 + 180 };
  const there = (user: number, at: number): boolean => {
    // A third of them are there all day, for which no cosine is needed.
    if (user >= users || user < users / 3) return true;
    const day = (2 + Math.cos((2 * Math.PI * at) / seconds + Math.PI)) / 3;
    return user < users * day;
  };
  for (let user = 0; user < 2 * users; user++) {
    const [from, to] = user < users ? [0, seconds] : [crowd.from, crowd.to];
    for (let at = from + pareto(1, 1.5); at < to; at += pareto(1, 1.5)) {
      if (!there(user, at)) continue;
      const step = Math.floor(at / scrape);
      requests[step] = (requests[step] ?? 0) + Math.round(Math.min(pareto(1, 2.43), 1000));
    }
  }
  return { qps: requests.map((count) => count / scrape), step: scrape };
}
