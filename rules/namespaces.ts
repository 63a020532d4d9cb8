import { exceptionFor } from './exceptions';
import type { NamespaceFacts } from './facts';
import { labelOf, nameOf, violation } from './item';
import { at, fields, list, text } from './read';
import type { Rule, Violation } from './rule';

/** One check for each namespace that the topology makes. */
const forNamespaces =
  (check: (space: NamespaceFacts, complain: (what: string, remedy: string) => Violation) => Violation[]) =>
  (facts: { readonly namespaces: readonly NamespaceFacts[] }): Violation[] =>
    facts.namespaces.flatMap((space) => {
      const { declared } = space;
      return declared ? check(space, (what, remedy) => violation(declared, what, remedy)) : [];
    });

/** What a quota must cap: how many Pods, and what they ask for. */
const CAPPED = ['pods', 'requests.cpu', 'requests.memory'] as const;

/** A namespace without a quota can starve every other one. */
export const namespaceQuota: Rule = {
  id: 'namespace-quota',
  holds: 'Each namespace has a ResourceQuota for Pods, CPU and memory.',
  why: 'One module takes the machines that all share.',
  check: forNamespaces(({ quotas }, complain) => {
    const capped = new Set(quotas.flatMap((quota) => Object.keys(fields(quota.args, 'spec', 'hard'))));
    const missing = CAPPED.filter((key) => !capped.has(key));
    if (quotas.length === 0) return [complain('has no ResourceQuota.', 'Make it with fencedNamespace.')];
    return missing.length === 0
      ? []
      : [complain(`its ResourceQuota does not cap ${missing.join(', ')}.`, 'Name each in spec.hard.')];
  }),
};

/** With a quota, a container without requests is refused; a LimitRange gives it some. */
export const namespaceLimits: Rule = {
  id: 'namespace-limits',
  holds: 'Each namespace has a LimitRange with default requests and a default memory limit.',
  why: 'A container without requests is refused under a quota, and one without a memory limit takes its node down.',
  check: forNamespaces(({ limits }, complain) => {
    if (limits.length === 0) return [complain('has no LimitRange.', 'Make it with fencedNamespace.')];
    const entries = limits.flatMap((limit) =>
      list(limit.args, 'spec', 'limits').filter((entry) => text(entry, 'type') === 'Container'),
    );
    const missing = (
      [
        ['defaultRequest', 'cpu'],
        ['defaultRequest', 'memory'],
        ['default', 'memory'],
      ] as const
    ).filter((path) => !entries.some((entry) => at(entry, ...path) !== undefined));
    return missing.length === 0
      ? []
      : [
          complain(
            `its LimitRange gives containers no ${missing.map((path) => path.join('.')).join(', ')}.`,
            'Name each in a limit of type Container.',
          ),
        ];
  }),
};

/** All Pods of the namespace, and nothing let through. */
function deniesAll(policy: { readonly args: unknown }): boolean {
  const selector = fields(policy.args, 'spec', 'podSelector');
  const types = list(policy.args, 'spec', 'policyTypes');
  return (
    Object.values(selector).every((part) => Object.keys(Object(part)).length === 0) &&
    types.includes('Ingress') &&
    list(policy.args, 'spec', 'ingress').length === 0
  );
}

/** What may come in is listed; all else is denied. */
export const namespaceDeny: Rule = {
  id: 'namespace-default-deny',
  holds:
    'Each namespace has a NetworkPolicy that denies all that comes in and is not allowed by another one.',
  why: "Every Pod of the cluster reaches every database, and a test reaches production's.",
  check: forNamespaces(({ policies }, complain) =>
    policies.some(deniesAll)
      ? []
      : [complain('has no default-deny NetworkPolicy.', 'Make it with fencedNamespace.')],
  ),
};

const ENFORCE = 'pod-security.kubernetes.io/enforce';

/** Exceptions stand in `rules/exceptions.ts` with their reasons. */
export const podSecurity: Rule = {
  id: 'pod-security',
  holds: 'Each namespace enforces Pod Security `restricted`, but for the exceptions that say why.',
  why: 'A container that gets out of its Pod owns the node.',
  check: forNamespaces(({ declared }, complain) => {
    if (!declared) return [];
    const level = labelOf(declared, ENFORCE);
    const allowed =
      exceptionFor(nameOf(declared), labelOf(declared, 'app.kubernetes.io/component'))?.level ?? 'restricted';
    if (level === 'restricted' || level === allowed) return [];
    return [
      complain(
        level === undefined
          ? 'enforces no Pod Security level.'
          : `enforces Pod Security "${level}", not "${allowed}".`,
        `Label it ${ENFORCE}: ${allowed}, or give an exception and its reason in rules/exceptions.ts.`,
      ),
    ];
  }),
};
