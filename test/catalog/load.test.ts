import fc from 'fast-check';
import { findModule, loadCatalog, parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { catalogTexts, root } from '../support/model';

const problemsOf = (run: () => unknown): string[] => {
  try {
    run();
  } catch (error) {
    if (error instanceof ProblemsError) return error.message.split('\n');
    throw error;
  }
  return [];
};

const withModule = (text: string) => ({ ...catalogTexts, modules: { 'shop.yaml': text } });

test('the catalog of this repository is valid', () => {
  const catalog = loadCatalog(`${root}/catalog`);
  expect(catalog.modules.map((module) => module.name)).toContain('orders');
});

test('a module gets every default and is frozen', () => {
  const { modules } = parseCatalog(catalogTexts);
  expect(modules[0]).toMatchObject({
    name: 'shop',
    port: 8080,
    probes: { ready: '/readyz', live: '/healthz' },
    test: { timeoutMinutes: 15 },
    production: { replicas: 2 },
    merge: 'reviewed',
    services: [{ name: 'cache', kind: 'cache', version: '1.0', storage: '1Gi' }],
  });
  expect(Object.isFrozen(modules[0]?.services[0])).toBe(true);
});

test('an unknown key is refused at its line, with the key that was meant', () => {
  expect(problemsOf(() => parseCatalog(withModule('description: sells\nowners: [ada]\nprot: 80\n')))).toEqual(
    ['catalog/modules/shop.yaml:3: prot: is not a known key. Did you mean "port"?'],
  );
});

test('a version that a service does not have names the ones that it has', () => {
  const text = 'description: sells\nowners: [ada]\nservices: [{ kind: cache, version: "1.O" }]\n';
  expect(problemsOf(() => parseCatalog(withModule(text)))).toEqual([
    'catalog/modules/shop.yaml:3: services.0.version: "1.O" is not a version of cache. Did you mean "1.0"?',
  ]);
});

test('another version in production needs a reason', () => {
  const text = (production: string) =>
    `description: sells\nowners: [ada]\nservices: [{ kind: cache, version: "1.0", production: ${production} }]\n`;
  expect(problemsOf(() => parseCatalog(withModule(text('{ version: "2.0", reason: x }'))))).toEqual([
    'catalog/modules/shop.yaml:3: services.0.production.reason: gives no reason. Say in a sentence why the versions differ.',
  ]);
  expect(
    problemsOf(() => parseCatalog(withModule(text('{ version: "2.0", reason: the cluster moves in May }')))),
  ).toEqual([]);
});

test('all faults of all files come at once', () => {
  const problems = problemsOf(() =>
    parseCatalog({
      services: { ...catalogTexts.services, 'bad.yaml': 'port: [\n' },
      modules: {
        'Shop.yaml': '',
        'till.yaml': 'description: takes money\nowners: []\nservices: [{ kind: cash, version: "1" }]\n',
      },
    }),
  );
  expect(problems).toHaveLength(3);
  expect(problems.map((line) => line.split(':')[0])).toEqual([
    'catalog/services/bad.yaml',
    'catalog/modules/Shop.yaml',
    'catalog/modules/till.yaml',
  ]);
});

test('two modules that claim one node port are told apart', () => {
  const text = 'description: d\nowners: [ada]\nproduction: { nodePort: 30001 }\n';
  expect(
    problemsOf(() => parseCatalog({ ...catalogTexts, modules: { 'a.yaml': text, 'b.yaml': text } })),
  ).toEqual([
    'catalog/modules/b.yaml:3: production.nodePort: 30001 is taken by a. Choose another port of 30000 to 32767.',
  ]);
});

test('a module that is not there is refused with its neighbour', () => {
  expect(problemsOf(() => findModule(parseCatalog(catalogTexts), 'shoop'))).toEqual([
    'catalog/modules: there is no module "shoop". Did you mean "shop"?',
  ]);
});

test('any text is a catalog, or is refused with located faults', () => {
  const scalar = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null));
  const line = fc.tuple(
    fc.constantFrom('description', 'owners', 'services', 'port', 'image', 'test', 'production', 'merge', 'x'),
    fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }), fc.dictionary(fc.string(), scalar, { maxKeys: 3 })),
  );
  const document = fc.oneof(
    fc.string(),
    fc
      .array(line, { maxLength: 6 })
      .map((lines) => lines.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join('\n')),
  );
  fc.assert(
    fc.property(document, (text) => {
      try {
        parseCatalog(withModule(text));
      } catch (error) {
        expect(error).toBeInstanceOf(ProblemsError);
        const { problems } = error as ProblemsError;
        expect(problems.length).toBeGreaterThan(0);
        for (const problem of problems) expect(problem.file).toBe('catalog/modules/shop.yaml');
      }
    }),
    { numRuns: 500 },
  );
});

test('text that is nested beyond all measure is refused in a few lines, like any other fault', () => {
  const problems = problemsOf(() => parseCatalog(withModule('['.repeat(50_000))));
  expect(problems.length).toBeLessThan(5);
  for (const line of problems) expect(line).toMatch(/^catalog\/modules\/shop\.yaml:1: is n/);
});

const nested = (levels: number): string =>
  Array.from({ length: levels }, (_, level) => `${' '.repeat(level)}a:\n`).join('');

test.each<[string, string, number]>([
  ['lists', `description: x\nx:\n  ${'['.repeat(5000)}${']'.repeat(5000)}\n`, 3],
  ['maps of one line', `description: x\nx: ${'{ a: '.repeat(5000)}1${' }'.repeat(5000)}\n`, 2],
  ['maps', nested(700), 101],
  ['lists by dashes', `x:\n  ${'- '.repeat(5000)}1\n`, 2],
  ['keys', `x: ${'{ ? '.repeat(5000)}1${' }'.repeat(5000)}\n`, 1],
])('5,000 %s within each other are refused where they get too deep', (_what, text, line) => {
  expect(problemsOf(() => parseCatalog(withModule(text)))).toEqual([
    `catalog/modules/shop.yaml:${line}: is nested more than 100 levels deep. Write it flatter.`,
  ]);
});

test('what is nested a hundred levels deep is read', () => {
  const faults = problemsOf(() => parseCatalog(withModule(`description: x\n${nested(99)}`)));
  expect(faults).toContainEqual(expect.stringMatching(/shop\.yaml:3: a: is not a known key/));
});
