import type { Facts } from './facts';
import { type Item, nameOf, namespaceOf, violation } from './facts/item';
import { list, text } from './facts/read';
import type { Violation } from './facts/violation';
import type { Rule } from './rule';

const RBAC = 'kubernetes:rbac.authorization.k8s.io/v1';

/** Label of the agents that look for drift, in Jenkins' configuration. */
const TEMPLATE = 'drift';

const texts = (value: unknown, key: string): string[] => list(value, key).map(String);

/** Roles and cluster roles by kind, namespace and name. */
function rolesOf(facts: Facts, cluster: string | undefined): ReadonlyMap<string, Item> {
  const roles = (['Role', 'ClusterRole'] as const).flatMap((kind) =>
    (facts.byType.get(`${RBAC}:${kind}`) ?? [])
      .filter((role) => role.cluster === cluster)
      .map((role): [string, Item] => [`${kind} ${namespaceOf(role)}/${nameOf(role)}`, role]),
  );
  return new Map(roles);
}

/** What a role lets its holder do beside looking at what is no secret. */
function beyondReading(role: Item): string[] {
  return list(role.args, 'rules').flatMap((rule) => {
    const resources = texts(rule, 'resources');
    const verbs = texts(rule, 'verbs').filter((verb) => !['get', 'list', 'watch'].includes(verb));
    const secret = resources.some((resource) => resource === '*' || resource === 'secrets');
    return [
      ...verbs.map((verb) => `${verb} ${resources.join(', ')}`),
      ...(secret && verbs.length === 0 ? [`read ${resources.join(', ')}`] : []),
    ];
  });
}

/** Bindings that give an account something, with what it is that goes too far. */
function accountFaults(facts: Facts, jenkins: Item, account: string, namespace: string): Violation[] {
  const roles = rolesOf(facts, jenkins.cluster);
  const bindings = (['RoleBinding', 'ClusterRoleBinding'] as const).flatMap(
    (kind) => facts.byType.get(`${RBAC}:${kind}`) ?? [],
  );
  return bindings
    .filter(
      (binding) =>
        binding.cluster === jenkins.cluster &&
        list(binding.args, 'subjects').some(
          (subject) => text(subject, 'name') === account && text(subject, 'namespace') === namespace,
        ),
    )
    .flatMap((binding) => {
      const kind = text(binding.args, 'roleRef', 'kind') ?? '';
      const name = text(binding.args, 'roleRef', 'name') ?? '';
      const role = roles.get(`${kind} ${kind === 'Role' ? namespaceOf(binding) : ''}/${name}`);
      const beyond = role ? beyondReading(role) : [`whatever ${kind} ${name} allows`];
      return beyond.map((what) =>
        violation(
          binding,
          `lets ${namespace}/${account}, which looks for drift, ${role ? '' : 'do '}${what}.`,
          'Bind it to a role that gets and lists, and leaves out Secrets.',
        ),
      );
    });
}

/** Tokens of GitLab that the namespace's Secrets hold, and that may write. */
function tokenFaults(facts: Facts, cluster: string | undefined, namespace: string): Violation[] {
  const secrets = facts.byType.get('kubernetes:core/v1:Secret') ?? [];
  return secrets
    .filter((secret) => secret.cluster === cluster && namespaceOf(secret) === namespace)
    .flatMap((secret) =>
      Object.values(secret.links)
        .flat()
        .flatMap((name) => facts.byName.get(name) ?? [])
        .flatMap((token) =>
          texts(token.args, 'scopes')
            .filter((scope) => !scope.startsWith('read_'))
            .map((scope) =>
              violation(
                secret,
                `gives ${token.name}, a token with the scope ${scope}, to what looks for drift.`,
                'Give it a token that may read.',
              ),
            ),
        ),
    );
}

/** Whoever looks every night must not be able to change what they look at. */
export const driftOnlyReads: Rule = {
  id: 'drift-only-reads',
  holds: 'What looks for drift on a schedule may read what is no secret, and change nothing.',
  why: 'A look that goes wrong, or whoever gets into its Pod, changes production by night.',
  check: (facts) =>
    facts.jenkins.templates
      .filter(({ name }) => name === TEMPLATE)
      .flatMap(({ pod, namespace, declaredBy }) => {
        const account = text(pod, 'spec', 'serviceAccountName') ?? 'default';
        return [
          ...accountFaults(facts, declaredBy, account, namespace),
          ...tokenFaults(facts, declaredBy.cluster, namespace),
        ];
      }),
};
