import type { ImageArgs } from '@pulumi/docker';
import type {
  BranchProtectionArgs,
  DeployKeyArgs,
  GroupAccessTokenArgs,
  GroupArgs,
  GroupMembershipArgs,
  ProjectApprovalRuleArgs,
  ProjectArgs,
  ProjectHookArgs,
  ProjectLabelArgs,
  ProjectLevelMrApprovalsArgs,
  ProjectMembershipArgs,
  RepositoryFileArgs,
} from '@pulumi/gitlab';
import type { types } from '@pulumi/kubernetes';
import type { Ref } from './references';

type Core = {
  'kubernetes:core/v1:Namespace': types.input.core.v1.Namespace;
  'kubernetes:core/v1:ConfigMap': types.input.core.v1.ConfigMap;
  'kubernetes:core/v1:Secret': types.input.core.v1.Secret;
  'kubernetes:core/v1:Service': types.input.core.v1.Service;
  'kubernetes:core/v1:ServiceAccount': types.input.core.v1.ServiceAccount;
  'kubernetes:core/v1:PersistentVolumeClaim': types.input.core.v1.PersistentVolumeClaim;
  'kubernetes:core/v1:ResourceQuota': types.input.core.v1.ResourceQuota;
  'kubernetes:core/v1:LimitRange': types.input.core.v1.LimitRange;
  'kubernetes:apps/v1:Deployment': types.input.apps.v1.Deployment;
  'kubernetes:apps/v1:StatefulSet': types.input.apps.v1.StatefulSet;
  'kubernetes:batch/v1:CronJob': types.input.batch.v1.CronJob;
  'kubernetes:scheduling.k8s.io/v1:PriorityClass': types.input.scheduling.v1.PriorityClass;
  'kubernetes:rbac.authorization.k8s.io/v1:Role': types.input.rbac.v1.Role;
  'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding': types.input.rbac.v1.RoleBinding;
  'kubernetes:rbac.authorization.k8s.io/v1:ClusterRole': types.input.rbac.v1.ClusterRole;
  'kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding': types.input.rbac.v1.ClusterRoleBinding;
  'kubernetes:networking.k8s.io/v1:NetworkPolicy': types.input.networking.v1.NetworkPolicy;
  'kubernetes:networking.k8s.io/v1:Ingress': types.input.networking.v1.Ingress;
  'kubernetes:policy/v1:PodDisruptionBudget': types.input.policy.v1.PodDisruptionBudget;
  'kubernetes:autoscaling/v2:HorizontalPodAutoscaler': types.input.autoscaling.v2.HorizontalPodAutoscaler;
  'kubernetes:apiregistration.k8s.io/v1:APIService': types.input.apiregistration.v1.APIService;
};

/** The arguments of each resource type that the topology uses, as the official packages type them. */
export interface ArgsByType extends Core {
  'gitlab:index/group:Group': GroupArgs;
  'gitlab:index/groupAccessToken:GroupAccessToken': GroupAccessTokenArgs;
  'gitlab:index/project:Project': ProjectArgs;
  'gitlab:index/projectHook:ProjectHook': ProjectHookArgs;
  'gitlab:index/branchProtection:BranchProtection': BranchProtectionArgs;
  'gitlab:index/deployKey:DeployKey': DeployKeyArgs;
  'gitlab:index/groupMembership:GroupMembership': GroupMembershipArgs;
  'gitlab:index/projectApprovalRule:ProjectApprovalRule': ProjectApprovalRuleArgs;
  'gitlab:index/projectLabel:ProjectLabel': ProjectLabelArgs;
  'gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals': ProjectLevelMrApprovalsArgs;
  'gitlab:index/projectMembership:ProjectMembership': ProjectMembershipArgs;
  'gitlab:index/repositoryFile:RepositoryFile': RepositoryFileArgs;
  'docker:index/image:Image': ImageArgs;
}

export type ResourceType = keyof ArgsByType;
export type KubernetesType = keyof Core;

/** Which provider registers it: a cluster by its role, GitLab, or the Docker engine. */
export type ProviderRole = 'ci' | 'production' | 'gitlab' | 'docker';

/** One resource, as plain data: what a component registers and what `render` prints. */
export type Declaration = {
  [T in ResourceType]: {
    readonly type: T;
    /** Unique in the topology; also the Pulumi name, so that a URN can be told from the model. */
    readonly name: string;
    readonly provider: ProviderRole;
    readonly args: ArgsByType[T];
    /**
     * Id of what is there already: it is read, never changed or deleted, and `args` stay unused. A resource that was made
     * under this name is let go when the id is its own.
     */
    readonly existing?: string | Ref;
    /** Names of declarations that must exist before, beyond those that the arguments refer to. */
    readonly dependsOn?: readonly string[];
    /** HTTP address that must answer, with any status, once what it depends on exists. */
    readonly needsAnswer?: string;
    /** Set on what holds data: Pulumi refuses to delete it until it is unprotected. */
    readonly protect?: boolean;
    /** Set on what must outlive the stack: Pulumi forgets it and leaves it where it is. */
    readonly retainOnDelete?: boolean;
    /** Arguments that something else changes by design. */
    readonly ignoreChanges?: readonly string[];
  };
}[ResourceType];
