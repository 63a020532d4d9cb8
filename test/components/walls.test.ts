import { BlockList, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import type { Model } from '../../components/model';
import { check, rules } from '../../rules';
import { type Facts, factsOf } from '../../rules/facts';
import { nameOf } from '../../rules/facts/item';
import { containersOf } from '../../rules/facts/pods';
import { at, fields, list, text } from '../../rules/facts/read';
import { modelItems } from '../../rules/model';
import { parseStack } from '../../stacks/load';
import { catalogTexts, modelOf, released, stackWith, testModel } from '../support/model';
import { scaled } from '../support/scale';

// Whatever a catalog and a stack say: each namespace denies what goes out, no way leads to where machines are told who
// they are, and nothing that runs fills its node's disk.

const RUNS = scaled({ usual: 30, all: 3000 });
const POLICY = 'kubernetes:networking.k8s.io/v1:NetworkPolicy';

/** One of each range, and both ends of the largest. */
const METADATA = [
  ...[
    '169.254.169.254',
    '169.254.0.0',
    '169.254.255.255',
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
  ],
  ...['fe80::1', 'fe80::a9fe:a9fe', 'febf:ffff::1', 'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254'],
];

const listOf = (cidrs: readonly string[]): BlockList => {
  const blocks = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', length] = cidr.split('/');
    blocks.addSubnet(address, Number(length), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return blocks;
};

/** Addresses that a way out leads to, by Node's own reading of ranges. */
function reached(rule: unknown, addresses: readonly string[]): string[] {
  const peers = list(rule, 'to');
  if (peers.length === 0) return [...addresses];
  return peers.flatMap((peer) => {
    const cidr = text(peer, 'ipBlock', 'cidr');
    if (cidr === undefined) return [];
    const block = listOf([cidr]);
    const except = listOf(list(peer, 'ipBlock', 'except').map((range) => String(range)));
    const family = isIPv6(cidr.replace(/\/.*$/, '')) ? 'ipv6' : 'ipv4';
    // Node would find an IPv4 address in a range of IPv6 by the form in which one stands there; packets do not.
    const same = addresses.filter((address) => isIPv6(address) === (family === 'ipv6'));
    return same.filter((address) => block.check(address, family) && !except.check(address, family));
  });
}

const waysOut = (facts: Facts) =>
  (facts.byType.get(POLICY) ?? []).flatMap((policy) =>
    list(policy.args, 'spec', 'egress').map((rule) => ({ policy: policy.name, rule })),
  );

const factsOfModel = (model: Model): Facts => {
  const { items, untestable } = modelItems(model);
  return factsOf(items, untestable);
};

/** Namespaces of which something may go out that nothing names. */
const openNamespaces = ({ namespaces }: Facts): string[] =>
  namespaces.flatMap(({ declared, policies }) => {
    const closed = policies.some(
      ({ args }) =>
        Object.keys(fields(args, 'spec', 'podSelector')).length === 0 &&
        list(args, 'spec', 'policyTypes').includes('Egress') &&
        at(args, 'spec', 'egress') === undefined,
    );
    return !declared || closed ? [] : [nameOf(declared)];
  });

const unbounded = ({ pods }: Facts): string[] =>
  pods.flatMap(({ item, spec }) => [
    ...containersOf(spec).flatMap(({ name, container }) =>
      ['requests', 'limits'].flatMap((side) =>
        at(container, 'resources', side, 'ephemeral-storage') === undefined
          ? [`${item.name} ${name} ${side}`]
          : [],
      ),
    ),
    ...list(spec, 'volumes').flatMap((volume) =>
      at(volume, 'emptyDir') !== undefined && at(volume, 'emptyDir', 'sizeLimit') === undefined
        ? [`${item.name} ${text(volume, 'name')}`]
        : [],
    ),
  ]);

const uncapped = ({ namespaces }: Facts): string[] =>
  namespaces.flatMap(({ declared, quotas }) => {
    if (!declared) return [];
    const hard = quotas.flatMap((quota) => Object.keys(fields(quota.args, 'spec', 'hard')));
    return ['requests.ephemeral-storage', 'limits.ephemeral-storage'].flatMap((key) =>
      hard.includes(key) ? [] : [`${nameOf(declared)} ${key}`],
    );
  });

const WALLS = [
  'namespace-quota',
  'namespace-limits',
  'namespace-default-deny',
  'no-way-to-metadata',
  'root-read-only',
  'disk-bounded',
  'quota-fits',
];
const walls = rules.filter(({ id }) => WALLS.includes(id));

const wrong = (facts: Facts) => ({
  open: openNamespaces(facts),
  metadata: waysOut(facts).flatMap(({ policy, rule }) =>
    reached(rule, METADATA).map((address) => `${policy} ${address}`),
  ),
  unbounded: unbounded(facts),
  uncapped: uncapped(facts),
  rules: check(facts, walls),
});
const nothing = { open: [], metadata: [], unbounded: [], uncapped: [], rules: [] };

/** Ranges around those that must not be reached, and any other. */
const cidr = fc
  .tuple(
    fc.oneof(
      fc.constantFrom(...METADATA.filter((address) => !isIPv6(address)), '0.0.0.0', '10.0.0.0', '168.0.0.0'),
      fc.ipV4(),
    ),
    fc.integer({ min: 0, max: 32 }),
  )
  .map(([address, length]) => {
    const whole = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const size = 2 ** (32 - length);
    const first = Math.floor(whole / size) * size;
    return `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.')}/${length}`;
  });
const ways = fc
  .array(fc.tuple(cidr, fc.integer({ min: 1, max: 65_535 })), { maxLength: 3 })
  .map((all) => `[${all.map(([range, port]) => `{ cidr: ${range}, ports: [${port}] }`).join(', ')}]`);

const amount = fc.constantFrom('64Mi', '1Gi', '3Gi', '20Gi');
const host = fc.constantFrom('db.test', '10.0.0.9', '169.254.169.254', 'store.prod-till.svc');
const shop = fc
  .record({ test: ways, production: ways, disk: amount, cache: amount, host, existing: fc.boolean() })
  .map(
    (given) => `description: sells
owners: [ada]
environment: { TILL_URL: "http://till.prod-till.svc/x" }
services:
  - kind: cache
    version: "1.0"
    resources: { cpu: 50m, memory: 64Mi, disk: ${given.cache} }
${given.existing ? `    existing: { host: ${given.host}, credentialsFrom: SHOP_DB }\n` : ''}resources: { cpu: 100m, memory: 128Mi, disk: ${given.disk} }
test: { egress: ${given.test} }
production: { egress: ${given.production} }
`,
  );
const stack = fc.record({
  clusters: fc.constantFrom(undefined, 'ci: { context: one }, production: { context: one }'),
  jenkins: fc.oneof(
    fc.constantFrom(undefined, 'existing: { namespace: theirs, agentsUrl: "http://ci.test:8000" }'),
    ways.map((egress) => `buildEgress: ${egress}, buildCache: 30Gi`),
  ),
  registry: fc.constantFrom(
    undefined,
    's3: { bucket: images, region: eu, endpoint: "http://s3.test:9000" }',
    'access: shared',
  ),
  backup: fc.constantFrom(undefined, 'repository: "s3:http://s3.test:9000/copies"'),
  topologyProject: fc.constantFrom(undefined, 'path: topology', 'path: topology, apply: manual'),
  prefix: fc.constantFrom(undefined, 'eu'),
  egress: fc.constantFrom(undefined, '[{ namespace: gitlab, ports: [8181] }]'),
});

test('in every topology namespaces are closed, no way leads to a metadata service, and disks are bounded', () => {
  const count = { held: 0, refused: 0 };
  fc.assert(
    fc.property(shop, stack, (file, keys) => {
      let model: Model;
      try {
        const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': file } });
        const settings = parseStack(
          stackWith(Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined))),
          'stacks/Pulumi.test.yaml',
          'test',
        );
        model = testModel({ settings, catalog, modules: catalog.modules, releases: { shop: released } });
      } catch (error) {
        if (!(error instanceof ProblemsError)) throw error;
        count.refused += 1;
        return;
      }
      count.held += 1;
      expect(wrong(factsOfModel(model))).toEqual(nothing);
    }),
    { numRuns: RUNS },
  );
  expect(count.held).toBeGreaterThan(RUNS / 5);
});

test('what is asked for by name is reached, so that closing everything is no way to hold this', () => {
  const file = `description: sells
owners: [ada]
test: { egress: [{ cidr: 169.0.0.0/8, ports: [443] }] }
production: { egress: [{ cidr: 10.1.0.0/16, ports: [5432] }] }
`;
  const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': file } });
  const facts = factsOfModel(testModel({ catalog, modules: catalog.modules, releases: { shop: released } }));
  const of = (policy: string, ...addresses: string[]) =>
    waysOut(facts).flatMap((way) => (way.policy === policy ? reached(way.rule, addresses) : []));
  expect(of('testing-shop-egress', '169.253.0.1', '169.254.169.254', '10.1.2.3')).toEqual(['169.253.0.1']);
  expect(of('production-shop-module-egress', '10.1.2.3', '10.2.0.1')).toEqual(['10.1.2.3']);
});

test('a range that lies where nobody may go is refused, wherever a file names one', () => {
  for (const range of ['169.254.169.254/32', '169.254.0.0/16', '169.254.0.0/24', '100.100.100.200/32']) {
    for (const key of ['test', 'production']) {
      const file = `description: sells\nowners: [ada]\n${key}: { egress: [{ cidr: ${range}, ports: [80] }] }\n`;
      expect(() => parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': file } })).toThrow(
        `${key}.egress.0.cidr: is link-local, or a metadata service. Leave it out: no way leads there.`,
      );
    }
  }
});

test('a module reaches its services and what its file names; its services reach nothing beyond the namespace', () => {
  const file = `description: sells
owners: [ada]
environment: { TILL_URL: "http://till.prod-till.svc/x", SELF: "a.b" }
services: [{ kind: cache, version: "1.0" }, { kind: cache, version: "1.0", name: old, existing: { host: 10.0.0.9, credentialsFrom: OLD } }]
production: { egress: [{ cidr: 192.0.2.0/24, ports: [443] }] }
`;
  const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': file } });
  const model = testModel({ catalog, modules: catalog.modules, releases: { shop: released } });
  const policies = factsOfModel(model).byType.get(POLICY) ?? [];
  const spec = (name: string) => fields(policies.find((policy) => policy.name === name)?.args, 'spec');
  expect(spec('production-shop-egress')).toEqual({
    podSelector: {},
    policyTypes: ['Egress'],
    egress: [expect.objectContaining({ to: [{ namespaceSelector: {} }] }), { to: [{ podSelector: {} }] }],
  });
  expect(spec('production-shop-module-egress')).toEqual({
    podSelector: {
      matchLabels: { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/component': 'module' },
    },
    policyTypes: ['Egress'],
    egress: [
      {
        to: [
          {
            namespaceSelector: {
              matchExpressions: [
                { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['prod-till'] },
              ],
            },
          },
        ],
      },
      { to: [{ ipBlock: { cidr: '10.0.0.9/32' } }], ports: [{ protocol: 'TCP', port: 6379 }] },
      { to: [{ ipBlock: { cidr: '192.0.2.0/24' } }], ports: [{ protocol: 'TCP', port: 443 }] },
    ],
  });
});

test('Jenkins, its agents and the registry reach the ports that the stack names, and no other', () => {
  const ports = (model: Model, name: string) =>
    list(
      (factsOfModel(model).byType.get(POLICY) ?? []).find((policy) => policy.name === name)?.args,
      'spec',
      'egress',
    ).flatMap((rule) => list(rule, 'ports').map((port) => at(port, 'port')));
  const model = modelOf({ backup: 'repository: "s3:http://s3.test:9000/copies"' });
  expect(ports(model, 'jenkins-egress')).toEqual([53, 53, 443, 6443]);
  expect(ports(model, 'agents-egress')).toEqual([53, 53, 8080, 5000, 443, 5000, 6443]);
  expect(ports(model, 'deploy-egress')).toEqual([53, 53, 8080, 5000, 443, 5000, 6443]);
  expect(ports(model, 'release-backup-egress')).toEqual([53, 53, 8080, 5000, 443, 5000, 9000]);
  expect(ports(model, 'registry-egress')).toEqual([53, 53, 443, 5000, 6443, 5000]);
  expect(ports(model, 'deployer-egress')).toEqual([53, 53]);
});

test('an API server is reached at the ports that its cluster names', () => {
  const model = modelOf({
    clusters: 'ci: { context: one, apiPorts: [16443] }, production: { context: one, apiPorts: [16443] }',
    topologyProject: 'path: topology',
  });
  const reaching = (factsOfModel(model).byType.get(POLICY) ?? []).flatMap(({ name, args }) => {
    const ports = list(args, 'spec', 'egress').flatMap((rule) =>
      list(rule, 'ports').map((port) => at(port, 'port')),
    );
    return [6443, 16443].flatMap((port) => (ports.includes(port) ? [`${name} ${port}`] : []));
  });
  expect(reaching.sort()).toEqual([
    'agents-egress 16443',
    'apply-egress 16443',
    'deploy-egress 16443',
    'drift-egress 16443',
    'jenkins-egress 16443',
    'preview-egress 16443',
    'reaper-egress 16443',
    'reconciler-egress 16443',
    'registry-egress 16443',
  ]);
});

test('what stands in the cluster itself is reached by all that run no foreign code, and by no other', () => {
  const model = modelOf({
    egress: '[{ namespace: gitlab, ports: [8181] }]',
    backup: 'repository: "s3:http://s3.test:9000/copies"',
    topologyProject: 'path: topology',
  });
  const reaching = (factsOfModel(model).byType.get(POLICY) ?? []).filter(({ args }) =>
    list(args, 'spec', 'egress').some((rule) => JSON.stringify(rule).includes('8181')),
  );
  expect(reaching.map(({ name }) => name).sort()).toEqual([
    'agents-egress',
    'apply-egress',
    'backup-egress',
    'deploy-egress',
    'drift-egress',
    'jenkins-egress',
    'reconciler-egress',
    'registry-egress',
    'release-backup-egress',
  ]);
});
