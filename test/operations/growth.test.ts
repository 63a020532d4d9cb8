import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import { grown, growthOf, type Wanted, wantedClaims } from '../../operations/growth';
import { growingVolumes } from '../../operations/volumes';
import { modelOf, testModel } from '../support/model';

const wanted = (storage: string): Wanted[] => [
  {
    role: 'production',
    namespace: 'prod-shop',
    claim: 'cache-data-cache-0',
    storage,
    file: 'catalog/modules/shop.yaml',
    key: 'services.0.storage',
  },
];
const claim = (storage: string, storageClassName: string | undefined = 'fast') => ({
  metadata: { name: 'cache-data-cache-0', namespace: 'prod-shop' },
  spec: { storageClassName, resources: { requests: { storage } } },
});
const growing = (storage: string, claims: readonly unknown[], expands = true) =>
  growthOf(wanted(storage), { claimOf: () => claims[0], expandable: async () => expands });
const refusal = async (...given: Parameters<typeof growing>): Promise<string> => {
  const error: unknown = await growing(...given).catch((thrown: unknown) => thrown);
  return error instanceof ProblemsError ? error.message : '';
};

test('the claims are those that the StatefulSets make', () => {
  const model = testModel();
  const sets = topologyBoxes(model).flatMap(({ declarations }) =>
    declarations.filter(
      ({ type, provider }) => type === 'kubernetes:apps/v1:StatefulSet' && provider === 'production',
    ),
  );
  const made = sets.map(({ args }) => {
    const { metadata, spec } = args as {
      metadata: { name: string; namespace: string };
      spec: { volumeClaimTemplates: { metadata: { name: string } }[] };
    };
    return `${metadata.namespace}/${spec.volumeClaimTemplates[0]?.metadata.name}-${metadata.name}-0`;
  });
  const others = wantedClaims(model).filter(({ declared }) => !declared);
  expect(others.map(({ namespace, claim: name }) => `${namespace}/${name}`)).toEqual(made);
});

describe('a claim that the topology declares', () => {
  const all = modelOf({
    registry: 'storage: 200Gi, storageClass: fast',
    backup: 'repository: /backup/copies, claim: { storage: 5Gi }',
    clusters: 'ci: { context: one }, production: { context: one }',
  });
  const declared = wantedClaims(all).filter((one) => one.declared);

  it('is looked at, each with the place of its size and its class', () => {
    const made = topologyBoxes(all).flatMap(({ declarations }) =>
      declarations.flatMap(({ type, args }) =>
        type === 'kubernetes:core/v1:PersistentVolumeClaim'
          ? [(args as { metadata: { name: string } }).metadata.name]
          : [],
      ),
    );
    expect(declared.map(({ claim: name }) => name)).toEqual(made);
    expect(
      declared.map(({ claim: name, role, storage, key, declared: by }) => [name, role, storage, key, by]),
    ).toEqual([
      [
        'registry-storage',
        'ci',
        '200Gi',
        'config.registry.storage',
        { storageClass: 'fast', key: 'config.registry.storageClass' },
      ],
      [
        'jenkins-home',
        'ci',
        '20Gi',
        'config.jenkins.storage',
        { storageClass: undefined, key: 'config.jenkins.storageClass' },
      ],
      [
        'backup',
        'ci',
        '5Gi',
        'config.backup.claim.storage',
        { storageClass: undefined, key: 'config.backup.claim.storageClass' },
      ],
    ]);
  });

  const registry = declared.slice(0, 1);
  const jenkins = declared.slice(1, 2);
  const there = (one: Wanted | undefined, storage: string, storageClassName: string, manager?: string) => ({
    metadata: {
      name: one?.claim,
      namespace: one?.namespace,
      managedFields: manager ? [{ manager, fieldsV1: { 'f:spec': { 'f:storageClassName': {} } } }] : [],
    },
    spec: { storageClassName, resources: { requests: { storage } } },
  });
  const told = (of: readonly Wanted[], found: unknown, expands = true): Promise<unknown> =>
    growthOf(of, { claimOf: () => found, expandable: async () => expands }).catch(
      (error: Error) => error.message,
    );
  const place = 'stacks/Pulumi.test.yaml: config.';

  it('grows by the engine, and is refused where it cannot, before anything is changed', async () => {
    expect(await told(registry, there(registry[0], '100Gi', 'fast'))).toEqual([]);
    expect(await told(registry, undefined)).toEqual([]);
    expect(await told(registry, there(registry[0], '100Gi', 'fast'), false)).toBe(
      `${place}registry.storage: "200Gi" is more than the 100Gi that its volume has, and its class "fast" lets no volume grow. Set allowVolumeExpansion on the class if its driver can; else write 100Gi, or copy what it holds, delete the claim by hand, and copy it back.`,
    );
    expect(await told(registry, there(registry[0], '300Gi', 'fast'))).toBe(
      `${place}registry.storage: "200Gi" is less than the 300Gi that its volume has, and no volume shrinks. Write 300Gi.`,
    );
  });

  it('keeps its class: another one, or none where one was written, would make it anew and empty', async () => {
    expect(await told(registry, there(registry[0], '200Gi', 'slow'))).toContain(
      `${place}registry.storageClass: "fast" is not the class "slow" that the volume of registry/registry-storage has`,
    );
    expect(await told(jenkins, there(jenkins[0], '20Gi', 'slow', 'pulumi-kubernetes'))).toBe(
      `${place}jenkins.storageClass: is not there any more, and the volume of ci/jenkins-home has the class "slow": the claim would be made anew, without what it holds. Write slow. For another class copy what it holds, delete the claim by hand, and copy it back.`,
    );
    // The cluster chose it, at once or later.
    expect(await told(jenkins, there(jenkins[0], '20Gi', 'slow'))).toEqual([]);
    expect(await told(jenkins, there(jenkins[0], '20Gi', 'slow', 'kube-controller-manager'))).toEqual([]);
  });
});

test('a volume grows where its class lets it, and nothing happens to one that is as large, however that is written', async () => {
  const found = { namespace: 'prod-shop', claim: 'cache-data-cache-0', from: '1Gi', to: '20Gi' };
  expect(await growing('20Gi', [claim('1Gi')])).toEqual([found]);
  expect(grown(found)).toEqual({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'prod-shop', name: 'cache-data-cache-0' },
    spec: { resources: { requests: { storage: '20Gi' } } },
  });
  expect(await growing('1Gi', [claim('1024Mi')])).toEqual([]);
  expect(await growing('1Gi', [])).toEqual([]);
});

test('one that cannot grow is refused with the remedy, and one that would shrink', async () => {
  const place = 'catalog/modules/shop.yaml: services.0.storage: ';
  expect(await refusal('20Gi', [claim('1Gi')], false)).toBe(
    `${place}"20Gi" is more than the 1Gi that its volume has, and its class "fast" lets no volume grow. Set allowVolumeExpansion on the class if its driver can; else write 1Gi, or move the data to a new instance of another "name" by its backup.`,
  );
  expect(await refusal('1Gi', [claim('20Gi')])).toBe(
    `${place}"1Gi" is less than the 20Gi that its volume has, and no volume shrinks. Write 20Gi.`,
  );
});

test('volumes that could not be looked at are told, for each cluster', async () => {
  const server = createServer((_request, answer) => {
    answer.writeHead(403, { 'content-type': 'application/json' });
    answer.end(JSON.stringify({ kind: 'Status', message: 'you may not look' }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const before = process.env.KUBECONFIG;
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-growth-'));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const named = (name: string) => ({
    clusters: { name, cluster: { server: url, 'insecure-skip-tls-verify': true } },
    users: { name, user: { token: 'a token' } },
    contexts: { name, context: { cluster: name, user: name } },
  });
  const [one, two] = ['one', 'two'].map(named);
  const of = (key: 'clusters' | 'users' | 'contexts') => [one?.[key], two?.[key]];
  process.env.KUBECONFIG = join(folder, 'kubeconfig');
  writeFileSync(
    process.env.KUBECONFIG,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: of('clusters'),
      users: of('users'),
      contexts: of('contexts'),
    }),
  );
  try {
    const notes: string[] = [];
    expect(await growingVolumes(testModel(), (text) => notes.push(text))).toEqual([]);
    expect(notes.sort()).toEqual(
      ['ci', 'production'].map((role) =>
        expect.stringMatching(
          new RegExp(`^Volumes of the cluster ${role} could not be looked at \\(.+\\): whether they can be`),
        ),
      ),
    );
  } finally {
    if (before === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = before;
    rmSync(folder, { recursive: true });
    server.close();
    server.closeAllConnections();
  }
});
