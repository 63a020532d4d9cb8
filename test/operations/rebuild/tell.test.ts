import { ago, planLines, type RebuildPlan, resultLines } from '../../../operations/rebuild/tell';

const at = Date.UTC(2026, 10, 24, 12) / 1000;
const plan: RebuildPlan = {
  environment: 'lab',
  repository: 's3:https://there/bucket',
  chosen: {
    at,
    snapshots: [
      { id: '1', kind: 'repositories', item: 'orders', time: at - 60 },
      { id: '2', kind: 'databases', item: 'orders/mysql', time: at - 7200 },
    ],
  },
  sizes: new Map([['databases', 3 * 1024 * 1024]]),
  alive: new Map([['gitlab', ['switchyard/orders']]]),
  over: [],
  keep: ['gitlab'],
  resources: undefined,
  canary: 'orders',
  done: ['state'],
};

test('a plan says what comes from when, how large it is, what is filled and what is left alone', () => {
  expect(planLines(plan)).toEqual([
    'rebuild of lab from s3:https://there/bucket, as of 2026-11-24T12:00:00.000Z',
    '  repositories     1 item(s), newest 2026-11-24T11:59:00.000Z (1 min before)',
    '  databases        1 item(s), 3.0 MiB, newest 2026-11-24T10:00:00.000Z (2 h 0 min before)',
    '  empty, to be filled: ci, production',
    '  lives and is left as it is: gitlab',
    '  state: lost; it is made anew',
    '  then: state (done), foundation, repositories, registry, databases, jenkins, topology, canary of orders, history',
  ]);
});

test('what is written over is said loudly; without a canary none is promised', () => {
  const lines = planLines({
    ...plan,
    over: ['gitlab'],
    keep: [],
    resources: 12,
    canary: undefined,
    done: [],
  });
  expect(lines).toContain('  LIVES AND IS WRITTEN OVER: gitlab');
  expect(lines).toContain('  state: 12 resource(s); what is gone is dropped from it');
  expect(lines.at(-1)).not.toContain('canary');
});

test('ages are told as people say them', () => {
  expect([20, 59 * 60, 3600, 47 * 3600, 50 * 3600].map(ago)).toEqual([
    '0 min',
    '59 min',
    '1 h 0 min',
    '47 h 0 min',
    '2 d 2 h',
  ]);
});

test('the result says what each step took, and all of it', () => {
  const ended = '2026-11-24T12:00:00.000Z';
  const lines = resultLines({
    environment: 'lab',
    from: 'latest',
    at,
    begun: ended,
    over: [],
    keep: [],
    restored: [],
    steps: { foundation: { ended, seconds: 61 }, state: { ended, seconds: 2.5 } },
  });
  expect(lines).toEqual([
    '  state         2.5 s',
    '  foundation    1 min 01 s',
    'rebuild of lab: done in 1 min 04 s',
  ]);
});
