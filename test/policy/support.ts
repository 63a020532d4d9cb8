import type { PolicyResource } from '@pulumi/policy';
import type { Item } from '../../rules/facts/item';

/** How `@pulumi/policy` answers to the reading of what a preview cannot know. */
export function unknowable(fields: Record<string, unknown>, ...keys: readonly string[]) {
  return new Proxy(fields, {
    ownKeys: (target) => [...new Set([...Reflect.ownKeys(target), ...keys])],
    getOwnPropertyDescriptor: (target, key) =>
      keys.includes(String(key))
        ? { configurable: true, enumerable: true, value: 'not known' }
        : Reflect.getOwnPropertyDescriptor(target, key),
    get: (target, key, receiver) => {
      if (keys.includes(String(key)))
        throw new Error(`value at .${String(key)} can't be known during preview`);
      return Reflect.get(target, key, receiver);
    },
  });
}

const urnOf = (type: string, name: string): string => `urn:pulumi:test::switchyard::${type}::${name}`;

function resource(
  type: string,
  name: string,
  props: Record<string, unknown>,
  provider?: PolicyResource['provider'],
): PolicyResource {
  return {
    type,
    name,
    urn: urnOf(type, name),
    props,
    provider,
    opts: {
      protect: false,
      ignoreChanges: [],
      aliases: [],
      additionalSecretOutputs: [],
      customTimeouts: { createSeconds: 0, updateSeconds: 0, deleteSeconds: 0 },
    },
    dependencies: [],
    propertyDependencies: {},
    isType: () => false,
    asType: () => undefined,
  };
}

/** What the engine would hand to a policy pack for these items, the stack and a component beside them. */
export function engineResources(items: readonly Item[]): PolicyResource[] {
  const made = items
    .filter((item) => !item.planned)
    .map((item) => {
      const role = item.provider ?? 'default_4_34_2';
      const type = `pulumi:providers:${item.type.split(':')[0]}`;
      const props = item.cluster
        ? { context: (JSON.parse(item.cluster) as { context: string }).context }
        : {};
      return resource(
        item.type,
        item.name,
        { ...item.args },
        { type, name: role, urn: urnOf(type, role), props },
      );
    });
  const byName = new Map(made.map((each) => [each.name, each]));
  for (const item of items) {
    const dependent = byName.get(item.name);
    if (!dependent) continue;
    dependent.propertyDependencies = Object.fromEntries(
      Object.entries(item.links).map(([property, names]) => [
        property,
        names.flatMap((name) => byName.get(name) ?? []),
      ]),
    );
  }
  return [
    resource('pulumi:pulumi:Stack', 'switchyard-test', {}),
    resource('switchyard:index:Topology', 'switchyard', {}),
    ...made,
  ];
}
