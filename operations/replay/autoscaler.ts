import type { ScalingBehavior, ScalingRules } from '../../catalog/scaling';

// HorizontalPodAutoscaler v2 of Kubernetes 1.37, as arithmetic: pkg/controller/podautoscaler/replica_calculator.go
// (calcPlainMetricReplicas, groupPods), horizontal.go (computeReplicasForMetrics, reconcileAutoscaler and what stabilises
// and limits) and metrics/utilization.go (GetMetricUsageRatio). The clock is the caller's.

/** `--horizontal-pod-autoscaler-tolerance`, its default. */
const TOLERANCE = 0.1;

/** What a metric of the Pods says at one moment. Values are thousandths, as Kubernetes reckons with them. */
export interface Observation {
  /** Sum over the running Pods that the metric is known of. */
  readonly total: number;
  /** How many these are. */
  readonly measured: number;
  /** Running Pods that the metric is not known of. */
  readonly missing: number;
  /** Pods that do not run yet. */
  readonly pending: number;
}

export interface Metric {
  /** Thousandths that one Pod is to have on average. */
  readonly target: number;
  /** Undefined where the whole metric is not to be had. */
  readonly seen: Observation | undefined;
}

const within = (ratio: number): boolean => 1 - TOLERANCE <= ratio && ratio <= 1 + TOLERANCE;

/**
 * Pods that one metric asks for; undefined where it says nothing. A Pod without a value counts as one that has just its
 * target when the others ask for fewer, and as an idle one when they ask for more.
 */
export function wantedBy({ target, seen }: Metric, current: number): number | undefined {
  if (!seen || seen.measured === 0) return undefined;
  const ratioOf = (total: number, pods: number): number => Math.trunc(total / pods) / target;
  const ratio = ratioOf(seen.total, seen.measured);
  const withPending = seen.pending > 0 && ratio > 1;
  if (!withPending && seen.missing === 0) return within(ratio) ? current : Math.ceil(ratio * seen.measured);
  // Of exactly 1 the missing ones stay out of the count.
  const missing = ratio === 1 ? 0 : seen.missing;
  const counted = seen.measured + missing + (withPending ? seen.pending : 0);
  const cautious = ratioOf(seen.total + (ratio < 1 ? missing * target : 0), counted);
  if (within(cautious) || (ratio < 1 && cautious > 1) || (ratio > 1 && cautious < 1)) return current;
  const wanted = Math.ceil(cautious * counted);
  return (cautious < 1 && wanted > current) || (cautious > 1 && wanted < current) ? current : wanted;
}

/** Pods that all metrics together ask for: the most. Undefined where none says anything, or the others would scale in. */
export function wantedByAll(metrics: readonly Metric[], current: number): number | undefined {
  const proposals = metrics.map((metric) => wantedBy(metric, current));
  const known = proposals.filter((proposal) => proposal !== undefined);
  if (known.length === 0) return undefined;
  const wanted = Math.max(...known);
  return known.length < metrics.length && wanted < current ? undefined : wanted;
}

interface Dated {
  readonly at: number;
  readonly pods: number;
}

/** Changes with one more, in the place of one that no rule of its own direction looks at any longer (`storeScaleEvent`). */
function noted(changes: readonly Dated[], change: Dated, { policies }: ScalingRules): Dated[] {
  const longest = Math.max(...policies.map(({ periodSeconds }) => periodSeconds));
  const old = changes.findLastIndex(({ at }) => at < change.at - longest);
  return old < 0 ? [...changes, change] : changes.with(old, change);
}

/** What limits a change: the range, the rules, and the changes that there were, each with its number of Pods. */
export interface Limits {
  readonly min: number;
  readonly max: number;
  readonly behavior: ScalingBehavior;
  readonly ups: readonly Dated[];
  readonly downs: readonly Dated[];
}

/** The number of Pods that rules allow: each policy reckons from what there was when its period began. */
function limitOf(
  rules: ScalingRules,
  now: number,
  current: number,
  sign: 1 | -1,
  { ups, downs }: Limits,
): number {
  if (rules.selectPolicy === 'Disabled') return current;
  const changed = (events: readonly Dated[], seconds: number): number =>
    events.reduce((sum, { at, pods }) => (at > now - seconds ? sum + pods : sum), 0);
  const limits = rules.policies.map(({ type, value, periodSeconds }) => {
    const before = current - changed(ups, periodSeconds) + changed(downs, periodSeconds);
    if (type === 'Pods') return before + sign * value;
    return sign > 0 ? Math.ceil(before * (1 + value / 100)) : Math.trunc(before * (1 - value / 100));
  });
  const highest = (rules.selectPolicy === 'Max') === sign > 0;
  return highest ? Math.max(...limits) : Math.min(...limits);
}

/** What is left of a wanted change: within the range, and no faster than the rules allow. */
export function limited(now: number, current: number, wanted: number, limits: Limits): number {
  const { scaleUp, scaleDown } = limits.behavior;
  if (wanted > current) {
    const limit = Math.max(current, limitOf(scaleUp, now, current, 1, limits));
    return Math.min(wanted, limits.max, limit);
  }
  if (wanted < current) {
    const limit = Math.min(current, limitOf(scaleDown, now, current, -1, limits));
    return Math.max(wanted, limits.min, limit);
  }
  return wanted;
}

/** One autoscaler with what it remembers: its recommendations, and how it changed the Pods. Times are seconds. */
export class Autoscaler implements Limits {
  private readonly recommended: Dated[] = [];
  ups: readonly Dated[] = [];
  downs: readonly Dated[] = [];

  constructor(
    readonly min: number,
    readonly max: number,
    readonly behavior: ScalingBehavior,
  ) {}

  /** Decides once. @returns Pods that there are to be from now on */
  decide(now: number, current: number, metrics: readonly Metric[]): number {
    if (this.recommended.length === 0) this.recommended.push({ at: now, pods: current });
    const next = this.next(now, current, metrics);
    const { scaleUp, scaleDown } = this.behavior;
    if (next > current) this.ups = noted(this.ups, { at: now, pods: next - current }, scaleUp);
    if (next < current) this.downs = noted(this.downs, { at: now, pods: current - next }, scaleDown);
    return next;
  }

  private next(now: number, current: number, metrics: readonly Metric[]): number {
    if (current === 0) return 0;
    if (current > this.max) return this.max;
    if (current < this.min) return this.min;
    const wanted = wantedByAll(metrics, current);
    if (wanted === undefined) return current;
    return limited(now, current, this.stabilised(now, current, wanted), this);
  }

  /** Up to the least, and down to the most, of what was recommended within each direction's window. */
  private stabilised(now: number, current: number, wanted: number): number {
    const { scaleUp, scaleDown } = this.behavior;
    let [up, down] = [wanted, wanted];
    for (const { at, pods } of this.recommended) {
      if (at > now - scaleUp.stabilizationWindowSeconds) up = Math.min(up, pods);
      if (at > now - scaleDown.stabilizationWindowSeconds) down = Math.max(down, pods);
    }
    const window = Math.max(scaleUp.stabilizationWindowSeconds, scaleDown.stabilizationWindowSeconds);
    while ((this.recommended[0]?.at ?? now) < now - window) this.recommended.shift();
    this.recommended.push({ at: now, pods: wanted });
    return Math.min(Math.max(current, up), down);
  }
}
