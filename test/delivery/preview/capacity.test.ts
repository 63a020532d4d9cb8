import fc from 'fast-check';
import {
  capacityOf,
  capacityWarnings,
  demandOf,
  readNodes,
  readUnasked,
  showCpu,
  showMemory,
} from '../../../delivery/preview/capacity';

const Mi = 2 ** 20;
const pod = (cpu: string, memory: string) => ({ resources: { requests: { cpu, memory } } });
const workload = (kind: string, spec: object, name = 'shop', provider = 'production-cluster') => ({
  type: `kubernetes:apps/v1:${kind}`,
  provider,
  inputs: { metadata: { name, namespace: 'prod-shop' }, spec },
});
const deployment = (replicas: number, more: object = {}, containers = [pod('100m', '128Mi')]) =>
  workload('Deployment', { replicas, template: { spec: { containers } }, ...more });

test('a rolling update adds its surge to the worst case, a Recreate none', () => {
  const rolling = demandOf([deployment(4, { strategy: { rollingUpdate: { maxSurge: 1 } } })], 1);
  expect(rolling.requests).toEqual({ cpu: 400, memory: 512 * Mi, pods: 4 });
  expect(rolling.worst).toEqual({ cpu: 500, memory: 640 * Mi, pods: 5 });
  expect(demandOf([deployment(4, { strategy: { type: 'Recreate' } })], 1).worst.pods).toBe(4);
  // 25 % of 5, rounded up, is the default.
  expect(demandOf([deployment(5)], 1).worst.pods).toBe(7);
});

test('the worst case takes each autoscaler at its maximum, and only its own workload', () => {
  const scaler = (type: string, spec: object) => ({
    type,
    provider: 'production-cluster',
    inputs: {
      metadata: { namespace: 'prod-shop' },
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'shop' }, ...spec },
    },
  });
  const fixed = { strategy: { type: 'Recreate' } };
  const other = workload(
    'Deployment',
    { replicas: 1, ...fixed, template: { spec: { containers: [pod('1', '1Mi')] } } },
    'other',
  );
  const hpa = scaler('kubernetes:autoscaling/v2:HorizontalPodAutoscaler', { maxReplicas: 10 });
  expect(demandOf([deployment(2, fixed), other, hpa], 1).worst).toEqual({
    cpu: 2000,
    memory: 1281 * Mi,
    pods: 11,
  });
  const keda = scaler('kubernetes:keda.sh/v1alpha1:ScaledObject', { maxReplicaCount: 6 });
  expect(demandOf([deployment(2, fixed), keda], 1).worst.pods).toBe(6);
});

test('native sidecars count beside the containers, plain init containers only when they want more', () => {
  const init = [{ ...pod('200m', '1Mi'), restartPolicy: 'Always' }, pod('250m', '1Mi')];
  const { requests } = demandOf(
    [
      workload('StatefulSet', {
        replicas: 1,
        template: { spec: { containers: [pod('100m', '8Mi')], initContainers: init } },
      }),
    ],
    1,
  );
  expect(requests).toEqual({ cpu: 450, memory: 9 * Mi, pods: 1 });
});

test('a DaemonSet runs on every node, a limit stands in for a missing request, and a quota is added up', () => {
  const limited = { resources: { limits: { cpu: '50m', memory: '16Mi' } } };
  const demand = demandOf(
    [
      workload('DaemonSet', { template: { spec: { containers: [limited] } } }),
      {
        type: 'kubernetes:core/v1:ResourceQuota',
        provider: 'ci-cluster',
        inputs: { spec: { hard: { 'requests.cpu': '2', 'requests.memory': '1Gi', pods: '4' } } },
      },
    ],
    3,
  );
  expect(demand.requests).toEqual({ cpu: 150, memory: 48 * Mi, pods: 3 });
  expect(demand.quota).toEqual({ cpu: 2000, memory: 1024 * Mi, pods: 4 });
});

test('a Job counts among the worst case, and a quota with a scope admits nothing besides', () => {
  const job = {
    type: 'kubernetes:batch/v1:Job',
    provider: 'production-cluster',
    inputs: { metadata: {}, spec: { template: { spec: { containers: [pod('200m', '64Mi')] } } } },
  };
  const lock = {
    type: 'kubernetes:core/v1:ResourceQuota',
    provider: 'production-cluster',
    inputs: { spec: { scopes: ['Terminating'], hard: { pods: '1' } } },
  };
  const demand = demandOf([deployment(2, { strategy: { type: 'Recreate' } }), job, lock], 1);
  expect(demand.requests).toEqual({ cpu: 200, memory: 256 * Mi, pods: 2 });
  expect(demand.worst).toEqual({ cpu: 400, memory: 320 * Mi, pods: 3 });
  expect(demand.quota.pods).toBe(0);
});

test('two roles on one context share its nodes, and a node that takes no Pods gives nothing', () => {
  const nodes = readNodes({
    items: [
      { metadata: { name: 'a' }, status: { allocatable: { cpu: '2', memory: '4Gi', pods: '110' } } },
      {
        metadata: { name: 'b' },
        spec: { unschedulable: true },
        status: { allocatable: { cpu: '64', memory: '1Ti', pods: '110' } },
      },
    ],
  });
  const after = [
    deployment(4),
    workload(
      'Deployment',
      { replicas: 1, template: { spec: { containers: [pod('1', '1Gi')] } } },
      'j',
      'ci-cluster',
    ),
  ];
  const [lab, ...rest] = capacityOf([], after, { ci: 'lab', production: 'lab' }, { lab: nodes ?? [] });
  expect(rest).toEqual([]);
  expect(lab?.nodes).toEqual({ cpu: 2000, memory: 4 * 2 ** 30, pods: 110, count: 1 });
  expect(lab?.after.requests.cpu).toBe(1400);
  expect(lab?.before.requests.cpu).toBe(0);
});

test('it is said when Pods stay pending, when only the worst case does not fit, and when quotas are raised above it', () => {
  const amount = (cpu: number) => ({ cpu, memory: 1, pods: 1 });
  const nothing = { requests: amount(0), worst: amount(0), quota: amount(0) };
  const give = (requests: number, worst: number, quota: number) => ({
    cluster: 'c',
    before: nothing,
    after: { requests: amount(requests), worst: amount(worst), quota: amount(quota) },
    nodes: { cpu: 100, memory: 10, pods: 10, count: 1 },
  });
  expect(capacityWarnings(give(101, 200, 0))).toEqual([
    'c: the requests exceed what the nodes give (cpu): Pods will stay pending.',
  ]);
  expect(capacityWarnings(give(100, 101, 0))).toEqual([
    'c: with every autoscaler at its maximum the nodes do not suffice (cpu).',
  ]);
  expect(capacityWarnings(give(1, 1, 101))).toEqual([
    'c: the quotas admit more than the nodes give, and this merge request raises them.',
  ]);
  expect(capacityWarnings(give(1, 1, 1))).toEqual([]);
  const [unasked] = capacityOf([], [], { ci: 'c' }, {}, { c: readUnasked({ unasked: '503' }) ?? '' });
  expect(unasked && capacityWarnings(unasked)).toEqual([
    'c: its nodes could not be asked (503): whether they suffice is not known.',
  ]);
  expect(readUnasked({ items: [] })).toBeUndefined();
});

test('inputs of any shape throw nothing and count nothing negative', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('spec', 'metadata', 'x'), fc.jsonValue()), (inputs) => {
      for (const kind of [
        'apps/v1:Deployment',
        'core/v1:ResourceQuota',
        'autoscaling/v2:HorizontalPodAutoscaler',
      ]) {
        const { requests, worst, quota } = demandOf(
          [{ type: `kubernetes:${kind}`, provider: 'ci-cluster', inputs: inputs as Record<string, unknown> }],
          1,
        );
        for (const amount of [requests, worst, quota])
          for (const value of Object.values(amount)) expect(value).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});

test('amounts read as people write them', () => {
  expect([0, 250, 1000, 1500, 16_000].map(showCpu)).toEqual(['0', '250m', '1', '1500m', '16']);
  expect([0, 64 * Mi, 1536 * Mi, 2 ** 40].map(showMemory)).toEqual(['0B', '64Mi', '1.5Gi', '1Ti']);
});
