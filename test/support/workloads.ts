import { type CatalogTexts, parseCatalog } from '../../catalog/load';
import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import type { Declaration, ResourceType } from '../../components/shared/declaration';
import { shown } from '../../components/shared/references';
import { parseStack } from '../../stacks/load';
import { catalogTexts, stackText, testModel } from './model';

/** The test model with other settings of the stack (lines under `config:`) or another file of the module `shop`. */
export function modelWith(change: { stack?: string; shop?: string } = {}): Model {
  const texts: CatalogTexts = change.shop
    ? { ...catalogTexts, modules: { 'shop.yaml': change.shop } }
    : catalogTexts;
  const catalog = parseCatalog(texts);
  return testModel({
    settings: parseStack(
      change.stack ? `${stackText.replace(/^ {2}switchyard:registry:.*\n/m, '')}${change.stack}` : stackText,
      'stacks/Pulumi.test.yaml',
      'test',
    ),
    catalog,
    modules: catalog.modules,
  });
}

/** A stack's registry, as a line of its file. */
export const registryLine = (more: string): string =>
  `  switchyard:registry: { address: "registry.test:5000", ${more} }\n`;

export const declarationsOf = (model: Model): Declaration[] =>
  topologyBoxes(model).flatMap((box) => [...box.declarations]);

export function declarationOf(model: Model, name: string): Declaration {
  const found = declarationsOf(model).find((declaration) => declaration.name === name);
  if (!found) throw new Error(`no declaration "${name}"`);
  return found;
}

/** The arguments of a resource, as data to compare: with references as people read them. */
export function argsOf(model: Model, type: ResourceType, name: string): Record<string, unknown> {
  const found = declarationOf(model, name);
  if (found.type !== type) throw new Error(`"${name}" is a ${found.type}`);
  return shown(found.args) as Record<string, unknown>;
}

export const namesOf = (model: Model): string[] => declarationsOf(model).map(({ name }) => name);
