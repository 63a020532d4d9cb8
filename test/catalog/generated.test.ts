import fc from 'fast-check';
import { parse } from 'yaml';
import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import { toYaml } from '../../operations/render/yaml';
import { fileKinds } from '../../operations/schemas/schema';
import { parseStack } from '../../stacks/load';
import { documents, typing, variations } from '../support/generated';
import { catalogTexts, root, stackText, testModel } from '../support/model';
import { scaled } from '../support/scale';

const RUNS = scaled({
  usual: { module: 150, service: 200, stack: 150 },
  all: { module: 30_000, service: 40_000, stack: 30_000 },
});
const schemas = Object.fromEntries(fileKinds(root).map(({ name, schema }) => [name, schema]));

/** Short, since it is read anew each time. */
const services = {
  'cache.yaml':
    'description: c\nproved: lab\nversions: { "1.0": { image: "c:1.0" }, "2.0": { image: "c:2.0" } }\nport: 6379\nmoduleEnvironment: {}\ndataPath: /d\nrunAsUser: 9\nresources: { cpu: 50m, memory: 64Mi }\n',
};

/** A stack's settings hang together, so half of its documents start from a right one. */
const documentsOf = (kind: keyof typeof RUNS): fc.Arbitrary<unknown> => {
  const schema = schemas[kind] ?? {};
  return kind === 'stack'
    ? fc.oneof(documents(schema), variations(parse(stackText), 'config', schema))
    : documents(schema);
};

/** Text of a generated document; every fifth as if somebody had just typed in it. */
const textOf = (kind: keyof typeof RUNS): fc.Arbitrary<string> =>
  documentsOf(kind).chain((data) => {
    const text = toYaml({ data })
      .replace(/^data:( |\n)/, '')
      .replace(/^ {2}/gm, '');
    return fc.oneof({ weight: 4, arbitrary: fc.constant(text) }, { weight: 1, arbitrary: typing(text) });
  });

/** One in this many of what was read becomes a whole topology, which takes ten times as long as reading it. */
const BUILT = 12;

/** Runs a reader over generated texts: each is read, or is refused with faults that say where they are. */
function everyTextIsReadOrRefused(
  kind: keyof typeof RUNS,
  file: string,
  read: (text: string) => Partial<Model>,
): void {
  const count = { read: 0, refused: 0 };
  fc.assert(
    fc.property(textOf(kind), (text) => {
      try {
        const parts = read(text);
        if (count.read % BUILT === 0) topologyBoxes(testModel(parts));
        count.read += 1;
      } catch (error) {
        if (!(error instanceof ProblemsError)) throw error;
        count.refused += 1;
        if (error.problems.length === 0) throw new Error('refused without a reason');
        for (const problem of error.problems) {
          const located = problem.file === file && (problem.line ?? 0) >= 1 && problem.what !== '';
          if (!located || /\bat .*\.ts:\d/.test(problem.what)) throw new Error(JSON.stringify(problem));
        }
      }
    }),
    { numRuns: RUNS[kind] },
  );
  // Neither side may be a rare accident, or the test would show nothing.
  expect(count.read).toBeGreaterThan(RUNS[kind] / 40);
  expect(count.refused).toBeGreaterThan(RUNS[kind] / 40);
}

test(`${RUNS.module} module files: each is read and fit for a topology, or is refused with located faults`, () => {
  everyTextIsReadOrRefused('module', 'catalog/modules/shop.yaml', (text) => {
    const catalog = parseCatalog({ services, modules: { 'shop.yaml': text } });
    return { catalog, modules: catalog.modules };
  });
});

test(`${RUNS.service} service files: each is read, or is refused with located faults`, () => {
  everyTextIsReadOrRefused('service', 'catalog/services/other.yaml', (text) => {
    parseCatalog({ modules: {}, services: { 'other.yaml': text } });
    return {};
  });
});

test(`${RUNS.stack} stack files: each is read and fit for a topology, or is refused with located faults`, () => {
  everyTextIsReadOrRefused('stack', 'stacks/Pulumi.test.yaml', (text) => {
    const named = text.replace(/^( *"?switchyard:environment"?:).*$/m, '$1 test');
    return { settings: parseStack(named, 'stacks/Pulumi.test.yaml', 'test') };
  });
});

test('the documents that are changed here are right before they are changed', () => {
  expect(() => parseCatalog({ ...catalogTexts, services: { ...services } })).not.toThrow();
  expect(() => parseStack(stackText, 'stacks/Pulumi.test.yaml', 'test')).not.toThrow();
});
