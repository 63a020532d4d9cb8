import {
  type ScalingBehavior,
  type ScalingTarget,
  scalingBehavior,
  scalingTimes,
} from '../../catalog/scaling';
import { Autoscaler, type Observation } from './autoscaler';
import type { Trace } from './trace';

/** How a module is run: by an autoscaler, or with a number of Pods. */
export type Plan = (ScalingTarget & { readonly behavior?: ScalingBehavior }) | { readonly replicas: number };

/** What a replay takes for given, beside the trace. */
export interface World {
  /** Requests per second that one Pod serves; what comes beyond is excess. */
  readonly capacity: number;
  /** Seconds from an autoscaler's decision until the new Pod takes requests. */
  readonly startSeconds: number;
}

/** A moment of a replay. */
export interface Moment {
  /** Seconds since the trace began. */
  readonly at: number;
  readonly qps: number;
  /** Pods that there are to be. */
  readonly wanted: number;
  /** Pods that take requests. */
  readonly ready: number;
}

export interface Replayed {
  readonly podHours: number;
  readonly fewest: number;
  readonly most: number;
  /** How often the number of Pods was changed. */
  readonly changes: number;
  /** Seconds in which the Pods had more than the target each; absent without a target. */
  readonly aboveTarget?: number;
  /** The longest of these at a stretch: what the autoscaler lags behind. */
  readonly lag?: number;
  /** Seconds in which the Pods had more than they can serve. */
  readonly overloaded: number;
  /** Share of the requests that came while there was room for them, 0 to 1. */
  readonly level: number;
}

/** One way to run the module, replayed. */
export interface Run {
  readonly name: 'today' | 'asked' | 'proposed';
  readonly plan: Plan;
  readonly replayed: Replayed;
}

/** Seconds of a step: all that happens, happens at a scrape. */
const STEP = scalingTimes.scrape;

/** Pods of one start. */
interface Cohort {
  readonly ready: number;
  pods: number;
}

/** The Pods, oldest first; the youngest leave first, as those of a ReplicaSet do. */
class Pods {
  private readonly cohorts: Cohort[];

  constructor(public all: number) {
    // They are there for long: what is measured of them is whole.
    this.cohorts = [{ ready: -scalingTimes.window - STEP, pods: all }];
  }

  /** Pods that take requests. */
  readyAt(now: number): number {
    let pods = 0;
    for (const cohort of this.cohorts) if (cohort.ready <= now) pods += cohort.pods;
    return pods;
  }

  add(pods: number, ready: number): void {
    this.all += pods;
    this.cohorts.push({ ready, pods });
  }

  remove(pods: number): void {
    this.all -= pods;
    for (let left = pods; left > 0; ) {
      const youngest = this.cohorts.at(-1);
      if (!youngest) return;
      const gone = Math.min(left, youngest.pods);
      youngest.pods -= gone;
      left -= gone;
      if (youngest.pods === 0) this.cohorts.pop();
    }
  }

  /**
   * What Prometheus' `rate` says of them: of a Pod, requests over the window, of which a young one has seen a part only.
   * @param loads requests per second and Pod of the steps of the window, the last one last
   */
  observed(now: number, loads: readonly number[]): Observation {
    let [total, measured, missing, pending] = [0, 0, 0, 0];
    for (const { ready, pods } of this.cohorts) {
      if (ready > now) pending += pods;
      // A rate needs two samples.
      else if (ready > now - STEP) missing += pods;
      else {
        let sum = 0;
        const begun = loads.length - Math.min(loads.length, Math.floor((now - ready) / STEP));
        for (let index = begun; index < loads.length; index++) sum += loads[index] ?? 0;
        // prometheus-adapter cuts off what is less than a thousandth (pkg/custom-provider/provider.go).
        total += Math.trunc((sum / loads.length) * 1000) * pods;
        measured += pods;
      }
    }
    this.settle(now - scalingTimes.window);
    return { total, measured, missing, pending };
  }

  /** Makes one of those that are older than a window: nothing tells them apart any longer. */
  private settle(before: number): void {
    const [oldest, next] = this.cohorts;
    if (!oldest || !next || next.ready > before) return;
    oldest.pods += next.pods;
    this.cohorts.splice(1, 1);
  }
}

const startsWith = (plan: Plan, qps: number): number =>
  'replicas' in plan ? plan.replicas : Math.min(plan.max, Math.max(plan.min, Math.ceil(qps / plan.qps)));

/**
 * Runs a trace through a plan. It begins settled: with the Pods that the first value asks for. Requests spread evenly
 * over the Pods that take them, and are counted where they come in, whether they are served or not.
 * @param each is told of every moment
 */
export function simulate(
  trace: Trace,
  plan: Plan,
  { capacity, startSeconds }: World,
  each: (moment: Moment) => void = () => {},
): Replayed {
  const pods = new Pods(startsWith(plan, trace.qps[0] ?? 0));
  const scaler =
    'replicas' in plan ? undefined : new Autoscaler(plan.min, plan.max, plan.behavior ?? scalingBehavior);
  const target = 'replicas' in plan ? undefined : plan.qps;
  const loads = Array.from({ length: scalingTimes.window / STEP }, () => (trace.qps[0] ?? 0) / pods.all);
  let [podSeconds, changes, aboveTarget, stretch, lag, overloaded, asked, served] = [0, 0, 0, 0, 0, 0, 0, 0];
  let [fewest, most] = [pods.all, pods.all];
  for (const [index, qps] of trace.qps.entries()) {
    const at = index * STEP;
    if (scaler && target !== undefined && at % scalingTimes.sync === 0) {
      const seen = pods.observed(at, loads);
      const there = pods.all;
      const wanted = scaler.decide(at, there, [{ target: Math.round(target * 1000), seen }]);
      if (wanted !== there) changes++;
      if (wanted > there) pods.add(wanted - there, at + startSeconds);
      else pods.remove(there - wanted);
    }
    const [wanted, ready] = [pods.all, pods.readyAt(at)];
    const load = qps / ready;
    loads.shift();
    loads.push(load);
    [fewest, most] = [Math.min(fewest, wanted), Math.max(most, wanted)];
    podSeconds += wanted * STEP;
    asked += qps;
    served += Math.min(qps, ready * capacity);
    if (load > capacity) overloaded += STEP;
    stretch = target !== undefined && load > target ? stretch + STEP : 0;
    if (stretch > 0) aboveTarget += STEP;
    lag = Math.max(lag, stretch);
    each({ at, qps, wanted, ready });
  }
  return {
    podHours: podSeconds / 3600,
    fewest,
    most,
    changes,
    ...(target === undefined ? {} : { aboveTarget, lag }),
    overloaded,
    level: asked === 0 ? 1 : served / asked,
  };
}
