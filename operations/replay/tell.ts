import { scalingTimes } from '../../catalog/scaling';
import { columns } from '../cli/table';
import type { Plan, Run, World } from './simulate';
import type { Trace } from './trace';

/** `50 a Pod, 2–20 Pods`, or `2 Pods`. */
export const planText = (plan: Plan): string =>
  'replicas' in plan
    ? `${plan.replicas} ${plan.replicas === 1 ? 'Pod' : 'Pods'}`
    : `${plan.qps} a Pod, ${range(plan.min, plan.max)} Pods`;

const range = (from: number, to: number): string => (from === to ? `${from}` : `${from}–${to}`);

/** `0 s`, `95 s`, `12 min`, `3 h 20 min` */
export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}

/** Cut, never rounded up: a level that is not held does not read as if it were. */
const percent = (share: number): string => `${(Math.floor(share * 100_000) / 1000).toFixed(3)}%`;

const number = (value: number): string => String(Number(value.toPrecision(4)));

/**
 * The result as a table with its frame.
 * @param unheld the level that no plan holds, where a proposal was asked for and none was found
 */
export function tell(
  module: string,
  trace: Trace,
  { capacity, startSeconds }: World,
  runs: readonly Run[],
  unheld?: number,
): string[] {
  const highest = trace.qps.reduce((a, b) => Math.max(a, b), 0);
  const mean = trace.qps.reduce((a, b) => a + b, 0) / trace.qps.length;
  const rows = runs.map(({ name, plan, replayed }) => [
    `${name}: ${planText(plan)}`,
    range(replayed.fewest, replayed.most),
    replayed.podHours.toFixed(1),
    String(replayed.changes),
    replayed.aboveTarget === undefined ? '-' : duration(replayed.aboveTarget),
    replayed.lag === undefined ? '-' : duration(replayed.lag),
    duration(replayed.overloaded),
    percent(replayed.level),
  ]);
  return [
    `${module}: ${duration(trace.qps.length * scalingTimes.scrape)} of ${number(mean)} requests a second, ${number(highest)} at most; one Pod serves ${number(capacity)} and takes ${startSeconds} s to start`,
    ...columns([
      ['', 'Pods', 'Pod-hours', 'changes', 'above target', 'longest', 'overloaded', 'served'],
      ...rows,
    ]),
    ...(trace.step > scalingTimes.sync
      ? [`The trace has a value each ${duration(trace.step)}: shorter bursts are not in it.`]
      : []),
    ...(unheld === undefined
      ? []
      : [
          `Nothing holds ${percent(unheld)}: new Pods come too late for this trace. Lower --level, or raise --capacity.`,
        ]),
  ];
}
