import type { KubeObject } from '../../../../lab/plugins/kubernetes/object';
import type { Props } from '../../../../lab/plugins/shared/values';

/** A Deployment as the API server returns it some seconds after an apply. */
export function deployment(status: Props = {}, spec: Props = {}): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'orders',
      namespace: 'shop',
      uid: '5a1f7c2e-0000-4000-8000-000000000001',
      generation: 2,
      resourceVersion: '1041',
    },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'orders' } },
      template: {
        metadata: { labels: { app: 'orders' } },
        spec: { containers: [{ name: 'orders', image: 'mirror/orders:1' }] },
      },
      ...spec,
    },
    status: {
      observedGeneration: 2,
      replicas: 2,
      updatedReplicas: 2,
      readyReplicas: 2,
      availableReplicas: 2,
      ...status,
    },
  };
}

/** A Pod whose one container waits for the given reason. */
export function waitingPod(reason: string, message = '', restartCount = 0): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'orders-7d9c-x2x', namespace: 'shop', uid: '5a1f7c2e-0000-4000-8000-000000000002' },
    spec: {},
    status: {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'True' }],
      containerStatuses: [
        {
          name: 'orders',
          restartCount,
          state: { waiting: { reason, message } },
          lastState: restartCount > 0 ? { terminated: { exitCode: 3 } } : {},
        },
      ],
    },
  };
}

export function secretObject(extra: Props = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'database', namespace: 'shop' },
    type: 'Opaque',
    stringData: { password: 'correct horse battery' },
    ...extra,
  };
}
