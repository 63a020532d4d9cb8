import type { types } from '@pulumi/kubernetes';
import type { ArgsByType, Declaration, KubernetesType } from './declaration';
import { type LabelInputs, labels, names } from './naming';
import { basicRef } from './references';

type Cluster = 'ci' | 'production';

/** A Kubernetes object with the metadata that all of ours have. */
export function object<T extends KubernetesType>(
  type: T,
  name: string,
  provider: Cluster,
  where: {
    readonly namespace?: string;
    readonly name: string;
    readonly labels: Record<string, string>;
    readonly annotations?: Record<string, string>;
  },
  rest: Omit<ArgsByType[T], 'metadata' | 'apiVersion' | 'kind'>,
  options: {
    readonly dependsOn?: readonly string[];
    readonly protect?: boolean;
    readonly retainOnDelete?: boolean;
  } = {},
): Declaration {
  const metadata = {
    name: where.name,
    ...(where.namespace ? { namespace: where.namespace } : {}),
    labels: where.labels,
    ...(where.annotations ? { annotations: where.annotations } : {}),
  };
  // The union of `Declaration` cannot be narrowed by a type parameter; `ArgsByType[T]` has checked the arguments.
  return { type, name, provider, args: { ...rest, metadata }, ...options } as Declaration;
}

export interface FenceInputs {
  readonly prefix: string;
  readonly namespace: string;
  readonly provider: Cluster;
  readonly labels: LabelInputs;
  /** Pod Security level. Anything but `restricted` needs a reason in the code of the caller. */
  readonly level?: 'restricted' | 'privileged';
  readonly quota: {
    readonly pods: number;
    readonly cpu: string;
    readonly memory: string;
    readonly claims: number;
  };
  /** Ports that anyone in the cluster may reach; all else that comes in is denied. */
  readonly open?: readonly number[];
  /** Registry address for a pull secret of the namespace. */
  readonly pullFrom?: string;
}

/** A namespace with what every namespace needs: Pod Security, quota, default limits, default deny, a pull secret. */
export function fencedNamespace(inputs: FenceInputs): Declaration[] {
  const { prefix, namespace, provider } = inputs;
  const common = labels(inputs.labels);
  const level = inputs.level ?? 'restricted';
  const within = (name: string) => ({ namespace, name, labels: common });
  const after = { dependsOn: [`${prefix}-namespace`] };
  return [
    object(
      'kubernetes:core/v1:Namespace',
      `${prefix}-namespace`,
      provider,
      {
        name: namespace,
        labels: {
          ...common,
          'pod-security.kubernetes.io/enforce': level,
          'pod-security.kubernetes.io/warn': level,
        },
      },
      {},
    ),
    object(
      'kubernetes:core/v1:ResourceQuota',
      `${prefix}-quota`,
      provider,
      within('quota'),
      {
        spec: {
          hard: {
            pods: String(inputs.quota.pods),
            'requests.cpu': inputs.quota.cpu,
            'requests.memory': inputs.quota.memory,
            persistentvolumeclaims: String(inputs.quota.claims),
          },
        },
      },
      after,
    ),
    object(
      'kubernetes:core/v1:LimitRange',
      `${prefix}-limits`,
      provider,
      within('limits'),
      {
        spec: {
          limits: [
            {
              type: 'Container',
              defaultRequest: { cpu: '50m', memory: '64Mi' },
              default: { memory: '256Mi' },
            },
          ],
        },
      },
      after,
    ),
    object(
      'kubernetes:networking.k8s.io/v1:NetworkPolicy',
      `${prefix}-deny`,
      provider,
      within('default-deny'),
      { spec: { podSelector: {}, policyTypes: ['Ingress'] } },
      after,
    ),
    ...(inputs.open ?? []).map((port) =>
      object(
        'kubernetes:networking.k8s.io/v1:NetworkPolicy',
        `${prefix}-allow-${port}`,
        provider,
        within(`allow-${port}`),
        {
          spec: {
            podSelector: {},
            policyTypes: ['Ingress'],
            ingress: [{ ports: [{ protocol: 'TCP', port }] }],
          },
        },
        after,
      ),
    ),
    ...(inputs.pullFrom
      ? [
          object(
            'kubernetes:core/v1:Secret',
            `${prefix}-pull`,
            provider,
            within(names.pullSecret),
            {
              type: 'kubernetes.io/dockerconfigjson',
              stringData: { '.dockerconfigjson': dockerConfig(inputs.pullFrom, names.pullUser) },
            },
            after,
          ),
        ]
      : []),
  ];
}

/** Docker's config.json for one registry and one of its users. */
export function dockerConfig(registry: string, user: string): string {
  return JSON.stringify({ auths: { [registry]: { auth: basicRef(user, `registry/${user}`) } } });
}

/** Pod-level half of Pod Security `restricted`. */
export function restrictedPod(id: number): types.input.core.v1.PodSecurityContext {
  return {
    runAsNonRoot: true,
    runAsUser: id,
    runAsGroup: id,
    fsGroup: id,
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
  };
}
