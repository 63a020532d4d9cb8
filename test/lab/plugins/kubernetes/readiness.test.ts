import type { KubeObject } from '../../../../lab/plugins/kubernetes/object';
import {
  assess,
  isAwaited,
  NOTHING_RELATED,
  podProblems,
  podSelector,
  type Related,
} from '../../../../lab/plugins/kubernetes/readiness';
import { ProblemClock, timeoutFor } from '../../../../lab/plugins/kubernetes/wait';
import { deployment, waitingPod } from './fixtures';

function related(extra: Partial<Related>): Related {
  return { ...NOTHING_RELATED, ...extra };
}

function object(apiVersion: string, kind: string, rest: Record<string, unknown>): KubeObject {
  return { apiVersion, kind, metadata: { name: 'x', namespace: 'shop', generation: 1 }, ...rest };
}

describe('a Deployment', () => {
  test('is ready when every replica is updated and available and none of the old ones is left', () => {
    expect(assess(deployment(), NOTHING_RELATED)).toEqual({ ready: true, waitingFor: '', problems: [] });
  });

  test.each([
    ['the controller has not seen the newest generation', { observedGeneration: 1 }, 'the rollout to begin'],
    [
      'a replica is not updated',
      { updatedReplicas: 1 },
      '1/2 replicas updated, 2/2 available, 1 old to stop',
    ],
    ['a replica is not available', { availableReplicas: 1 }, '2/2 replicas updated, 1/2 available'],
    ['an old replica still runs', { replicas: 3 }, '2/2 replicas updated, 2/2 available, 1 old to stop'],
  ])('is not ready while %s', (_why, status, waitingFor) => {
    expect(assess(deployment(status), NOTHING_RELATED)).toMatchObject({ ready: false, waitingFor });
  });

  test('scaled to zero is ready without a Pod', () => {
    const idle = deployment({ replicas: 0, updatedReplicas: 0, availableReplicas: 0 }, { replicas: 0 });
    expect(assess(idle, NOTHING_RELATED).ready).toBe(true);
  });

  test('that is paused is not waited for', () => {
    expect(assess(deployment({ updatedReplicas: 0 }, { paused: true }), NOTHING_RELATED).ready).toBe(true);
  });

  test('past its progress deadline fails at once', () => {
    const conditions = [
      {
        type: 'Progressing',
        status: 'False',
        reason: 'ProgressDeadlineExceeded',
        message: 'timed out progressing',
      },
    ];
    const { problems } = assess(deployment({ updatedReplicas: 1, conditions }), NOTHING_RELATED);
    expect(problems).toEqual([
      {
        key: 'ProgressDeadlineExceeded',
        text: 'the rollout made no progress: timed out progressing',
        graceSeconds: 0,
      },
    ]);
  });

  test('whose replicas all lack their image tells it once, with the container, the Pod and the cause', () => {
    const pods = [
      waitingPod('ImagePullBackOff', 'no such image'),
      waitingPod('ErrImagePull', 'no such image'),
    ];
    const { problems } = assess(deployment({ availableReplicas: 0 }), related({ pods }));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.text).toMatch(
      /container "orders" of Pod orders-7d9c-x2x: (Err)?Image\w+: no such image/,
    );
  });

  test('whose Pods are refused by the quota says so', () => {
    const events = [{ reason: 'FailedCreate', message: 'exceeded quota: small' }];
    const { problems } = assess(
      deployment({ replicas: 0, updatedReplicas: 0, availableReplicas: 0 }),
      related({ events }),
    );
    expect(problems.map(({ text }) => text)).toEqual(['Pods cannot be created: exceeded quota: small']);
  });
});

test('an old refusal to create Pods is no problem once the Pods are there', () => {
  const events = [{ reason: 'FailedCreate', message: 'exceeded quota: small' }];
  expect(assess(deployment({ availableReplicas: 1 }), related({ events })).problems).toEqual([]);
});

describe('a Pod', () => {
  test('that crashes again and again is a problem with its last exit code; a first crash is not', () => {
    expect(podProblems(waitingPod('CrashLoopBackOff', '', 1))).toEqual([]);
    expect(podProblems(waitingPod('CrashLoopBackOff', '', 2))).toMatchObject([{ graceSeconds: 100 }]);
    const [lost] = podProblems(waitingPod('CrashLoopBackOff', '', 5));
    expect(lost).toMatchObject({ text: expect.stringContaining('last exit code 3') });
  });

  test('that only starts its container is no problem', () => {
    expect(podProblems(waitingPod('ContainerCreating'))).toEqual([]);
  });

  test("that no node takes is a problem with the scheduler's words", () => {
    const pod = object('v1', 'Pod', {
      status: {
        phase: 'Pending',
        conditions: [
          {
            type: 'PodScheduled',
            status: 'False',
            reason: 'Unschedulable',
            message: '0/1 nodes: Insufficient cpu',
          },
        ],
      },
    });
    expect(assess(pod, NOTHING_RELATED).problems[0]?.text).toBe(
      'Pod x cannot be scheduled: 0/1 nodes: Insufficient cpu',
    );
  });

  test('that ran to its end is ready, one that failed fails at once', () => {
    expect(assess(object('v1', 'Pod', { status: { phase: 'Succeeded' } }), NOTHING_RELATED).ready).toBe(true);
    const failed = assess(
      object('v1', 'Pod', { status: { phase: 'Failed', reason: 'Evicted' } }),
      NOTHING_RELATED,
    );
    expect(failed.problems).toMatchObject([{ text: 'Pod x failed: Evicted', graceSeconds: 0 }]);
  });
});

describe('a StatefulSet', () => {
  const set = (status: Record<string, unknown>, spec: Record<string, unknown> = {}) =>
    object('apps/v1', 'StatefulSet', {
      spec: { replicas: 2, ...spec },
      status: { observedGeneration: 1, replicas: 2, ...status },
    });

  test('is ready when all replicas run the newest revision', () => {
    const status = { readyReplicas: 2, currentRevision: 'b', updateRevision: 'b' };
    expect(assess(set(status), NOTHING_RELATED).ready).toBe(true);
  });

  test('is not ready while one replica runs the old revision', () => {
    const status = { readyReplicas: 2, updatedReplicas: 1, currentRevision: 'a', updateRevision: 'b' };
    expect(assess(set(status), NOTHING_RELATED)).toMatchObject({
      ready: false,
      waitingFor: '1/2 replicas updated, 2/2 ready',
    });
  });

  test('updates only the replicas above its partition', () => {
    const status = { readyReplicas: 2, updatedReplicas: 1, currentRevision: 'a', updateRevision: 'b' };
    const spec = { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1 } } };
    expect(assess(set(status, spec), NOTHING_RELATED).ready).toBe(true);
  });
});

describe('a Job', () => {
  const job = (status: Record<string, unknown>, spec: Record<string, unknown> = {}) =>
    object('batch/v1', 'Job', { spec, status });

  test('is ready when complete, or when it is suspended', () => {
    expect(assess(job({ conditions: [{ type: 'Complete', status: 'True' }] }), NOTHING_RELATED).ready).toBe(
      true,
    );
    expect(assess(job({}, { suspend: true }), NOTHING_RELATED).ready).toBe(true);
  });

  test('that failed fails at once and says how to read its log', () => {
    const failed = job({
      conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded', message: 'too often' }],
    });
    const [problem] = assess(failed, NOTHING_RELATED).problems;
    expect(problem).toMatchObject({ graceSeconds: 0 });
    expect(problem?.text).toBe(
      'the Job failed: BackoffLimitExceeded: too often; see kubectl logs -n shop job/x',
    );
  });
});

describe('a Service', () => {
  const service = (spec: Record<string, unknown>, status: Record<string, unknown> = {}) =>
    object('v1', 'Service', { spec, status });
  const slice = (ready: boolean) => ({ endpoints: [{ addresses: ['198.18.128.4'], conditions: { ready } }] });

  test.each([
    ['headless', { clusterIP: 'None', selector: { app: 'a' } }],
    ['external', { type: 'ExternalName', externalName: 'db.example' }],
    ['without selector', { clusterIP: '198.19.0.7' }],
  ])('that is %s is not waited for', (_what, spec) => {
    expect(assess(service(spec), NOTHING_RELATED).ready).toBe(true);
  });

  test('waits for one ready endpoint', () => {
    const target = service({ clusterIP: '198.19.0.7', selector: { app: 'a' } });
    expect(assess(target, NOTHING_RELATED)).toMatchObject({
      ready: false,
      waitingFor: 'a ready Pod for the selector app=a (no Pod has these labels)',
    });
    expect(assess(target, related({ endpointSlices: [slice(false)] })).ready).toBe(false);
    expect(assess(target, related({ endpointSlices: [slice(true)] })).ready).toBe(true);
  });

  test('of type LoadBalancer also waits for its address', () => {
    const spec = { type: 'LoadBalancer', clusterIP: '198.19.0.7', selector: { app: 'a' } };
    const found = related({ endpointSlices: [slice(true)] });
    expect(assess(service(spec), found).ready).toBe(false);
    expect(assess(service(spec, { loadBalancer: { ingress: [{ ip: '198.18.0.9' }] } }), found).ready).toBe(
      true,
    );
  });
});

describe('a claim', () => {
  const claim = (phase: string) => object('v1', 'PersistentVolumeClaim', { spec: {}, status: { phase } });

  test('is ready when bound', () => {
    expect(assess(claim('Bound'), NOTHING_RELATED).ready).toBe(true);
    expect(assess(claim('Pending'), NOTHING_RELATED).ready).toBe(false);
  });

  test('of a class that binds with the first consumer is not waited for', () => {
    const storageClass = object('storage.k8s.io/v1', 'StorageClass', {
      volumeBindingMode: 'WaitForFirstConsumer',
    });
    expect(assess(claim('Pending'), related({ storageClass })).ready).toBe(true);
  });
});

test("the Secret of a service account's token is waited for until a controller has filled it", () => {
  const token = (data?: Record<string, string>) =>
    object('v1', 'Secret', { type: 'kubernetes.io/service-account-token', ...(data ? { data } : {}) });
  expect(isAwaited(token())).toBe(true);
  expect(assess(token(), NOTHING_RELATED)).toMatchObject({ ready: false, problems: [] });
  expect(assess(token({ 'ca.crt': 'YQ==' }), NOTHING_RELATED).ready).toBe(false);
  expect(assess(token({ 'ca.crt': 'YQ==', token: 'Yg==' }), NOTHING_RELATED).ready).toBe(true);
});

test('kinds without readiness of their own are not waited for', () => {
  expect(['ConfigMap', 'Secret', 'ServiceAccount'].map((kind) => isAwaited(object('v1', kind, {})))).toEqual([
    false,
    false,
    false,
  ]);
  expect(isAwaited(object('networking.k8s.io/v1', 'Ingress', {}))).toBe(false);
});

test('the selector of a Deployment and of a Service read alike', () => {
  expect(podSelector(deployment())).toBe('app=orders');
  expect(podSelector(object('v1', 'Service', { spec: { selector: { a: '1', b: '2' } } }))).toBe('a=1,b=2');
});

describe('how long is waited', () => {
  test('customTimeouts count before the annotation, the annotation before the default', () => {
    const annotated = object('v1', 'PersistentVolumeClaim', {});
    expect(timeoutFor(annotated, 0)).toBe(300);
    const withAnnotation = { ...annotated, metadata: { annotations: { 'pulumi.com/timeoutSeconds': '20' } } };
    expect(timeoutFor(withAnnotation, 0)).toBe(20);
    expect(timeoutFor(withAnnotation, 7)).toBe(7);
  });

  test('a problem fails the wait only after it has lasted without a break', () => {
    const clock = new ProblemClock();
    const problem = { key: 'a/ImagePullBackOff', text: '', graceSeconds: 60 };
    expect(clock.lasting([problem], 0)).toEqual([]);
    expect(clock.lasting([problem], 59_000)).toEqual([]);
    expect(clock.lasting([], 60_000)).toEqual([]);
    expect(clock.lasting([problem], 61_000)).toEqual([]);
    expect(clock.lasting([problem], 121_000)).toEqual([problem]);
  });
});
