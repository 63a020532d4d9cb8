import * as docker from '@pulumi/docker';
import * as gitlab from '@pulumi/gitlab';
import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import type { ResourceType } from './declaration';

type Constructor = new (
  name: string,
  args: never,
  opts?: pulumi.CustomResourceOptions,
) => pulumi.CustomResource;

/** The class of the official packages that registers each resource type. */
export const constructors = {
  'kubernetes:core/v1:Namespace': k8s.core.v1.Namespace,
  'kubernetes:core/v1:ConfigMap': k8s.core.v1.ConfigMap,
  'kubernetes:core/v1:Secret': k8s.core.v1.Secret,
  'kubernetes:core/v1:Service': k8s.core.v1.Service,
  'kubernetes:core/v1:ServiceAccount': k8s.core.v1.ServiceAccount,
  'kubernetes:core/v1:PersistentVolumeClaim': k8s.core.v1.PersistentVolumeClaim,
  'kubernetes:core/v1:ResourceQuota': k8s.core.v1.ResourceQuota,
  'kubernetes:core/v1:LimitRange': k8s.core.v1.LimitRange,
  'kubernetes:apps/v1:Deployment': k8s.apps.v1.Deployment,
  'kubernetes:apps/v1:StatefulSet': k8s.apps.v1.StatefulSet,
  'kubernetes:batch/v1:CronJob': k8s.batch.v1.CronJob,
  'kubernetes:scheduling.k8s.io/v1:PriorityClass': k8s.scheduling.v1.PriorityClass,
  'kubernetes:rbac.authorization.k8s.io/v1:Role': k8s.rbac.v1.Role,
  'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding': k8s.rbac.v1.RoleBinding,
  'kubernetes:rbac.authorization.k8s.io/v1:ClusterRole': k8s.rbac.v1.ClusterRole,
  'kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding': k8s.rbac.v1.ClusterRoleBinding,
  'kubernetes:networking.k8s.io/v1:NetworkPolicy': k8s.networking.v1.NetworkPolicy,
  'kubernetes:networking.k8s.io/v1:Ingress': k8s.networking.v1.Ingress,
  'kubernetes:policy/v1:PodDisruptionBudget': k8s.policy.v1.PodDisruptionBudget,
  'kubernetes:autoscaling/v2:HorizontalPodAutoscaler': k8s.autoscaling.v2.HorizontalPodAutoscaler,
  'kubernetes:apiregistration.k8s.io/v1:APIService': k8s.apiregistration.v1.APIService,
  'gitlab:index/group:Group': gitlab.Group,
  'gitlab:index/groupAccessToken:GroupAccessToken': gitlab.GroupAccessToken,
  'gitlab:index/project:Project': gitlab.Project,
  'gitlab:index/projectHook:ProjectHook': gitlab.ProjectHook,
  'gitlab:index/branchProtection:BranchProtection': gitlab.BranchProtection,
  'gitlab:index/deployKey:DeployKey': gitlab.DeployKey,
  'gitlab:index/groupMembership:GroupMembership': gitlab.GroupMembership,
  'gitlab:index/projectApprovalRule:ProjectApprovalRule': gitlab.ProjectApprovalRule,
  'gitlab:index/projectLabel:ProjectLabel': gitlab.ProjectLabel,
  'gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals': gitlab.ProjectLevelMrApprovals,
  'gitlab:index/projectMembership:ProjectMembership': gitlab.ProjectMembership,
  'gitlab:index/repositoryFile:RepositoryFile': gitlab.RepositoryFile,
  'docker:index/image:Image': docker.Image,
} as const satisfies Record<ResourceType, Constructor>;

/** What a declaration of each type is once it is registered, with its typed outputs. */
export type ResourceByType = { [T in ResourceType]: InstanceType<(typeof constructors)[T]> };
