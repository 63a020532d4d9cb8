import {
  baseOfCut,
  cutPart,
  cuttings,
  gatherPart,
  isOpen,
  partBase,
  partOwner,
  partPassphrases,
  saltedWith,
  saltOf,
} from '../../../operations/parts/parts';

const urn = (stack: string, chain: string, name: string) =>
  `urn:pulumi:${stack}::switchyard::${chain}::${name}`;
const production = 'switchyard:index:Topology$switchyard:production:Production';
const provider = (stack: string, id = 'p1') =>
  `${urn(stack, 'switchyard:index:Topology$pulumi:providers:kubernetes', 'production-cluster')}::${id}`;

function stateOf(stack: string, modules: readonly string[], image: string, providerId = 'p1') {
  const itself = urn(stack, 'pulumi:pulumi:Stack', `switchyard-${stack}`);
  const topology = urn(stack, 'switchyard:index:Topology', 'switchyard');
  const cluster = provider(stack).replace(/::p1$/, '');
  return {
    manifest: { version: 'v3' },
    secrets_providers: { type: 'passphrase', state: { salt: 'v1:a' } },
    resources: [
      { urn: itself, type: 'pulumi:pulumi:Stack' },
      { urn: topology, type: 'switchyard:index:Topology', parent: itself },
      ...modules.map((module) => ({
        urn: urn(stack, production, `production-${module}`),
        type: 'c',
        parent: topology,
      })),
      { urn: cluster, type: 'pulumi:providers:kubernetes', id: providerId, parent: topology },
      {
        urn: urn(stack, 'switchyard:index:Topology$switchyard:jenkins:Jenkins', 'jenkins'),
        type: 'j',
        parent: topology,
      },
      ...modules.flatMap((module) => [
        {
          urn: urn(stack, `${production}$kubernetes:apps/v1:Deployment`, `production-${module}-workload`),
          type: 'kubernetes:apps/v1:Deployment',
          id: `production-${module}/${module}`,
          parent: urn(stack, production, `production-${module}`),
          provider: provider(stack, providerId),
          modified: image,
          outputs: { image },
        },
      ]),
      {
        urn: urn(stack, 'switchyard:index:Topology$switchyard:backup:Backup', 'backup'),
        type: 'b',
        parent: topology,
      },
    ],
  };
}
type State = ReturnType<typeof stateOf>;
const named = (deployment: unknown) =>
  (deployment as State).resources.map(({ urn: one }) => one.split('::').at(-1));
const environment = 'lab';

test('a part holds one module’s production and what that stands on, under the names of its own stack', () => {
  const part = cutPart(stateOf('lab', ['billing', 'orders'], 'one'), environment, 'orders') as State;
  expect(named(part)).toEqual([
    'switchyard-lab.orders',
    'switchyard',
    'production-orders',
    'production-cluster',
    'production-orders-workload',
  ]);
  expect(JSON.stringify(part)).not.toContain('urn:pulumi:lab::');
  expect(part.resources.at(-1)).toMatchObject({
    provider: provider('lab.orders'),
    outputs: { image: 'one' },
  });
  expect(saltOf(part)).toBe('v1:a');
});

test('a module whose name begins with another’s is no part of it', () => {
  const part = cutPart(stateOf('lab', ['orders', 'orders-api'], 'one'), environment, 'orders');
  expect(named(part)).not.toContain('production-orders-api');
});

test('an environment without production of the module has no part of it', () => {
  expect(cutPart(stateOf('lab', ['billing'], 'one'), environment, 'orders')).toBeUndefined();
  expect(cutPart({ resources: null }, environment, 'orders')).toBeUndefined();
});

describe('gathered', () => {
  const before = stateOf('lab', ['billing', 'orders'], 'one');
  const base = partBase(before, environment, 'orders');
  const at = { environment, module: 'orders', base };

  test('what a deploy did stands where it stood before, and everything else is as it was', () => {
    const after = gatherPart(before, stateOf('lab.orders', ['orders'], 'two'), at) as State;
    expect([...named(after)].sort()).toEqual([...named(before)].sort());
    const order = named(after);
    expect(order.indexOf('production-cluster')).toBeLessThan(order.indexOf('production-orders-workload'));
    expect(order.indexOf('production-orders')).toBeLessThan(order.indexOf('production-orders-workload'));
    const workload = after.resources.find(({ urn: one }) => one.endsWith('production-orders-workload'));
    expect(workload).toMatchObject({ outputs: { image: 'two' }, provider: provider('lab') });
    const others = ({ resources }: State) =>
      resources.filter(({ urn: one }) => !one.includes('production-orders'));
    expect(others(after)).toEqual(others(before));
    expect(JSON.stringify(after)).not.toContain('lab.orders');
  });

  test('what a deploy made and removed came and went', () => {
    const part = stateOf('lab.orders', ['orders'], 'two');
    const owner = partOwner('lab.orders', 'orders');
    const made = { urn: `${owner}-config`, type: 'm', parent: owner };
    const resources = [...part.resources.filter(({ urn: one }) => !one.endsWith('-workload')), made];
    const after = gatherPart(before, { ...part, resources }, at);
    expect(named(after)).toContain('production-orders-config');
    expect(named(after)).not.toContain('production-orders-workload');
    expect(named(after).indexOf('production-orders-config')).toBeLessThan(named(after).indexOf('backup'));
  });

  test('resources keep to the provider of the environment', () => {
    const after = gatherPart(before, stateOf('lab.orders', ['orders'], 'two', 'p2'), at) as State;
    expect(JSON.stringify(after)).not.toContain('::p2"');
  });

  test('an environment that was changed since the part was cut keeps its own', () => {
    const changed = stateOf('lab', ['billing', 'orders'], 'three');
    expect(gatherPart(changed, stateOf('lab.orders', ['orders'], 'two'), at)).toBe(changed);
  });

  test('changes of another module are no reason to leave it', () => {
    const changed = {
      ...before,
      resources: before.resources.filter(({ urn: one }) => !one.includes('billing')),
    };
    expect(partBase(changed, environment, 'orders')).toBe(base);
  });
});

describe('cut for the deploys of modules', () => {
  const secret = (value: unknown) => ({
    '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
    plaintext: JSON.stringify(value),
  });
  /** An environment whose last run gave each module a passphrase. */
  function withPassphrases(given: Readonly<Record<string, string>>, image = 'one') {
    const state = stateOf('lab', ['billing', 'orders'], image);
    const type = 'kubernetes:core/v1:Secret';
    const made = Object.entries(given).map(([module, passphrase]) => ({
      urn: urn(
        'lab',
        `switchyard:index:Topology$switchyard:jenkins:Jenkins$${type}`,
        `jenkins-part-${module}`,
      ),
      type,
      inputs: {
        data: secret({
          text: secret(Buffer.from(passphrase).toString('base64')),
        }),
      },
    }));
    return { ...state, resources: [...state.resources, ...made] };
  }
  const both = { billing: 'a', orders: 'b' };
  const names = (deployment: unknown) => cuttings(deployment, environment).map(({ name }) => name);

  test('is each module’s part, under the passphrase that its Pods have', () => {
    const state = withPassphrases(both);
    expect([...partPassphrases(state)]).toEqual([
      ['billing', 'a'],
      ['orders', 'b'],
    ]);
    const cut = cuttings(state, environment);
    expect(cut.map(({ module, passphrase }) => [module, passphrase])).toEqual([
      ['billing', 'a'],
      ['orders', 'b'],
    ]);
    for (const { module, name, deployment } of cut) {
      expect(name).toMatch(new RegExp(`^lab\\.${module}\\.[0-9a-f]{16}$`));
      expect(deployment).toEqual(cutPart(state, environment, module));
    }
  });

  test('none for a module whose Pods have no passphrase, or of which something was left open', () => {
    const state = withPassphrases({ orders: 'b' });
    expect(names(state)).toHaveLength(1);
    const left = state.resources.find(({ urn: one }) => one.endsWith('production-orders-workload'));
    expect(names({ ...state, pending_operations: [{ type: 'updating', resource: left }] })).toEqual([]);
    const other = state.resources.find(({ urn: one }) => one.endsWith('production-billing-workload'));
    expect(names({ ...state, pending_operations: [{ type: 'updating', resource: other }] })).toHaveLength(1);
  });

  test('is called otherwise as soon as anything of it is another, and only then', () => {
    const state = withPassphrases(both);
    const [billing, orders] = names(state);
    const later = { ...state, manifest: { version: 'v4' }, secrets_providers: { state: { salt: 'v1:b' } } };
    expect(names({ ...later, resources: [...state.resources].reverse() }).sort()).toEqual([billing, orders]);
    expect(names(withPassphrases({ ...both, orders: 'c' }))[0]).toBe(billing);
    expect(names(withPassphrases({ ...both, orders: 'c' }))[1]).not.toBe(orders);
    expect(names(withPassphrases(both, 'two'))[1]).not.toBe(orders);
  });

  test('is called the same wherever it was registered from, in whatever order its needs were noted', () => {
    const noted = (line: number, turned: boolean) => {
      const state = withPassphrases(both);
      const needs = [state.resources[0]?.urn, state.resources[1]?.urn];
      const dependencies = turned ? needs.toReversed() : needs;
      const byProperty = Object.entries({ spec: dependencies, metadata: [] });
      return {
        ...state,
        resources: state.resources.map((resource) => ({
          ...resource,
          dependencies,
          propertyDependencies: Object.fromEntries(turned ? byProperty.toReversed() : byProperty),
          sourcePosition: `project:///index.ts#${line},1`,
          stackTrace: [{ sourcePosition: `project:///index.ts#${line},1` }, ...(turned ? [{}] : [])],
        })),
      };
    };
    expect(names(noted(2, true))).toEqual(names(noted(1, false)));
    const state = noted(1, false);
    const fewer = state.resources.map((resource) => ({ ...resource, dependencies: [] }));
    expect(names({ ...state, resources: fewer })).not.toEqual(names(state));
  });

  test('says from what it was cut', () => {
    const state = withPassphrases(both);
    const part = cutPart(state, environment, 'orders');
    expect(baseOfCut(part, environment, 'orders')).toBe(partBase(state, environment, 'orders'));
    expect(baseOfCut(part, environment, 'orders')).not.toBe(partBase(state, environment, 'billing'));
  });

  test('holds no login of whoever changed the environment', () => {
    const state = withPassphrases(both);
    const resources = state.resources.map((resource) =>
      resource.type === 'pulumi:providers:kubernetes'
        ? {
            ...resource,
            inputs: { context: 'one', kubeconfig: secret('admin') },
            outputs: { kubeconfig: 'x' },
          }
        : resource,
    );
    const part = cutPart({ ...state, resources }, environment, 'orders') as State;
    expect(part.resources.find(({ type }) => type === 'pulumi:providers:kubernetes')).toMatchObject({
      inputs: { context: 'one' },
      outputs: {},
    });
    expect(JSON.stringify(part)).not.toContain('kubeconfig');
  });

  test('has a salt of its own', () => {
    expect(saltOf(saltedWith({ resources: [], secrets_providers: { type: 'awskms' } }, 'v1:c'))).toBe('v1:c');
  });
});

test('a state with an operation under way is open', () => {
  expect(isOpen(stateOf('lab', [], 'one'))).toBe(false);
  expect(isOpen({ pending_operations: null })).toBe(false);
  expect(isOpen({ pending_operations: [{ type: 'updating' }] })).toBe(true);
});
