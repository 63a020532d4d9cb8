import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { exitCode } from '../../clients/failure';
import { Cluster } from '../../clients/kubernetes-in-pod';
import { run } from '../../delivery/commands';
import { readNote, renderNote } from '../../delivery/note';
import {
  ENDED_FILE,
  type Ended,
  patienceOf,
  REMOVED,
  RUN_FILE,
  RUN_LABEL,
  runOf,
  startOf,
  watchStart,
  watchTestPod,
} from '../../delivery/pod-start';
import { linesOf, MOST, type PodWords, podWordsSchema, podWordsText } from '../../delivery/pod-words';
import { START_FILE } from '../../delivery/start-words';
import { readCertificate, writeCertificate } from '../../delivery/state';
import { readPodWords } from '../../delivery/unsteady';
import { green, KEY } from './certificates';

const MINUTE = 60_000;

interface Container {
  name?: string;
  ready?: boolean;
  restartCount?: number;
  state?: object;
  lastState?: object;
}
const pod = (
  { services = [], containers = [] }: { services?: Container[]; containers?: Container[] },
  more: { name?: string; created?: string; deleted?: boolean; status?: object } = {},
) => ({
  metadata: {
    name: more.name ?? 'orders-1-abcde',
    uid: `uid-${more.name ?? 'orders-1-abcde'}`,
    creationTimestamp: more.created ?? '2026-11-29T10:00:00Z',
    ...(more.deleted ? { deletionTimestamp: '2026-11-29T10:01:00Z' } : {}),
  },
  status: {
    phase: 'Pending',
    initContainerStatuses: services.map((container) => ({ name: 'mysql', ...container })),
    containerStatuses: containers.map((container) => ({ name: 'app', ...container })),
    ...more.status,
  },
});
const waits = (reason: string, message = '') => ({ state: { waiting: { reason, message } } });
const ended = (code: number, message?: string) => ({
  terminated: { reason: 'Error', exitCode: code, ...(message ? { message } : {}) },
});
const READY = pod(
  { containers: [{ ready: true, state: { running: {} } }] },
  { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
);
const creating = pod({ containers: [waits('ContainerCreating')] });
const pulling = pod({ services: [waits('ImagePullBackOff')], containers: [waits('PodInitializing')] });
const unready = pod({ containers: [{ ready: false, state: { running: {} } }] });
const unscheduled = pod(
  {},
  { status: { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }] } },
);

/** Watches what `at` gives for each minute; `undefined` is no Pod, and an error is thrown. */
async function watched(
  at: (minute: number) => object | Error | undefined,
  end = Number.POSITIVE_INFINITY,
  how: Ended = 'over',
): Promise<{ words: PodWords | undefined; minutes: number; said: string[] }> {
  let now = 0;
  const said: string[] = [];
  const words = await watchStart(
    {
      pods: async () => {
        const found = at(now / MINUTE);
        if (found instanceof Error) throw found;
        return found ? [found] : [];
      },
      events: async (uid) => [`Failed: of ${uid}`],
      ended: () => (now / MINUTE >= end ? how : undefined),
      say: (line) => said.push(line),
      sleep: async (milliseconds) => {
        now += milliseconds;
        if (now > 600 * MINUTE) throw new Error('it does not end');
      },
    },
    patienceOf(5),
  );
  return { words, minutes: now / MINUTE, said };
}

const disrupted = (reason: string, more: object = {}) => ({
  conditions: [{ type: 'DisruptionTarget', status: 'True', reason }],
  ...more,
});
const OURS = false;
const OUTSIDE = true;

test.each([
  [
    'the image of a service cannot be pulled',
    pulling,
    'container mysql waits (ImagePullBackOff)',
    5,
    OUTSIDE,
  ],
  [
    'its own image cannot be pulled: it was pushed a moment ago',
    pod({ containers: [waits('ErrImagePull')] }),
    'container app waits (ErrImagePull)',
    5,
    OUTSIDE,
  ],
  [
    'its configuration is wrong',
    pod({ containers: [waits('CreateContainerConfigError')] }),
    'container app waits (CreateContainerConfigError)',
    5,
    OURS,
  ],
  [
    'what it is to run is not in its image',
    pod({ containers: [waits('RunContainerError')] }),
    'container app waits (RunContainerError)',
    5,
    OURS,
  ],
  [
    'the agent cannot be made',
    pod({ containers: [{ name: 'jnlp', ...waits('CreateContainerError') }] }),
    'container jnlp waits (CreateContainerError)',
    5,
    OUTSIDE,
  ],
  [
    'a service crashes again and again',
    pod({
      services: [
        { restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended(1) },
      ],
    }),
    'container mysql keeps ending (Error, exit code 1)',
    5,
    OUTSIDE,
  ],
  [
    'a service does not get ready',
    pod({ services: [{ ready: false, state: { running: {} } }], containers: [waits('PodInitializing')] }),
    'container mysql runs and is not ready',
    15,
    OUTSIDE,
  ],
  [
    'neither a service nor the module gets ready',
    pod({
      services: [{ ready: false, state: { running: {} } }],
      containers: [{ ready: false, state: { running: {} } }],
    }),
    'container mysql runs and is not ready, container app runs and is not ready',
    15,
    OURS,
  ],
  [
    'its container ends',
    pod({ containers: [{ state: ended(3) }] }),
    'container app ended (Error, exit code 3)',
    0,
    OURS,
  ],
  [
    'it wrote more than it may',
    pod({}, { status: { phase: 'Failed', reason: 'Evicted' } }),
    'the Pod failed (Evicted)',
    0,
    OURS,
  ],
  [
    'it had to make room',
    pod({}, { status: disrupted('TerminationByKubelet', { phase: 'Failed', reason: 'Evicted' }) }),
    'the Pod failed (Evicted)',
    0,
    OUTSIDE,
  ],
  [
    'its node had no room after all',
    pod({}, { status: { phase: 'Failed', reason: 'OutOfmemory' } }),
    'the Pod failed (OutOfmemory)',
    0,
    OUTSIDE,
  ],
  ['its probe never succeeds', unready, 'container app runs and is not ready', 15, OURS],
  ['no node takes it', unscheduled, 'no node takes it (Unschedulable)', 15, OUTSIDE],
  ['nothing is said of it', creating, 'it was not ready within 15 minutes', 15, OUTSIDE],
])('a Pod does not start: %s', async (_name, object, why, minutes, outside) => {
  const { words, minutes: took } = await watched(() => object);
  expect(words).toEqual({
    why,
    ...(outside ? { infrastructure: true } : {}),
    pods: [{ name: 'orders-1-abcde', events: ['Failed: of uid-orders-1-abcde'], log: [] }],
  });
  expect(podWordsSchema.parse(words)).toEqual(words);
  expect(took).toBe(minutes);
});

describe('a Pod that has started', () => {
  const lost = (status: object, more: object = {}) => pod({}, { status, ...more });

  it.each([
    [
      'is pushed off its node',
      lost(disrupted('EvictionByEvictionAPI'), { deleted: true }),
      'EvictionByEvictionAPI',
    ],
    ['makes room', lost(disrupted('PreemptionByScheduler')), 'PreemptionByScheduler'],
    ['is on a node that goes', lost({ phase: 'Failed', reason: 'NodeShutdown' }), 'NodeShutdown'],
    [
      'is on a node that has no memory left',
      lost(disrupted('TerminationByKubelet', { phase: 'Failed', reason: 'Evicted' })),
      'TerminationByKubelet',
    ],
  ])('and %s, is lost', async (_how, object, reason) => {
    const { words } = await watched((minute) => (minute < 3 ? READY : object));
    expect(words).toEqual({
      why: `it was taken away (${reason})`,
      infrastructure: true,
      lost: true,
      pods: [{ name: 'orders-1-abcde', events: ['Failed: of uid-orders-1-abcde'], log: [] }],
    });
    expect(podWordsSchema.parse(words)).toEqual(words);
  });

  const removed = { why: REMOVED, lost: true, pods: [expect.objectContaining({ name: 'orders-1-abcde' })] };
  const ON_ITS_WAY = { deletionTimestamp: '2026-11-29T10:05:05Z', deletionGracePeriodSeconds: 5 };
  /** A Pod that is being removed since 10:05:00. */
  const going = (containers: Container[], services: Container[] = []) => {
    const object = pod({ containers, services }, { status: { phase: 'Running' } });
    return { ...object, metadata: { ...object.metadata, ...ON_ITS_WAY } };
  };
  const endedAt = (exitCode: number, finishedAt: string, reason = 'Error') => ({
    state: { terminated: { reason, exitCode, finishedAt } },
  });

  it.each([
    ['is removed', lost({ phase: 'Running' }, { deleted: true })],
    ['is gone at once', undefined],
    ['has containers that end by that', going([endedAt(143, '2026-11-29T10:05:00Z'), { name: 'robot' }])],
    ['has one that the end of its time killed', going([endedAt(137, '2026-11-29T10:05:05Z')])],
    ['has one that ends otherwise by that', going([endedAt(1, '2026-11-29T10:05:01Z')])],
    ['has one that had ended well', going([endedAt(0, '2026-11-29T10:04:00Z', 'Completed')])],
    [
      'has a service that did not start at once',
      going([], [{ restartCount: 0, lastState: ended(1), state: { running: {} } }]),
    ],
  ])('and %s before its tests ended, is lost, and the infrastructure is not blamed', async (_how, object) => {
    const { words, minutes } = await watched((minute) => (minute < 3 ? READY : object));
    expect(words).toEqual(removed);
    expect(podWordsSchema.parse(words)).toEqual(words);
    // Whoever removed it may have been the pipeline, whose tests ended at that moment.
    expect(minutes * 60 - 180).toBeGreaterThanOrEqual(10);
    expect(minutes * 60 - 180).toBeLessThanOrEqual(20);
  });

  it.each([
    ['ends by itself', lost({ phase: 'Failed', reason: 'Evicted' })],
    ['takes longer than it may', lost({ phase: 'Failed', reason: 'DeadlineExceeded' })],
    ['has a container that ended', pod({ containers: [{ state: ended(137) }] })],
  ])('and %s, is not, whatever becomes of it then', async (_how, object) => {
    const words = async (then: object | undefined) =>
      (await watched((minute) => (minute < 3 ? READY : minute < 5 ? object : then), 9)).words;
    expect(await words(object)).toBeUndefined();
    expect(await words(undefined)).toBeUndefined();
    expect(await words(lost({ phase: 'Running' }, { deleted: true }))).toBeUndefined();
  });

  it.each([
    ['was killed for its memory', going([endedAt(137, '2026-11-29T10:05:03Z', 'OOMKilled')])],
    ['had failed before', going([endedAt(1, '2026-11-29T10:04:59Z')])],
    [
      'is a service that was killed for its memory',
      going([], [{ restartCount: 1, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } }]),
    ],
    ['is a service that failed', going([], [{ restartCount: 1, lastState: ended(1) }])],
  ])('and is removed with a container that %s, is not lost', async (_how, object) => {
    expect((await watched((minute) => (minute < 3 ? READY : object), 9)).words).toBeUndefined();
  });

  it('is not lost by another one that is', async () => {
    const other = lost(disrupted('PreemptionByScheduler'), { name: 'other' });
    let now = 0;
    const words = await watchStart(
      {
        pods: async () => (now < 3 * MINUTE ? [READY] : [READY, other]),
        events: async () => [],
        ended: () => (now >= 9 * MINUTE ? 'broke off' : undefined),
        say: () => undefined,
        sleep: async (milliseconds) => {
          now += milliseconds;
        },
      },
      patienceOf(5),
    );
    expect(words).toBeUndefined();
  });

  it('is removed by the pipeline itself when its tests have ended', async () => {
    const gone = (minute: number) => (minute < 3 ? READY : undefined);
    for (const end of [3, 3.05, 3.1]) expect((await watched(gone, end, 'over')).words).toBeUndefined();
    // Their agent went first.
    for (const end of [3, 3.05, 3.1]) expect((await watched(gone, end, 'broke off')).words).toEqual(removed);
  });

  it('is lost, too, where its agent began and went between two looks, before it was seen ready', async () => {
    for (const before of [unready, creating]) {
      const gone = (minute: number) => (minute < 3 ? before : undefined);
      expect((await watched(gone, 3, 'broke off')).words).toEqual(removed);
      expect((await watched(gone, 3, 'over')).words).toBeUndefined();
    }
    // Whoever removes one that could not start took nothing.
    expect(
      (await watched((minute) => (minute < 3 ? pulling : undefined), 3, 'broke off')).words,
    ).toBeUndefined();
    const crashed = pod({ containers: [{ ready: false, state: { terminated: { exitCode: 1 } } }] });
    expect(
      (await watched((minute) => (minute < 3 ? unready : crashed), 3, 'broke off')).words,
    ).toBeUndefined();
  });

  it('is not known to be gone while the API server does not answer', async () => {
    expect(
      (await watched((minute) => (minute < 3 ? READY : new Error('away')), 9, 'broke off')).words,
    ).toBeUndefined();
    const back = (minute: number) => (minute < 3 || minute > 4 ? READY : new Error('away'));
    expect((await watched(back, 9)).words).toBeUndefined();
  });

  it('is looked at once more when its tests have ended', async () => {
    const gone = lost(disrupted('DeletionByTaintManager'));
    expect((await watched((minute) => (minute < 3 ? READY : gone), 3)).words?.lost).toBe(true);
    expect((await watched((minute) => (minute < 3 ? READY : new Error('away')), 3)).words).toBeUndefined();
  });
});

test('a Pod that starts at once or late is no fault, nor is one that nobody waits for any more', async () => {
  expect((await watched(() => READY, 30)).words).toBeUndefined();
  expect((await watched((minute) => (minute < 14 ? creating : READY), 30)).words).toBeUndefined();
  expect(
    (await watched((minute) => (minute < 4 ? pulling : minute < 9 ? unready : READY), 30)).words,
  ).toBeUndefined();
  const gone = await watched(() => undefined, 40);
  expect(gone).toMatchObject({ words: undefined, minutes: 40 });
});

test('a full quota, or no free agent, is waited for without an end, and takes no time from the Pod', async () => {
  const { words, minutes } = await watched((minute) => (minute < 100 ? undefined : creating));
  expect(words?.why).toBe('it was not ready within 15 minutes');
  expect(minutes).toBe(115);
  // Pushed off its node, and made anew for want of room much later.
  expect(
    (
      await watched(
        (minute) => (minute < 10 ? creating : minute < 60 ? undefined : minute < 64 ? creating : READY),
        90,
      )
    ).words,
  ).toBeUndefined();
});

test('between two starts of a service it still says that it cannot, and a Pod made anew begins no new patience', async () => {
  const between = pod({ services: [{ restartCount: 2, state: { running: {} }, lastState: ended(1) }] });
  const back = pod({
    services: [{ restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended(1) }],
  });
  expect((await watched((minute) => (Math.floor(minute * 3) % 2 ? between : back))).minutes).toBe(5);
  const anew = (minute: number) =>
    pod({ containers: [waits('ContainerCreating')] }, { name: `orders-${Math.floor(minute / 4)}` });
  expect((await watched(anew)).minutes).toBe(15);
});

test('an API server that does not answer ends nothing, and is told of once', async () => {
  const { words, said } = await watched((minute) => (minute < 20 ? new Error('403') : READY), 30);
  expect(words).toBeUndefined();
  expect(said).toEqual(['the test Pod cannot be looked at: 403']);
});

test('what is told is what the Kubernetes words of any container allow, and no more', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 80 });
  await fc.assert(
    fc.asyncProperty(
      text,
      text,
      fc.integer(),
      fc.string({ unit: 'grapheme', maxLength: 5000 }),
      async (reason, other, code, message) => {
        const object = pod(
          {
            containers: [
              { state: { terminated: { reason, exitCode: Math.abs(code), message } } },
              waits(other),
            ],
          },
          { status: { phase: 'Failed', reason: other } },
        );
        const { words } = await watched(() => object);
        expect(podWordsSchema.safeParse(words).error).toBeUndefined();
      },
    ),
  );
});

test('a line of characters of two units each is cut to what may be left, and no character in two', () => {
  expect(linesOf(`x${'😀'.repeat(400)}`)).toEqual([`x${'😀'.repeat(149)}`]);
});

test('the newest Pod that stays is looked at, and the last lines of its container are kept', () => {
  const log = Array.from({ length: 40 }, (_, line) => `line ${line}`).join('\n');
  const crashed = pod(
    { containers: [{ state: ended(1, log) }] },
    { name: 'second', created: '2026-11-29T10:20:00Z' },
  );
  const start = startOf([
    pulling,
    crashed,
    pod({}, { name: 'third', created: '2026-11-29T10:30:00Z', deleted: true }),
    { kind: 'Event' },
  ]);
  expect(start).toMatchObject({ name: 'second', ready: false });
  expect(start?.troubles[0]?.log).toEqual(log.split('\n').slice(-MOST.lines));
  expect(startOf([])).toBeUndefined();
});

test('Pods are found by the run of the tests, and by nothing that two runs share', () => {
  expect(RUN_LABEL).toBe('switchyard.dev/run');
  expect(runOf(green)).toMatch(/^[0-9a-f]{32}$/);
  for (const other of [
    { build: 'http://jenkins.example/4/' },
    { headSha: 'e'.repeat(40) },
    { baseSha: 'e'.repeat(40) },
  ])
    expect(runOf({ ...green, ...other })).not.toBe(runOf(green));
});

test('an API server is asked for the Pods of one run, and for the events of one Pod', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${decodeURIComponent(request.url ?? '')} ${request.headers.authorization}`);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ items: request.url?.includes('/events') ? null : [pulling] }));
  }).listen(0, '127.0.0.1');
  try {
    await new Promise((listening) => server.once('listening', listening));
    const cluster = new Cluster({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      token: 't',
    });
    expect(await cluster.objects('pods', 'test-orders', { labelSelector: `${RUN_LABEL}=x` })).toEqual([
      pulling,
    ]);
    expect(await cluster.objects('events', 'test-orders', { fieldSelector: 'involvedObject.uid=u' })).toEqual(
      [],
    );
    expect(asked).toEqual([
      'GET /api/v1/namespaces/test-orders/pods?labelSelector=switchyard.dev/run=x&limit=250 Bearer t',
      'GET /api/v1/namespaces/test-orders/events?fieldSelector=involvedObject.uid=u&limit=250 Bearer t',
    ]);
  } finally {
    server.close();
  }
});

test('the newest events are read also where there are more than an API server gives at once', async () => {
  const rows = Array.from({ length: 251 }, (_, at) => ({ at }));
  const server = createServer((request, response) => {
    const asked = new URL(request.url ?? '', 'http://x').searchParams;
    const from = Number(asked.get('continue') ?? 0);
    const end = from + Number(asked.get('limit'));
    const items = rows.slice(from, end);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ metadata: end < rows.length ? { continue: String(end) } : {}, items }));
  }).listen(0, '127.0.0.1');
  try {
    await new Promise((listening) => server.once('listening', listening));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const cluster = new Cluster({ url, token: 't' });
    expect(await cluster.objects('events', 'ci-agents', { fieldSelector: 'type=Warning' })).toEqual(rows);
  } finally {
    server.close();
  }
});

test('what the watch of a build sees is left for its verdict and said, and nothing is left once the tests ended', async () => {
  const workspace = mkdtempSync(join(tmpdir(), 'watch-'));
  const event = {
    involvedObject: { uid: 'uid-orders-1-abcde' },
    reason: 'BackOff',
    message: 'Back-off pulling',
    metadata: {},
  };
  const asked: string[] = [];
  const cluster = {
    objects: async (kind: 'pods' | 'events', namespace: string, selecting: object) => {
      asked.push(`${kind} ${namespace} ${Object.values(selecting).join()}`);
      return kind === 'pods' ? [pod({ containers: [{ state: ended(3, 'no configuration') }] })] : [event];
    },
  };
  const said: string[] = [];
  const watch = () =>
    watchTestPod(cluster, { workspace, namespace: 'test-orders' }, patienceOf(5), {
      say: (line) => said.push(line),
      sleep: async () => undefined,
    });
  try {
    mkdirSync(join(workspace, '.switchyard', 'start'), { recursive: true });
    writeFileSync(join(workspace, RUN_FILE), `${runOf(green)}\n`);
    const words = await watch();
    expect(words?.pods).toEqual([
      { name: 'orders-1-abcde', events: ['BackOff: Back-off pulling'], log: ['no configuration'] },
    ]);
    expect(readPodWords(join(workspace, START_FILE))).toEqual(words);
    expect(said).toEqual(['orders-1-abcde: BackOff: Back-off pulling', 'orders-1-abcde: no configuration']);
    expect(asked).toEqual([
      `pods test-orders ${RUN_LABEL}=${runOf(green)}`,
      'events test-orders involvedObject.uid=uid-orders-1-abcde',
    ]);
    rmSync(join(workspace, START_FILE));
    writeFileSync(join(workspace, ENDED_FILE), 'over');
    expect(await watch()).toBeUndefined();
    expect(readPodWords(join(workspace, START_FILE))).toBeUndefined();
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
});

describe('the verdict of what was not tested', () => {
  const before = { ...process.env };
  let workspace: string;
  const { tests: _none, ...built } = green;
  const TOKEN = 'glpat-of-the-bot-in-the-tests';
  const words: PodWords = {
    why: 'container mysql waits (ImagePullBackOff)',
    pods: [
      {
        name: 'orders-1-abcde',
        events: [`Failed: image "x" @admin /close ${TOKEN}`],
        log: [],
      },
    ],
  };
  const left = (file: string, text: string): void => {
    mkdirSync(dirname(join(workspace, file)), { recursive: true });
    writeFileSync(join(workspace, file), text);
  };
  beforeEach(() => {
    workspace = mkdtempSync(join(tmpdir(), 'start-'));
    Object.assign(process.env, {
      BUILD_URL: green.build,
      GITLAB_TOKEN: TOKEN,
      REGISTRY: 'registry.example:5000',
      SWITCHYARD_CATALOG: join(__dirname, '..', '..', 'catalog'),
      SWITCHYARD_CERTIFICATE_KEY: KEY,
      SWITCHYARD_GITLAB_GROUP: 'switchyard',
      SWITCHYARD_MODULE: 'orders',
      SWITCHYARD_STATE: join(workspace, 'state'),
      gitlabMergeRequestIid: '7',
    });
    jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    writeCertificate(workspace, built);
  });
  afterEach(() => {
    jest.restoreAllMocks();
    process.env = { ...before };
    rmSync(workspace, { recursive: true, force: true });
  });
  const verdict = () => run(['--workspace', workspace, 'verdict']);

  it('is red, and its note has what the Pod said, inert and without secrets', async () => {
    left(START_FILE, podWordsText(words));
    expect(await verdict()).toBe(exitCode.red);
    const certificate = readCertificate(workspace);
    expect(certificate.tests).toBeUndefined();
    const note = renderNote(certificate, { state: 'tested' }, KEY);
    expect(readNote(note, KEY)).toEqual({ certificate });
    expect(note).toContain('**Switchyard: failed**');
    expect(note).toContain('the test Pod did not start&#58; container mysql waits (ImagePullBackOff)');
    expect(note).toContain('**Pod orders-1-abcde**');
    expect(note).toContain('Its events:');
    const [seen = ''] = note.split('<details><summary>Merge certificate');
    expect(seen).not.toMatch(/@admin|^\/close/m);
    expect(note).not.toContain(TOKEN);
  });

  it('goes by the results where tests left any, and by nothing that is not of the form', async () => {
    left(START_FILE, podWordsText(words));
    left(
      '.switchyard/carried/xunit.xml',
      '<testsuite name="a" tests="1" errors="0" failures="0" skipped="0"><testcase classname="a" name="b" time="1"/></testsuite>',
    );
    expect(await verdict()).toBe(exitCode.done);
    expect(readCertificate(workspace).start).toBeUndefined();
    rmSync(join(workspace, '.switchyard'), { recursive: true });
    writeCertificate(workspace, built);
    left(START_FILE, JSON.stringify({ ...words, why: 'x\ny' }));
    expect(await verdict()).toBe(exitCode.red);
    expect(readCertificate(workspace)).toMatchObject({ tests: { failed: 1 } });
  });
});
