import type { RollingStep } from '../../../delivery/rolling';
import { followRollout, readyOf, type Seen, stepOf } from '../../../operations/judge/rolling';

const deployment = (image: string, replicas = 2) => ({
  metadata: { generation: 1 },
  spec: { replicas, template: { spec: { containers: [{ name: 'module', image }] } } },
});
const pod = (name: string, image: string, ready: boolean, more: object = {}) => ({
  metadata: { name, uid: name, ...more },
  spec: { containers: [{ name: 'module', image }] },
  status: { containerStatuses: [{ name: 'module', ready, restartCount: 0, state: { running: {} } }] },
});
const job = (conditions: readonly object[] = []) => ({
  metadata: { name: 'shop-migration', uid: 'j' },
  status: { conditions },
});
const seen = (more: Partial<Seen> = {}): Seen => ({
  deployment: deployment('old'),
  pods: [pod('a', 'old', true), pod('b', 'old', true)],
  jobs: [],
  ...more,
});
const rolling = (...pods: unknown[]): Seen => seen({ deployment: deployment('new'), pods });

test('Pods of the release before do not count, nor do those that leave', () => {
  const pods = [
    pod('a', 'old', true),
    pod('b', 'new', true),
    pod('c', 'new', false),
    pod('d', 'new', true, { deletionTimestamp: '2026-12-01T00:00:00Z' }),
  ];
  expect(readyOf({ deployment: deployment('new', 3), pods })).toEqual({ ready: 1, wanted: 3 });
  expect(readyOf({ deployment: undefined, pods })).toEqual({ ready: 0, wanted: 0 });
  // Of a change without another image the Pods of before cannot be told: never more than are wanted.
  expect(readyOf({ deployment: deployment('new', 1), pods: [...pods, pod('e', 'new', true)] })).toEqual({
    ready: 1,
    wanted: 1,
  });
});

test.each<[string, Seen, Seen, RollingStep]>([
  ['nothing has changed yet', seen(), seen(), { step: 'begun' }],
  ['its migration runs', seen(), seen({ jobs: [job()] }), { step: 'migration' }],
  [
    'its migration has run',
    seen(),
    seen({ jobs: [job([{ type: 'Complete', status: 'True' }])] }),
    { step: 'begun' },
  ],
  [
    'its first new Pod is ready',
    seen(),
    rolling(pod('a', 'old', true), pod('c', 'new', true)),
    { step: 'pods', ready: 1, wanted: 2 },
  ],
  [
    'its autoscaler wants more of what was before',
    seen(),
    seen({ deployment: deployment('old', 9) }),
    { step: 'begun' },
  ],
  [
    'it is the first release',
    seen({ deployment: undefined, pods: [] }),
    rolling(pod('c', 'new', false)),
    { step: 'pods', ready: 0, wanted: 2 },
  ],
])('%s', (_what, before, now, step) => {
  expect(stepOf(before, now)).toEqual(step);
});

test('looks go on until the rollout ends, and one that fails is passed over', async () => {
  const looks: (Seen | Error)[] = [
    new Error('the API server is away'),
    seen(),
    new Error('again'),
    rolling(pod('c', 'new', true)),
    rolling(pod('c', 'new', true), pod('d', 'new', true)),
  ];
  const end = new AbortController();
  const told: RollingStep[] = [];
  const pauses: number[] = [];
  await followRollout(
    async () => {
      const next = looks.shift();
      if (looks.length === 0) end.abort();
      if (next === undefined || next instanceof Error) throw next;
      return next;
    },
    (step) => told.push(step),
    end.signal,
    async (milliseconds) => pauses.push(milliseconds),
  );
  // What was looked at as it ended is not told: by then what came of it may be.
  expect(told).toEqual([{ step: 'begun' }, { step: 'pods', ready: 1, wanted: 2 }]);
  expect(pauses).toEqual([3000, 3000, 3000, 3000]);
});
