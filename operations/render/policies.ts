import { at, type Fields, fields, list, text } from '../../rules/facts/read';

const sorted = (labels: Fields): [string, string][] =>
  Object.entries(labels)
    .map(([key, value]): [string, string] => [key.replace('app.kubernetes.io/', ''), String(value)])
    .sort(([a], [b]) => (a < b ? -1 : 1));

/** Which Pods a selector means. */
function podsOf(selector: unknown): string {
  const labels = fields(selector, 'matchLabels');
  const component = labels['app.kubernetes.io/component'];
  if (component === 'module') return "the module's Pods";
  if (component === 'service' && Object.keys(labels).length === 1) return "its services' Pods";
  const named = sorted(labels).map(([key, value]) => `${key} ${value}`);
  return named.length > 0 ? `Pods with ${named.join(', ')}` : 'every Pod';
}

/** Which namespaces a selector means. */
function namespacesOf(selector: unknown): string {
  const values = list(selector, 'matchExpressions').flatMap((one) => list(one, 'values').map(String));
  const labels = sorted(fields(selector, 'matchLabels')).map(([, value]) => value);
  const named = [...values, ...labels];
  if (named.length === 0) return 'any namespace';
  return `${named.length === 1 ? 'namespace' : 'namespaces'} ${named.join(', ')}`;
}

/** Who stands at the other end. */
function peerOf(peer: unknown): string {
  const cidr = text(peer, 'ipBlock', 'cidr');
  if (cidr !== undefined) {
    const except = list(peer, 'ipBlock', 'except').map(String);
    return except.length > 0 ? `${cidr} without ${except.join(', ')}` : cidr;
  }
  const namespaces = at(peer, 'namespaceSelector');
  const pods = at(peer, 'podSelector');
  if (namespaces === undefined) return podsOf(pods);
  return pods === undefined ? namespacesOf(namespaces) : `${podsOf(pods)} of ${namespacesOf(namespaces)}`;
}

function portsOf(rule: unknown): string {
  const ports = list(rule, 'ports').map((port) =>
    [text(port, 'protocol') ?? 'TCP', at(port, 'port')].filter((part) => part !== undefined).join(' '),
  );
  return ports.length > 0 ? ports.join(', ') : 'all ports';
}

function endsOf(rule: unknown, side: 'from' | 'to', anyone: string): string {
  const peers = list(rule, side).map(peerOf);
  return peers.length > 0 ? peers.join(' and ') : anyone;
}

/** Whether a policy holds for every Pod of its namespace and for that direction. */
const closes = (spec: Fields, direction: string): boolean =>
  list(spec, 'policyTypes').includes(direction) && Object.keys(fields(spec, 'podSelector')).length === 0;

/**
 * What all NetworkPolicies of one namespace come to, a line an opening: "In: TCP 8080 of the module's Pods, from anyone."
 * @param policies their arguments, as declarations have them
 */
export function policyWords(policies: readonly unknown[]): string[] {
  const specs = policies.map((policy) => fields(policy, 'spec'));
  const lines = (direction: string, word: string, openings: readonly string[]): string[] => {
    if (!specs.some((spec) => closes(spec, direction))) return [`${word}: anything.`];
    return openings.length > 0 ? [...openings, `${word}: nothing else.`] : [`${word}: nothing.`];
  };
  const rules = (key: 'ingress' | 'egress', say: (rule: unknown, pods: string) => string): string[] =>
    specs.flatMap((spec) => list(spec, key).map((rule) => say(rule, podsOf(at(spec, 'podSelector')))));
  return [
    ...lines(
      'Ingress',
      'In',
      rules(
        'ingress',
        (rule, pods) => `In: ${portsOf(rule)} of ${pods}, from ${endsOf(rule, 'from', 'anyone')}.`,
      ),
    ),
    ...lines(
      'Egress',
      'Out',
      rules('egress', (rule, pods) => {
        const whose = pods === 'every Pod' ? '' : `, by ${pods}`;
        return `Out: ${portsOf(rule)} of ${endsOf(rule, 'to', 'any address')}${whose}.`;
      }),
    ),
  ];
}
