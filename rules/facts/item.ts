import type { Template } from '../../components/shared/references';
import { type Fields, fields, isTextual, text, UNKNOWN } from './read';
import type { Violation } from './violation';

/** One resource, wherever it was read: a declaration of the model, or an input of Pulumi's engine. */
export interface Item {
  /** Pulumi's type token, e.g. `kubernetes:core/v1:Namespace`. */
  readonly type: string;
  /** Pulumi's name. */
  readonly name: string;
  readonly args: Fields;
  /** Name or role of its provider; absent or `default…` when nobody chose one. */
  readonly provider?: string;
  /** Tells physical clusters apart: roles that share a cluster share this. */
  readonly cluster?: string;
  /** Argument → names of the resources whose outputs it takes. */
  readonly links: Readonly<Record<string, readonly string[]>>;
  /** The module whose box it stands in. */
  readonly module?: string;
  /** A Pod that delivery starts for a test; nothing that Pulumi registers. */
  readonly planned?: true;
}

export const isKubernetes = (item: Item): boolean => item.type.startsWith('kubernetes:');
export const kindOf = (item: Item): string => item.type.slice(item.type.lastIndexOf(':') + 1);
export const nameOf = (item: Item): string => text(item.args, 'metadata', 'name') ?? '';
export const namespaceOf = (item: Item): string => text(item.args, 'metadata', 'namespace') ?? '';
export const labelOf = (item: Item, label: string): string | undefined =>
  text(item.args, 'metadata', 'labels', label);
export const annotationOf = (item: Item, annotation: string): string | undefined =>
  text(item.args, 'metadata', 'annotations', annotation);

/** `production-shop-workload (Deployment prod-shop/shop)`. */
export function describe(item: Item): string {
  if (!isKubernetes(item)) return `${item.name} (${kindOf(item)})`;
  const namespace = namespaceOf(item);
  return `${item.name} (${kindOf(item)} ${namespace ? `${namespace}/` : ''}${nameOf(item)})`;
}

/** The module that a resource belongs to, by its box or its label. */
export const moduleOf = (item: Item): string | undefined =>
  item.module ?? labelOf(item, 'switchyard.dev/module');

/** Where a module's own part of the topology is mended: its file, and a key there. */
export const inModule = (item: Item, at: string): { readonly file?: string; readonly at?: string } => {
  const module = moduleOf(item);
  return module === undefined ? {} : { file: `catalog/modules/${module}.yaml`, at };
};

/** A violation at a resource. */
export function violation(
  item: Item,
  what: string,
  remedy: string,
  options: {
    readonly part?: string;
    readonly modules?: readonly (string | undefined)[];
    readonly file?: string;
    readonly at?: string;
  } = {},
): Violation {
  const modules = options.modules ?? [moduleOf(item)];
  return {
    where: options.part ? `${describe(item)}, ${options.part}` : describe(item),
    what,
    remedy,
    resource: item.name,
    modules: [...new Set(modules.filter((name) => name !== undefined))].sort(),
    ...(options.file ? { file: options.file } : {}),
    ...(options.at ? { at: options.at } : {}),
  };
}

/** Values of a Secret as text, by key: `stringData`, and `data` without its base64; references stay what they are. */
export function secretValues(item: Item): Record<string, string | Template> {
  const values: Record<string, string | Template> = {};
  for (const [key, value] of Object.entries(fields(item.args, 'data'))) {
    if (!isTextual(value)) continue;
    values[key] =
      typeof value !== 'string' || value === UNKNOWN ? value : Buffer.from(value, 'base64').toString('utf8');
  }
  for (const [key, value] of Object.entries(fields(item.args, 'stringData'))) {
    if (isTextual(value)) values[key] = value;
  }
  return values;
}
