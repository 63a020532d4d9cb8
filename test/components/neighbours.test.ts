import { parseCatalog } from '../../catalog/load';
import { neighbourFaults } from '../../components/neighbours';
import { parseStack } from '../../stacks/load';
import { catalogTexts, stackWith } from '../support/model';

// Two stack files of one folder: what both would make is told, with its place, in each of the two.

const ONE = 'ci: { context: one }, production: { context: one }';
const settingsOf = (name: string, keys: Parameters<typeof stackWith>[0], more = '') =>
  parseStack(
    `${stackWith({ clusters: ONE, gitlab: `group: ${name}`, ...keys }).replace('environment: test', `environment: ${name}`)}${more}`,
    `stacks/Pulumi.${name}.yaml`,
    name,
  );

const shop = (more = ''): string => `${catalogTexts.modules['shop.yaml'] ?? ''}${more}`;
const SCALES = 'production: { scaling: { qps: 5, min: 1, max: 2 } }\n';

function faults(
  a: ReturnType<typeof settingsOf>,
  b: ReturnType<typeof settingsOf>,
  module = shop(),
): string[] {
  const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': module } });
  const told = (own: typeof a, other: typeof a) =>
    neighbourFaults(own, catalog, [other]).map(({ file, key, what }) => `${file}: ${key}: ${what}`);
  // Either sees what the other one sees.
  expect(told(b, a)).toHaveLength(told(a, b).length);
  return told(a, b);
}

test('one cluster and one prefix is one set of namespaces', () => {
  expect(faults(settingsOf('a', {}), settingsOf('b', {}))).toEqual([
    'stacks/Pulumi.a.yaml: config.clusters.ci.context: is the cluster of environment "b" as well, and both have the namespace "ci".',
  ]);
  expect(faults(settingsOf('a', { prefix: 'x' }), settingsOf('b', { prefix: 'x' }))).toHaveLength(1);
  // One has it for tools and the other one for modules.
  const [fault] = faults(
    settingsOf('a', {}),
    settingsOf('b', {
      clusters: 'ci: { context: two }, production: { context: one, server: "https://one.test" }',
    }),
  );
  expect(fault).toContain('both have the namespace "ci-deploy"');
});

test('prefixes, contexts and kubeconfigs tell environments apart', () => {
  expect(faults(settingsOf('a', {}), settingsOf('b', { prefix: 'b' }))).toEqual([]);
  const elsewhere = (kubeconfig: string) =>
    `ci: { context: one${kubeconfig} }, production: { context: one${kubeconfig} }`;
  expect(
    faults(settingsOf('a', {}), settingsOf('b', { clusters: elsewhere(', kubeconfig: OTHER') })),
  ).toEqual([]);
});

test('a prefix that makes of another name one that the other has', () => {
  const catalog = parseCatalog({ ...catalogTexts, modules: { 'ci.yaml': shop() } });
  const [fault, ...others] = neighbourFaults(settingsOf('a', {}), catalog, [
    settingsOf('b', { prefix: 'prod' }),
  ]);
  expect(others).toEqual([]);
  expect(fault).toMatchObject({
    key: 'config.clusters.production.context',
    what: expect.stringContaining('"prod-ci"'),
  });
});

test('a cluster has custom metrics once', () => {
  const b = settingsOf('b', { prefix: 'b' });
  expect(faults(settingsOf('a', {}), b, shop(SCALES))).toEqual([
    'stacks/Pulumi.a.yaml: config.autoscaling: environment "b" makes v1beta2.custom.metrics.k8s.io in the same cluster, which has it once.',
  ]);
  const adopts = settingsOf(
    'b',
    { prefix: 'b' },
    '  switchyard:autoscaling: { existing: { namespace: autoscaling } }\n',
  );
  expect(faults(settingsOf('a', {}), adopts, shop(SCALES))).toEqual([]);
  expect(
    faults(settingsOf('a', {}), settingsOf('b', { prefix: 'b' }, '  switchyard:modules: []\n'), shop(SCALES)),
  ).toEqual([]);
});

test('a node has a port once', () => {
  const port = (name: string, prefix?: string) => settingsOf(name, { prefix, jenkins: 'nodePort: 30080' });
  expect(faults(port('a'), port('b', 'b'))).toEqual([
    'stacks/Pulumi.a.yaml: config.jenkins.nodePort: 30080 is taken by environment "b" in the same cluster.',
  ]);
  expect(
    faults(settingsOf('a', {}), settingsOf('b', { prefix: 'b' }), shop('production: { nodePort: 30081 }\n')),
  ).toEqual([
    'catalog/modules/shop.yaml: production.nodePort: 30081 is taken by environment "b" in the same cluster.',
  ]);
});

test('a cluster has a host once, unless a transform may tell them apart', () => {
  const plain = (name: string) => settingsOf(name, { prefix: name });
  const ingress = (more: string) => shop(`production: { ingress: { host: shop.test${more} } }\n`);
  const told =
    'catalog/modules/shop.yaml: production.ingress.host: "shop.test" is a host of environment "b" in the same cluster.';
  expect(faults(plain('a'), plain('b'), ingress(''))).toEqual([told]);
  const onlyA = settingsOf('b', { prefix: 'b' }, '  switchyard:modules: []\n');
  expect(faults(plain('a'), onlyA, ingress(''))).toEqual([]);
  const elsewhere = settingsOf('b', { clusters: 'ci: { context: two }, production: { context: two }' });
  expect(faults(plain('a'), elsewhere, ingress(''))).toEqual([]);
  const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': ingress('') } });
  expect(neighbourFaults(plain('a'), catalog, [plain('b')], true)).toEqual([]);
  // Jenkins and the registry have theirs alone, whatever stands behind it.
  const jenkins = (name: string) =>
    settingsOf(name, { prefix: name, jenkins: 'ingress: { host: jenkins.test }' });
  expect(faults(jenkins('a'), jenkins('b'))).toEqual([
    'stacks/Pulumi.a.yaml: config.jenkins.ingress.host: "jenkins.test" is a host of environment "b" in the same cluster.',
  ]);
  const registry = (name: string) => settingsOf(name, { prefix: name, registry: 'ingress: {}' });
  expect(faults(registry('a'), registry('b'))).toEqual([
    'stacks/Pulumi.a.yaml: config.registry.address: "registry.test" is a host of environment "b" in the same cluster.',
  ]);
  expect(
    faults(
      settingsOf(
        'a',
        { prefix: 'a', jenkins: 'ingress: { host: jenkins.test }' },
        '  switchyard:modules: []\n',
      ),
      plain('b'),
      shop('production: { ingress: { host: jenkins.test, path: /x } }\n'),
    ),
  ).toEqual([
    'stacks/Pulumi.a.yaml: config.jenkins.ingress.host: "jenkins.test" is a host of environment "b" in the same cluster.',
  ]);
});

test('a GitLab has a group once, unless one of the two takes it as it is', () => {
  const own = (name: string, gitlab: string) => settingsOf(name, { prefix: name, gitlab });
  expect(faults(own('a', 'group: team'), own('b', 'group: { create: team }'))).toEqual([
    'stacks/Pulumi.a.yaml: config.gitlab.group: "team" is the group of environment "b" on the same GitLab.',
  ]);
  expect(faults(own('a', 'group: team'), own('b', 'group: { existing: Team }'))).toEqual([]);
  const other = settingsOf('b', { prefix: 'b', gitlab: 'group: team' });
  const elsewhere = { ...other, gitlab: { ...other.gitlab, url: 'https://other.test' } };
  expect(faults(own('a', 'group: team'), elsewhere)).toEqual([]);
});
