import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Panel, plot } from './plot';
import { type Load, type Measured, NEAR, pairsOf, type Strategy, simulate } from './simulate';

// What the merge queue is worth: the decision itself (`delivery/queue`) in virtual time, beside testing one after the other,
// beside windows that stay as they are, and beside what was before it.

const MOST = 16;
const ARRIVALS = [1, 2, 3, 4, 6, 8];
const SEEDS = [1, 2, 3];
const UBER = pairsOf(0.4);

const strategies: Readonly<Record<string, Strategy>> = {
  'each for itself': { kind: 'retry' },
  'one after the other': { kind: 'serial' },
  'window 4': { kind: 'fixed', window: 4 },
  [`window ${MOST}`]: { kind: 'fixed', window: MOST },
  'the queue': { kind: 'queue', most: MOST },
};

const scenarios: Readonly<Record<string, Omit<Load, 'arrivals' | 'seed'>>> = {
  'nothing fails': { pairs: 0, flaky: 0, spread: 0.3, horizon: 50 },
  'Uber: 40 % break with one of 15 others': { pairs: UBER, flaky: 0, spread: 0.3, horizon: 50 },
  'the same, and 2 % of tests fail for no reason': { pairs: UBER, flaky: 0.02, spread: 0.3, horizon: 50 },
};

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const print = (line: string): boolean => process.stdout.write(`${line}\n`);
const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;

function averaged(load: Omit<Load, 'seed'>, strategy: Strategy): Measured {
  const runs = SEEDS.map((seed) => simulate({ ...load, seed }, strategy));
  const of = (key: keyof Measured): number => mean(runs.map((run) => run[key]));
  return {
    throughput: of('throughput'),
    median: of('median'),
    p95: of('p95'),
    last: of('last'),
    merged: of('merged'),
    red: of('red'),
    wronged: of('wronged'),
    tests: of('tests'),
  };
}

function main(out: string): void {
  print(`Times are in test times. ${SEEDS.length} seeds each, means; ${MOST} test Pods at most; the first`);
  print('fifth of each run is not counted. A test takes 1 in the middle (sigma of its logarithm 0.3).\n');
  for (const [name, load] of Object.entries(scenarios)) {
    print(`## ${name}\n`);
    print('| come | strategy | merged | median | 95 % | not merged | of these wronged | tests each |');
    print('| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |');
    const measured = new Map<string, Measured[]>();
    for (const arrivals of ARRIVALS) {
      for (const [strategy, how] of Object.entries(strategies)) {
        const found = averaged({ ...load, arrivals }, how);
        measured.set(strategy, [...(measured.get(strategy) ?? []), found]);
        const { throughput, median, p95, red, wronged, tests } = found;
        print(
          `| ${arrivals} | ${strategy} | ${throughput.toFixed(1)} | ${median.toFixed(1)} | ${p95.toFixed(1)} | ${percent(red)} | ${wronged.toFixed(0)} | ${tests.toFixed(1)} |`,
        );
      }
    }
    print('');
    if (load !== Object.values(scenarios)[1]) continue;
    const lines = (of: (one: Measured) => number): Panel['lines'] =>
      [...measured].map(([strategy, values]) => ({ name: strategy, values: values.map(of) }));
    const panels: Panel[] = [
      { title: 'Merged in one test time', lines: lines(({ throughput }) => throughput), highest: 4 },
      { title: 'Test times until merged, median', lines: lines(({ median }) => median), highest: 20 },
      { title: 'Not merged, %', lines: lines(({ red }) => red * 100), highest: 100 },
    ];
    writeFileSync(out, plot(`Merge requests of one project. ${name}`, ARRIVALS, panels));
  }
  const crowds = [
    ...[1, 6, 8, 16].map((atOnce) => ({ atOnce, pairs: 0, breaks: 'nothing' })),
    // What Uber published of: sixteen that go on together, each of which breaks with another one by 40 %.
    { atOnce: NEAR, pairs: UBER, breaks: '40 %' },
  ];
  print('## All at once, tests that take the same time\n');
  print('| merge requests | breaks together | strategy | last merged after | not merged | tests each |');
  print('| ---: | --- | --- | ---: | ---: | ---: |');
  for (const { atOnce, pairs, breaks } of crowds) {
    for (const [strategy, how] of Object.entries(strategies)) {
      const load = { arrivals: { atOnce }, pairs, flaky: 0, spread: 0, horizon: 100 };
      const { last, merged, tests } = averaged(load, how);
      print(
        `| ${atOnce} | ${breaks} | ${strategy} | ${last.toFixed(1)} | ${(atOnce - merged).toFixed(1)} | ${tests.toFixed(1)} |`,
      );
    }
  }
}

main(process.argv[2] ?? join(__dirname, '..', '..', 'docs', 'queue.svg'));
