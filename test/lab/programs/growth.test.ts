import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PatchStrategy, StorageV1Api, setHeaderOptions } from '@kubernetes/client-node';
import type { Model } from '../../../components/model';
import { sleep } from '../../../lab/machine/process';
import { clusterOf } from '../../../operations/outside/clients';
import { growingVolumes } from '../../../operations/volumes';
import { grown, type growthOf, type Wanted, wantedClaims } from '../../../operations/volumes/growth';
import { modelOf } from '../../support/model';
import { type HollowCluster, startHollowCluster } from './hollow-cluster';

// Volumes before a real API server, with its admission: what it lets grow is let, and what it would refuse in the middle of
// an `up` is refused before.

jest.setTimeout(600_000);

const KUBECONFIG = process.env.KUBECONFIG;
let folder: string;
let cluster: HollowCluster;

/** The topology with the sizes and the class that its files say. */
const modelWith = ({ service = '1Gi', registry = '10Gi', home = '5Gi', registryClass = 'grows' }): Model => {
  const model = modelOf({
    clusters: 'ci: { context: growing }, production: { context: growing }',
    registry: `storage: ${registry}, storageClass: ${registryClass}`,
    jenkins: `storage: ${home}`,
  });
  const modules = model.modules.map((module) => ({
    ...module,
    services: module.services.map((use) => ({ ...use, storage: service })),
  }));
  return { ...model, modules };
};
const CLAIMS = { registry: 'registry-storage', home: 'jenkins-home', service: 'cache-data-cache-0' } as const;
const found = (model: Model, claim: string): Wanted => {
  const wanted = wantedClaims(model).find((one) => one.claim === claim);
  if (!wanted) throw new Error(`the topology has no ${claim}`);
  return wanted;
};

const sizeOf = async ({ namespace, claim: name }: Wanted): Promise<string | undefined> =>
  (await cluster.core.readNamespacedPersistentVolumeClaim({ namespace, name })).spec?.resources?.requests
    ?.storage;
/** What the engine sends of a claim that the topology declares. */
const sized = (one: Wanted, storage: string) =>
  cluster.core.patchNamespacedPersistentVolumeClaim(
    { namespace: one.namespace, name: one.claim, body: { spec: { resources: { requests: { storage } } } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  );
/** What a driver and the kubelet write when a volume has become larger. */
async function given({ namespace, claim: name }: Wanted, storage: string): Promise<void> {
  const bound = await cluster.core.readNamespacedPersistentVolumeClaim({ namespace, name });
  bound.status = { ...bound.status, capacity: { storage } };
  await cluster.core.replaceNamespacedPersistentVolumeClaimStatus({ namespace, name, body: bound });
}
const looked = async (model: Model) => {
  const notes: string[] = [];
  const growing = await growingVolumes(model, (text) => notes.push(text)).catch(
    (error: Error) => error.message,
  );
  return { growing, notes };
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-growth-'));
  cluster = await startHollowCluster('growing', folder);
  process.env.KUBECONFIG = join(folder, 'growing', 'kubeconfig');
  const storage = cluster.kubeconfig.makeApiClient(StorageV1Api);
  // The one that the cluster takes where a claim names none does not grow.
  for (const [name, allowVolumeExpansion] of [
    ['grows', true],
    ['stays', false],
  ] as const)
    await storage.createStorageClass({
      body: {
        metadata: {
          name,
          annotations: { 'storageclass.kubernetes.io/is-default-class': String(name === 'stays') },
        },
        provisioner: 'switchyard.dev/none',
        allowVolumeExpansion,
      },
    });
  const model = modelWith({});
  for (const namespace of new Set(wantedClaims(model).map((one) => one.namespace)))
    await cluster.core.createNamespace({ body: { metadata: { name: namespace } } });
  for (const claim of Object.values(CLAIMS)) {
    const one = found(model, claim);
    const { namespace } = one;
    const storageClassName = claim === CLAIMS.service ? 'grows' : one.declared?.storageClass;
    await cluster.core.createNamespacedPersistentVolumeClaim({
      namespace,
      body: {
        metadata: { name: claim, labels: { 'app.kubernetes.io/component': 'service' } },
        spec: {
          accessModes: ['ReadWriteOnce'],
          ...(storageClassName ? { storageClassName } : {}),
          resources: { requests: { storage: one.storage } },
        },
      },
    });
    const phase = async () =>
      (await cluster.core.readNamespacedPersistentVolumeClaim({ namespace, name: claim })).status?.phase;
    while ((await phase()) !== 'Bound') await sleep(250);
  }
});

afterAll(async () => {
  await cluster?.stop();
  if (KUBECONFIG === undefined) delete process.env.KUBECONFIG;
  else process.env.KUBECONFIG = KUBECONFIG;
  if (folder) rmSync(folder, { recursive: true, force: true });
});

test('what the files say already changes nothing, also of a class that the cluster chose', async () => {
  expect(await looked(modelWith({}))).toEqual({ growing: [], notes: [] });
});

test('a service’s volume grows by what `up` sends, and one that is declared by what the engine sends', async () => {
  const model = modelWith({ service: '20Gi', registry: '30Gi' });
  const [service, registry] = [found(model, CLAIMS.service), found(model, CLAIMS.registry)];
  const { growing, notes } = await looked(model);
  const both = [
    expect.objectContaining({ claim: CLAIMS.registry, from: '10Gi', to: '30Gi', byEngine: true }),
    expect.objectContaining({ claim: CLAIMS.service, from: '1Gi', to: '20Gi', byEngine: false }),
  ];
  expect({ growing, notes }).toEqual({ growing: both, notes: [] });
  for (const one of growing as Awaited<ReturnType<typeof growthOf>>)
    if (!one.byEngine) await clusterOf(model.settings, one.role).patch({ ...grown(one) });
  expect(await sizeOf(service)).toBe('20Gi');
  await sized(registry, registry.storage);
  expect(await sizeOf(registry)).toBe('30Gi');
  // They are asked for now, and no driver has made them larger.
  expect(await looked(model)).toEqual({ growing: both, notes: [] });
});

test('what no driver gave is taken back to more than there is, and no further', async () => {
  const model = modelWith({ service: '2Gi', registry: '30Gi' });
  const service = found(model, CLAIMS.service);
  expect((await looked(modelWith({ service: '1Gi', registry: '30Gi' }))).growing).toContain(
    '"1Gi" is what its volume has, but its claim asks for 20Gi, and Kubernetes takes that back only to more than 1Gi.',
  );
  await expect(sized(service, '1Gi')).rejects.toMatchObject({ code: 422 });
  const { growing } = await looked(model);
  for (const one of growing as Awaited<ReturnType<typeof growthOf>>)
    if (!one.byEngine) await clusterOf(model.settings, one.role).patch({ ...grown(one) });
  expect(await sizeOf(service)).toBe('2Gi');
  await given(service, '2Gi');
  await given(found(model, CLAIMS.registry), '30Gi');
  expect(await looked(model)).toEqual({ growing: [], notes: [] });
});

test('what Kubernetes would refuse is refused before, with the remedy', async () => {
  const smaller = modelWith({ service: '2Gi', registry: '20Gi' });
  const registry = found(smaller, CLAIMS.registry);
  await expect(sized(registry, '20Gi')).rejects.toMatchObject({ code: 422 });
  expect((await looked(smaller)).growing).toContain(
    'config.registry.storage: "20Gi" is less than the 30Gi that its volume has, and no volume shrinks. Write 30Gi.',
  );
  const larger = modelWith({ service: '2Gi', registry: '30Gi', home: '50Gi' });
  await expect(sized(found(larger, CLAIMS.home), '50Gi')).rejects.toMatchObject({ code: 403 });
  expect((await looked(larger)).growing).toContain(
    'config.jenkins.storage: "50Gi" is more than the 5Gi that its volume has, and its class "stays" lets no volume grow.',
  );
});

test('a claim that would be made anew is refused: of another class, and of none where one was written', async () => {
  const sizes = { service: '2Gi', registry: '30Gi' };
  const place = 'stacks/Pulumi.test.yaml: config.registry.storageClass: ';
  const other = modelWith({ ...sizes, registryClass: 'stays' });
  expect((await looked(other)).growing).toContain(`${place}"stays" is not the class "grows" that the volume`);
  const { storageClass: _class, ...registry } = other.settings.registry;
  const without = { ...other, settings: { ...other.settings, registry } };
  expect((await looked(without)).growing).toContain(`${place}is not there any more, and the volume`);
});
