import type { Declaration } from '../shared/declaration';
import { namespaceHandle, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import type { ModuleProductionSpec } from './module-production';

/** What a deploy job may change: one module's namespace, and in it only what a rollout changes. */
export function deployerRole(
  prefix: string,
  { deployer, environment, module, namespace }: ModuleProductionSpec,
): Declaration[] {
  if (!deployer) return [];
  const within = {
    namespace,
    name: names.deployer,
    labels: labels({
      name: names.deployer,
      component: 'production',
      environment,
      module: module.name,
    }),
  };
  const write = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
  const read = ['get', 'list', 'watch'];
  return [
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      `${prefix}-deployer-role`,
      'production',
      within,
      {
        rules: [
          { apiGroups: ['apps'], resources: ['deployments', 'statefulsets'], verbs: write },
          { apiGroups: [''], resources: ['services', 'secrets', 'configmaps'], verbs: write },
          { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: write },
          ...(module.production.ingress
            ? [{ apiGroups: ['networking.k8s.io'], resources: ['ingresses'], verbs: write }]
            : []),
          ...(module.production.migrate ? [{ apiGroups: ['batch'], resources: ['jobs'], verbs: write }] : []),
          { apiGroups: ['apps'], resources: ['replicasets', 'controllerrevisions'], verbs: read },
          { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: read },
          {
            apiGroups: [''],
            resources: ['pods', 'events', 'endpoints', 'persistentvolumeclaims'],
            verbs: read,
          },
          // The last words of what did not get ready, for its author.
          { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
        ],
      },
      { dependsOn: [namespaceHandle(prefix)] },
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      `${prefix}-deployer-binding`,
      'production',
      within,
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: names.deployer },
        subjects: [{ kind: 'ServiceAccount', name: deployer.name, namespace: deployer.namespace }],
      },
      { dependsOn: [`${prefix}-deployer-role`] },
    ),
  ];
}
