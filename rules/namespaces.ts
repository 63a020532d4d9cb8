import { CLOSED_RANGES, closedWithin } from '../catalog/addresses';
import { ENFORCE } from './admission';
import { exceptionFor } from './exceptions';
import type { NamespaceFacts } from './facts';
import { labelOf, nameOf, violation } from './facts/item';
import { at, fields, list, text } from './facts/read';
import type { Violation } from './facts/violation';
import type { Rule } from './rule';

/** One check for each namespace that the topology makes. */
const forNamespaces =
  (check: (space: NamespaceFacts, complain: (what: string, remedy: string) => Violation) => Violation[]) =>
  (facts: { readonly namespaces: readonly NamespaceFacts[] }): Violation[] =>
    facts.namespaces.flatMap((space) => {
      const { declared } = space;
      return declared ? check(space, (what, remedy) => violation(declared, what, remedy)) : [];
    });

/** What a quota must cap: how many Pods, what they ask for, and what they may fill of their nodes' disks. */
const CAPPED = [
  'pods',
  'requests.cpu',
  'requests.memory',
  'requests.ephemeral-storage',
  'limits.ephemeral-storage',
] as const;

/** A namespace without a quota can starve every other one. */
export const namespaceQuota: Rule = {
  id: 'namespace-quota',
  holds: 'Each namespace has a ResourceQuota for Pods, CPU, memory and the disk of nodes.',
  why: 'One module takes the machines that all share.',
  check: forNamespaces(({ quotas }, complain) => {
    const ofAll = quotas.filter((quota) => list(quota.args, 'spec', 'scopes').length === 0);
    const capped = new Set(ofAll.flatMap((quota) => Object.keys(fields(quota.args, 'spec', 'hard'))));
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
  holds: 'Each namespace has a LimitRange with default requests, and default limits of memory and disk.',
  why: 'A container without requests is refused under a quota, and one without limits takes its node down.',
  check: forNamespaces(({ limits }, complain) => {
    if (limits.length === 0) return [complain('has no LimitRange.', 'Make it with fencedNamespace.')];
    const entries = limits.flatMap((limit) =>
      list(limit.args, 'spec', 'limits').filter((entry) => text(entry, 'type') === 'Container'),
    );
    const missing = (
      [
        ['defaultRequest', 'cpu'],
        ['defaultRequest', 'memory'],
        ['defaultRequest', 'ephemeral-storage'],
        ['default', 'memory'],
        ['default', 'ephemeral-storage'],
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

/** All Pods of the namespace, and nothing let through in these directions. */
function deniesAll(policy: { readonly args: unknown }): string[] {
  const selector = fields(policy.args, 'spec', 'podSelector');
  if (Object.values(selector).some((part) => Object.keys(Object(part)).length > 0)) return [];
  const types = list(policy.args, 'spec', 'policyTypes');
  return ['Ingress', 'Egress'].filter(
    (type) => types.includes(type) && list(policy.args, 'spec', type.toLowerCase()).length === 0,
  );
}

/** What may come in and go out is listed; all else is denied. */
export const namespaceDeny: Rule = {
  id: 'namespace-default-deny',
  holds:
    'Each namespace has a NetworkPolicy that denies all that comes in or goes out and is not allowed by another one.',
  why: 'Every Pod of the cluster reaches every database, and whoever takes over a Pod reaches everything.',
  check: forNamespaces(({ policies }, complain) => {
    const denied = policies.flatMap(deniesAll);
    const open = ['Ingress', 'Egress'].filter((type) => !denied.includes(type));
    return open.length === 0
      ? []
      : [
          complain(
            `has no default-deny NetworkPolicy of ${open.join(' and ')}.`,
            'Make it with fencedNamespace.',
          ),
        ];
  }),
};

/** Where a rule of a policy lets Pods go that nobody may. */
function closedWays(rule: unknown): string[] {
  const peers = list(rule, 'to');
  // Without any, a rule leads everywhere.
  if (peers.length === 0) return [...CLOSED_RANGES.v4, ...CLOSED_RANGES.v6];
  return peers.flatMap((peer) => {
    const cidr = text(peer, 'ipBlock', 'cidr');
    const except = list(peer, 'ipBlock', 'except').flatMap((left) => text(left) ?? []);
    return cidr === undefined ? [] : closedWithin(cidr, except);
  });
}

/** Who reaches a metadata service is whoever the node is. */
export const noWayToMetadata: Rule = {
  id: 'no-way-to-metadata',
  holds: 'No NetworkPolicy lets a Pod go to link-local addresses, or to another metadata service of a cloud.',
  why: "There a machine is told who it is and what it may do: a Pod gets its node's credentials.",
  check: (facts) =>
    (facts.byType.get('kubernetes:networking.k8s.io/v1:NetworkPolicy') ?? []).flatMap((policy) => {
      const met = new Set(list(policy.args, 'spec', 'egress').flatMap(closedWays));
      return met.size === 0
        ? []
        : [
            violation(
              policy,
              `leads to ${[...met].sort().join(', ')}.`,
              'Name other addresses, or leave these out by `except`.',
            ),
          ];
    }),
};

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
