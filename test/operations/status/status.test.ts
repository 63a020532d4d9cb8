import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseCatalog } from '../../../catalog/load';
import { METRIC } from '../../../components/autoscaling/module';
import type { Kind } from '../../../delivery/backup/snapshots';
import type { LedgerEvent } from '../../../delivery/ledger';
import { BLIND, SEES } from '../../../delivery/reconcile/words';
import { EXIT } from '../../../operations/cli/refusal';
import { type ModuleFacts, type StatusFacts, verdict } from '../../../operations/status/facts';
import { jobOf, lastBuildUrl, readStatus, type Sources, workloadOf } from '../../../operations/status/read';
import {
  changeTeller,
  statusDocument,
  statusLines,
  statusOutcome,
  statusScreen,
} from '../../../operations/status/tell';
import { parseStack } from '../../../stacks/load';
import { catalogTexts, modelOf, released, root, stackText, testModel } from '../../support/model';

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

/** Three hours before the moment at which tests look. */
const BEFORE = '2026-12-01T09:00:00.000Z';
const NOW = Date.parse('2026-12-01T12:00:00Z') / 1000;

const event = (more: Partial<LedgerEvent> = {}): LedgerEvent => ({
  id: 'e'.repeat(40),
  at: BEFORE,
  author: 'bot',
  by: 'ann',
  module: 'shop',
  to: 'b'.repeat(12),
  ...more,
});

const sources = (overrides: Partial<Sources> = {}): Sources => ({
  ledger: async () => ({ modules: { shop: release } }),
  events: async () => [event()],
  workloads: async (kind) =>
    kind === 'Deployment'
      ? [shop(released.image)]
      : [workload({ name: 'cache', component: 'service' }, 'cache:1.0')],
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

test('a module is told with its Pods, its release, since when, who brought it, and its last job', async () => {
  const facts = await readStatus(testModel(), sources(), NOW);
  expect(statusLines(facts)).toEqual([
    'status of test: 1 of 1 modules run as released',
    'module  state        pods  release        since  who  last job',
    'shop    as released  2/2   bbbbbbbbbb !7  3 h    ann  #12 SUCCESS',
    'no backups are made: the stack has no switchyard:backup',
  ]);
  expect(statusDocument(facts)).toMatchObject({
    at: '2026-12-01T12:00:00.000Z',
    alerts: [],
    modules: [
      {
        name: 'shop',
        state: 'as released',
        released: release,
        last: { how: 'merge', at: BEFORE, by: 'ann' },
        running: { ready: 2, desired: 2, serving: 2 },
        services: { cache: { ready: 2, desired: 2 } },
        lastJob: { number: 12, result: 'SUCCESS' },
      },
    ],
    problems: [],
  });
});

test.each<[string, readonly LedgerEvent[], string, object]>([
  ['a merge', [event()], 'ann', { how: 'merge', at: BEFORE, by: 'ann' }],
  [
    'a person who went back',
    [event({ by: undefined, author: 'Bea', back: { how: 'rolled back', from: 'c'.repeat(12) } }), event()],
    'Bea, back',
    { how: 'rollback', at: BEFORE, by: 'Bea' },
  ],
  [
    'a person who went forward again',
    [event({ by: undefined, author: 'Bea', why: 'rolled back, and held' })],
    'Bea, back',
    { how: 'rollback', at: BEFORE, by: 'Bea' },
  ],
  [
    'an undo of what came after it',
    [event({ back: { how: 'undone', from: 'c'.repeat(12) }, why: 'it crashed' }), event()],
    'undone',
    { how: 'undone', at: BEFORE },
  ],
  ['a person in GitLab', [event({ to: 'c'.repeat(12) }), event()], 'by hand', { how: 'by hand' }],
  ['nobody that is known', [], 'by hand', { how: 'by hand' }],
])('what is released was brought by %s', async (_by, events, who, last) => {
  const of = { module: 'other', to: 'd'.repeat(12), by: 'nobody' };
  const facts = await readStatus(testModel(), sources({ events: async () => [event(of), ...events] }), NOW);
  expect(statusLines(facts)[1]?.indexOf('who')).toBe(statusLines(facts)[2]?.indexOf(who));
  expect(facts.modules[0]?.last).toEqual(last);
});

test('who released is asked for where something is released, and hides nothing else', async () => {
  const asked = jest.fn(async () => [event()]);
  const none = await readStatus(
    testModel(),
    sources({ events: asked, ledger: async () => ({ modules: {} }) }),
  );
  expect(asked).not.toHaveBeenCalled();
  expect(none.modules[0]?.last).toBeUndefined();
  await readStatus(testModel(), sources({ events: asked }));
  expect(asked).toHaveBeenCalledWith(['shop']);
  const facts = await readStatus(
    testModel(),
    sources({ events: () => Promise.reject(new Error('GitLab answered 403')) }),
  );
  expect(facts).toMatchObject({
    complete: true,
    problems: ["the release ledger's commits (GitLab answered 403)"],
  });
  expect(statusOutcome(facts).exitCode).toBe(EXIT.unread);
});

test.each([
  ['as released', release, { image: release.image, ready: 2, desired: 2, serving: 2 }],
  ['rolling out', release, { image: release.image, ready: 1, desired: 2, serving: 2 }],
  ['rolling out', release, { image: release.image, ready: 0, desired: 0, serving: 0 }],
  ['another image', release, { image: 'other', ready: 2, desired: 2, serving: 2 }],
  ['not running', release, undefined],
  ['not released', undefined, undefined],
  ['not in the ledger', undefined, { image: 'other', ready: 2, desired: 2, serving: 2 }],
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
  const says = 'shop: cccccccccc (!8) is undone: it did not get ready?[2J (https://jenkins.test/job/10/)';
  expect(statusLines(facts).filter((line) => /^!? ?shop: /.test(line))).toEqual([
    `! ${says}`,
    'shop: bbbbbbbbbb is held: what is merged does not take its place',
  ]);
  expect(statusLines(facts)[0]).toBe('status of test: 1 of 1 modules run as released, 1 alert');
  expect(statusDocument(facts)).toMatchObject({ alerts: [{ module: 'shop', about: 'undone', says }] });
  expect(statusDocument(facts)).toMatchObject({ modules: [{ undone, released: { hold: true } }] });
});

test.each([
  ['Jenkins refuses the configuration, and may have taken a part of it; its log says why', false],
  ['waiting for Jenkins to answer', false],
  ['configuration reloaded', true],
])("the last word about Jenkins' configuration: %s", async (word, loaded) => {
  const log = `2026-11-29T00:00:00Z configuration reloaded\n2026-11-30T00:00:00Z ${word}\n`;
  const facts = await readStatus(testModel(), sources({ reload: async () => log }));
  expect(alerts(facts)).toEqual(
    loaded ? [] : [`! Jenkins' configuration since 2026-11-30T00:00:00Z: ${word}`],
  );
  expect(statusDocument(facts)).toMatchObject({ reload: { at: '2026-11-30T00:00:00Z', word, loaded } });
  // The words are those of the script that runs in the Pod.
  expect(readFileSync(join(root, 'components/jenkins/image/reload-casc.sh'), 'utf8')).toContain(`'${word}'`);
});

const alerts = (facts: StatusFacts): string[] => statusLines(facts).filter((line) => line.startsWith('! '));

const REFUSED =
  'Jenkins: queue/api/json answered 401: "switchyard" may not read it, or has another token by now.';

test('a reconciler that cannot look is told, until it can', async () => {
  const failing = `switchyard/shop: ${BLIND}: ${REFUSED}`;
  const factsOf = (...lines: string[]) =>
    readStatus(testModel(), sources({ reconciler: async () => `${lines.join('\n')}\n` }));
  const blind = await factsOf(SEES, failing, 'switchyard/shop: started shop for 0123456789ab: no build');
  expect(alerts(blind)).toEqual([`! the reconciler cannot look: switchyard/shop: ${REFUSED}`]);
  expect(statusDocument(blind)).toMatchObject({ blind: `switchyard/shop: ${REFUSED}` });
  const seeing = await factsOf(failing, SEES);
  expect(alerts(seeing)).toEqual([]);
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

test('who scaled a workload by its scale subresource is told', async () => {
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
  expect(statusLines(facts)).toContain('shop: scaled to 5 by kubectl');
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
  expect(statusLines(facts).slice(5)).toEqual([
    'secret              version  state',
    'backup/key          3        in use',
    'service/shop/cache  2        rotating',
  ]);
  expect(alerts(facts)).toEqual([
    '! a rotation has not ended: say switchyard rotate test --purpose service/shop/cache',
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
    serving: 2,
  });
  expect(workloadOf(shop('a', {}))?.running.ready).toBe(0);
  expect(workloadOf({ kind: 'Secret' })).toBeUndefined();
});

test('what cannot be read is named, and hides nothing else', async () => {
  const down = (what: string) => () => Promise.reject(new Error(`${what} is down\nwith a trace`));
  const facts = await readStatus(testModel(), sources({ workloads: down('cluster') }));
  expect(facts.problems).toEqual(['the production cluster (cluster is down)']);
  const lines = statusLines(facts);
  expect(lines[3]).toMatch(/^shop +unknown +- +bbbbbbbbbb !7 .*#12 SUCCESS/);
  expect(lines[1]).toBe('! could not be read: the production cluster (cluster is down)');
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
  expect(outcome.lines).toContain('! could not be read: the release ledger (down)');
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
  const THEN = 1_790_000_000;
  const success = (kind: Kind, hours: number) => ({ id: `${kind}${hours}`, kind, time: THEN - hours * 3600 });
  const job = (
    hours: number,
    condition: string,
    command = ['delivery', 'backup', '--kind', 'databases', '--kind', 'jenkins'],
  ) => ({
    spec: { template: { spec: { containers: [{ command }] } } },
    status: {
      startTime: new Date((THEN - hours * 3600) * 1000).toISOString(),
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
      THEN,
    );
    const at = (hours: number) => new Date((THEN - hours * 3600) * 1000).toISOString();
    expect(facts.backups).toEqual([
      { kind: 'repositories', state: 'fresh', last: at(1.25), ageHours: 1.3 },
      { kind: 'registry', state: 'late', last: at(2.5), ageHours: 2.5 },
      { kind: 'databases', state: 'failed', last: at(1.5), ageHours: 1.5 },
      { kind: 'jenkins', state: 'fresh', last: at(0.5), ageHours: 0.5 },
      { kind: 'state', state: 'never' },
    ]);
    expect(alerts(facts)).toEqual([
      `! the backup of registry is late: the last success is of ${at(2.5)}`,
      `! the backup of databases failed: the last success is of ${at(1.5)}`,
      '! state were never backed up',
    ]);
    expect(statusLines(facts).slice(-6)).toEqual([
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
      THEN,
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
      THEN,
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
  const factsOf = (objects: readonly unknown[], more: Partial<Sources> = {}) =>
    readStatus(model, sources({ autoscalers: async () => objects, ...more }), NOW);
  const row = async (...asked: Parameters<typeof factsOf>) =>
    statusLines(await factsOf(...asked)).filter((line) => /^(module|shop) /.test(line));
  const said = async (...asked: Parameters<typeof factsOf>) => alerts(await factsOf(...asked));

  test('is told with its requests and their target, and between what it has its Pods', async () => {
    const status = { currentMetrics: [requests, cpu], currentReplicas: 2, desiredReplicas: 3 };
    expect(await row([autoscaler(status)])).toEqual([
      'module  state        pods        req/s each  release        since  who  last job',
      'shop    as released  2/2 (2–20)  43.3/50     bbbbbbbbbb !7  3 h    ann  #12 SUCCESS',
    ]);
    expect(statusDocument(await factsOf([autoscaler(status)]))).toMatchObject({
      alerts: [],
      modules: [
        {
          autoscaler: {
            min: 2,
            max: 20,
            target: 50,
            each: 43.25,
            replicas: { now: 2, wanted: 3 },
            blind: [],
            limited: false,
            off: false,
          },
        },
      ],
    });
  });

  test('whose requests cannot be seen says so, also while its CPU can', async () => {
    const half = [autoscaler({ currentMetrics: [{ type: '' }, cpu] })];
    expect((await row(half))[1]).toContain(' ?/50 ');
    expect(await said(half)).toEqual(['! shop: its autoscaler does not see requests, so that no Pod leaves']);
    const message = 'the HPA was unable to compute the replica count: unable to get metric';
    const conditions = [{ type: 'ScalingActive', status: 'False', reason: 'FailedGetPodsMetric', message }];
    expect(await said([autoscaler({ currentMetrics: null, conditions })])).toEqual([
      `! shop: its autoscaler does not see requests (${message}), so that no Pod leaves`,
      `! shop: its autoscaler does not see CPU (${message}), so that no Pod leaves`,
    ]);
  });

  test('that was scaled to 0 says that its autoscaler is off, and not that it is blind', async () => {
    const conditions = [
      { type: 'ScalingActive', status: 'False', reason: 'ScalingDisabled', message: 'scaling is disabled' },
    ];
    const none = { ...shop(released.image, {}), spec: { ...shop(released.image).spec, replicas: 0 } };
    const more = { workloads: async (kind: string) => (kind === 'Deployment' ? [none] : []) };
    expect(await said([autoscaler({ currentMetrics: null, conditions })], more)).toEqual([
      '! shop has no Pods',
      '! shop: its autoscaler is off, until somebody scales it to another number than 0',
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
    expect(await said([autoscaler({ currentMetrics: [requests, cpu], conditions })], more)).toEqual([
      '! shop would have more than 20 Pods: raise scaling.max',
      '! shop gets no more Pods: pods "shop-1" is forbidden: exceeded quota: quota, requested: pods=1, used: pods=8, limited: pods=8',
    ]);
  });

  test('without an autoscaler in the cluster says so', async () => {
    expect(await said([])).toEqual(['! shop has no autoscaler: say switchyard up']);
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

describe('what is wrong comes first', () => {
  const told = async (workloads: Sources['workloads']) =>
    alerts(await readStatus(testModel(), sources({ workloads })));
  const pods = (status: object) =>
    told(async (kind) => (kind === 'Deployment' ? [{ ...shop(released.image), status }] : []));

  test('a rollout that makes no progress, and one that has nothing ready at all', async () => {
    const conditions = [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }];
    expect(await pods({ readyReplicas: 2, updatedReplicas: 1, conditions })).toEqual([
      '! shop: its rollout makes no progress, 1 of 2 Pods are ready',
    ]);
    expect(await pods({})).toEqual(['! shop: none of its Pods is ready']);
    // What was before serves.
    expect(await pods({ readyReplicas: 2, updatedReplicas: 0 })).toEqual([]);
  });

  test('a service that is not ready, and what the ledger and the cluster disagree about', async () => {
    const cache = workload({ name: 'cache', component: 'service' }, 'cache:1.0', {
      readyReplicas: 1,
      updatedReplicas: 1,
    });
    expect(await told(async (kind) => (kind === 'Deployment' ? [shop('other')] : [cache]))).toEqual([
      '! shop runs another image than is released: a deploy is under way, or say switchyard up',
      '! shop: its service cache has 1 of 2 Pods ready',
    ]);
    expect(await told(async () => [])).toEqual(['! shop is released and does not run: say switchyard up']);
  });
});

describe('many modules', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9]{0,38}[a-z0-9]$/);
  const module = (fields: {
    readonly name: string;
    readonly ready: number;
    readonly desired: number;
    readonly by: string;
    readonly scales: boolean;
  }): ModuleFacts => ({
    name: fields.name,
    released: release,
    last: { how: 'merge', at: BEFORE, by: fields.by },
    running: {
      image: release.image,
      ready: Math.min(fields.ready, fields.desired),
      serving: fields.ready,
      desired: fields.desired,
    },
    services: {},
    lastJob: { number: 12_345, result: 'NOT_BUILT', at: BEFORE, url: '' },
    ...(fields.scales
      ? {
          autoscaler: { min: 2, max: 100, target: 1250, each: 1043.7, blind: [], limited: false, off: false },
        }
      : {}),
  });
  const facts = (modules: readonly ModuleFacts[]): StatusFacts => ({
    environment: 'test',
    at: '2026-12-01T12:00:00.000Z',
    modules,
    backups: 'none',
    versions: {},
    rotating: [],
    problems: [],
    complete: true,
  });
  const modules = fc.uniqueArray(
    fc
      .record({
        name,
        ready: fc.nat(100),
        desired: fc.nat(100),
        by: fc.string({ maxLength: 60 }),
        scales: fc.boolean(),
      })
      .map(module),
    { minLength: 1, maxLength: 100, selector: (one) => one.name },
  );

  test('have a row each, in 100 characters, whatever they are called and whoever released them', () => {
    fc.assert(
      fc.property(modules, (all) => {
        const lines = statusLines(facts(all));
        const at = lines.findIndex((line) => line.startsWith('module'));
        const rows = lines.slice(at + 1, at + 1 + all.length);
        expect(rows).toHaveLength(all.length);
        for (const [index, line] of rows.entries()) {
          expect(line.length).toBeLessThanOrEqual(100);
          expect(all[index]?.name.startsWith(line.split(/[ …]/)[0] ?? '-')).toBe(true);
        }
      }),
    );
  });

  test('fit a screen of any height, those in trouble before those that are well', () => {
    fc.assert(
      fc.property(modules, fc.integer({ min: 8, max: 120 }), (all, rows) => {
        const lines = statusScreen(facts(all), rows);
        expect(lines.length).toBeLessThanOrEqual(rows);
        expect(lines[0]).toMatch(/^status of test: /);
        const left = / more modules run as released$/.test(lines.at(-1) ?? '');
        const said = (one: ModuleFacts) => lines.some((line) => line.startsWith(one.name));
        const short = all.filter((one) => one.name.length < 12 && verdict(one, true) !== 'as released');
        if (left) expect(short.filter((one) => !said(one))).toEqual([]);
      }),
    );
  });
});

test('one look after the other tells what changed, a line each, and no request that comes in', async () => {
  const tell = changeTeller();
  const look = async (overrides: Partial<Sources> = {}) =>
    tell(await readStatus(testModel(), sources(overrides), NOW));
  const down = { workloads: () => Promise.reject(new Error('cluster is away')) };
  expect(await look()).toHaveLength(4);
  expect(await look()).toEqual([]);
  expect(await look(down)).toEqual(['! could not be read: the production cluster (cluster is away)']);
  expect(await look(down)).toEqual([]);
  const next = { ...release, commit: 'd'.repeat(40), mergeRequest: 9 };
  const rolling = {
    ledger: async () => ({ modules: { shop: next } }),
    events: async () => [event({ to: 'd'.repeat(12), by: 'bob' })],
    workloads: async (kind: string) =>
      kind === 'Deployment' ? [shop(released.image, { readyReplicas: 2, updatedReplicas: 1 })] : [],
  };
  // What came about meanwhile is held against the last look that could see it.
  expect(await look(rolling)).toEqual([
    'over: could not be read: the production cluster (cluster is away)',
    'shop: rolling out, 1/2 Pods, dddddddddd !9, bob',
  ]);
});
