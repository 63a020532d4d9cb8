import * as pulumi from '@pulumi/pulumi';
import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes, wantedBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import { Component } from '../../components/shared/component';
import type { Declaration } from '../../components/shared/declaration';
import { object } from '../../components/shared/kubernetes';
import { needsOf } from '../../components/shared/order';
import { secretRef } from '../../components/shared/references';
import { type Transform, withArgs } from '../../components/shared/transform';
import { renderTopology } from '../../operations/render';
import { assertRules } from '../../rules/assert';
import { modelItems } from '../../rules/model';
import { modelOf, testModel } from '../support/model';
import { registeredBy } from '../support/registered';
import { registeredTopology } from '../support/registered-topology';
import example from './examples/transform';

const NOTE = 'example.com/cost-centre';
const WORKLOAD = 'production-shop-workload';

const declared = (model: Model): Declaration[] =>
  topologyBoxes(model).flatMap(({ declarations }) => [...declarations]);
const named = (declarations: readonly Declaration[], name: string): Declaration => {
  const found = declarations.find((one) => one.name === name);
  if (!found) throw new Error(`no declaration ${name}`);
  return found;
};

/** Changes one declaration. */
const at =
  (name: string, change: (declaration: Declaration) => ReturnType<Transform>): Transform =>
  (declaration) =>
    declaration.name === name ? change(declaration) : undefined;

const faultsOf = (transform: unknown): string[] => {
  try {
    topologyBoxes(testModel({ transform: transform as Transform }));
  } catch (error) {
    if (error instanceof ProblemsError) return error.message.split('\n');
    throw error;
  }
  return [];
};

describe('what a transform makes of a declaration', () => {
  const model = testModel({ transform: example });

  test('is what is declared, each part with what it did not change', () => {
    const [before, after] = [declared(testModel()), declared(model)];
    expect(after.map(({ name }) => name)).toEqual(before.map(({ name }) => name));
    for (const [index, one] of after.entries()) {
      const was = before[index];
      if (!one.type.startsWith('kubernetes:')) expect(one).toEqual(was);
      else if (one.name !== WORKLOAD)
        expect(one).toEqual(
          withArgs(was as Declaration, { metadata: { annotations: { [NOTE]: 'shop' } } } as never),
        );
    }
    expect(named(after, WORKLOAD)).toMatchObject({
      args: {
        metadata: { name: 'shop', annotations: { [NOTE]: 'shop' } },
        spec: {
          template: { spec: { nodeSelector: { pool: 'production' }, containers: [{ name: 'module' }] } },
        },
      },
    });
  });

  test('is what render prints', () => {
    const files = [...renderTopology(model)];
    const [, workload = ''] =
      files.find(([, text]) => /^kind: Deployment[\s\S]*^ {2}name: shop$/m.test(text)) ?? [];
    expect(workload).toContain('pool: production');
    const before = new Map(renderTopology(testModel()));
    expect(workload).not.toBe('');
    expect([...before.values()].join('\n')).not.toContain(NOTE);
  });

  test('is what the rules read', () => {
    const { items } = modelItems(model);
    expect(items.find(({ name }) => name === WORKLOAD)?.args).toMatchObject({
      metadata: { annotations: { [NOTE]: 'shop' } },
    });
  });

  test('is what up registers, and what a deploy of one module does', async () => {
    const all = await registeredTopology(model);
    const alone = await registeredTopology(model, ['shop']);
    for (const made of [all, alone])
      expect(made.find(({ name }) => name === WORKLOAD)?.inputs).toMatchObject({
        metadata: { annotations: { [NOTE]: 'shop' } },
        spec: { template: { spec: { nodeSelector: { pool: 'production' } } } },
      });
    expect(wantedBoxes(model, ['shop'])).toEqual(
      topologyBoxes(model).filter(({ name }) => name === 'production-shop'),
    );
  });
});

test('one that changes nothing leaves every byte of render as it is', () => {
  for (const model of [
    testModel(),
    modelOf({ jenkins: 'existing: { namespace: tools, serviceAccount: c }' }),
  ])
    expect(renderTopology({ ...model, transform: () => undefined })).toEqual(renderTopology(model));
});

test("Jenkins' configuration is rendered as a transform leaves it", () => {
  const transform = at('jenkins-casc', (declaration) =>
    withArgs(declaration, { data: { 'jenkins.yaml': 'jenkins: { numExecutors: 0 }\n' } } as never),
  );
  expect(renderTopology(testModel({ transform })).get('jenkins/casc.yaml')).toBe(
    'jenkins: { numExecutors: 0 }\n',
  );
});

test('it is told where a declaration stands', () => {
  const told = new Set<string>();
  topologyBoxes(
    testModel({
      transform: (_declaration, { environment, component, box, module }) => {
        told.add([environment, component, box, module ?? '-'].join(' '));
        return undefined;
      },
    }),
  );
  expect([...told]).toEqual(
    expect.arrayContaining(['test jenkins jenkins -', 'test production-shop production shop']),
  );
  expect([...told]).toHaveLength(
    topologyBoxes(testModel()).filter((box) => box.declarations.length > 0).length,
  );
});

describe('rules come after it', () => {
  test('a fence that it takes away is missed', () => {
    const transform: Transform = ({ type }) => (type.endsWith(':NetworkPolicy') ? [] : undefined);
    expect(() => assertRules(testModel({ transform }))).toThrow('rule namespace-default-deny');
  });

  test('a Pod that it lets write anywhere, and a namespace that it opens, are refused', () => {
    const containers = (one: Declaration) =>
      (one.args as { spec: { template: { spec: { containers: object[] } } } }).spec.template.spec.containers;
    const open = containers(named(declared(testModel()), WORKLOAD)).map((one) => ({
      ...one,
      securityContext: {},
    }));
    const writable = at(WORKLOAD, (one) =>
      withArgs(one, { spec: { template: { spec: { containers: open } } } } as never),
    );
    expect(() => assertRules(testModel({ transform: writable }))).toThrow(
      /rule root-read-only: production-shop-workload/,
    );
    const labels = { 'pod-security.kubernetes.io/enforce': 'privileged' };
    const privileged = at('production-shop-namespace', (one) =>
      withArgs(one, { metadata: { labels } } as never),
    );
    expect(() => assertRules(testModel({ transform: privileged }))).toThrow(
      /rule pod-security[a-z-]*: production-shop-namespace/,
    );
  });

  test('a secret that it writes as text is refused', () => {
    const secret = declared(testModel()).find(({ type }) => type === 'kubernetes:core/v1:Secret');
    const transform = at(secret?.name ?? '', (declaration) =>
      withArgs(declaration, { stringData: { password: 'in plain sight' } } as never),
    );
    expect(() => assertRules(testModel({ transform }))).toThrow('rule secrets-by-reference');
  });

  test('what it adds is judged, rendered and registered after what it needs', async () => {
    const budget = (name: string): Declaration =>
      object(
        'kubernetes:policy/v1:PodDisruptionBudget',
        name,
        'production',
        { namespace: 'prod-shop', name: 'shop-always', labels: {} },
        { spec: { minAvailable: 1, selector: { matchLabels: { 'app.kubernetes.io/name': 'shop' } } } },
        { dependsOn: [WORKLOAD] },
      );
    const model = testModel({ transform: at(WORKLOAD, (one) => [budget('shop-always'), one]) });
    assertRules(model);
    const order = topologyBoxes(model).find(({ name }) => name === 'production-shop')?.declarations ?? [];
    const place = (name: string) => order.findIndex((one) => one.name === name);
    expect(place('shop-always')).toBeGreaterThan(place(WORKLOAD));
    expect([...renderTopology(model).values()].join('\n')).toContain('shop-always');
    expect((await registeredTopology(model)).map(({ name }) => name)).toContain('shop-always');
  });
});

describe('a fault is told with its place', () => {
  const workload = named(declared(testModel()), WORKLOAD);

  test.each<[string, unknown, RegExp]>([
    [
      'another kind',
      at(WORKLOAD, (one) => ({ ...one, type: 'kubernetes:core/v1:Secret' }) as Declaration),
      /^transform\.ts: production-shop-workload: is a kubernetes:apps\/v1:Deployment, and the transform makes it a kubernetes:core\/v1:Secret\. /,
    ],
    [
      'a name that others need, left out',
      at('production-shop-namespace', () => []),
      /^transform\.ts: production-shop-[a-z0-9-]+: needs "production-shop-namespace", which the transform leaves out or renames\. /,
    ],
    [
      'a name twice',
      at(WORKLOAD, (one) => [one, one]),
      /^transform\.ts: production-shop-workload: is declared twice\. /,
    ],
    [
      "another's name",
      at(WORKLOAD, (one) => ({ ...one, name: 'jenkins-casc', aliases: [WORKLOAD] })),
      /^transform\.ts: jenkins-casc: is declared twice\. /,
    ],
    [
      'a rename without an alias',
      at(WORKLOAD, (one) => ({ ...one, name: 'shop' })),
      /is renamed to "shop" without an alias: .* Add aliases: \['production-shop-workload'\]\.$/,
    ],
    [
      'another metadata.namespace',
      at(WORKLOAD, (one) => withArgs(one, { metadata: { namespace: 'elsewhere' } } as never)),
      /gets another metadata\.name or metadata\.namespace, by which others find it/,
    ],
    [
      'a need of what comes later',
      at('gitlab-group', (one) => ({ ...one, dependsOn: [WORKLOAD] })),
      /^transform\.ts: gitlab-group: needs "production-shop-workload" of production-shop, which is made after gitlab\. /,
    ],
    [
      'a need that a deploy of one module does not evaluate',
      at(WORKLOAD, (one) => ({ ...one, dependsOn: [...(one.dependsOn ?? []), 'jenkins-casc'] })),
      /^transform\.ts: production-shop-workload: needs "jenkins-casc" of jenkins, and a deploy evaluates production-shop alone\. /,
    ],
    [
      'a need of nothing',
      at(WORKLOAD, (one) => ({ ...one, dependsOn: ['nothing'] })),
      /needs "nothing", which nobody declares/,
    ],
    [
      'a circle',
      at('production-shop-namespace', (one) => ({ ...one, dependsOn: [WORKLOAD] })),
      /^transform\.ts: production-shop: "production-shop-[a-z0-9-]+" needs itself, in a circle\. /,
    ],
    ['null', at(WORKLOAD, () => null as never), /returns null\. Return a declaration, a list/],
    ['a promise', at(WORKLOAD, (async () => workload) as never), /returns a promise|two things/],
    [
      'no declaration',
      at(WORKLOAD, () => ({ props: {} }) as never),
      /has something in its place that is no declaration/,
    ],
    [
      'an unknown provider',
      at(WORKLOAD, (one) => ({ ...one, provider: 'staging' }) as never),
      /gets the provider "staging"\. Use one of ci, production, gitlab, docker\./,
    ],
    [
      'a value of a class',
      at(WORKLOAD, (one) => withArgs(one, { spec: { paused: new Date(0) } } as never)),
      /has no plain data at args\.spec\.paused\./,
    ],
    [
      'a change of what it was given',
      at(WORKLOAD, (one) => {
        (one.args as { metadata: { labels: Record<string, string> } }).metadata.labels.mine = 'yes';
        return undefined;
      }),
      /the transform throws: Cannot add property mine.* Return a copy/,
    ],
    [
      'an error of its own',
      at(WORKLOAD, () => {
        throw new Error('no pool for shop');
      }),
      /^transform\.ts: production-shop-workload: the transform throws: no pool for shop\. /,
    ],
  ])('%s', (_what, transform, said) => {
    const faults = faultsOf(transform);
    expect(faults.length).toBeGreaterThan(0);
    for (const fault of faults) expect(fault).toMatch(said);
  });

  test('one that depends on something else than what it is given', () => {
    let count = 0;
    const faults = faultsOf(at(WORKLOAD, (one) => withArgs(one, { spec: { replicas: ++count } } as never)));
    expect(faults).toEqual([
      'transform.ts: production-shop-workload: the transform makes two things of it when it is asked twice. Have it depend on nothing but what it is given: no time, no random number, no count.',
    ]);
  });

  test('all of them at once', () => {
    const faults = faultsOf((one: Declaration) =>
      one.type === 'kubernetes:apps/v1:Deployment'
        ? { ...one, type: 'kubernetes:core/v1:Secret' }
        : undefined,
    );
    const deployments = declared(testModel()).filter(({ type }) => type === 'kubernetes:apps/v1:Deployment');
    expect(faults).toHaveLength(deployments.length);
  });
});

test('what a component shows as its outputs cannot be left out', () => {
  const all = declared(
    modelOf({
      clusters: 'ci: { context: one }, production: { context: one }',
      backup: 'repository: /backup, claim: { storage: 1Gi }',
    }),
  );
  const needed = new Set(all.flatMap(needsOf));
  for (const name of [
    'gitlab-group',
    'gitlab-bot',
    'gitlab-reader',
    'gitlab-shop',
    'registry-namespace',
    'backup-namespace',
    'testing-shop-namespace',
    'production-shop-namespace',
  ])
    expect([name, all.some((one) => one.name === name), needed.has(name)]).toEqual([name, true, true]);
});

test('a reference stays one, whatever is merged beside it', () => {
  const secret: Declaration = object(
    'kubernetes:core/v1:Secret',
    'it',
    'ci',
    { namespace: 'a', name: 'it', labels: {} },
    { stringData: { password: secretRef('purpose'), gone: 'x' } },
  );
  const { args } = withArgs(secret, { stringData: { user: 'ada', gone: undefined } } as never);
  expect(args).toEqual({
    metadata: { namespace: 'a', name: 'it', labels: {} },
    stringData: { password: secretRef('purpose'), user: 'ada' },
  });
  expect(secret.args).toMatchObject({ stringData: { gone: 'x' } });
});

describe('a component that stands alone', () => {
  const claim: Declaration = object(
    'kubernetes:core/v1:PersistentVolumeClaim',
    'box-data',
    'ci',
    { namespace: 'orders', name: 'data', labels: {} },
    { spec: { accessModes: ['ReadWriteOnce'] } },
  );
  class Box extends Component {
    constructor(transform: Transform) {
      super('switchyard:test:Box', 'box', [claim], {
        environment: 'staging',
        seed: pulumi.secret('a seed for tests, long enough to be one'),
        transform,
      });
      this.registerOutputs({});
    }
  }

  test('takes a transform of its own, whose results may have outputs', async () => {
    const made = await registeredBy(
      () =>
        new Box((one, { component, environment }) =>
          withArgs(one, {
            metadata: { annotations: { whose: pulumi.interpolate`${component} of ${environment}` } },
          } as never),
        ),
    );
    expect(made.find(({ name }) => name === 'box-data')?.inputs).toMatchObject({
      metadata: { name: 'data', annotations: { whose: 'box of staging' } },
    });
  });

  test('tells a fault with its name', () => {
    expect(() => new Box(() => ({ ...claim, type: 'kubernetes:core/v1:Secret' }) as never)).toThrow(
      'transform of "box": box-data: is a kubernetes:core/v1:PersistentVolumeClaim',
    );
  });
});
