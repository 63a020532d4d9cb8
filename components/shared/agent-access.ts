import type { Declaration } from './declaration';
import type { Account } from './exec-role';
import type { JenkinsEndpoint } from './jenkins-endpoint';
import { namespaceHandle, object } from './kubernetes';

/** What Jenkins may do where its agents run, and nowhere else. */
export function agentRole(
  jenkins: JenkinsEndpoint,
  prefix: string,
  namespace: string,
  common: Record<string, string>,
): Declaration[] {
  const within = { namespace, name: 'jenkins-agents', labels: common };
  const after = { dependsOn: [namespaceHandle(prefix)] };
  const all = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
  return [
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      `${prefix}-agents-role`,
      'ci',
      within,
      {
        rules: [
          { apiGroups: [''], resources: ['pods', 'persistentvolumeclaims'], verbs: all },
          { apiGroups: [''], resources: ['pods/exec'], verbs: ['create', 'get'] },
          { apiGroups: [''], resources: ['pods/log', 'events'], verbs: ['get', 'list', 'watch'] },
        ],
      },
      after,
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      `${prefix}-agents-binding`,
      'ci',
      within,
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'jenkins-agents' },
        subjects: [{ kind: 'ServiceAccount', name: jenkins.serviceAccount, namespace: jenkins.namespace }],
      },
      { dependsOn: [`${prefix}-agents-role`] },
    ),
  ];
}

/** A right to some kinds in a namespace where agents run, for an account of another one. */
export function rightIn(
  prefix: string,
  within: { readonly namespace: string; readonly labels: Record<string, string> },
  account: Account,
  right: { readonly resources: readonly string[]; readonly verbs: readonly string[] },
): Declaration[] {
  const { name } = account;
  return [
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      `${prefix}-${name}-role`,
      'ci',
      { ...within, name },
      { rules: [{ apiGroups: [''], resources: [...right.resources], verbs: [...right.verbs] }] },
      { dependsOn: [namespaceHandle(prefix)] },
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      `${prefix}-${name}-binding`,
      'ci',
      { ...within, name },
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ kind: 'ServiceAccount', name, namespace: account.namespace }],
      },
      { dependsOn: [`${prefix}-${name}-role`] },
    ),
  ];
}
