import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { findModule, parseCatalog } from '../../catalog/load';
import { Autoscaling } from '../../components/autoscaling/autoscaling';
import { Production } from '../../components/production/production';
import { IN_PLACE } from '../../components/shared/in-place';
import { Testing } from '../../components/testing/testing';
import { catalogTexts } from '../support/model';
import { registeredBy, secretTexts } from '../support/registered';

// What modules share, each by itself, as docs/components/testing.md and production.md begin.

const SEED = 'a seed for tests, long enough to be one';
const DELIVERY = `harbor.test/delivery@sha256:${'a'.repeat(64)}`;
const cluster = () => new k8s.Provider('cluster', { context: 'somewhere', ...IN_PLACE });

test('the job that cleans up after tests: its namespace, its account, its schedule', async () => {
  let made: Testing | undefined;
  const registered = await registeredBy(() => {
    made = new Testing(
      'testing',
      {
        environment: 'staging',
        namespace: 'ci-reaper',
        testNamespaces: ['test-orders', 'test-billing'],
        deliveryImage: pulumi.output(DELIVERY),
        registry: { address: 'harbor.test', pull: { user: 'robot', password: pulumi.secret('hunter2') } },
        seed: pulumi.secret(SEED),
      },
      { provider: cluster() },
    );
    return made;
  });
  expect(made?.reaper).toEqual({ name: 'reaper', namespace: 'ci-reaper' });
  const of = (type: string) => registered.filter((one) => one.type.endsWith(`:${type}`));
  expect(of('ServiceAccount').map(({ inputs }) => inputs.metadata)).toContainEqual(
    expect.objectContaining(made?.reaper),
  );
  const [job] = of('CronJob');
  expect(job?.parent).toMatch(/switchyard:testing:Testing::testing$/);
  expect(job?.provider).toContain('cluster');
  expect(job?.inputs).toMatchObject({
    metadata: { namespace: 'ci-reaper' },
    spec: {
      schedule: '*/15 * * * *',
      jobTemplate: {
        spec: {
          template: {
            spec: {
              serviceAccountName: 'reaper',
              containers: [
                { image: DELIVERY, command: expect.arrayContaining(['reap', 'test-orders', 'test-billing']) },
              ],
            },
          },
        },
      },
    },
  });
  expect(secretTexts(registered, 'reaper-pull')['.dockerconfigjson']).toContain(
    Buffer.from('robot:hunter2').toString('base64'),
  );
  const ports = JSON.stringify(of('NetworkPolicy').map(({ inputs }) => inputs));
  for (const port of [443, 6443]) expect(ports).toContain(`"port":${port}`);
});

test("the rank of production's Pods", async () => {
  let made: Production | undefined;
  const registered = await registeredBy(() => {
    made = new Production(
      'production',
      { environment: 'staging', priorityClass: 'important', seed: pulumi.secret(SEED) },
      { provider: cluster() },
    );
    return made;
  });
  expect(made?.priorityClass).toBe('important');
  expect(registered.find(({ name }) => name === 'production-priority')?.inputs).toMatchObject({
    metadata: { name: 'important' },
    preemptionPolicy: 'Never',
  });
});

test('what autoscalers ask: a certificate of its own seed, and the modules that scale', async () => {
  const { modules } = parseCatalog({
    ...catalogTexts,
    modules: {
      'orders.yaml':
        'description: takes orders\nowners: [ada]\nproduction: { scaling: { qps: 50, min: 2, max: 20 } }\n',
    },
  });
  const module = findModule({ modules, services: {} }, 'orders');
  let made: Autoscaling | undefined;
  const registered = (seed: string) =>
    registeredBy(() => {
      made = new Autoscaling(
        'autoscaling',
        {
          environment: 'production',
          namespace: 'autoscaling',
          modules: [{ module, namespace: 'orders' }],
          seed: pulumi.secret(seed),
        },
        { provider: cluster() },
      );
      return made;
    });
  const all = await registered(SEED);
  expect(made?.reader).toEqual({ namespace: 'autoscaling' });
  expect(JSON.stringify(all.map(({ inputs }) => inputs))).toContain('orders');
  const secret = all.find(
    ({ type, inputs }) => type.endsWith(':Secret') && JSON.stringify(inputs).includes('tls.key'),
  );
  const key = secretTexts(all, secret?.name ?? '')['tls.key'];
  expect(key).toContain('PRIVATE KEY');
  expect(secretTexts(await registered(`${SEED}, and another`), secret?.name ?? '')['tls.key']).not.toBe(key);
});
