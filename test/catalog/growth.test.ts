import { Session } from 'node:inspector/promises';
import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import { check } from '../../rules';
import { modelFacts } from '../../rules/assert';
import { parseStack } from '../../stacks/load';
import { catalogTexts, stackText, testModel } from '../support/model';

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
      const catalog = withModule(`${shop}environment:\n${lines(count, (i) => `  V${i}: "x"`)}`);
      const model = testModel({ catalog, modules: catalog.modules });
      topologyBoxes(model);
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
