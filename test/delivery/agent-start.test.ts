import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { agentWords, readAgentStart } from '../../delivery/agent-start';
import { MOST, podWordsSchema } from '../../delivery/pod-words';
import { leaveStartWords, START_FILE, startWords } from '../../delivery/start-words';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const ago = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();

// As the API server gives them: kubelet's and the scheduler's, in the fields of core/v1 and of events.k8s.io.
const event = (pod: string, reason: string, minutes: number, more: object = {}) => ({
  type: 'Warning',
  reason,
  message: `${reason} of ${pod}`,
  involvedObject: { kind: 'Pod', name: pod, uid: pod },
  metadata: { creationTimestamp: ago(minutes) },
  lastTimestamp: ago(minutes),
  ...more,
});

test('the newest Pods are told of, each with its events in order', () => {
  const words = agentWords(
    [
      event('orders-7-b', 'FailedMount', 2, { count: 6 }),
      event('orders-7-a', 'FailedScheduling', 9),
      event('orders-7-b', 'FailedScheduling', 4, { lastTimestamp: null, eventTime: ago(4) }),
      event('orders-6', 'FailedScheduling', 12),
    ],
    15,
    NOW - 15 * 60_000,
  );
  expect(words).toEqual({
    infrastructure: true,
    why: 'no agent started within 15 minutes (FailedMount)',
    pods: [
      {
        name: 'orders-7-b',
        events: [
          'FailedScheduling: FailedScheduling of orders-7-b',
          'FailedMount: FailedMount of orders-7-b (6 times)',
        ],
        log: [],
      },
      { name: 'orders-7-a', events: ['FailedScheduling: FailedScheduling of orders-7-a'], log: [] },
    ],
  });
});

test('what is older, of something else than a Pod, or no warning, is of no use', () => {
  const none = agentWords(
    [
      event('old', 'FailedScheduling', 20),
      event('quota', 'FailedCreate', 1, { involvedObject: { kind: 'Job', name: 'quota' } }),
      event('fine', 'Pulled', 1, { type: 'Normal' }),
      'nonsense',
      null,
    ],
    15,
    NOW - 15 * 60_000,
  );
  expect(none).toEqual({
    why: 'no agent started within 15 minutes',
    infrastructure: true,
    pods: [],
  });
});

test('whatever the events say, what is left of them is read again', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.constant('x'.repeat(5000)));
  const anything = fc.record({
    type: fc.constantFrom('Warning', 'Normal'),
    reason: text,
    message: fc.oneof(text, fc.constant(null)),
    count: fc.oneof(fc.nat(), fc.constant(null)),
    involvedObject: fc.record({ kind: fc.constant('Pod'), name: text, uid: text }),
    metadata: fc.record({ creationTimestamp: fc.constantFrom(ago(1), ago(3), 'nonsense') }),
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(anything, fc.anything()), { maxLength: 30 }), (objects) => {
      const words = agentWords(objects, 15, NOW - 15 * 60_000);
      expect(podWordsSchema.safeParse(words).success).toBe(true);
      expect(words.pods.length).toBeLessThanOrEqual(MOST.pods);
    }),
  );
});

test('the words are kept for whoever tells how the build ended, without our own secrets', async () => {
  const workspace = mkdtempSync(join(tmpdir(), 'agent-start-'));
  const asked: unknown[] = [];
  const cluster = {
    objects: async (...given: unknown[]) => {
      asked.push(given);
      return [event('deploy-1', 'Failed', 1, { message: `pull with ${'s3cr3t'.repeat(4)}` })];
    },
  };
  process.env.GITLAB_TOKEN = 's3cr3t'.repeat(4);
  try {
    expect(startWords(workspace)).toBeUndefined();
    const said: string[] = [];
    const words = await readAgentStart(cluster, 'ci-deploy', 15, NOW);
    leaveStartWords(workspace, words, (line) => said.push(line));
    expect(said).toEqual([`deploy-1: Failed: pull with ${'s3cr3t'.repeat(4)}`]);
    expect(asked).toEqual([['events', 'ci-deploy', { fieldSelector: 'type=Warning' }]]);
    expect(startWords(workspace)).toEqual({
      infrastructure: true,
      why: 'no agent started within 15 minutes (Failed)',
      pods: [{ name: 'deploy-1', events: ['Failed: pull with [hidden]'], log: [] }],
    });
    expect(START_FILE).toMatch(/^\.switchyard\//);
  } finally {
    delete process.env.GITLAB_TOKEN;
    rmSync(workspace, { recursive: true, force: true });
  }
});
