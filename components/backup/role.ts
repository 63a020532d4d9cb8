import type { Module } from '../../catalog/load';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { dumpedServices } from './kinds';

/** The right to run commands in these Pods of one namespace, and in no other. */
export function execRole(
  prefix: string,
  provider: 'ci' | 'production',
  settings: StackSettings,
  where: { readonly namespace: string; readonly module?: string },
  pods: readonly string[],
): Declaration[] {
  const within = {
    namespace: where.namespace,
    name: names.backup,
    labels: labels({
      name: names.backup,
      component: 'backup',
      environment: settings.environment,
      ...(where.module ? { module: where.module } : {}),
    }),
  };
  return [
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      `${prefix}-backup-role`,
      provider,
      within,
      {
        rules: [
          { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
          // A WebSocket begins with a GET; newer API servers ask for `create` besides.
          {
            apiGroups: [''],
            resources: ['pods/exec'],
            resourceNames: [...pods],
            verbs: ['create', 'get'],
          },
        ],
      },
      { dependsOn: [`${prefix}-namespace`] },
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      `${prefix}-backup-binding`,
      provider,
      within,
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: names.backup },
        subjects: [{ kind: 'ServiceAccount', name: names.backup, namespace: namespacesOf(settings).backup }],
      },
      { dependsOn: [`${prefix}-backup-role`] },
    ),
  ];
}

/** Lets the backup job dump a module's databases; part of the module, so that it goes with it. */
export function backupRole(model: Model, module: Module): Declaration[] {
  const { settings } = model;
  const dumped = dumpedServices(model, module);
  if (!settings.backup || dumped.length === 0) return [];
  return execRole(
    `production-${module.name}`,
    'production',
    settings,
    { namespace: namespacesOf(settings).production(module.name), module: module.name },
    dumped.map((use) => `${use.name}-0`).sort(),
  );
}
