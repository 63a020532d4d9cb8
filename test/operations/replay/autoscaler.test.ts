import fc from 'fast-check';
import { type ScalingBehavior, type ScalingRules, scalingBehavior } from '../../../catalog/scaling';
import {
  Autoscaler,
  limited,
  type Metric,
  wantedBy,
  wantedByAll,
} from '../../../operations/replay/autoscaler';

// The contract is Kubernetes 1.37's: pkg/controller/podautoscaler/replica_calculator.go (calcPlainMetricReplicas) and
// horizontal.go; the cases of limits are those of horizontal_test.go (TestScalingWithRules).

const metric = (target: number, values: readonly number[], missing = 0, pending = 0): Metric => ({
  target,
  seen: { total: values.reduce((a, b) => a + b, 0), measured: values.length, missing, pending },
});

describe('what one metric asks for', () => {
  test.each([
    ['more than the target', metric(15_000, [20_000, 10_000, 30_000]), 3, 4],
    ['less than the target', metric(20_000, [12_000, 12_000, 12_000, 12_000, 12_000]), 5, 3],
    ['a tenth more is let be', metric(10_000, [11_000, 11_000]), 2, 2],
    ['and a tenth less', metric(10_000, [9_000, 9_000]), 2, 2],
    ['a little more than that is not', metric(10_000, [11_100, 11_100]), 2, 3],
    ['Pods that do not run yet count as idle when more are asked for', metric(10_000, [30_000], 0, 1), 2, 3],
    ['and not at all when fewer are', metric(10_000, [4_000, 4_000], 0, 2), 4, 1],
    ['a missing one counts as having its target when fewer are asked for', metric(10_000, [2_000], 1), 2, 2],
    ['so that few missing ones stop nothing', metric(10_000, [1_000, 1_000, 1_000], 1), 4, 2],
    ['a missing one counts as idle when more are asked for', metric(10_000, [30_000], 1), 2, 3],
    ['missing ones never turn the direction', metric(10_000, [12_000], 9), 10, 10],
    ['with exactly the target nothing changes', metric(10_000, [10_000], 3), 4, 4],
  ])('%s', (_, given, current, wanted) => {
    expect(wantedBy(given, current)).toBe(wanted);
  });

  test('nothing where no Pod has a value, or the metric is not to be had', () => {
    expect(wantedBy(metric(10_000, [], 3), 3)).toBeUndefined();
    expect(wantedBy({ target: 10_000, seen: undefined }, 3)).toBeUndefined();
  });

  test('of several metrics the greatest counts; a blind one stops scaling in, not scaling out', () => {
    const [low, high, blind] = [
      metric(10_000, [1_000, 1_000]),
      metric(10_000, [30_000, 30_000]),
      metric(10_000, [], 2),
    ];
    expect(wantedByAll([low, high], 2)).toBe(6);
    expect(wantedByAll([blind, high], 2)).toBe(6);
    expect(wantedByAll([low, blind], 2)).toBeUndefined();
    expect(wantedByAll([blind, blind], 2)).toBeUndefined();
  });
});

describe('how fast it changes', () => {
  /** As `generateScalingRules` of the source: no policy for a value of 0. */
  const rules = (
    pods: number,
    podsSeconds: number,
    percent: number,
    percentSeconds: number,
  ): ScalingRules => ({
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      ...(pods > 0 ? [{ type: 'Pods' as const, value: pods, periodSeconds: podsSeconds }] : []),
      ...(percent > 0 ? [{ type: 'Percent' as const, value: percent, periodSeconds: percentSeconds }] : []),
    ],
  });
  /** As `generateEventsUniformDistribution`: spread over the period before now, which is 0 here. */
  const spread = (pods: readonly number[], seconds: number) =>
    pods.map((one, index) => ({ at: -seconds + (seconds / pods.length) * (index + 0.5), pods: one }));

  test.each([
    ['doubled, by default', 10, 50, scalingBehavior.scaleUp, [], [], 20],
    ['one a minute', 3, 1000, rules(1, 60, 0, 0), [], [], 4],
    ['the greater of two policies: Pods', 10, 500, rules(100, 60, 100, 60), [], [], 110],
    ['the greater of two policies: per cent', 10, 500, rules(2, 60, 100, 60), [], [], 20],
    ['a lot of changes before allow nothing', 100, 500, rules(5, 120, 0, 0), [1, 5, 9], [], 100],
    ['(100 - 15) + 150', 100, 500, rules(150, 120, 0, 0), [1, 5, 9], [], 235],
    ['(100 - 15) + 200%', 100, 500, rules(0, 0, 200, 120), [1, 5, 9], [], 255],
    ['(6 - 4 + 2) + 300%', 6, 24, rules(0, 0, 300, 300), [4], [2], 16],
  ])('up: %s', (_, current, wanted, scaleUp, ups, downs, expected) => {
    const behavior: ScalingBehavior = { ...scalingBehavior, scaleUp };
    const limits = { min: 1, max: 1000, behavior, ups: spread(ups, 120), downs: spread(downs, 120) };
    expect(limited(0, current, wanted, limits)).toBe(expected);
  });

  test.each([
    ['a fifth a minute', 100, 2, scalingBehavior.scaleDown, [], [], 80],
    ['the greater of two policies', 100, 2, rules(20, 60, 1, 60), [], [], 80],
    ['within the range', 10, 5, rules(0, 0, 50, 60), [], [], 5],
    ['100 + 15 - 5', 100, 2, rules(5, 120, 0, 0), [], [1, 5, 9], 100],
    ['(100 + 12) - 50%', 100, 0, rules(0, 0, 50, 120), [], [2, 4, 6], 56],
    ['(10 - 2 + 4) - 50%', 10, 1, rules(0, 0, 50, 180), [2], [4], 6],
    ['(100 + 30) - 10% is more than there is', 100, 0, rules(0, 0, 10, 120), [], [10, 10, 10], 100],
    ['(10 + 30) - 1000% is less than wanted', 10, 5, rules(0, 0, 1000, 120), [], [10, 10, 10], 5],
  ])('down: %s', (_, current, wanted, scaleDown, ups, downs, expected) => {
    const behavior: ScalingBehavior = { ...scalingBehavior, scaleDown };
    const limits = { min: 1, max: 1000, behavior, ups: spread(ups, 120), downs: spread(downs, 120) };
    expect(limited(0, current, wanted, limits)).toBe(expected);
  });

  test('the range counts before any rule, and also where the number is outside of it', () => {
    const limits = { min: 2, max: 150, behavior: scalingBehavior, ups: [], downs: [] };
    expect(limited(0, 100, 1000, limits)).toBe(150);
    expect(limited(0, 3, 1, limits)).toBe(2);
    const scaler = new Autoscaler(2, 4, scalingBehavior);
    expect(scaler.decide(0, 9, [metric(1_000, [], 9)])).toBe(4);
    expect(scaler.decide(15, 1, [metric(1_000, [], 1)])).toBe(2);
  });

  test('least change and no change are obeyed', () => {
    const [policies, stabilizationWindowSeconds] = [scalingBehavior.scaleUp.policies, 0];
    const limits = (selectPolicy: 'Min' | 'Disabled') => ({
      min: 1,
      max: 100,
      behavior: { ...scalingBehavior, scaleUp: { policies, stabilizationWindowSeconds, selectPolicy } },
      ups: [],
      downs: [],
    });
    expect(limited(0, 10, 90, limits('Min'))).toBe(14);
    expect(limited(0, 10, 90, limits('Disabled'))).toBe(10);
  });

  test('down only below what five minutes asked for', () => {
    const scaler = new Autoscaler(1, 20, scalingBehavior);
    const each = (value: number, pods: number) => [metric(10_000, Array(pods).fill(value))];
    expect(scaler.decide(0, 2, each(50_000, 2))).toBe(6);
    for (let at = 15; at < 300; at += 15) expect(scaler.decide(at, 6, each(1_000, 6))).toBe(6);
    expect(scaler.decide(300, 6, each(1_000, 6))).toBe(4);
    expect(scaler.decide(315, 4, each(1_000, 4))).toBe(4);
    expect(scaler.decide(360, 4, each(1_000, 4))).toBe(3);
  });
});

describe('whatever the metrics say', () => {
  const observation = fc.record({
    values: fc.array(fc.integer({ min: 0, max: 500_000 }), { maxLength: 30 }),
    missing: fc.nat(5),
    pending: fc.nat(5),
    blind: fc.boolean(),
  });
  const metricOf = (seen: { values: number[]; missing: number; pending: number; blind: boolean }): Metric =>
    seen.blind
      ? { target: 50_000, seen: undefined }
      : metric(50_000, seen.values, seen.missing, seen.pending);
  const range = fc
    .tuple(fc.integer({ min: 1, max: 40 }), fc.nat(40))
    .map(([min, more]) => ({ min, max: min + more }));

  /** What an autoscaler decides, one sync after the other. */
  const course = ({ min, max }: { min: number; max: number }, looks: readonly Metric[][]): number[] => {
    const scaler = new Autoscaler(min, max, scalingBehavior);
    const pods = [min];
    for (const [index, metrics] of looks.entries())
      pods.push(scaler.decide(index * 15, pods[index] ?? min, metrics));
    return pods;
  };
  const looks = fc.array(fc.tuple(observation, observation), { minLength: 1, maxLength: 60 });

  test('never outside min and max', () => {
    fc.assert(
      fc.property(range, looks, (given, seen) => {
        for (const pods of course(
          given,
          seen.map((pair) => pair.map(metricOf)),
        )) {
          expect(pods).toBeGreaterThanOrEqual(given.min);
          expect(pods).toBeLessThanOrEqual(given.max);
        }
      }),
    );
  });

  test('never fewer Pods while a metric is blind', () => {
    fc.assert(
      fc.property(range, looks, (given, seen) => {
        const pods = course(
          given,
          seen.map(([first]) => [{ target: 50_000, seen: undefined }, metricOf(first)]),
        );
        for (const [index, now] of pods.slice(1).entries())
          expect(now).toBeGreaterThanOrEqual(pods[index] ?? 0);
      }),
    );
  });

  test('a Pod without a value never makes it fewer than with any value below the target', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 49_000 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 50_000 }),
        (values, missing, value) => {
          const current = values.length + missing;
          const blind = wantedBy(metric(50_000, values, missing), current) ?? current;
          const seen =
            wantedBy(metric(50_000, [...values, ...Array(missing).fill(value)]), current) ?? current;
          expect(blind).toBeGreaterThanOrEqual(seen);
        },
      ),
    );
  });

  test('no faster than doubling or four in 15 s, nor than a fifth in a minute', () => {
    fc.assert(
      fc.property(range, looks, (given, seen) => {
        const pods = course(
          given,
          seen.map((pair) => pair.map(metricOf)),
        );
        for (const [index, now] of pods.entries()) {
          const before = pods[index - 1] ?? now;
          expect(now).toBeLessThanOrEqual(Math.max(2 * before, before + 4));
          // What went in a minute is a fifth of what there was, reckoned without what came meanwhile.
          const minute = pods.slice(Math.max(0, index - 4), index + 1);
          const gone = minute.reduce((sum, one, at) => sum + Math.max(0, (minute[at - 1] ?? one) - one), 0);
          if (now < before) expect(gone).toBeLessThanOrEqual(Math.ceil(0.2 * Math.max(...minute)));
        }
      }),
    );
  });
});
