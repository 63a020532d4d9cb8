import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import { typeToken } from '../../components/shared/naming';
import { needsOf } from '../../components/shared/order';
import { shown } from '../../components/shared/references';
import { parseStack } from '../../stacks/load';
import { catalogTexts, modelOf, released, stackWith, testModel } from '../support/model';
import { registeredTopology } from '../support/registered-topology';
import { modelWith } from '../support/workloads';

// The classes register what the pure functions declare: what `render` prints and the rules read is what `up` makes.

const ONE = 'ci: { context: one }, production: { context: one }';
const models: Readonly<Record<string, Model>> = {
  'one cluster': modelOf({ clusters: ONE, backup: 'repository: /backup, claim: { storage: 1Gi }' }),
  'two clusters': modelOf({
    backup: 'repository: "s3:https://s3.test/b/p", credentialsFrom: { accessKey: AK, secretKey: SK }',
  }),
  'an existing Jenkins': modelOf({ jenkins: 'existing: { namespace: tools, serviceAccount: controller }' }),
  'an existing registry': modelOf({
    registry: 'existing: { pull: { user: a, passwordFrom: PULL }, push: { user: b, passwordFrom: PUSH } }',
  }),
  'releases that are promoted': testModel({
    settings: parseStack(
      `${stackWith({ clusters: ONE })}  switchyard:promotion: { from: staging }\n`,
      'stacks/Pulumi.test.yaml',
      'test',
    ),
  }),
  'a release whose data is migrated': {
    ...modelWith({ shop: `${catalogTexts.modules['shop.yaml']}production: { migrate: [migrate] }\n` }),
    releases: { shop: { ...released, migrate: true } },
  },
};
/** As the stand-ins make it: of the parents' types only the nearest. */
const urnOf = (box: string, type: string, name: string): string =>
  `urn:pulumi:stack::project::${typeToken(box)}$${type}::${name}`;

test.each(Object.entries(models))(
  'with %s, each declaration is registered below its component, after what it needs',
  async (_what, model) => {
    const registered = await registeredTopology(model);
    const boxes = topologyBoxes(model);
    const urns = new Map(
      boxes.flatMap(({ box, declarations }) =>
        declarations.map(({ type, name }) => [name, urnOf(box, type, name)] as const),
      ),
    );
    const declared = boxes.flatMap(({ box, name: parent, declarations }) =>
      declarations.map((declaration) => ({
        name: declaration.name,
        type: declaration.type,
        parent: `urn:pulumi:stack::project::${typeToken('index', 'Topology')}$${typeToken(box)}::${parent}`,
        dependencies: [...new Set(needsOf(declaration).map((name) => urns.get(name)))].sort(),
      })),
    );
    const made = registered
      .filter(({ type }) => /^(kubernetes|gitlab|docker):/.test(type))
      .map(({ name, type, parent, dependencies }) => ({ name, type, parent, dependencies }));
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect(made.sort(byName)).toEqual(declared.sort(byName));
    const components = registered.filter(
      ({ type }) => type.startsWith('switchyard:') && !type.includes(':index:'),
    );
    expect(components.map(({ name }) => name).sort()).toEqual(boxes.map(({ name }) => name).sort());
  },
);

type Labels = Record<string, string>;
interface Service {
  readonly metadata: { readonly annotations?: Record<string, string> };
  readonly spec: { readonly selector: Labels };
}
interface Workload {
  readonly spec: { readonly template: { readonly metadata: { readonly labels: Labels } } };
}

const WORKLOADS = ['kubernetes:apps/v1:StatefulSet', 'kubernetes:apps/v1:Deployment'];
const scaled = modelWith({
  shop: `${catalogTexts.modules['shop.yaml']}production: { scaling: { qps: 50, min: 2, max: 4 } }\n`,
});

test.each(Object.entries({ ...models, 'modules that scale': scaled }))(
  'with %s, each Service is there after Pods that it selects were waited for, and is not waited for itself',
  (_what, model) => {
    const all = topologyBoxes(model).flatMap(({ declarations }) => declarations);
    const services = all.filter(({ type }) => type === 'kubernetes:core/v1:Service');
    expect(services.length).toBeGreaterThan(0);
    for (const { name, args, dependsOn = [] } of services) {
      const { metadata, spec } = shown(args) as unknown as Service;
      expect([name, metadata.annotations]).toEqual([name, { 'pulumi.com/skipAwait': 'true' }]);
      const labels = all
        .filter((one) => WORKLOADS.includes(one.type) && dependsOn.includes(one.name))
        .map((one) => (shown(one.args) as unknown as Workload).spec.template.metadata.labels);
      expect([name, labels]).toEqual([name, [expect.objectContaining(spec.selector)]]);
    }
  },
);
