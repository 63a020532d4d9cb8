import type { Module } from '../../catalog/load';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { fencedNamespace, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';

/** What Jenkins may do where its agents run, and nowhere else. */
export function agentRole(prefix: string, namespace: string, common: Record<string, string>): Declaration[] {
  const within = { namespace, name: 'jenkins-agents', labels: common };
  const after = { dependsOn: [`${prefix}-namespace`] };
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
        subjects: [{ kind: 'ServiceAccount', name: 'jenkins', namespace: names.ciNamespace }],
      },
      { dependsOn: [`${prefix}-agents-role`] },
    ),
  ];
}

/** The namespace in which one module's test Pods run. */
export function testingResources(model: Model, module: Module): Declaration[] {
  const prefix = `testing-${module.name}`;
  const namespace = names.testNamespace(module.name);
  const about = {
    name: module.name,
    component: 'testing',
    environment: model.settings.environment,
    module: module.name,
    purpose: 'test',
  };
  return [
    ...fencedNamespace({
      prefix,
      namespace,
      provider: 'ci',
      labels: about,
      quota: { pods: 8, cpu: '8', memory: '16Gi', claims: 0 },
      pullFrom: model.settings.registry.address,
    }),
    ...agentRole(prefix, namespace, labels(about)),
  ];
}
