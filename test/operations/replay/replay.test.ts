import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { SaxesParser } from 'saxes';
import { describeProblem, ProblemsError } from '../../../catalog/problems';
import { scalingBehavior } from '../../../catalog/scaling';
import { planOf, replay } from '../../../operations/replay';
import { plotSvg } from '../../../operations/replay/plot';
import { propose } from '../../../operations/replay/propose';
import { type Moment, type Plan, type Run, simulate } from '../../../operations/replay/simulate';
import type { Trace } from '../../../operations/replay/trace';
import { root } from '../../support/model';
import { random, surge } from './surge';

const trace = (...parts: readonly (readonly [qps: number, seconds: number])[]): Trace => ({
  qps: parts.flatMap(([qps, seconds]) => Array<number>(seconds / 5).fill(qps)),
  step: 5,
});
const world = { capacity: 70, startSeconds: 10 };
const target = { qps: 50, min: 2, max: 20 };

test('five times the load: the Pods for it serve within 40 s, and for twice the load within 25 s', () => {
  const five = simulate(trace([100, 600], [500, 600]), target, world);
  expect(five).toMatchObject({ fewest: 2, most: 10, changes: 2, lag: 40 });
  expect(simulate(trace([100, 600], [200, 600]), target, world)).toMatchObject({
    most: 4,
    changes: 1,
    lag: 25,
  });
});

test('a square wave of 2 min makes no more than one change a period, and none once it is up', () => {
  const wave = Array.from({ length: 20 }, (_, index) => [index % 2 === 0 ? 100 : 500, 60] as const);
  const changes: number[] = [];
  let last = 2;
  simulate(trace(...wave), target, world, ({ at, wanted }) => {
    if (wanted !== last) changes.push(at);
    last = wanted;
  });
  expect(changes.every((at) => at <= 180)).toBe(true);
  expect(last).toBe(10);
});

test('the way down takes five minutes, then a fifth a minute', () => {
  const pods: string[] = [];
  let last = 0;
  simulate(trace([500, 60], [100, 900]), target, world, ({ at, wanted }) => {
    if (wanted !== last) pods.push(`${at}: ${wanted}`);
    last = wanted;
  });
  expect(pods).toEqual(['0: 10', '360: 8', '420: 6', '480: 4', '540: 3', '600: 2']);
});

test('a number of Pods is replayed as it is', () => {
  expect(simulate(trace([100, 300], [200, 300]), { replicas: 2 }, world)).toEqual({
    podHours: (2 * 600) / 3600,
    fewest: 2,
    most: 2,
    changes: 0,
    overloaded: 300,
    level: (100 + 140) / 300,
  });
});

test('without a request there is nothing to miss', () => {
  expect(simulate(trace([0, 600]), target, world)).toMatchObject({ most: 2, level: 1, lag: 0 });
});

test('whatever the load, Pods stay within the range and some always serve', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 8 }),
      fc.nat(30),
      fc.nat(120),
      (parts, min, more, startSeconds) => {
        const load = trace(...parts.map(([qps, steps]) => [qps, steps * 5] as const));
        const seen: Moment[] = [];
        const result = simulate(
          load,
          { qps: 50, min, max: min + more },
          { capacity: 70, startSeconds },
          (one) => seen.push(one),
        );
        const wanted = seen.map((one) => one.wanted);
        expect(Math.min(...wanted)).toBeGreaterThanOrEqual(min);
        expect(Math.max(...wanted)).toBeLessThanOrEqual(min + more);
        expect(seen.filter(({ ready }, index) => ready < 1 || ready > (wanted[index] ?? 0))).toEqual([]);
        expect(result.level).toBeGreaterThanOrEqual(0);
        expect(result.level).toBeLessThanOrEqual(1);
        expect(result.podHours).toBeCloseTo(seen.reduce((sum, { wanted }) => sum + wanted * 5, 0) / 3600, 6);
      },
    ),
  );
});

describe('a day of users of SURGE, four hours long', () => {
  const day = surge(200, 4 * 3600, 7);
  const small = { ...world, capacity: 24 };
  const peak = Math.max(...day.qps);

  test('is bursty: single moments have several times the mean', () => {
    expect(peak / (day.qps.reduce((a, b) => a + b, 0) / day.qps.length)).toBeGreaterThan(2.5);
  });

  test('follows its load with fewer Pods than the peak needs all day', () => {
    const scaled = simulate(day, { qps: 17, min: 2, max: 40 }, small);
    const fixed = simulate(day, { replicas: Math.ceil(peak / small.capacity) }, small);
    expect(fixed.level).toBe(1);
    expect(scaled.level).toBeGreaterThan(0.98);
    expect(scaled.podHours).toBeLessThan(0.6 * fixed.podHours);
  });

  test('docs/autoscaling.svg shows it: with PLOTS=1 this test draws it anew', () => {
    const file = join(root, 'docs', 'autoscaling.svg');
    const run = (name: Run['name'], plan: Plan): Run => ({
      name,
      plan,
      replayed: simulate(day, plan, small),
    });
    const drawn = plotSvg('shop', day, small, [
      run('today', { replicas: 10 }),
      run('asked', { qps: 17, min: 2, max: 40 }),
    ]);
    if (process.env.PLOTS) writeFileSync(file, drawn);
    expect(readFileSync(file, 'utf8')).toBe(drawn);
  });

  test('what is proposed holds the level, and costs no more than others that hold it, within 1 %', () => {
    const level = 0.995;
    const found = propose(day, small, level);
    expect(found?.replayed.level).toBeGreaterThanOrEqual(level);
    if (!found) return;
    expect(simulate(day, found.target, small)).toEqual(found.replayed);
    for (const qps of [12, 15, 18, 22])
      for (let min = 1; min <= 16; min += 3) {
        const other = simulate(day, { qps, min, max: 60 }, small);
        if (other.level >= level) expect(found.replayed.podHours).toBeLessThanOrEqual(1.01 * other.podHours);
      }
  });
});

test('no target, min and max on a coarse grid is cheaper than what is proposed, within 3 %', () => {
  const next = random(3);
  for (let round = 0; round < 2; round++) {
    const load = trace(...Array.from({ length: 8 }, () => [Math.floor(next() * 600), 300] as const));
    const level = 0.97;
    const found = propose(load, world, level);
    expect(found?.replayed.level).toBeGreaterThanOrEqual(level);
    let cheapest = Number.POSITIVE_INFINITY;
    for (const qps of [30, 40, 50, 60, 70])
      for (let min = 1; min <= 9; min += 2)
        for (let max = min; max <= 20; max += 3) {
          const { level: held, podHours } = simulate(load, { qps, min, max }, world);
          if (held >= level) cheapest = Math.min(cheapest, podHours);
        }
    expect(found?.replayed.podHours).toBeLessThanOrEqual(1.03 * cheapest);
  }
});

test('nothing is proposed where no number of Pods would do', () => {
  expect(propose(trace([1_000_000, 600]), { capacity: 70, startSeconds: 10 }, 0.999)).toBeUndefined();
});

describe('the command', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-replay-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const file = (text: string): string => {
    const path = join(folder, 'qps.csv');
    writeFileSync(path, text);
    return path;
  };
  const csv = (load: Trace): string =>
    `time,qps\n${load.qps.map((qps, index) => `${index * load.step},${qps}`).join('\n')}\n`;
  const options = (more: object) => ({ start: '10', level: '99', ...more, trace: '' });

  const faults = (run: () => unknown): string[] => {
    try {
      run();
    } catch (error) {
      if (error instanceof ProblemsError) return error.problems.map(describeProblem);
      throw error;
    }
    return [];
  };

  test('says what runs, what is asked for and what is proposed, as a table, a document and a plot', () => {
    const svg = join(folder, 'plot.svg');
    const path = file(csv(trace([100, 600], [500, 600], [100, 1200])));
    const asked = { qps: '50', min: '2', max: '20', capacity: '70', propose: true, svg };
    const { document, lines, exitCode } = replay('lab', 'orders', { ...options(asked), trace: path });
    expect(exitCode).toBe(0);
    expect(lines).toEqual([
      'orders: 40 min of 200 requests a second, 500 at most; one Pod serves 70 and takes 10 s to start',
      expect.stringMatching(
        /^ +Pods {2}Pod-hours {2}changes {2}above target {2}longest {2}overloaded {2}served$/,
      ),
      expect.stringMatching(/^today: \d Pods? /),
      expect.stringMatching(/^asked: 50 a Pod, 2–20 Pods {2,}2–10 .* 40 s .*%$/),
      expect.stringMatching(/^proposed: [\d.]+ a Pod, .*99\.\d{3}%$/),
    ]);
    expect(document).toMatchObject({
      module: 'orders',
      trace: { seconds: 2400, step: 5, highest: 500 },
      capacity: 70,
      plans: [{ name: 'today' }, { name: 'asked', qps: 50, min: 2, max: 20, lag: 40 }, { name: 'proposed' }],
    });
    const text = readFileSync(svg, 'utf8');
    const elements: string[] = [];
    const parser = new SaxesParser();
    parser.on('opentag', ({ name, attributes }) => elements.push(`${name} ${attributes.class ?? ''}`));
    parser.on('error', (error) => {
      throw error;
    });
    parser.write(text).close();
    for (const line of ['load', 'today', 'asked', 'proposed'])
      expect(elements).toContain(`path line ${line}`);
    // The same input makes the same bytes.
    replay('lab', 'orders', { ...options(asked), trace: path });
    expect(readFileSync(svg, 'utf8')).toBe(text);
  });

  test('a level that nothing holds is said, and ends with 1', () => {
    const path = file(csv(trace([1_000_000, 300])));
    const run = replay('lab', 'orders', { ...options({ capacity: '1', propose: true }), trace: path });
    expect(run.exitCode).toBe(1);
    expect(run.lines.at(-1)).toBe(
      'Nothing holds 99.000%: new Pods come too late for this trace. Lower --level, or raise --capacity.',
    );
  });

  test('a trace with a value a minute is told to hide shorter bursts', () => {
    const path = file('time,qps\n0,1\n60,2\n120,3\n');
    const run = replay('lab', 'orders', { ...options({ capacity: '1' }), trace: path });
    expect(run.lines.at(-1)).toBe('The trace has a value each 60 s: shorter bursts are not in it.');
  });

  test('each faulty option is told', () => {
    expect(faults(() => planOf(options({ qps: '0', min: '5', max: '2' })))).toEqual([
      '--qps: "0" does not fit. Write requests per second and Pod, more than 0: "50".',
      '--min: 5 is more than --max, 2. Lower it, or raise --max.',
    ]);
    expect(faults(() => planOf(options({ qps: '50', start: '-1', level: '101' })))).toEqual([
      '--start: "-1" does not fit. Write seconds, at most 3600: "10".',
      '--level: "101" does not fit. Write per cent of the requests, at most 100: "99.9".',
      '--min: is missing. Give --qps, --min and --max together.',
      '--max: is missing. Give --qps, --min and --max together.',
    ]);
    expect(faults(() => planOf(options({})))).toEqual([
      '--capacity: is missing. Say how many requests per second one Pod serves, or give --qps.',
    ]);
  });

  test('an unknown module, and one of another environment, are told before the trace is read', () => {
    expect(faults(() => replay('lab', 'ordrs', options({ capacity: '1' })))).toEqual([
      'catalog/modules: there is no module "ordrs". Did you mean "orders"?',
    ]);
  });
});

test('the rules are those of the design: up at once, down slowly', () => {
  expect(scalingBehavior).toMatchObject({
    scaleUp: { stabilizationWindowSeconds: 0 },
    scaleDown: { stabilizationWindowSeconds: 300 },
  });
});
