import { join } from 'node:path';
import type { CatalogTexts } from '../../catalog/load';
import { parseCatalog } from '../../catalog/load';
import type { Model } from '../../components/model';
import { parseStack } from '../../stacks/load';

export const root = join(__dirname, '..', '..');

export const stackText = `config:
  switchyard:environment: test
  switchyard:backend: file:///state
  switchyard:clusters: { ci: { context: one }, production: { context: two, server: "https://two.test:6443" } }
  switchyard:gitlab: { url: "https://gitlab.test", botTokenExpires: "2030-01-01" }
  switchyard:jenkins: { url: "https://jenkins.test" }
  switchyard:registry: { address: "registry.test:5000" }
`;

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

/** A small whole model: one module, one service, released. */
export function testModel(overrides: Partial<Model> = {}): Model {
  const catalog = parseCatalog(catalogTexts);
  return {
    settings: parseStack(stackText, 'stacks/Pulumi.test.yaml', 'test'),
    catalog,
    modules: catalog.modules,
    releases: { shop: released },
    library: { 'vars/modulePipeline.groovy': 'def call(Map settings) {}\n' },
    ...overrides,
  };
}
