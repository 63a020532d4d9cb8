import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CatalogTexts, parseCatalog } from '../../catalog/load';
import type { Model } from '../../components/model';
import { root, testModel } from './model';

/** The service files of this repository, by file name. */
export function serviceTexts(): Record<string, string> {
  const folder = join(root, 'catalog', 'services');
  return Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name.endsWith('.yaml'))
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}

/**
 * A catalog of any size, the same each time: modules `module-000`, `module-001`, … of three services each, taken in turn
 * from the services of this repository.
 */
export function generatedCatalog(modules: number): CatalogTexts {
  const services = serviceTexts();
  const offers = Object.values(parseCatalog({ services, modules: {} }).services).map(
    ({ kind, versions }) => ({
      kind,
      version: Object.keys(versions)[0] ?? '',
    }),
  );
  const text = (index: number): string => {
    const uses = [0, 1, 2].map((step) => offers[(index + step) % offers.length]);
    return `description: generated module ${index}
owners: [owner-${index % 7}]
services: ${JSON.stringify(uses)}
environment: { LOG_LEVEL: info, SHARD: "${index}" }
production: { replicas: ${1 + (index % 5)} }
`;
  };
  return {
    services,
    modules: Object.fromEntries(
      Array.from({ length: modules }, (_, index) => [
        `module-${String(index).padStart(3, '0')}.yaml`,
        text(index),
      ]),
    ),
  };
}

/** A whole model of a generated catalog, every module released. */
export function generatedModel(texts: CatalogTexts): Model {
  const catalog = parseCatalog(texts);
  const release = (name: string) => ({
    image: `registry.test:5000/modules/${name}@sha256:${'a'.repeat(64)}`,
    commit: 'b'.repeat(40),
  });
  return testModel({
    catalog,
    modules: catalog.modules,
    releases: Object.fromEntries(catalog.modules.map(({ name }) => [name, release(name)])),
  });
}
