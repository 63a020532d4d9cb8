import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BESIDE, STAGES } from './lanes';
import reasons from './nights.json';
import { arranged } from './runner';

const suites = ['e2e', 'programs'].flatMap((folder) =>
  readdirSync(join(__dirname, folder))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `${folder}/${name.replace(/\.test\.ts$/, '')}`),
);
const suite = (name: string) => ({ path: join(__dirname, `${name}.test.ts`) });

test('every suite of the lab has one place', () => {
  expect([...STAGES.flatMap(({ lanes }) => lanes.flat()), ...BESIDE].sort()).toEqual(suites.sort());
  expect(BESIDE.filter((name) => !name.startsWith('programs/'))).toEqual([]);
});

test('what destroys the lab, or kills its daemons, comes last, and alone among what needs a lab', () => {
  expect(STAGES.at(-1)?.lanes).toEqual([['e2e/storm', 'e2e/topology', 'e2e/machine', 'e2e/rebuild']]);
});

test('what is left to nights is a suite, and neither the way of a commit nor what is hostile', () => {
  const nights = Object.keys(reasons);
  expect(nights.filter((name) => !suites.includes(name))).toEqual([]);
  expect(nights).toEqual([...nights].sort());
  const always = ['e2e/topology', 'e2e/hostile', 'e2e/hostile-build', 'e2e/identities', 'e2e/registry'];
  expect(always.filter((name) => nights.includes(name))).toEqual([]);
});

test('suites keep the order of their lane, and only those that are asked for run', () => {
  const stages = [
    { why: 'both', lanes: [['e2e/a', 'e2e/b'], ['e2e/c']] },
    { why: 'alone', lanes: [['e2e/d']] },
    { why: 'last', lanes: [['e2e/e']] },
  ];
  const asked = ['e2e/e', 'programs/f', 'e2e/b', 'e2e/c', 'e2e/a'].map(suite);
  expect(arranged(asked, stages, ['programs/g', 'programs/f'])).toEqual({
    stages: [[['e2e/a', 'e2e/b'].map(suite), [suite('e2e/c')]], [[suite('e2e/e')]]],
    beside: [suite('programs/f')],
  });
});

test('a suite without a place is named', () => {
  expect(() => arranged([suite('e2e/new')], STAGES)).toThrow('has no place for e2e/new');
});
