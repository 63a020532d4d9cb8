import { createHash } from 'node:crypto';
import type { types } from '@pulumi/kubernetes';
import { DISK_REQUEST } from '../../catalog/shapes';
import type { ArgsByType, Declaration, KubernetesType } from './declaration';
import { type Handle, handle, namesOf } from './handle';
import { type LabelInputs, labels, names } from './naming';
import type { EgressRule } from './network';
import { dockerConfig, type RegistryEndpoint } from './registry-login';

type Cluster = 'ci' | 'production';

/**
 * Services that nobody waits for: the official provider waits ten seconds for stragglers among a Service's endpoints
 * (pulumi-kubernetes, provider/pkg/await/service.go), and each of ours comes after its workload, which was waited for.
 */
const NOT_AWAITED = { 'pulumi.com/skipAwait': 'true' };

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
    readonly dependsOn?: readonly (Handle | string)[];
    readonly protect?: boolean;
    readonly retainOnDelete?: boolean;
    readonly ignoreChanges?: readonly string[];
  } = {},
): Extract<Declaration, { readonly type: T }> {
  const annotations = type === 'kubernetes:core/v1:Service' ? NOT_AWAITED : undefined;
  const metadata = {
    name: where.name,
    ...(where.namespace ? { namespace: where.namespace } : {}),
    labels: where.labels,
    ...(where.annotations || annotations ? { annotations: { ...where.annotations, ...annotations } } : {}),
  };
  // The union of `Declaration` cannot be narrowed by a type parameter; `ArgsByType[T]` has checked the arguments.
  return {
    type,
    name,
    provider,
    args: { ...rest, metadata },
    ...options,
    ...(options.dependsOn ? { dependsOn: namesOf(options.dependsOn) } : {}),
  } as unknown as Extract<Declaration, { readonly type: T }>;
}

/** Options of what must not go with the stack: Pulumi refuses to delete it, and even unprotected leaves it in place. */
export const retained = { protect: true, retainOnDelete: true } as const;

/** Marks what a backup must hold; nothing else says which volumes matter. */
export const backedUp = { 'switchyard.dev/backup': 'true' } as const;

/** Annotation of a database: `dumped`, or `none: <reason>`. */
export const DUMP_NOTE = 'switchyard.dev/dump';

/** Annotation of a database that asks nobody for a login: why. */
export const LOGIN_NOTE = 'switchyard.dev/no-login';

/** First half of a SHA-256: as a Pod's annotation it starts new Pods when what they read has changed. */
export const contentHash = (content: unknown): string =>
  createHash('sha256')
    .update(typeof content === 'string' ? content : JSON.stringify(content))
    .digest('hex')
    .slice(0, 16);

/** The cluster's DNS, wherever its Pods run: its labels differ from site to site, its ports do not. */
const toDns: EgressRule = {
  to: [{ namespaceSelector: {} }],
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
};

/** A port that may be reached. */
export interface OpenPort {
  readonly port: number;
  /** Tells apart two policies for one port. @default `allow-<port>` */
  readonly name?: string;
  /** Which Pods of the namespace it is opened for. @default all */
  readonly pods?: Record<string, string>;
  /** Labels of the Pods of the same namespace that may reach it. @default anyone in the cluster and outside */
  readonly from?: Record<string, string>;
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
    /** Disk of nodes that its containers may fill, and be promised, together. */
    readonly disk: string;
    readonly claims: number;
  };
  /** Ports that may be reached; all else that comes in is denied. */
  readonly open?: readonly OpenPort[];
  /** Where all of its Pods may connect to besides DNS; all else that goes out is denied. */
  readonly egress: readonly EgressRule[];
  /** Further caps of the quota, e.g. `services.nodeports: "0"`. */
  readonly caps?: Readonly<Record<string, string>>;
  /** Keep the namespace, and with it every claim in it, when the stack is destroyed. @default false */
  readonly retain?: boolean;
  /** Registry for a pull secret of the namespace. @default no pull secret */
  readonly pullFrom?: RegistryEndpoint;
}

/** The namespace that {@link fencedNamespace} declares under a prefix: all that is in it waits for it. */
export const namespaceHandle = (prefix: string): Handle<'kubernetes:core/v1:Namespace'> =>
  handle('kubernetes:core/v1:Namespace', `${prefix}-namespace`);

/** Its pull secret, where it has one. */
export const pullSecretHandle = (prefix: string): Handle<'kubernetes:core/v1:Secret'> =>
  handle('kubernetes:core/v1:Secret', `${prefix}-pull`);

/** A namespace with what every namespace needs: Pod Security, quota, default limits, default deny, a pull secret. */
export function fencedNamespace(inputs: FenceInputs): Declaration[] {
  const { prefix, namespace, provider } = inputs;
  const common = labels(inputs.labels);
  const level = inputs.level ?? 'restricted';
  const within = (name: string) => ({ namespace, name, labels: common });
  const after = { dependsOn: [namespaceHandle(prefix)] };
  return [
    object(
      'kubernetes:core/v1:Namespace',
      namespaceHandle(prefix).name,
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
      inputs.retain ? retained : {},
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
            'requests.ephemeral-storage': inputs.quota.disk,
            'limits.ephemeral-storage': inputs.quota.disk,
            persistentvolumeclaims: String(inputs.quota.claims),
            ...inputs.caps,
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
              defaultRequest: { cpu: '50m', memory: '64Mi', 'ephemeral-storage': DISK_REQUEST },
              default: { memory: '256Mi', 'ephemeral-storage': '1Gi' },
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
      { spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] } },
      after,
    ),
    object(
      'kubernetes:networking.k8s.io/v1:NetworkPolicy',
      `${prefix}-egress`,
      provider,
      within('allow-egress'),
      { spec: { podSelector: {}, policyTypes: ['Egress'], egress: [toDns, ...inputs.egress] } },
      after,
    ),
    ...(inputs.open ?? []).map(({ port, pods, from, name = `allow-${port}` }) =>
      object(
        'kubernetes:networking.k8s.io/v1:NetworkPolicy',
        `${prefix}-${name}`,
        provider,
        within(name),
        {
          spec: {
            podSelector: pods ? { matchLabels: pods } : {},
            policyTypes: ['Ingress'],
            ingress: [
              {
                ...(from ? { from: [{ podSelector: { matchLabels: from } }] } : {}),
                ports: [{ protocol: 'TCP', port }],
              },
            ],
          },
        },
        after,
      ),
    ),
    ...(inputs.pullFrom
      ? [
          object(
            'kubernetes:core/v1:Secret',
            pullSecretHandle(prefix).name,
            provider,
            within(names.pullSecret),
            {
              type: 'kubernetes.io/dockerconfigjson',
              stringData: {
                '.dockerconfigjson': dockerConfig(inputs.pullFrom.address, inputs.pullFrom.pull),
              },
            },
            after,
          ),
        ]
      : []),
  ];
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

/** One host that leads to one Service. */
export function ingressSpec(
  ingress: { readonly className?: string; readonly tlsSecret?: string },
  { host, path = '/', service, port }: { host: string; path?: string; service: string; port: string },
): types.input.networking.v1.IngressSpec {
  return {
    ...(ingress.className ? { ingressClassName: ingress.className } : {}),
    ...(ingress.tlsSecret ? { tls: [{ hosts: [host], secretName: ingress.tlsSecret }] } : {}),
    rules: [
      {
        host,
        http: {
          paths: [
            { path, pathType: 'Prefix', backend: { service: { name: service, port: { name: port } } } },
          ],
        },
      },
    ],
  };
}
