import type * as docker from '@pulumi/docker';
import type * as gitlab from '@pulumi/gitlab';
import type * as k8s from '@pulumi/kubernetes';
import type { types } from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';

// Every kind of resource that may be declared: its token, the type of its arguments, the class that registers it, and what
// the Kubernetes API calls many of it. A further kind is one entry here, or one of a program's own (`addKinds`).

/** The official packages. Only the registrar loads them: `render` and the rules go without. */
export interface Packages {
  readonly docker: typeof docker;
  readonly gitlab: typeof gitlab;
  readonly k8s: typeof k8s;
}

/** Registers a resource. */
type Constructor<Args, Resource> = new (
  name: string,
  args: Args,
  opts?: pulumi.CustomResourceOptions,
) => Resource;

/** A kind of resource. */
export interface Kind<Args = unknown, Resource = pulumi.CustomResource> {
  /** The class of the official package. */
  readonly resource: (packages: Packages) => Constructor<never, Resource>;
  /** What the API and roles call it, of a Kubernetes kind. */
  readonly plural?: string;
  /** For the compiler only: the arguments of its declarations. */
  readonly args?: Args;
}

const other = <Args, Resource>(
  resource: (packages: Packages) => Constructor<Args, Resource>,
): Kind<NonNullable<Args>, Resource> => ({ resource });

/** A kind of Kubernetes' own: its arguments as the API types them. */
const kubernetes =
  <Args>() =>
  <Resource>(plural: string, resource: (packages: Packages) => Constructor<never, Resource>) =>
    ({ plural, resource }) as Kind<Args, Resource> & { readonly plural: string };

/** What every Kubernetes object has beside what its kind says. */
export interface CustomObject {
  readonly metadata?: types.input.meta.v1.ObjectMeta;
}

/**
 * A custom resource, whose arguments have the type that its published schema says.
 * @param apiVersion group and version, e.g. `monitoring.coreos.com/v1`
 * @param plural as the definition's `spec.names.plural` says
 */
export const custom = <Args extends CustomObject>(
  apiVersion: string,
  kind: string,
  plural: string,
): Kind<Args, k8s.apiextensions.CustomResource> & { readonly plural: string } =>
  kubernetes<Args>()(plural, ({ k8s: { apiextensions } }) => {
    return class extends apiextensions.CustomResource {
      constructor(name: string, args: Args, opts?: pulumi.CustomResourceOptions) {
        super(name, { ...args, apiVersion, kind } as k8s.apiextensions.CustomResourceArgs, opts);
      }
    };
  });

/** Kinds that come with Switchyard. */
const builtIn = {
  'kubernetes:core/v1:Namespace': kubernetes<types.input.core.v1.Namespace>()(
    'namespaces',
    ({ k8s }) => k8s.core.v1.Namespace,
  ),
  'kubernetes:core/v1:ConfigMap': kubernetes<types.input.core.v1.ConfigMap>()(
    'configmaps',
    ({ k8s }) => k8s.core.v1.ConfigMap,
  ),
  'kubernetes:core/v1:Secret': kubernetes<types.input.core.v1.Secret>()(
    'secrets',
    ({ k8s }) => k8s.core.v1.Secret,
  ),
  'kubernetes:core/v1:Service': kubernetes<types.input.core.v1.Service>()(
    'services',
    ({ k8s }) => k8s.core.v1.Service,
  ),
  'kubernetes:core/v1:ServiceAccount': kubernetes<types.input.core.v1.ServiceAccount>()(
    'serviceaccounts',
    ({ k8s }) => k8s.core.v1.ServiceAccount,
  ),
  'kubernetes:core/v1:PersistentVolumeClaim': kubernetes<types.input.core.v1.PersistentVolumeClaim>()(
    'persistentvolumeclaims',
    ({ k8s }) => k8s.core.v1.PersistentVolumeClaim,
  ),
  'kubernetes:core/v1:ResourceQuota': kubernetes<types.input.core.v1.ResourceQuota>()(
    'resourcequotas',
    ({ k8s }) => k8s.core.v1.ResourceQuota,
  ),
  'kubernetes:core/v1:LimitRange': kubernetes<types.input.core.v1.LimitRange>()(
    'limitranges',
    ({ k8s }) => k8s.core.v1.LimitRange,
  ),
  'kubernetes:apps/v1:Deployment': kubernetes<types.input.apps.v1.Deployment>()(
    'deployments',
    ({ k8s }) => k8s.apps.v1.Deployment,
  ),
  'kubernetes:apps/v1:StatefulSet': kubernetes<types.input.apps.v1.StatefulSet>()(
    'statefulsets',
    ({ k8s }) => k8s.apps.v1.StatefulSet,
  ),
  'kubernetes:batch/v1:Job': kubernetes<types.input.batch.v1.Job>()('jobs', ({ k8s }) => k8s.batch.v1.Job),
  'kubernetes:batch/v1:CronJob': kubernetes<types.input.batch.v1.CronJob>()(
    'cronjobs',
    ({ k8s }) => k8s.batch.v1.CronJob,
  ),
  'kubernetes:scheduling.k8s.io/v1:PriorityClass': kubernetes<types.input.scheduling.v1.PriorityClass>()(
    'priorityclasses',
    ({ k8s }) => k8s.scheduling.v1.PriorityClass,
  ),
  'kubernetes:rbac.authorization.k8s.io/v1:Role': kubernetes<types.input.rbac.v1.Role>()(
    'roles',
    ({ k8s }) => k8s.rbac.v1.Role,
  ),
  'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding': kubernetes<types.input.rbac.v1.RoleBinding>()(
    'rolebindings',
    ({ k8s }) => k8s.rbac.v1.RoleBinding,
  ),
  'kubernetes:rbac.authorization.k8s.io/v1:ClusterRole': kubernetes<types.input.rbac.v1.ClusterRole>()(
    'clusterroles',
    ({ k8s }) => k8s.rbac.v1.ClusterRole,
  ),
  'kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding':
    kubernetes<types.input.rbac.v1.ClusterRoleBinding>()(
      'clusterrolebindings',
      ({ k8s }) => k8s.rbac.v1.ClusterRoleBinding,
    ),
  'kubernetes:networking.k8s.io/v1:NetworkPolicy': kubernetes<types.input.networking.v1.NetworkPolicy>()(
    'networkpolicies',
    ({ k8s }) => k8s.networking.v1.NetworkPolicy,
  ),
  'kubernetes:networking.k8s.io/v1:Ingress': kubernetes<types.input.networking.v1.Ingress>()(
    'ingresses',
    ({ k8s }) => k8s.networking.v1.Ingress,
  ),
  'kubernetes:policy/v1:PodDisruptionBudget': kubernetes<types.input.policy.v1.PodDisruptionBudget>()(
    'poddisruptionbudgets',
    ({ k8s }) => k8s.policy.v1.PodDisruptionBudget,
  ),
  'kubernetes:autoscaling/v2:HorizontalPodAutoscaler':
    kubernetes<types.input.autoscaling.v2.HorizontalPodAutoscaler>()(
      'horizontalpodautoscalers',
      ({ k8s }) => k8s.autoscaling.v2.HorizontalPodAutoscaler,
    ),
  'kubernetes:apiregistration.k8s.io/v1:APIService': kubernetes<types.input.apiregistration.v1.APIService>()(
    'apiservices',
    ({ k8s }) => k8s.apiregistration.v1.APIService,
  ),
  'gitlab:index/group:Group': other(({ gitlab }) => gitlab.Group),
  'gitlab:index/groupAccessToken:GroupAccessToken': other(({ gitlab }) => gitlab.GroupAccessToken),
  'gitlab:index/project:Project': other(({ gitlab }) => gitlab.Project),
  'gitlab:index/projectHook:ProjectHook': other(({ gitlab }) => gitlab.ProjectHook),
  'gitlab:index/branchProtection:BranchProtection': other(({ gitlab }) => gitlab.BranchProtection),
  'gitlab:index/deployKey:DeployKey': other(({ gitlab }) => gitlab.DeployKey),
  'gitlab:index/groupMembership:GroupMembership': other(({ gitlab }) => gitlab.GroupMembership),
  'gitlab:index/projectApprovalRule:ProjectApprovalRule': other(({ gitlab }) => gitlab.ProjectApprovalRule),
  'gitlab:index/projectLabel:ProjectLabel': other(({ gitlab }) => gitlab.ProjectLabel),
  'gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals': other(
    ({ gitlab }) => gitlab.ProjectLevelMrApprovals,
  ),
  'gitlab:index/projectMembership:ProjectMembership': other(({ gitlab }) => gitlab.ProjectMembership),
  'gitlab:index/repositoryFile:RepositoryFile': other(({ gitlab }) => gitlab.RepositoryFile),
  'docker:index/image:Image': other(({ docker }) => docker.Image),
};

type BuiltIn = typeof builtIn;

/**
 * Every kind by its token. A program adds its own to the compiler by `declare module 'switchyard/kinds'`, and to the run by
 * {@link addKinds}: docs/components/kinds.md.
 */
export interface Kinds extends BuiltIn {}

/** Token of a kind: what a URN has as type. */
export type ResourceType = keyof Kinds & string;
export type KubernetesType = Extract<ResourceType, `kubernetes:${string}`>;

/** The arguments of each kind. */
export type ArgsByType = { [T in ResourceType]: Kinds[T] extends Kind<infer Args, unknown> ? Args : never };

/** What a declaration of each kind is once it is registered, with its typed outputs. */
export type ResourceByType = {
  [T in ResourceType]: Kinds[T]['resource'] extends (packages: Packages) => Constructor<never, infer Resource>
    ? Resource
    : never;
};

const all = new Map<string, Kind>(Object.entries(builtIn));

/**
 * Adds kinds of a program's own.
 * @throws Error for a token that is taken by another kind
 */
export function addKinds(kinds: Readonly<Record<string, Kind>>): void {
  for (const [token, kind] of Object.entries(kinds)) {
    const known = all.get(token);
    if (known && known !== kind) throw new Error(`the kind "${token}" is there already`);
    all.set(token, kind);
  }
}

/** @throws Error for a token that nobody added: a fault of the program */
export function kindOf(token: string): Kind {
  const kind = all.get(token);
  if (!kind) throw new Error(`"${token}" is no known kind: add it with addKinds (docs/components/kinds.md)`);
  return kind;
}

/** Kinds of Kubernetes by their token, with what the API calls them. */
export const kubernetesKinds = (): (readonly [token: string, plural: string])[] =>
  [...all].flatMap(([token, { plural }]) => (plural === undefined ? [] : [[token, plural] as const]));
