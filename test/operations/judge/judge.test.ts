import { eventsOf, MOST, podWordsSchema, podWordsText } from '../../../delivery/pod-words';
import {
  failedMigration,
  type MigrationStage,
  migrationStage,
  untilMigrated,
} from '../../../operations/judge/migration';
import { judge, type Look, podsOf, stageOf } from '../../../operations/judge/verdict';
import { valuesOf, wordsOf } from '../../../operations/judge/words';
import { noTime } from '../../support/clock';

const IMAGE = `registry.test/modules/shop@sha256:${'a'.repeat(64)}`;

const deployment = (status: object, image = IMAGE, generation = 2) => ({
  metadata: { name: 'shop', generation },
  spec: { replicas: 2, template: { spec: { containers: [{ image }] } } },
  status: { observedGeneration: 2, ...status },
});
const ready = { replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
const late = { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' };

test.each([
  ['ready', deployment(ready)],
  ['rolling', deployment({ ...ready, availableReplicas: 1 })],
  // An old Pod still serves.
  ['rolling', deployment({ ...ready, replicas: 3 })],
  ['rolling', deployment({ replicas: 3, updatedReplicas: 1, availableReplicas: 2 })],
  // The controller has not seen the change yet: what it says is of the one before.
  ['rolling', deployment(ready, IMAGE, 3)],
  ['late', deployment({ ...ready, availableReplicas: 1, conditions: [late] })],
  ['ready', deployment({ ...ready, conditions: [late] })],
  ['other', deployment(ready, 'registry.test/modules/shop@sha256:b')],
  ['other', undefined],
])('a rollout is %s', (stage, object) => {
  expect(stageOf(object, IMAGE)).toBe(stage);
});

const pod = (name: string, container: object, more: { image?: string; deletionTimestamp?: string } = {}) => ({
  metadata: {
    name,
    uid: `uid-${name}`,
    ...(more.deletionTimestamp ? { deletionTimestamp: more.deletionTimestamp } : {}),
  },
  spec: { containers: [{ name: 'module', image: more.image ?? IMAGE }] },
  status: { containerStatuses: [{ name: 'module', ready: false, restartCount: 0, ...container }] },
});
const crashed = {
  restartCount: 3,
  state: { waiting: { reason: 'CrashLoopBackOff' } },
  lastState: { terminated: { reason: 'Error', exitCode: 7 } },
};

test('Pods are told those first that do not serve, with Kubernetes’ own words for why; others’ do not count', () => {
  expect(
    podsOf(
      [
        pod('a', { ready: true, state: { running: {} } }),
        pod('b', crashed),
        pod('c', { state: { waiting: { reason: 'ImagePullBackOff' } } }),
        pod('d', { state: { running: {} } }),
        pod('old', { ready: true }, { image: 'other' }),
        pod('leaving', crashed, { deletionTimestamp: '2026-11-28T10:00:00Z' }),
        { kind: 'Secret' },
      ],
      IMAGE,
    ).map(({ name, ready: serves, down, trouble }) => [name, serves, down, trouble]),
  ).toEqual([
    ['b', false, true, 'CrashLoopBackOff, Error, exit code 7'],
    ['c', false, true, 'ImagePullBackOff'],
    ['d', false, false, 'it runs and is not ready'],
    ['a', true, false, ''],
  ]);
  const waiting = pod('f', { state: { waiting: { reason: 'PodInitializing' } } });
  const proxy = { name: 'proxy', ready: false, ...crashed };
  const behind = { ...waiting, status: { ...waiting.status, initContainerStatuses: [proxy] } };
  expect(podsOf([behind], IMAGE)[0]?.trouble).toBe('CrashLoopBackOff, Error, exit code 7');
  const forged = pod('e', { state: { waiting: { reason: 'see @all\nhttps://evil.test' } } });
  expect(podsOf([forged], IMAGE)[0]?.trouble).toBe('it runs and is not ready');
});

/** Looks one after the other, a second apart; the last one stays. */
async function judged(looks: readonly Look[], patience = { readySeconds: 20, watchSeconds: 5 }) {
  const clock = noTime();
  let count = 0;
  const verdict = await judge(
    async () => looks[Math.min(count++, looks.length - 1)] as Look,
    patience,
    clock,
  );
  return { verdict, seconds: clock.now() / 1000 };
}
const serving = (restarts = 0): Look => ({
  stage: 'ready',
  pods: podsOf([pod('a', { ready: true, restartCount: restarts, state: { running: {} } })], IMAGE),
});
const rolling: Look = { stage: 'rolling', pods: podsOf([pod('a', crashed)], IMAGE) };

describe('a rollout', () => {
  test('holds once it is ready and has not crashed in its watch time', async () => {
    expect(await judged([rolling, rolling, serving()])).toEqual({ verdict: { is: 'steady' }, seconds: 7 });
    // One that waited for its database started more than once before.
    expect(await judged([rolling, serving(4)])).toMatchObject({ verdict: { is: 'steady' } });
    expect(await judged([serving()], { readySeconds: 20, watchSeconds: 0 })).toMatchObject({ seconds: 0 });
  });

  test('that is late does not hold: by Kubernetes’ word, or when its time is up', async () => {
    expect(await judged([rolling, { ...rolling, stage: 'late' }])).toMatchObject({
      seconds: 1,
      verdict: {
        is: 'unsteady',
        why: 'it did not get ready by its deadline (CrashLoopBackOff, Error, exit code 7)',
      },
    });
    expect(await judged([rolling])).toMatchObject({ seconds: 20, verdict: { is: 'unsteady' } });
    expect((await judged([{ stage: 'late', pods: [] }])).verdict).toMatchObject({
      why: 'it did not get ready by its deadline (no Pod was made)',
    });
  });

  test('of many Pods may take longer than its deadline, as long as one after the other serves', async () => {
    const upTo = (count: number): Look => ({
      stage: 'rolling',
      pods: podsOf(
        [1, 2, 3].map((n) => pod(`${n}`, n <= count ? { ready: true, state: { running: {} } } : crashed)),
        IMAGE,
      ),
    });
    const looks = [0, 1, 2].flatMap((count) => Array<Look>(15).fill(upTo(count)));
    expect(await judged([...looks, serving()])).toEqual({ verdict: { is: 'steady' }, seconds: 50 });
    // The second comes after 15 s, the third never.
    expect(await judged(looks)).toMatchObject({ verdict: { is: 'unsteady' }, seconds: 50 });
  });

  test('that crashes in its watch time does not hold; one of which a Pod comes or goes does', async () => {
    expect(await judged([serving(), serving(1)])).toMatchObject({
      seconds: 1,
      verdict: { is: 'unsteady', why: expect.stringMatching(/^it crashed within 5 s after it was ready/) },
    });
    const down: Look = { stage: 'rolling', pods: podsOf([pod('a', crashed)], IMAGE) };
    expect((await judged([serving(3), down])).verdict).toMatchObject({ is: 'unsteady' });
    const drained: Look = { stage: 'rolling', pods: podsOf([pod('new', { restartCount: 1 })], IMAGE) };
    expect((await judged([serving(), drained, serving()])).verdict).toEqual({ is: 'steady' });
  });

  test('of another image is nothing to judge', async () => {
    expect((await judged([{ stage: 'other', pods: [] }])).verdict).toEqual({ is: 'other' });
    expect((await judged([serving(), { stage: 'other', pods: [] }])).verdict).toEqual({ is: 'other' });
  });
});

describe('what the Pods said', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const PASSWORD = 'correct-horse-battery';
  const secrets = [
    { data: { password: base64(PASSWORD) } },
    { data: { '.dockerconfigjson': base64(JSON.stringify({ auths: { r: { auth: 'cHVzaDpzZWNyZXQ=' } } })) } },
    { data: { key: base64('-----BEGIN-----\nlineoneofthekey\nlinetwoofthekey\n') } },
    { metadata: {} },
  ];
  const event = (uid: string, reason: string, second: number, message = 'x') => ({
    metadata: {},
    involvedObject: { uid },
    reason,
    message,
    lastTimestamp: `2026-11-28T10:00:${String(second).padStart(2, '0')}Z`,
  });
  const [crashing] = podsOf([pod('b', crashed)], IMAGE);
  const unsteady = { why: 'it did not get ready by its deadline (Error)', pods: crashing ? [crashing] : [] };

  test('is told without the secrets of the namespace, however they stand there', async () => {
    const told = await wordsOf(unsteady, {
      secrets: async () => secrets,
      events: async () => [
        event('uid-b', 'BackOff', 2, `back-off\nof ${PASSWORD}`),
        event('uid-b', 'Pulled', 1),
        event('uid-other', 'Killing', 3),
      ],
      log: async () =>
        [
          `cannot reach mysql://shop:${PASSWORD}@db`,
          `${'x'.repeat(MOST.characters - 8)}${PASSWORD}`,
          'auth cHVzaDpzZWNyZXQ=',
          '',
          'linetwoofthekey',
          base64(`a:${PASSWORD}`),
        ].join('\n'),
    });
    expect(told.pods).toEqual([
      {
        name: 'b',
        events: ['Pulled: x', 'BackOff: back-off of [hidden]'],
        log: [
          'cannot reach mysql://shop:[hidden]@db',
          `${'x'.repeat(MOST.characters - 8)}[hidden]`,
          'auth [hidden]',
          '[hidden]',
          expect.stringContaining('[hidden]'),
        ],
      },
    ]);
    expect(podWordsSchema.parse(JSON.parse(podWordsText(told)))).toEqual(told);
  });

  test('is the end of it, in bounds', async () => {
    const lines = Array.from({ length: 500 }, (_, index) => `${index} ${'ü'.repeat(1000)}`);
    const told = await wordsOf(
      { ...unsteady, pods: Array(9).fill(crashing) },
      { secrets: async () => [], events: async () => [], log: async () => lines.join('\n') },
    );
    expect(told.pods).toHaveLength(MOST.pods);
    expect(told.pods[0]?.log).toHaveLength(MOST.lines);
    expect(told.pods[0]?.log.at(-1)).toMatch(/^499 ü+$/);
    const text = podWordsText(told);
    expect(text).toMatch(/^[\x20-\x7e]+\n$/);
    expect(podWordsSchema.parse(JSON.parse(text))).toEqual(told);
    expect(
      eventsOf(
        Array.from({ length: 30 }, (_, at) => event('u', `E${at}`, at)),
        'u',
        [],
      ),
    ).toHaveLength(MOST.events);
  });

  test('is left out where the secrets cannot be read: then nobody knows what must not be told', async () => {
    const told = await wordsOf(unsteady, {
      secrets: () => Promise.reject(new Error('forbidden')),
      events: async () => [event('uid-b', 'BackOff', 1)],
      log: async () => PASSWORD,
    });
    expect(told).toEqual({ why: unsteady.why, pods: [] });
  });

  test('hides values of Secrets, the lines of longer ones and what stands in documents', () => {
    expect(valuesOf(secrets)).toEqual(
      expect.arrayContaining([PASSWORD, 'cHVzaDpzZWNyZXQ=', 'lineoneofthekey', 'linetwoofthekey']),
    );
  });
});

describe('a migration', () => {
  const job = (...conditions: object[]) => ({
    metadata: { name: 'shop-migrate-b', uid: 'uid-job' },
    status: { conditions },
  });
  const condition = (type: string, reason = '', status = 'True') => ({ type, status, reason });

  test.each([
    ['none', '', undefined],
    ['none', '', { kind: 'Status' }],
    ['running', '', { metadata: { name: 'shop-migrate-b' } }],
    // Kubernetes says first what it is about to say.
    [
      'running',
      '',
      job(condition('FailureTarget', 'BackoffLimitExceeded'), condition('Failed', 'x', 'False')),
    ],
    ['ran', '', job(condition('SuccessCriteriaMet'), condition('Complete'))],
    ['failed', 'DeadlineExceeded', job(condition('Failed', 'DeadlineExceeded'))],
    ['failed', '', job(condition('Failed', 'see @all'))],
  ])('is %s %s', (stage, reason, object) => {
    expect(migrationStage(object)).toMatchObject({ stage, reason });
  });

  const ended = async (...stages: MigrationStage['stage'][]) => {
    const clock = noTime();
    let count = 0;
    const look = async (): Promise<MigrationStage> => ({
      stage: stages[Math.min(count++, stages.length - 1)] ?? 'none',
      reason: '',
    });
    return [(await untilMigrated(look, 60, clock)).stage, clock.now() / 1000];
  };
  test('that runs is waited for until it has ended, or should have', async () => {
    expect(await ended('ran')).toEqual(['ran', 0]);
    expect(await ended('none')).toEqual(['none', 0]);
    expect(await ended('running', 'running', 'failed')).toEqual(['failed', 2]);
    expect(await ended('running')).toEqual(['failed', 60]);
  });

  const failed: MigrationStage = {
    stage: 'failed',
    reason: 'BackoffLimitExceeded',
    job: { name: 'shop-migrate-b', uid: 'uid-job' },
  };
  const event = (name: string, uid: string) => ({ metadata: {}, involvedObject: { name, uid } });
  test('that failed is told by its Pod’s own words', () => {
    const terminated = { state: { terminated: { reason: 'Error', exitCode: 3 } } };
    const pods = podsOf([pod('shop-migrate-b-x', terminated)], IMAGE);
    expect(failedMigration(failed, pods, [event('shop-migrate-b-y', 'uid-y')])).toEqual({
      why: 'its migration failed (Error, exit code 3)',
      pods,
    });
  });

  test('whose Pods are gone, since they could not start in time, is told by what is left: events', () => {
    const late: MigrationStage = { ...failed, reason: 'DeadlineExceeded' };
    const events = [
      event('shop-migrate-b-x', 'uid-x'),
      event('shop-migrate-b-x', 'uid-x'),
      event('shop-7d9f', 'uid-other'),
      { kind: 'Secret' },
    ];
    const { why, pods } = failedMigration(late, [], events);
    expect(why).toBe('its migration failed (DeadlineExceeded)');
    expect(pods.map(({ name, uid }) => [name, uid])).toEqual([
      ['shop-migrate-b-x', 'uid-x'],
      ['shop-migrate-b', 'uid-job'],
    ]);
    expect(failedMigration({ stage: 'failed', reason: '' }, [], [])).toEqual({
      why: 'its migration failed (it did not end in time)',
      pods: [],
    });
  });

  test('and what it says of itself is of the form that is carried', () => {
    const words = { ...failedMigration(failed, [], []), migration: 'failed', pods: [] };
    expect(podWordsSchema.parse(words)).toEqual(words);
    expect(podWordsSchema.safeParse({ ...words, migration: 'all is well' }).success).toBe(false);
  });
});
