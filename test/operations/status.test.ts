import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCatalog } from '../../catalog/load';
import { METRIC } from '../../components/autoscaling/module';
import type { Kind } from '../../delivery/backup/snapshots';
import { BLIND, SEES } from '../../delivery/reconcile/words';
import { EXIT } from '../../operations/refusal';
import { jobOf, lastBuildUrl, readStatus, type Sources, workloadOf } from '../../operations/status/read';
import { statusDocument, statusLines, statusOutcome, verdict } from '../../operations/status/tell';
import { parseStack } from '../../stacks/load';
import { catalogTexts, modelOf, released, root, stackText, testModel } from '../support/model';

const release = { ...released, mergeRequest: 7, build: 'https://jenkins.test/job/9/' };

const workload = (
  kind: { name: string; component: string },
  image: string,
  status: Record<string, number> = { readyReplicas: 2, updatedReplicas: 2 },
) => ({
  metadata: {
    name: kind.name,
    labels: { 'switchyard.dev/module': 'shop', 'app.kubernetes.io/component': kind.component },
  },
  spec: { replicas: 2, template: { spec: { containers: [{ image }] } } },
  status,
});
const shop = (image: string, status?: Record<string, number>) =>
  workload({ name: 'shop', component: 'module' }, image, status);

const sources = (overrides: Partial<Sources> = {}): Sources => ({
  ledger: async () => ({ modules: { shop: release } }),
  workloads: async (kind) =>
    kind === 'Deployment'
      ? [shop(released.image)]
      : [
          workload({ name: 'cache', component: 'service' }, 'cache:1.0', {
            readyReplicas: 1,
            updatedReplicas: 1,
          }),
        ],
  reload: async () => '2026-11-30T00:00:00Z configuration reloaded\n',
  reconciler: async () => 'switchyard/shop: started shop for 0123456789ab: no build\n',
  lastBuild: async () => ({ number: 12, result: 'SUCCESS', timestamp: 0, url: 'https://jenkins.test/12/' }),
  autoscalers: async () => {
    throw new Error('nobody asks where nothing scales');
  },
  backups: async () => {
    throw new Error('nobody asks where none are made');
  },
  backupJobs: async () => {
    throw new Error('nobody asks where none are made');
  },
  ...overrides,
});

test('a module is told with its release, its Pods, its services and its last job', async () => {
  const facts = await readStatus(testModel(), sources());
  expect(statusLines(facts)).toEqual([
    'module  state        pods  released                 mr  services   last job',
    'shop    as released  2/2   aaaaaaaaaaaa bbbbbbbbbb  !7  cache 1/2  #12 SUCCESS 1970-01-01T00:00:00.000Z',
    'no backups are made: the stack has no switchyard:backup',
    'status of test: 1 of 1 modules run as released',
  ]);
  expect(statusDocument(facts)).toMatchObject({
    modules: [{ name: 'shop', state: 'as released', released: release, running: { ready: 2, desired: 2 } }],
    problems: [],
  });
});

test.each([
  ['as released', release, { image: release.image, ready: 2, desired: 2 }],
  ['rolling out', release, { image: release.image, ready: 1, desired: 2 }],
  ['rolling out', release, { image: release.image, ready: 0, desired: 0 }],
  ['another image', release, { image: 'other', ready: 2, desired: 2 }],
  ['not running', release, undefined],
  ['not released', undefined, undefined],
  ['not in the ledger', undefined, { image: 'other', ready: 2, desired: 2 }],
])('%s', (expected, ledger, running) => {
  const facts = { name: 'shop', released: ledger, running, services: {} };
  expect(verdict(facts, true)).toBe(expected);
  expect(verdict(facts, false)).toBe('unknown');
});

test('what was taken back is told with why, and what is held', async () => {
  const undone = {
    how: 'undone' as const,
    commit: 'c'.repeat(40),
    mergeRequest: 8,
    build: 'https://jenkins.test/job/10/',
    why: 'it did not get ready\u001b[2J',
  };
  const facts = await readStatus(
    testModel(),
    sources({
      ledger: async () => ({ modules: { shop: { ...release, hold: true } }, undone: { shop: undone } }),
    }),
  );
  expect(statusLines(facts).slice(2, 4)).toEqual([
    'shop: cccccccccc (!8) is undone: it did not get ready?[2J (https://jenkins.test/job/10/)',
    'shop: bbbbbbbbbb is held: what is merged does not take its place',
  ]);
  expect(statusDocument(facts)).toMatchObject({ modules: [{ undone, released: { hold: true } }] });
});

test.each([
  ['Jenkins refuses the configuration, and may have taken a part of it; its log says why', false],
  ['waiting for Jenkins to answer', false],
  ['configuration reloaded', true],
])("the last word about Jenkins' configuration: %s", async (word, loaded) => {
  const log = `2026-11-29T00:00:00Z configuration reloaded\n2026-11-30T00:00:00Z ${word}\n`;
  const facts = await readStatus(testModel(), sources({ reload: async () => log }));
  expect(statusLines(facts).slice(3, -1)).toEqual(
    loaded ? [] : [`Jenkins' configuration since 2026-11-30T00:00:00Z: ${word}`],
  );
  expect(statusDocument(facts)).toMatchObject({ reload: { at: '2026-11-30T00:00:00Z', word, loaded } });
  // The words are those of the script that runs in the Pod.
  expect(readFileSync(join(root, 'components/jenkins/image/reload-casc.sh'), 'utf8')).toContain(`'${word}'`);
});

const REFUSED =
  'Jenkins: queue/api/json answered 401: "switchyard" may not read it, or has another token by now.';

test('a reconciler that cannot look is told, until it can', async () => {
  const failing = `switchyard/shop: ${BLIND}: ${REFUSED}`;
  const factsOf = (...lines: string[]) =>
    readStatus(testModel(), sources({ reconciler: async () => `${lines.join('\n')}\n` }));
  const blind = await factsOf(SEES, failing, 'switchyard/shop: started shop for 0123456789ab: no build');
  expect(statusLines(blind).slice(3, -1)).toEqual([
    `the reconciler cannot look: switchyard/shop: ${REFUSED}`,
  ]);
  expect(statusDocument(blind)).toMatchObject({ blind: `switchyard/shop: ${REFUSED}` });
  const seeing = await factsOf(failing, SEES);
  expect(statusLines(seeing).slice(3, -1)).toEqual([]);
  expect(statusDocument(seeing)).toMatchObject({ blind: null });
});

test('where none runs nobody asks what it says', async () => {
  const asked = jest.fn(async () => 'x');
  const model = modelOf({ jenkins: 'existing: { namespace: jenkins, serviceAccount: jenkins }' });
  await readStatus(model, sources({ reconciler: asked }));
  expect(asked).not.toHaveBeenCalled();
});

test("a Jenkins that is not there, or is somebody else's, has said nothing about its configuration", async () => {
  const silent = await readStatus(testModel(), sources({ reload: async () => undefined }));
  expect([silent.reload, silent.problems]).toEqual([undefined, []]);
  const noted = await readStatus(testModel(), sources({ reload: async () => 'curl: (7) \n' }));
  expect(noted.reload).toBeUndefined();
  const existing = modelOf({ jenkins: 'existing: { namespace: jenkins, serviceAccount: jenkins }' });
  const asked = jest.fn(async () => 'x');
  expect(statusDocument(await readStatus(existing, sources({ reload: asked })))).toMatchObject({
    reload: null,
  });
  expect(asked).not.toHaveBeenCalled();
});

test('who scaled a workload by its scale subresource stands beside its Pods', async () => {
  const scaled = {
    ...shop(released.image, { readyReplicas: 5, updatedReplicas: 5 }),
    spec: { replicas: 5, template: { spec: { containers: [{ image: released.image }] } } },
  };
  // As an API server of Kubernetes 1.37 has it after `kubectl scale`.
  const managedFields = [
    {
      manager: 'pulumi-kubernetes-1',
      operation: 'Apply',
      time: '2026-11-30T00:00:00Z',
      fieldsV1: { 'f:spec': { 'f:template': {} } },
    },
    {
      manager: 'kube-controller-manager',
      operation: 'Update',
      subresource: 'status',
      time: '2026-11-30T00:05:00Z',
      fieldsV1: { 'f:status': { 'f:readyReplicas': {} } },
    },
    {
      manager: 'kubectl',
      operation: 'Update',
      subresource: 'scale',
      fieldsV1: { 'f:spec': { 'f:replicas': {} } },
    },
  ];
  const found = { ...scaled, metadata: { ...scaled.metadata, managedFields } };
  const facts = await readStatus(
    testModel(),
    sources({ workloads: async (kind) => (kind === 'Deployment' ? [found] : []) }),
  );
  expect(statusLines(facts)[1]).toMatch(/^shop {4}as released {2}5\/5 \(scaled by kubectl\) /);
  expect(statusDocument(facts)).toMatchObject({
    modules: [{ running: { desired: 5, scaledBy: 'kubectl' } }],
  });
});

test('which secrets have another version is told, and what to do about a rotation that has not ended', async () => {
  const facts = await readStatus(
    testModel({
      settings: parseStack(
        `${stackText}  switchyard:secrets: { versions: { service/shop/cache: 2, backup/key: 3 }, rotating: [service/shop/cache] }\n`,
        'stacks/Pulumi.test.yaml',
        'test',
      ),
    }),
    sources(),
  );
  expect(statusLines(facts).slice(3, -1)).toEqual([
    'secret              version  state',
    'backup/key          3        in use',
    'service/shop/cache  2        rotating',
    'a rotation has not ended: say switchyard rotate test --purpose service/shop/cache',
  ]);
  expect(statusDocument(facts)).toMatchObject({
    secrets: { versions: { 'service/shop/cache': 2, 'backup/key': 3 }, rotating: ['service/shop/cache'] },
  });
});

test('Pods of the release before do not count as ready', () => {
  expect(workloadOf(shop('a', { readyReplicas: 2, updatedReplicas: 1 }))?.running).toEqual({
    image: 'a',
    ready: 1,
    desired: 2,
  });
  expect(workloadOf(shop('a', {}))?.running.ready).toBe(0);
  expect(workloadOf({ kind: 'Secret' })).toBeUndefined();
});

test('what cannot be read is named, and hides nothing else', async () => {
  const down = (what: string) => () => Promise.reject(new Error(`${what} is down\nwith a trace`));
  const facts = await readStatus(testModel(), sources({ workloads: down('cluster') }));
  expect(facts.problems).toEqual(['the production cluster (cluster is down)']);
  const lines = statusLines(facts);
  expect(lines[1]).toMatch(/^shop +unknown +- +aaaaaaaaaaaa .*#12 SUCCESS/);
  expect(lines).toContain('could not be read: the production cluster (cluster is down)');
  const nothing = await readStatus(
    testModel(),
    sources({ ledger: down('GitLab'), workloads: down('cluster'), lastBuild: down('Jenkins') }),
  );
  expect(nothing.problems).toHaveLength(3);
});

test('what could not be read is an exit code of its own, whatever else was told; a bad state that was read is none', async () => {
  const down = () => Promise.reject(new Error('down'));
  const codeOf = async (overrides: Partial<Sources>) =>
    statusOutcome(await readStatus(testModel(), sources(overrides))).exitCode;
  expect(await codeOf({})).toBe(0);
  expect(await codeOf({ workloads: async () => [] })).toBe(0);
  expect(await codeOf({ lastBuild: async () => undefined })).toBe(0);
  for (const source of ['ledger', 'workloads', 'lastBuild'] as const) {
    expect(await codeOf({ [source]: down })).toBe(EXIT.unread);
  }
  const outcome = statusOutcome(await readStatus(testModel(), sources({ ledger: down })));
  expect(outcome.document).toMatchObject({ problems: ['the release ledger (down)'] });
  expect(outcome.lines).toContain('could not be read: the release ledger (down)');
});

test('a job that never ran is none, one that runs says so', () => {
  expect(jobOf(undefined)).toBeUndefined();
  expect(jobOf({ number: 3, result: null, timestamp: 0 })).toMatchObject({ number: 3, result: 'RUNNING' });
});

describe('backups', () => {
  const model = modelOf({
    clusters: 'ci: { context: one }, production: { context: one }',
    backup: 'repository: "s3:https://s3.test/bucket", maximumAgeHours: 2',
  });
  const NOW = 1_790_000_000;
  const success = (kind: Kind, hours: number) => ({ id: `${kind}${hours}`, kind, time: NOW - hours * 3600 });
  const job = (
    hours: number,
    condition: string,
    command = ['delivery', 'backup', '--kind', 'databases', '--kind', 'jenkins'],
  ) => ({
    spec: { template: { spec: { containers: [{ command }] } } },
    status: {
      startTime: new Date((NOW - hours * 3600) * 1000).toISOString(),
      conditions: [{ type: condition, status: 'True' }],
    },
  });

  test('each kind is told with its last success, its age, and whether it is late or failed', async () => {
    const facts = await readStatus(
      model,
      sources({
        backups: async () => ({
          snapshots: [],
          successes: [
            success('repositories', 9),
            success('repositories', 1.25),
            success('registry', 2.5),
            success('databases', 1.5),
            success('jenkins', 0.5),
          ],
        }),
        backupJobs: async () => [job(1, 'Failed'), job(3, 'Complete')],
      }),
      NOW,
    );
    const at = (hours: number) => new Date((NOW - hours * 3600) * 1000).toISOString();
    expect(facts.backups).toEqual([
      { kind: 'repositories', state: 'fresh', last: at(1.25), ageHours: 1.3 },
      { kind: 'registry', state: 'late', last: at(2.5), ageHours: 2.5 },
      { kind: 'databases', state: 'failed', last: at(1.5), ageHours: 1.5 },
      { kind: 'jenkins', state: 'fresh', last: at(0.5), ageHours: 0.5 },
      { kind: 'state', state: 'never' },
    ]);
    expect(statusLines(facts).slice(2, -1)).toEqual([
      'backup        state   last success              age',
      `repositories  fresh   ${at(1.25)}  1.3 h`,
      `registry      late    ${at(2.5)}  2.5 h`,
      `databases     failed  ${at(1.5)}  1.5 h`,
      `jenkins       fresh   ${at(0.5)}  0.5 h`,
      'state         never   -                         -',
    ]);
    expect(statusDocument(facts).backups).toEqual(facts.backups);
  });

  test('a failed run after which another one succeeded is over, and so is reading back', async () => {
    const facts = await readStatus(
      model,
      sources({
        backups: async () => ({ snapshots: [], successes: [success('databases', 1)] }),
        backupJobs: async () => [
          job(2, 'Failed'),
          job(1.5, 'Complete'),
          job(0.1, 'Failed', ['delivery', 'backup-verify']),
        ],
      }),
      NOW,
    );
    expect(facts.backups).toContainEqual(expect.objectContaining({ kind: 'databases', state: 'fresh' }));
  });

  test('a repository that cannot be read hides nothing else', async () => {
    const facts = await readStatus(
      model,
      sources({
        backups: async () => {
          throw new Error('SWITCHYARD_SEED is not set');
        },
        backupJobs: async () => [],
      }),
      NOW,
    );
    expect(facts.problems).toEqual(['the backups (SWITCHYARD_SEED is not set)']);
    expect(facts.complete).toBe(true);
    expect(statusDocument(facts).backups).toBeNull();
    expect(statusLines(facts)).not.toContain('no backups are made: the stack has no switchyard:backup');
  });
});

test.each([
  ['switchyard', 'https://jenkins.test/job/switchyard/job/shop/lastBuild/api/json'],
  ['company/platform/apps', 'https://jenkins.test/job/company-platform-apps/job/shop/lastBuild/api/json'],
])('the jobs of group %s are looked for where Job DSL made them', (group, url) => {
  const { settings } = testModel();
  expect(lastBuildUrl({ ...settings, gitlab: { ...settings.gitlab, group } }, 'shop')).toBe(url);
});

describe('a module that scales', () => {
  const catalog = parseCatalog({
    ...catalogTexts,
    modules: {
      'shop.yaml': `${catalogTexts.modules['shop.yaml']}production: { scaling: { qps: 50, min: 2, max: 20 } }\n`,
    },
  });
  const model = testModel({ catalog, modules: catalog.modules });
  const spec = {
    minReplicas: 2,
    maxReplicas: 20,
    metrics: [
      {
        type: 'Pods',
        pods: { metric: { name: METRIC }, target: { type: 'AverageValue', averageValue: '50' } },
      },
      { type: 'ContainerResource', containerResource: { name: 'cpu', container: 'module' } },
    ],
  };
  const requests = {
    type: 'Pods',
    pods: { metric: { name: METRIC }, current: { averageValue: '43250m' } },
  };
  const cpu = { type: 'ContainerResource', containerResource: { name: 'cpu', container: 'module' } };
  const autoscaler = (status: object) => ({
    metadata: { name: 'shop', labels: { 'switchyard.dev/module': 'shop' } },
    spec,
    status,
  });
  const lines = async (objects: readonly unknown[], more: Partial<Sources> = {}): Promise<string[]> =>
    statusLines(await readStatus(model, sources({ autoscalers: async () => objects, ...more }))).slice(2, -2);

  test('is told with its requests and their target', async () => {
    expect(await lines([autoscaler({ currentMetrics: [requests, cpu] })])).toEqual([
      'autoscaler  pods  requests/s each  target',
      'shop        2–20  43.3             50',
    ]);
  });

  test('whose requests cannot be seen says so, also while its CPU can', async () => {
    expect(await lines([autoscaler({ currentMetrics: [{ type: '' }, cpu] })])).toEqual([
      'autoscaler  pods  requests/s each  target',
      'shop        2–20  ?                50',
      'shop: its autoscaler does not see requests, so that no Pod leaves',
    ]);
    const message = 'the HPA was unable to compute the replica count: unable to get metric';
    const conditions = [{ type: 'ScalingActive', status: 'False', reason: 'FailedGetPodsMetric', message }];
    expect((await lines([autoscaler({ currentMetrics: null, conditions })])).slice(2)).toEqual([
      `shop: its autoscaler does not see requests (${message}), so that no Pod leaves`,
      `shop: its autoscaler does not see CPU (${message}), so that no Pod leaves`,
    ]);
  });

  test('that is at its most Pods says so, and so does one that the quota stops', async () => {
    const conditions = [{ type: 'ScalingLimited', status: 'True', reason: 'TooManyReplicas', message: '' }];
    const stopped = {
      ...shop(released.image),
      status: {
        readyReplicas: 2,
        updatedReplicas: 2,
        conditions: [
          {
            type: 'ReplicaFailure',
            status: 'True',
            message:
              'pods "shop-1" is forbidden: exceeded quota: quota, requested: pods=1, used: pods=8, limited: pods=8',
          },
        ],
      },
    };
    const more = { workloads: async (kind: string) => (kind === 'Deployment' ? [stopped] : []) };
    expect(
      (await lines([autoscaler({ currentMetrics: [requests, cpu], conditions })], more)).slice(2),
    ).toEqual([
      'shop would have more than 20 Pods: raise scaling.max',
      'shop gets no more Pods: pods "shop-1" is forbidden: exceeded quota: quota, requested: pods=1, used: pods=8, limited: pods=8',
    ]);
  });

  test('without an autoscaler in the cluster says so', async () => {
    expect((await lines([])).slice(2)).toEqual(['shop has no autoscaler: say switchyard up']);
  });

  test('whose autoscaler cannot be read is named, and hides nothing else', async () => {
    const facts = await readStatus(
      model,
      sources({
        autoscalers: async () => {
          throw new Error('no way');
        },
      }),
    );
    expect(facts.problems).toEqual(['the autoscalers (no way)']);
    expect(facts.complete).toBe(true);
  });
});
