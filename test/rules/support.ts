import { parseCatalog } from '../../catalog/load';
import type { Model } from '../../components/model';
import { factsOf } from '../../rules/facts';
import type { Item } from '../../rules/facts/item';
import { describeViolation, type Violation } from '../../rules/facts/violation';
import { modelItems } from '../../rules/model';
import type { Rule } from '../../rules/rule';
import { catalogTexts, testModel } from '../support/model';

/** Two modules of the same service, so that one may take what is the other's. */
export function twoModules(overrides: Partial<Model> = {}): Model {
  const shop = catalogTexts.modules['shop.yaml'] ?? '';
  const catalog = parseCatalog({
    ...catalogTexts,
    modules: { 'shop.yaml': shop, 'till.yaml': shop.replace('sells', 'counts') },
  });
  return testModel({ catalog, modules: catalog.modules, releases: {}, ...overrides });
}

export const itemsOfTwo = (overrides: Partial<Model> = {}): Item[] => modelItems(twoModules(overrides)).items;

export const violationsOf = (rule: Rule, items: readonly Item[]): readonly Violation[] =>
  rule.check(factsOf(items));

export const messages = (rule: Rule, items: readonly Item[]): string[] =>
  violationsOf(rule, items).map(describeViolation);

type Step = string | number;

function put(value: unknown, path: readonly Step[], change: (old: unknown) => unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return change(value);
  if (Array.isArray(value)) {
    return value.map((inner, index) => (index === step ? put(inner, rest, change) : inner));
  }
  const fields: Record<string, unknown> = { ...(value ?? {}) };
  const made = put(fields[step], rest, change);
  if (made === undefined) delete fields[step];
  else fields[step] = made;
  return fields;
}

function findIn(items: readonly Item[], name: string): Item {
  const found = items.find((item) => item.name === name);
  if (!found) throw new Error(`no resource "${name}"`);
  return found;
}

/** The items with one argument of one of them changed; `undefined` takes it away. */
export function changed(
  items: readonly Item[],
  name: string,
  path: readonly Step[],
  change: unknown | ((old: unknown) => unknown),
): Item[] {
  const item = findIn(items, name);
  const args = put(item.args, path, typeof change === 'function' ? (old) => change(old) : () => change);
  return items.map((other) => (other === item ? { ...item, args: { ...(args as object) } } : other));
}

export const without = (items: readonly Item[], name: string): Item[] => {
  const item = findIn(items, name);
  return items.filter((other) => other !== item);
};

/** A further item. */
export const added = (items: readonly Item[], item: Partial<Item> & Pick<Item, 'type' | 'name'>): Item[] => [
  ...items,
  {
    provider: 'production',
    cluster: findIn(items, 'production-shop-namespace').cluster,
    links: {},
    args: {},
    ...item,
  },
];

/** A copy of an item under another Pulumi name. */
export const copied = (items: readonly Item[], name: string, as: string): Item[] => [
  ...items,
  { ...findIn(items, name), name: as },
];
