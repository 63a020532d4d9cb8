import { parseCatalog } from '../../catalog/load';
import { dnsLabel } from '../../catalog/schema';
import { reservedProjects } from '../../catalog/shapes';
import type { Model } from '../../components/model';
import { brokenRules, modelFacts } from '../../rules/assert';
import { claimsOf } from '../../rules/claims';
import { catalogTexts, modelOf } from '../support/model';

// What the topology makes has names, and so has what it makes for a module: no name of a module or of a service may
// meet one of ours without being told in the module's own file.

const { settings } = modelOf({
  clusters: 'ci: { context: one }, production: { context: one }',
  backup:
    'repository: "s3:https://s3.test/bucket", credentialsFrom: { accessKey: COPY_ID, secretKey: COPY_SECRET }',
  topologyProject: 'path: topology, apply: automatic',
  gitlab:
    'ownersRole: developer, members: { bob: developer }, labels: [{ name: bug, color: "#ff0000" }], deployKeys: [{ title: mirror, key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPKj36jxhGyYd/BrIxIR0M2NQx23RiSA5dD06ERnlY2r" }]',
  registry: 'ingress: {}',
  jenkins: 'ingress: { host: jenkins.test }',
});

function modelWith(module: string, service: string): Model {
  const file = `description: sells
owners: [ada]
services: [{ kind: cache, version: "1.0", name: ${service} }]
production: { scaling: { qps: 5, min: 1, max: 2 }, ingress: { host: shop.test }, egress: [{ cidr: 10.0.0.0/24, ports: [443] }] }
`;
  const texts = { ...catalogTexts, modules: { [`${module}.yaml`]: file } };
  const catalog = parseCatalog(texts);
  return {
    ...modelOf({}),
    settings,
    catalog,
    modules: catalog.modules,
    releases: {},
    files: { ...texts, stacks: {} },
  };
}

const claimed = (module: string, service: string): string[] =>
  claimsOf(modelFacts(modelWith(module, service)));

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');

/** What a name would have to be for one of our own to be met. */
function meeting(probe: string, all: readonly string[]): string[] {
  const patterns = all
    .filter((claim) => claim.includes(probe))
    .map((claim) => {
      const [first = '', ...rest] = claim.split(probe).map(escaped);
      return new RegExp(`^${first}([a-z0-9-]+)${rest.join('\\1')}$`);
    });
  const own = all.filter((claim) => !claim.includes(probe));
  const names = patterns.flatMap((pattern) => own.flatMap((claim) => pattern.exec(claim)?.[1] ?? []));
  return [...new Set(names)].filter((name) => dnsLabel.safeParse(name).success).sort();
}

const probed = claimed('qprobe', 'zservice');
const modules = meeting('qprobe', probed).filter((name) => !reservedProjects.includes(name));
const services = meeting('zservice', probed).filter((name) => name !== 'qprobe');

test('such names there are', () => {
  expect(modules).toEqual(expect.arrayContaining(['pull', 'topology', 'topology-drift', 'ledger']));
  // What a service is called stands behind its module's name: none meets ours. One that did would have to be told.
  expect(services).toEqual([]);
});

test.each(modules)('a module called "%s" is told so in its file', (name) => {
  const broken = brokenRules(modelWith(name, 'cache'));
  expect(broken.map(({ rule }) => rule)).toContain('names-unique');
  expect(broken.filter(({ file }) => file !== `catalog/modules/${name}.yaml`)).toEqual([]);
});
