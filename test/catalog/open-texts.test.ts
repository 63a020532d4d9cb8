import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { parseCatalog } from '../../catalog/load';
import { describeProblem, ProblemsError, parseYaml } from '../../catalog/problems';
import { QUARANTINE_FILE, quarantineSchema } from '../../catalog/quarantine';
import { MOST_ENTRIES } from '../../catalog/shapes';
import { fileKinds, type JsonSchema } from '../../operations/schemas/schema';
import { check } from '../../rules';
import { modelFacts } from '../../rules/assert';
import { parseStack } from '../../stacks/load';
import { catalogTexts, root, stackText, testModel } from '../support/model';

// Every file of the catalog and the stacks is read by all who may look, as it is: no part of one may hold a login.

const SECRET = 'hunter2';
const LOGIN = `see https://ada:${SECRET}@host.test/x for it`;
const SAYS = 'holds a credential in an address. Take it out: everyone may read this file.';

type Kind = 'module' | 'service' | 'stack' | 'quarantine';

function faultsOf(kind: Kind, text: string): string[] {
  try {
    if (kind === 'module') parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': text } });
    else if (kind === 'service') parseCatalog({ modules: {}, services: { 'cache.yaml': text } });
    else if (kind === 'stack') parseStack(text, 'stacks/Pulumi.test.yaml', 'test');
    else {
      const parsed = parseYaml(text, QUARANTINE_FILE, quarantineSchema);
      return 'problems' in parsed ? parsed.problems.map(describeProblem) : [];
    }
  } catch (error) {
    if (error instanceof ProblemsError) return error.message.split('\n');
    throw error;
  }
  return [];
}

type Step = string | number;

/** Where a schema takes a text, each with the values around it; of a map under a key of its own. */
function textsOf(schema: JsonSchema, path: readonly Step[] = []): Step[][] {
  const { properties = {}, items, additionalProperties: values, anyOf, oneOf, type } = schema;
  return [
    ...(type === 'string' && schema.const === undefined && schema.enum === undefined ? [[...path]] : []),
    ...(items ? textsOf(items, [...path, 0]) : []),
    ...(typeof values === 'object' ? textsOf(values, [...path, 'A']) : []),
    ...Object.entries(properties).flatMap(([key, inner]) => textsOf(inner, [...path, key])),
    ...[...(anyOf ?? []), ...(oneOf ?? [])].flatMap((option) => textsOf(option, path)),
  ];
}

const within = ([step, ...rest]: readonly Step[], value: unknown): unknown => {
  if (step === undefined) return value;
  return typeof step === 'number' ? [within(rest, value)] : { [step]: within(rest, value) };
};

const places = fileKinds(root).flatMap(({ name, schema }) => {
  const paths = new Map(textsOf(schema).map((path) => [path.join('.'), path]));
  // What Pulumi has encrypted is told as no secret.
  return [...paths].filter(([key]) => !key.endsWith('.secure')).map(([key, path]) => ({ name, key, path }));
});

test('the schemas have texts in every kind of file', () => {
  const count = (kind: Kind) => places.filter(({ name }) => name === kind).length;
  expect(count('module')).toBeGreaterThan(25);
  expect(count('service')).toBeGreaterThan(25);
  expect(count('stack')).toBeGreaterThan(70);
  expect(count('quarantine')).toBe(4);
  expect(places.map(({ key }) => key)).toEqual(
    expect.arrayContaining(['test.command', 'services.0.production.reason', 'services.0.existing.user']),
  );
});

test.each(places)(
  'a $name with a login in $key is refused at its line, and the login is not told',
  ({ name, path }) => {
    const text = `# a file\n${stringify(within(path, LOGIN), { lineWidth: 0 })}`;
    const line = text.split('\n').findIndex((one) => one.includes(SECRET)) + 1;
    const told = path.map((step) => String(step).replace(/^switchyard:/, '')).join('.');
    const faults = faultsOf(name, text);
    expect(faults).toEqual([expect.stringContaining(`:${line}: ${told}: ${SAYS}`)]);
    expect(faults.join()).not.toContain(SECRET);
  },
);

const shop = catalogTexts.modules['shop.yaml'] ?? '';

test.each<[string, string, string]>([
  ['a comment', `# see\n#   ${LOGIN}\n${shop}`, `catalog/modules/shop.yaml:2:9: ${SAYS}`],
  ['a comment behind a value', `port: 80 # ${LOGIN}\n${shop}`, `catalog/modules/shop.yaml:1:16: ${SAYS}`],
  ['a comment at the end', `${shop}#//a:${SECRET}@b`, `catalog/modules/shop.yaml:4:2: ${SAYS}`],
  [
    'a comment behind the head of a block',
    `description: | # ${LOGIN}\n  sells\nowners: [ada]\n`,
    `catalog/modules/shop.yaml:1:22: ${SAYS}`,
  ],
  [
    'a comment behind a block',
    `description: |\n  sells\n# ${LOGIN}\nowners: [ada]\n`,
    `catalog/modules/shop.yaml:3:7: ${SAYS}`,
  ],
  [
    'a line of a block',
    `${shop}test:\n  command: |\n    echo a\n    ${LOGIN}\n`,
    `catalog/modules/shop.yaml:7: test.command: ${SAYS}`,
  ],
  [
    'escapes',
    `${shop}test: { command: "https:\\u002f/ada:${SECRET}\\x40b" }\n`,
    `catalog/modules/shop.yaml:4: test.command: ${SAYS}`,
  ],
  [
    'a line that goes on in the next',
    `${shop}test: { command: "https://ada:${SECRET}\\\n  @b" }\n`,
    `catalog/modules/shop.yaml:4: test.command: ${SAYS}`,
  ],
  [
    'a key',
    `${shop}environment: { "https://ada:${SECRET}@b": x }\n`,
    `catalog/modules/shop.yaml:4: environment.\u2026: ${SAYS}`,
  ],
  [
    'a key that nobody knows',
    `${shop}"https://ada:${SECRET}@b": x\n`,
    `catalog/modules/shop.yaml:4: \u2026: ${SAYS}`,
  ],
  ['an anchor', `${shop}port: &//a:${SECRET}@b 80\n`, `catalog/modules/shop.yaml:4:8: ${SAYS}`],
])('a login in %s is told where it is', (_what, text, fault) => {
  const faults = faultsOf('module', text);
  expect(faults).toEqual([expect.stringContaining(fault)]);
  expect(faults.join()).not.toContain(SECRET);
});

test('a stack is told the column that people see, also behind a key of ours', () => {
  const text = stackText.replace('environment: test', `environment: test # ${LOGIN}`);
  const column = (text.split('\n')[1] ?? '').indexOf('https:') + 1;
  expect(faultsOf('stack', text)).toEqual([
    expect.stringContaining(`stacks/Pulumi.test.yaml:2:${column}: ${SAYS}`),
  ]);
  expect(faultsOf('stack', `${stackText}  gitlab:baseUrl: "https://ada:${SECRET}@git.test"\n`)).toEqual([
    expect.stringContaining(`config.gitlab:baseUrl: ${SAYS}`),
  ]);
});

test('twenty of them are told, and no more', () => {
  expect(faultsOf('module', `${shop}${`# ${LOGIN}\n`.repeat(1000)}`)).toHaveLength(20);
});

const ordinary = fc.array(
  fc.oneof(
    fc.stringMatching(/^[A-Za-z0-9.,;!?()-]{1,10}$/),
    fc.tuple(fc.domain(), fc.webPath()).map(([host, path]) => `https://${host}:8443${path}`),
    fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/), fc.domain()).map(([user, host]) => `${user}@${host}`),
    fc.constantFrom(
      'git@git.test:a/b.git',
      '// @author',
      '12:30 @home',
      '@scope/pkg',
      '--variable URL:http://app:80',
    ),
  ),
  { minLength: 1, maxLength: 8 },
);

test('ordinary texts are taken, in comments and in texts', () => {
  fc.assert(
    fc.property(ordinary, ordinary, (said, command) => {
      const text = `# ${said.join(' ')}\n${shop}test: { command: ${JSON.stringify(command.join(' '))} }\n`;
      expect(faultsOf('module', text)).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

test('every file of this repository is taken', () => {
  const read = (...path: string[]) =>
    readdirSync(join(root, ...path))
      .filter((name) => name.endsWith('.yaml'))
      .map((name): [string, string] => [name, readFileSync(join(root, ...path, name), 'utf8')]);
  const catalog = parseCatalog({
    modules: Object.fromEntries(read('catalog', 'modules')),
    services: Object.fromEntries(read('catalog', 'services')),
  });
  expect(catalog.modules.length).toBeGreaterThan(0);
  for (const [name, text] of read('stacks'))
    expect(parseStack(text, `stacks/${name}`, name.split('.')[1] ?? '').environment).toBe(name.split('.')[1]);
});

test.each(['""', '"  "', '"\\n"'])('test.command: %s is no command', (command) => {
  expect(faultsOf('module', `${shop}test: { command: ${command} }\n`)).toEqual([
    'catalog/modules/shop.yaml:4: test.command: is blank. Write what runs the tests.',
  ]);
});

test.each<[string, (text: string) => string]>([
  ['command', (text) => `${text}command: [" ", x]\n`],
  ['backup.dump', (text) => text.replace('[save]', '[" "]')],
  ['probe.exec', (text) => `${text}probe: { exec: [""] }\n`],
  ['rotate.admit', (text) => `${text}rotate: { admit: ["\\t", a], retire: [b] }\n`],
])('%s of a service begins with a program', (key, change) => {
  expect(faultsOf('service', change(catalogTexts.services['cache.yaml'] ?? ''))).toEqual([
    expect.stringMatching(`^catalog/services/cache\\.yaml:\\d+: ${key}\\.0: names no program\\.`),
  ]);
});

/** Least microseconds of the processor of three runs. */
function cost(run: () => void): number {
  const once = (): number => {
    const began = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(began);
    return user + system;
  };
  return Math.min(once(), once(), once());
}

test('an environment at its bound is checked in proportion to what an eighth of it takes', () => {
  const checked = (count: number): void => {
    const value = `${'x'.repeat(80)} http://a:1,b@c.test:2 ${'y'.repeat(80)}`;
    const lines = Array.from({ length: count }, (_, index) => `  V${index}: "${value}" # ${value}\n`);
    const catalog = parseCatalog({
      ...catalogTexts,
      modules: { 'shop.yaml': `${shop}environment:\n${lines.join('')}` },
    });
    expect(Object.keys(catalog.modules[0]?.environment ?? {})).toHaveLength(count);
    expect(check(modelFacts(testModel({ catalog, modules: catalog.modules })))).toEqual([]);
  };
  checked(125);
  const eighth = cost(() => checked(MOST_ENTRIES / 8));
  // The square would be 64 times.
  expect(cost(() => checked(MOST_ENTRIES))).toBeLessThan(24 * eighth);
});
