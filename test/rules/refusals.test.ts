import { parseCatalog } from '../../catalog/load';
import { check } from '../../rules';
import { assertRules } from '../../rules/assert';
import { factsOf } from '../../rules/facts';
import { gitlabTakes, kubernetesTakes, tokensLive } from '../../rules/refusals';
import { noPlainSecretVariables } from '../../rules/secrets';
import { parseStack } from '../../stacks/load';
import { catalogTexts, stackWith, testModel } from '../support/model';
import { changed, itemsOfTwo, messages } from './support';

const items = itemsOfTwo();
const workload = 'production-shop-workload';
const container = ['spec', 'template', 'spec', 'containers', 0];

test('what the topology declares is what the API server and the official package take', () => {
  for (const rule of [kubernetesTakes, gitlabTakes, tokensLive]) expect(messages(rule, items)).toEqual([]);
});

test.each<[string, string, (string | number)[], unknown, string]>([
  ['an unknown field', workload, ['spec', 'replica'], 2, 'spec: has no field "replica".'],
  ['a missing field', workload, ['spec', 'selector'], undefined, 'spec: lacks "selector".'],
  ['another type', workload, ['spec', 'replicas'], 'two', 'spec.replicas: must be integer.'],
  ['a number that is none', workload, ['spec', 'replicas'], 2 ** 31, 'spec.replicas: must be <= 2147483647.'],
  [
    'a name',
    workload,
    ['metadata', 'name'],
    'Shop',
    'metadata.name: is "Shop", which is not the name of a Deployment.',
  ],
  [
    'a label',
    workload,
    ['metadata', 'labels', 'x'],
    'a b',
    'metadata.labels["x"]: is "a b", which is not the value of a label.',
  ],
  ['a key of labels', workload, ['metadata', 'labels', '/x'], 'a', '"/x" is not the key of a label.'],
  [
    'annotations',
    workload,
    ['metadata', 'annotations', 'x'],
    'x'.repeat(262_144),
    'metadata.annotations: have 262',
  ],
  [
    'a request',
    workload,
    [...container, 'resources', 'requests', 'memory'],
    '1Ti',
    'resources.requests.memory: is more than the limit of "256Mi".',
  ],
  [
    'an amount',
    workload,
    [...container, 'resources', 'limits', 'memory'],
    'lots',
    'resources.limits.memory: is "lots", which is no amount.',
  ],
  [
    'digits',
    workload,
    [...container, 'resources', 'limits', 'memory'],
    `1${'0'.repeat(300)}`,
    'resources.limits.memory: is more than Kubernetes can count.',
  ],
  [
    'a mount',
    workload,
    [...container, 'volumeMounts', 0, 'name'],
    'x',
    'names the volume "x", which the Pod does not have.',
  ],
  ['a container', workload, [...container, 'name'], 'a_b', 'which is not the name of a container.'],
  ['a port', workload, [...container, 'ports', 0, 'containerPort'], 70_000, 'is 70000, which is no port.'],
  [
    'a path of a probe',
    workload,
    [...container, 'readinessProbe', 'httpGet', 'path'],
    '',
    'readinessProbe.httpGet.path: is empty.',
  ],
  [
    'a port of a Service',
    'production-shop-service',
    ['spec', 'ports', 0, 'port'],
    0,
    'spec.ports.port: is 0, which is no port.',
  ],
  ['data', 'production-shop-environment', ['data', 'A'], 'x'.repeat(2 ** 20), 'data: has 1048'],
  ['a key of data', 'production-shop-environment', ['data', 'a b'], '', '"a b" is not a key that it takes.'],
  ['a quota', 'production-shop-quota', ['spec', 'hard', 'requests.cpu'], 'NaN', 'which is no amount.'],
])('%s that the API server refuses is told with its place', (_what, name, path, value, fault) => {
  const found = messages(kubernetesTakes, changed(items, name, path, value)).filter((line) =>
    line.startsWith(`${name} `),
  );
  expect(found.join('\n')).toContain(fault);
});

test.each<[(string | number)[], unknown, string]>([
  [['urls'], 'x', 'has no field "urls".'],
  [['url'], undefined, 'lacks "url".'],
  [['pushEvents'], 'yes', 'pushEvents: must be boolean.'],
])('a hook with %j as %j is what the official package refuses', (path, value, fault) => {
  expect(messages(gitlabTakes, changed(items, 'gitlab-shop-hook', path, value)).join('\n')).toContain(fault);
});

test('a token that has ended is told on the day on which it ends, and one that GitLab lets live no day that long', () => {
  const ending = changed(items, 'gitlab-bot', ['expiresAt'], '2030-01-01');
  const on = (day: string) =>
    check(factsOf(ending, [], new Date(`${day}T12:00:00Z`)), [tokensLive])
      .filter(({ resource }) => resource === 'gitlab-bot')
      .map(({ what, remedy }) => `${what} ${remedy}`);
  expect(on('2029-12-31')).toEqual([]);
  expect(on('2030-01-01')).toEqual([
    'ended on 2030-01-01. Write a day up to 2031-01-01, or have it renewed by botTokenRotation.',
  ]);
  expect(on('2029-01-01')).toEqual([]);
  expect(on('2028-12-31')).toEqual([
    'ends on 2030-01-01, and GitLab lets no token live longer than 365 days. Write a day up to 2029-12-31, or have it renewed by botTokenRotation.',
  ]);
});

test('a token that has ended is told at its line of the stack file', () => {
  const stack = stackWith({ gitlab: 'botTokenExpires: "2020-01-01"' })
    .replace('{ url: "https://gitlab.test", ', '\n    url: https://gitlab.test\n    ')
    .replace('"2020-01-01" }', '"2020-01-01"');
  const model = testModel({
    settings: parseStack(stack, 'stacks/Pulumi.test.yaml', 'test'),
    files: { ...catalogTexts, stacks: { 'Pulumi.test.yaml': stack } },
  });
  expect(() => assertRules(model)).toThrow(
    /^stacks\/Pulumi\.test\.yaml:7: config\.gitlab\.botTokenExpires: rule tokens-live: gitlab-bot \(/,
  );
});

test.each([
  [
    { jenkins: 'nodePort: 30001', registry: 'nodePort: 30001' },
    'config.jenkins.nodePort: rule node-ports-unique',
  ],
  [
    { jenkins: 'ingress: { host: jenkins.test }', registry: 'ingress: {}' },
    'config.jenkins.ingress: rule hosts-unique',
  ],
])('what Jenkins and the registry both claim is told at its key: %j', (keys, told) => {
  const stack = stackWith(keys).replace('registry.test:5000', 'jenkins.test');
  const model = testModel({
    settings: parseStack(stack, 'stacks/Pulumi.test.yaml', 'test'),
    files: { ...catalogTexts, stacks: { 'Pulumi.test.yaml': stack } },
  });
  expect(() => assertRules(model)).toThrow(`stacks/Pulumi.test.yaml:6: ${told}`);
});

test('a module whose name meets one of ours, or another module’s parts, is told in its file', () => {
  const text = catalogTexts.modules['shop.yaml'] ?? '';
  const modules = { 'shop.yaml': text, 'shop-cache.yaml': text, 'pipeline-library.yaml': text };
  const catalog = parseCatalog({ ...catalogTexts, modules });
  const model = testModel({
    catalog,
    modules: catalog.modules,
    releases: {},
    files: { ...catalogTexts, modules, stacks: {} },
  });
  const lines: string[] = [];
  try {
    assertRules(model);
  } catch (error) {
    lines.push(...(error as Error).message.split('\n'));
  }
  expect(lines.length).toBeGreaterThan(0);
  const places = new Set(lines.map((line) => line.split(' ', 1)[0]));
  expect([...places].sort()).toEqual([
    'catalog/modules/pipeline-library.yaml:1:',
    'catalog/modules/shop.yaml:1:',
  ]);
});

test('a login in an address of a variable is a plain secret; one that a Secret fills is not', () => {
  const broken = (value: string) =>
    messages(
      noPlainSecretVariables,
      changed(items, workload, [...container, 'env'], [{ name: 'A', value }]),
    ).join('\n');
  expect(broken('postgres://ada:hunter2@db/x')).toContain('A is a plain value.');
  expect(broken('postgres://ada:$(SWITCHYARD_SERVICE_PASSWORD_0)@db/x')).toBe('');
  expect(broken('https://a.test/b@c:d')).toBe('');
});
