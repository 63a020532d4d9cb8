import { Session } from 'node:inspector/promises';
import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import { check } from '../../rules';
import { modelFacts } from '../../rules/assert';
import { parseStack, withoutSecrets } from '../../stacks/load';
import { withoutRotating, withSecrets } from '../../stacks/rotation';
import { catalogTexts, stackText, testModel } from '../support/model';
import { scaled } from '../support/scale';

// How long something takes depends on the machine; how many functions it calls does not. V8 counts that itself.

async function callsOf(run: () => unknown): Promise<number> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    run();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    return result
      .filter(({ url }) => /\/(catalog|components|rules|stacks|yaml\/dist|zod)\//.test(url))
      .flatMap(({ functions }) => functions)
      .reduce((sum, { ranges }) => sum + (ranges[0]?.count ?? 0), 0);
  } finally {
    session.disconnect();
  }
}

const shop = catalogTexts.modules['shop.yaml'] ?? '';
const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => `${line(index)}\n`).join('');
const refused = (run: () => unknown): void => {
  expect(run).toThrow(ProblemsError);
};
/** The model of a module's file, which is also among the files that Pods are given. */
const modelOfModule = (text: string) => {
  const catalog = withModule(text);
  const modules = { 'shop.yaml': text };
  return testModel({
    catalog,
    modules: catalog.modules,
    files: { ...catalogTexts, modules, stacks: { 'Pulumi.test.yaml': stackText } },
  });
};
const withModule = (text: string) => parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': text } });

test.each<[string, (count: number) => void]>([
  ['variables', (count) => withModule(`${shop}environment:\n${lines(count, (i) => `  V${i}: "x"`)}`)],
  [
    'variables that are all wrong',
    (count) => refused(() => withModule(`${shop}environment:\n${lines(count, (i) => `  V${i}: 7`)}`)),
  ],
  ['unknown keys', (count) => refused(() => withModule(`${shop}${lines(count, (i) => `keys${i}: 7`)}`))],
  [
    'keys that stand twice',
    (count) => refused(() => withModule(`${shop}environment:\n${lines(count, (i) => `  V${i % 7}: x`)}`)),
  ],
  [
    'members of a group',
    (count) =>
      parseStack(
        stackText.replace(
          'botTokenExpires',
          `members: {${lines(count, (i) => ` u${i}: guest,`).replaceAll('\n', '')}}, botTokenExpires`,
        ),
        'stacks/Pulumi.test.yaml',
        'test',
      ),
  ],
  [
    'variables, as a topology that is held against every rule',
    (count) => {
      const model = modelOfModule(`${shop}environment:\n${lines(count, (i) => `  V${i}: "x"`)}`);
      topologyBoxes(model);
      expect(check(modelFacts(model))).toEqual([]);
    },
  ],
  [
    'members in a stack file that Pods are given, as a topology that is held against every rule',
    (count) => {
      const text = stackText.replace(
        'botTokenExpires',
        `members: {${lines(count, (i) => ` u${i}: guest,`).replaceAll('\n', '')}}, botTokenExpires`,
      );
      const model = testModel({
        settings: parseStack(text, 'stacks/Pulumi.test.yaml', 'test'),
        files: { ...catalogTexts, stacks: { 'Pulumi.test.yaml': withoutRotating(text) } },
      });
      withSecrets(text, { versions: { 'backup/key': 2 }, rotating: [] });
      withoutSecrets(text);
      expect(check(modelFacts(model))).toEqual([]);
    },
  ],
])('each further one of many %s costs as much as the one before it', async (_what, run) => {
  // What is done once, such as compiling schemas, is done before.
  run(50);
  const [few = 0, some = 0, many = 0] = [
    await callsOf(() => run(100)),
    await callsOf(() => run(200)),
    await callsOf(() => run(300)),
  ];
  expect(some).toBeGreaterThan(few);
  expect((many - some) / (some - few)).toBeLessThan(1.1);
});

test.each(['}', ']'])(
  'after so many %s that nothing opened, the rest of a file is not looked at',
  async (bracket) => {
    const broken = (count: number) => refused(() => withModule(`${shop}a: ${bracket.repeat(count)}\n`));
    broken(50);
    // V8 counts a call more or less from one time to the next, on a machine that is busy.
    const more = (await callsOf(() => broken(20_000))) - (await callsOf(() => broken(200)));
    expect(Math.abs(more)).toBeLessThan(10);
  },
);

// What a regular expression does is no call that V8 counts. Its time is compared with its own for an eighth of the text:
// what grows with the square takes 64 times as long, and what grows with the text 8 times.

/** Processor time in milliseconds. */
function timeOf(run: () => unknown): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/**
 * The fastest of some runs: what else the machine does lengthens single ones.
 * @param enough which time needs no further run
 */
function fastest(run: () => unknown, enough: (time: number) => boolean = () => false): number {
  let best = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3 && !enough(best); tries += 1) best = Math.min(best, timeOf(run));
  return best;
}

const LONG = scaled({ usual: 40_000, all: 80_000 });
const shapes = [
  'a-',
  'a.',
  'a',
  'a://',
  'a://b@',
  'a:',
  '.',
  '-',
  '/',
  '$(',
  '{a',
  '?a=',
  '"',
  ' ',
  '\\n',
  '\\t',
];

test.each(shapes)('one long value of %j takes no longer than its length', (shape) => {
  const run = (length: number) => {
    const value = shape.repeat(Math.ceil(length / shape.length));
    const text = `${shop}environment:\n  A: "x${value.replace(/(?<!\\)"/g, '\\"')}!"\n`;
    try {
      const model = modelOfModule(text);
      topologyBoxes(model);
      check(modelFacts(model));
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error;
    }
  };
  run(100);
  const few = fastest(() => run(LONG / 8));
  const fits = (many: number): boolean => many / few < 24;
  expect(fastest(() => run(LONG), fits) / few).toBeLessThan(24);
});
