import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProblemsError } from '../../../catalog/problems';
import { topologyBoxes } from '../../../components/boxes';
import { growingVolumes, untilGrown } from '../../../operations/volumes';
import {
  type Growth,
  grown,
  growthFault,
  growthOf,
  progressOf,
  type Wanted,
  wantedClaims,
} from '../../../operations/volumes/growth';
import { modelOf, testModel } from '../../support/model';

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
    expect(await told(registry, there(registry[0], '100Gi', 'fast'))).toEqual([
      {
        ...{ role: 'ci', namespace: 'registry', claim: 'registry-storage' },
        ...{ file: 'stacks/Pulumi.test.yaml', key: 'config.registry.storage' },
        ...{ from: '100Gi', to: '200Gi', byEngine: true },
      },
    ]);
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

const growth = (from: string, to: string): Growth => ({
  ...{ role: 'production', namespace: 'prod-shop', claim: 'cache-data-cache-0' },
  ...{ file: 'catalog/modules/shop.yaml', key: 'services.0.storage', from, to, byEngine: false },
});

test('a volume grows where its class lets it, and nothing happens to one that is as large, however that is written', async () => {
  expect(await growing('20Gi', [claim('1Gi')])).toEqual([growth('1Gi', '20Gi')]);
  expect(grown(growth('1Gi', '20Gi'))).toEqual({
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

/** A claim whose volume has something else than it asks for. */
const having = (has: string, asked: string, status: object = {}) => ({
  ...claim(asked),
  status: { capacity: { storage: has }, ...status },
});

describe('a volume that did not get what was asked for', () => {
  const place = 'catalog/modules/shop.yaml: services.0.storage: ';

  it('is still to grow, whatever its class allows by now, and is let ask for less, but not for what it has', async () => {
    expect(await growing('20Gi', [having('1Gi', '20Gi')], false)).toEqual([growth('1Gi', '20Gi')]);
    expect(await growing('30Gi', [having('1Gi', '20Gi')])).toEqual([growth('1Gi', '30Gi')]);
    expect(await growing('2Gi', [having('1Gi', '20Gi')])).toEqual([growth('1Gi', '2Gi')]);
    expect(await refusal('1Gi', [having('1Gi', '20Gi')])).toBe(
      `${place}"1Gi" is what its volume has, but its claim asks for 20Gi, and Kubernetes takes that back only to more than 1Gi. Write a little more than 1Gi, which its driver has room for.`,
    );
    expect(await refusal('512Mi', [having('1Gi', '20Gi')])).toBe(
      `${place}"512Mi" is less than the 1Gi that its volume has, and no volume shrinks. Write 1Gi.`,
    );
  });

  it('is none where its driver gave more than that', async () => {
    expect(await growing('20Gi', [having('32Gi', '20Gi')])).toEqual([]);
    expect(await growing('24Gi', [having('32Gi', '20Gi')])).toEqual([growth('20Gi', '24Gi')]);
    expect(await refusal('10Gi', [having('32Gi', '20Gi')])).toContain('"10Gi" is less than the 20Gi');
  });
});

describe('what a claim says of its growth', () => {
  const error = (type: string, message: string, status = 'True') => ({
    conditions: [{ type, status, message }],
  });
  const refusing = (of: string, end = 'ControllerResizeInfeasible') => ({
    allocatedResources: { storage: of },
    allocatedResourceStatuses: { storage: end },
  });

  it('is done with what was asked for, however that is written, or more', () => {
    expect(progressOf(having('20Gi', '20Gi'), '20Gi').done).toBe(true);
    expect(progressOf(having('20480Mi', '20Gi'), '20Gi').done).toBe(true);
    expect(progressOf(having('21Gi', '20Gi'), '20Gi').done).toBe(true);
    expect(progressOf(having('19Gi', '20Gi'), '20Gi').done).toBe(false);
    expect(progressOf(undefined, '20Gi')).toMatchObject({ done: false, said: 'it is not there' });
    expect(progressOf(claim('20Gi'), '20Gi').done).toBe(false);
  });

  it('is its words, while they hold', () => {
    const said = (status: object): string => progressOf(having('1Gi', '20Gi', status), '20Gi').said;
    expect(said(error('ControllerResizeError', 'no room'))).toBe('no room');
    expect(said(error('FileSystemResizePending', 'start a Pod'))).toBe('start a Pod');
    expect(said(error('ControllerResizeError', 'no room', 'False'))).toBe('');
    expect(said(error('Resizing', 'under way'))).toBe('');
  });

  it('is a refusal of this very size only', () => {
    const refused = (status: object): boolean => progressOf(having('1Gi', '20Gi', status), '20Gi').refused;
    expect(refused(refusing('20Gi'))).toBe(true);
    expect(refused(refusing('20480Mi', 'NodeResizeInfeasible'))).toBe(true);
    expect(refused(refusing('30Gi'))).toBe(false);
    expect(refused(refusing('20Gi', 'ControllerResizeInProgress'))).toBe(false);
  });

  it('is told with its place and the remedy', () => {
    const status = { ...refusing('20Gi'), ...error('ControllerResizeError', 'no room') };
    const told = growthFault(growth('1Gi', '20Gi'), progressOf(having('1Gi', '20Gi', status), '20Gi'), 300);
    expect(told).toBe(
      'catalog/modules/shop.yaml: services.0.storage: volume prod-shop/cache-data-cache-0 has 1Gi and did not grow to 20Gi: its driver refuses (no room). What it holds is as it was. Give its class room, and say the same again; or write a size of more than 1Gi that it has room for.',
    );
    const slow = growthFault(growth('1Gi', '20Gi'), progressOf(having('1Gi', '20Gi'), '20Gi'), 300);
    expect(slow).toContain('did not grow to 20Gi: not within 300 s. What');
  });
});

/** Runs with clusters called so, whose API server answers as it is told. */
async function withClusters(
  names: readonly string[],
  answer: (path: string) => readonly [number, object],
  run: () => Promise<void>,
): Promise<void> {
  const server = createServer((request, response) => {
    const [status, body] = answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const before = process.env.KUBECONFIG;
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-growth-'));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env.KUBECONFIG = join(folder, 'kubeconfig');
  writeFileSync(
    process.env.KUBECONFIG,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: names.map((name) => ({ name, cluster: { server: url, 'insecure-skip-tls-verify': true } })),
      users: names.map((name) => ({ name, user: { token: 'a token' } })),
      contexts: names.map((name) => ({ name, context: { cluster: name, user: name } })),
    }),
  );
  try {
    await run();
  } finally {
    if (before === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = before;
    rmSync(folder, { recursive: true });
    server.close();
    server.closeAllConnections();
  }
}

test('volumes that could not be looked at are told, for each cluster', () =>
  withClusters(
    ['one', 'two'],
    () => [403, { kind: 'Status', message: 'you may not look' }],
    async () => {
      const notes: string[] = [];
      expect(await growingVolumes(testModel(), (text) => notes.push(text))).toEqual([]);
      expect(notes.sort()).toEqual(
        ['ci', 'production'].map((role) =>
          expect.stringMatching(
            new RegExp(
              `^Volumes of the cluster ${role} could not be looked at \\(.+\\): whether they can be`,
            ),
          ),
        ),
      );
    },
  ));

describe('volumes that grow', () => {
  const PATH = '/api/v1/namespaces/prod-shop/persistentvolumeclaims/cache-data-cache-0';
  const kind = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' };
  const resources = {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [{ name: 'persistentvolumeclaims', namespaced: true, kind: kind.kind, verbs: ['get'] }],
  };
  const { settings } = testModel();
  /** What is found wrong, given what the claim is like each time that it is asked for; the last for ever. */
  async function waited(
    claims: readonly object[],
    seconds: number,
  ): Promise<{ faults: string[]; asked: number }> {
    let asked = 0;
    let faults: string[] = [];
    await withClusters(
      ['one', 'two'],
      (path) => {
        if (!path.startsWith(PATH)) return [200, resources];
        asked += 1;
        return [200, { ...kind, ...claims[Math.min(asked, claims.length) - 1] }];
      },
      async () => {
        faults = await untilGrown(settings, [growth('1Gi', '20Gi')], { seconds, pollMs: 5 });
      },
    );
    return { faults, asked };
  }

  it('are waited for until they have what was asked for', async () => {
    const small = having('1Gi', '20Gi');
    expect(await waited([small, small, having('20Gi', '20Gi')], 60)).toEqual({ faults: [], asked: 3 });
  });

  it('are waited for no longer when their driver refuses', async () => {
    const status = {
      allocatedResources: { storage: '20Gi' },
      allocatedResourceStatuses: { storage: 'ControllerResizeInfeasible' },
    };
    const { faults, asked } = await waited([having('1Gi', '20Gi'), having('1Gi', '20Gi', status)], 60);
    expect(faults).toEqual([expect.stringContaining('did not grow to 20Gi: its driver refuses.')]);
    expect(asked).toBe(2);
  });

  it('are told when it takes too long', async () => {
    const { faults } = await waited([having('1Gi', '20Gi')], 0.05);
    expect(faults).toEqual([expect.stringContaining('did not grow to 20Gi: not within 0.05 s.')]);
  });
});
