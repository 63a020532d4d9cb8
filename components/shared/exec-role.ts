import type { Declaration } from './declaration';
import { namespaceHandle, object } from './kubernetes';
import { labels, names } from './naming';

/** A service account, by its name and namespace. */
export interface Account {
  readonly name: string;
  readonly namespace: string;
}

/** The right to run commands in these Pods of one namespace, and in no other. */
export function execRole(
  prefix: string,
  provider: 'ci' | 'production',
  where: { readonly environment: string; readonly namespace: string; readonly module?: string },
  account: Account,
  pods: readonly string[],
): Declaration[] {
  const within = {
    namespace: where.namespace,
    name: names.backup,
    labels: labels({
      name: names.backup,
      component: 'backup',
      environment: where.environment,
      ...(where.module ? { module: where.module } : {}),
    }),
  };
  const role = object(
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
    { dependsOn: [namespaceHandle(prefix)] },
  );
  return [
    role,
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      `${prefix}-backup-binding`,
      provider,
      within,
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: names.backup },
        subjects: [{ kind: 'ServiceAccount', name: account.name, namespace: account.namespace }],
      },
      { dependsOn: [role] },
    ),
  ];
}
