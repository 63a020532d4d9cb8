import { MOST_PODS, type ScalingTarget } from '../../catalog/scaling';
import { type Replayed, simulate, type World } from './simulate';
import type { Trace } from './trace';

/** Targets that are tried first, as per cent of what a Pod serves: below a third of it, Pods mostly wait. */
const COARSE = Array.from({ length: 14 }, (_, index) => 100 - 5 * index);
/** And then around the best of these. */
const FINE = [-4, -3, -2, -1, 1, 2, 3, 4];

export interface Proposal {
  readonly target: ScalingTarget;
  readonly replayed: Replayed;
}

/** The least whole number of a range that holds, if what holds for one also holds for all greater ones. */
function least(from: number, to: number, holds: (value: number) => boolean): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A target as a person would write it. */
const rounded = (qps: number): number => Number(qps.toPrecision(3));

/**
 * The cheapest target, min and max (in Pod-hours) among those tried with which the trace is served as well as asked.
 * For each target the least min, and with it the least max, are looked for by halving, and what is proposed was
 * replayed as it stands.
 * @param level share of the requests that must come while there is room for them, 0 to 1
 * @returns undefined where not even {@link MOST_PODS} Pods would do
 */
export function propose(trace: Trace, world: World, level: number): Proposal | undefined {
  const peak = trace.qps.reduce((a, b) => Math.max(a, b), 0);
  const enough = Math.min(MOST_PODS, Math.max(1, Math.ceil(peak / world.capacity)));
  let best: (Proposal & { readonly percent: number }) | undefined;
  const attempt = (percent: number): void => {
    const qps = rounded((world.capacity * percent) / 100);
    if (qps <= 0 || percent > 100) return;
    const most = Math.min(MOST_PODS, Math.max(1, Math.ceil((2 * peak) / qps)));
    const tried = new Map<string, Replayed>();
    const replay = (min: number, max: number): Replayed => {
      const key = `${min} ${max}`;
      const known = tried.get(key) ?? simulate(trace, { qps, min, max }, world);
      tried.set(key, known);
      return known;
    };
    const min = least(1, Math.min(enough, most), (one) => replay(one, most).level >= level);
    if (replay(min, most).level < level) return;
    const max = least(min, Math.max(min, replay(min, most).most), (one) => replay(min, one).level >= level);
    const replayed = replay(min, max);
    if (replayed.level >= level && (!best || replayed.podHours < best.replayed.podHours))
      best = { target: { qps, min, max }, replayed, percent };
  };
  COARSE.forEach(attempt);
  const { percent } = best ?? {};
  if (percent !== undefined) for (const step of FINE) attempt(percent + step);
  return best && { target: best.target, replayed: best.replayed };
}
