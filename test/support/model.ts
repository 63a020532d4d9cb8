import { join } from 'node:path';
import type { CatalogTexts } from '../../catalog/load';
import { parseCatalog } from '../../catalog/load';
import type { Model } from '../../components/model';
import { parseStack } from '../../stacks/load';

export const root = join(__dirname, '..', '..');

/** A day on which a token may end, as long as GitLab lets one live no longer than a year. */
export const soon = new Date(Date.now() + 200 * 86_400_000).toISOString().slice(0, 10);

/** The test stack with further keys (YAML flow style), or another `clusters`. */
export const stackWith = (keys: {
  readonly clusters?: string;
  readonly gitlab?: string;
  readonly jenkins?: string;
  readonly registry?: string;
  readonly backup?: string;
  readonly topologyProject?: string;
  readonly prefix?: string;
  readonly egress?: string;
}): string => {
  const {
    clusters = 'ci: { context: one }, production: { context: two, server: "https://two.test:6443" }',
    gitlab = `botTokenExpires: "${soon}"`,
  } = keys;
  const further = (text?: string): string => (text ? `, ${text}` : '');
  return `config:
  switchyard:environment: test
  switchyard:backend: file:///state
  switchyard:clusters: { ${clusters} }
  switchyard:gitlab: { url: "https://gitlab.test"${further(gitlab)} }
  switchyard:jenkins: { url: "https://jenkins.test"${further(keys.jenkins)} }
  switchyard:registry: { address: "registry.test:5000"${further(keys.registry)} }
${keys.prefix ? `  switchyard:namespacePrefix: ${keys.prefix}\n` : ''}${keys.egress ? `  switchyard:egress: ${keys.egress}\n` : ''}${keys.backup ? `  switchyard:backup: { ${keys.backup} }\n` : ''}${keys.topologyProject ? `  switchyard:topologyProject: { ${keys.topologyProject} }\n` : ''}`;
};

export const stackText = stackWith({});

export const catalogTexts: CatalogTexts = {
  services: {
    'cache.yaml': `description: a cache
proved: lab
versions: { "1.0": { image: "cache:1.0" }, "2.0": { image: "cache:2.0" } }
port: 6379
args: [serve, --password, "{password}"]
moduleEnvironment: { CACHE_HOST: "{host}", CACHE_PORT: "{port}", CACHE_PASSWORD: "{password}" }
dataPath: /data
runAsUser: 999
resources: { cpu: 50m, memory: 64Mi }
backup: { dump: [save], restore: [load] }
`,
  },
  modules: {
    'shop.yaml': `description: sells
owners: [ada]
services: [{ kind: cache, version: "1.0" }]
`,
  },
};

export const released = {
  image: `registry.test:5000/modules/shop@sha256:${'a'.repeat(64)}`,
  commit: 'b'.repeat(40),
};

let whole: Model | undefined;
function wholeModel(): Model {
  const catalog = parseCatalog(catalogTexts);
  return {
    settings: parseStack(stackText, 'stacks/Pulumi.test.yaml', 'test'),
    catalog,
    modules: catalog.modules,
    releases: { shop: released },
    library: { 'vars/modulePipeline.groovy': 'def call(Map settings) {}\n' },
    program: 'c'.repeat(64),
    files: { ...catalogTexts, stacks: { 'Pulumi.test.yaml': stackText } },
  };
}

/** A small whole model: one module, one service, released. It is read once, and the same one without overrides. */
export function testModel(overrides: Partial<Model> = {}): Model {
  whole ??= wholeModel();
  return Object.keys(overrides).length === 0 ? whole : { ...whole, ...overrides };
}

/** The test model of a stack with other keys. */
export const modelOf = ({
  jenkinsUrl = 'https://jenkins.test',
  ...keys
}: Parameters<typeof stackWith>[0] & { readonly jenkinsUrl?: string }): Model =>
  testModel({
    settings: parseStack(
      stackWith(keys).replace('https://jenkins.test', jenkinsUrl),
      'stacks/Pulumi.test.yaml',
      'test',
    ),
  });
