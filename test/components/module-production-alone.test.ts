import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { findModule, parseCatalog } from '../../catalog/load';
import { ModuleProduction } from '../../components/production/module-production';
import { IN_PLACE } from '../../components/shared/in-place';
import { Secrets } from '../../components/shared/secrets';
import { released } from '../support/model';
import { registeredBy, secretTexts, waitsFor } from '../support/registered';

const SEED = 'a seed for tests, long enough to be one';
const { modules, services } = parseCatalog({
  modules: {
    'orders.yaml': 'description: takes orders\nowners: [ada]\nservices: [{ kind: cache, version: "1.0" }]\n',
  },
  services: {
    'cache.yaml': `description: a cache
proved: lab
versions: { "1.0": { image: "cache:1.0" } }
port: 6379
args: [serve, --password, "{password}"]
moduleEnvironment: { CACHE_HOST: "{host}", CACHE_PASSWORD: "{password}" }
dataPath: /data
runAsUser: 999
resources: { cpu: 50m, memory: 64Mi }
backup: { dump: [save], restore: [load] }
`,
  },
});
const catalog = { modules, services };

/** What docs/components/production.md begins with. */
const program = (image: pulumi.Input<string>, namespace = 'orders') =>
  new ModuleProduction(
    'orders',
    {
      environment: 'production',
      namespace,
      module: findModule(catalog, 'orders'),
      services: catalog.services,
      release: { image, commit: released.commit },
      registry: {
        address: 'harbor.example.com',
        pull: { user: 'robot', password: pulumi.secret('hunter2') },
      },
      seed: pulumi.secret(SEED),
    },
    { provider: new k8s.Provider('cluster', { context: 'somewhere', ...IN_PLACE }) },
  );

interface Pod {
  readonly spec: { readonly template: { readonly spec: { readonly containers: { image: string }[] } } };
}

test('a module alone: everything that it is made of, below its component, by the provider that it was given', async () => {
  let host: string | undefined;
  const warn = jest.spyOn(pulumi.log, 'warn');
  const registered = await registeredBy(() => {
    const orders = program(released.image);
    host = orders.host;
    return orders;
  });
  expect(host).toBe('orders.orders.svc');
  // Secrets and ConfigMaps are changed in place by what it was given.
  expect(warn).not.toHaveBeenCalled();
  warn.mockRestore();
  const children = registered.filter(({ type }) => type.startsWith('kubernetes:'));
  expect(children.map(({ name }) => name).sort()).toEqual([
    'orders-allow-6379',
    'orders-allow-8080',
    'orders-cache-credentials',
    'orders-cache-disruption',
    'orders-cache-service',
    'orders-cache-workload',
    'orders-deny',
    'orders-disruption',
    'orders-egress',
    'orders-environment',
    'orders-limits',
    'orders-namespace',
    'orders-pull',
    'orders-quota',
    'orders-service',
    'orders-workload',
  ]);
  for (const { name, parent, provider } of children)
    expect({ name, parent, provider }).toEqual({
      name,
      parent: expect.stringMatching(/switchyard:production:Production::orders$/),
      provider: expect.stringMatching(/pulumi:providers:kubernetes::cluster::/),
    });
});

test('it pulls with the login that was given, and its service has a password derived from the seed', async () => {
  const registered = await registeredBy(() => program(released.image));
  const config = JSON.parse(secretTexts(registered, 'orders-pull')['.dockerconfigjson'] ?? '');
  const { auth } = config.auths['harbor.example.com'];
  expect(Buffer.from(auth, 'base64').toString()).toBe('robot:hunter2');
  expect(secretTexts(registered, 'orders-cache-credentials').password).toBe(
    new Secrets(SEED, 'production').secret('service/orders/cache'),
  );
});

test('the image may come late: whatever builds it is waited for', async () => {
  const registered = await registeredBy(() => {
    const source = new k8s.core.v1.ConfigMap('source', { data: { image: released.image } });
    return program(source.data.apply(({ image }) => image ?? ''));
  });
  const workload = registered.find(({ name }) => name === 'orders-workload');
  const { containers } = ((workload?.inputs ?? {}) as unknown as Pod).spec.template.spec;
  expect(containers.map(({ image }) => image)).toEqual([released.image]);
  expect(waitsFor(registered, 'orders-workload')).toContain('source');
});

test('before its first release there is all but the workload', async () => {
  const registered = await registeredBy(
    () =>
      new ModuleProduction(
        'orders',
        {
          environment: 'production',
          namespace: 'orders',
          module: findModule(catalog, 'orders'),
          services: catalog.services,
          registry: { address: 'harbor.example.com', pull: { user: 'robot', password: 'hunter2' } },
          seed: SEED,
        },
        { provider: new k8s.Provider('cluster', { context: 'somewhere', ...IN_PLACE }) },
      ),
  );
  const names = registered.map(({ name }) => name);
  expect(names).toContain('orders-cache-workload');
  expect(names).not.toContain('orders-workload');
});

test('what cannot work is refused where it is written', async () => {
  const module = findModule(catalog, 'orders');
  const scaling = { min: 1, max: 3, qps: 10, cpu: 70, down: { percent: 20, windowSeconds: 60 } } as never;
  const args = {
    environment: 'production',
    namespace: 'orders',
    registry: { address: 'harbor.example.com', pull: { user: 'robot', password: 'hunter2' } },
    seed: SEED,
  };
  await registeredBy(() => {
    expect(() => new ModuleProduction('a', { ...args, module })).toThrow('the catalog lost service "cache"');
    const scaled = { ...module, production: { ...module.production, scaling } };
    expect(() => new ModuleProduction('b', { ...args, services: catalog.services, module: scaled })).toThrow(
      'module "orders" scales: name in "metrics" who reads its load',
    );
    return program(released.image);
  });
});
