import { isKubernetes, violation } from './facts/item';
import type { Rule } from './rule';

/** The default provider takes the current context of whoever runs `up`. */
export const explicitProvider: Rule = {
  id: 'explicit-provider',
  holds: 'Each resource names its provider; the default Kubernetes provider is never used.',
  why: 'A default provider takes whatever cluster the kubeconfig of the day points to.',
  check: (facts) =>
    facts.items.flatMap((item) => {
      const byDefault = item.provider === undefined || item.provider.startsWith('default');
      const wrongKind = isKubernetes(item) && (item.provider === 'gitlab' || item.provider === 'docker');
      if (item.planned || !(byDefault || wrongKind)) return [];
      return [
        violation(
          item,
          wrongKind ? `comes from the provider "${item.provider}".` : 'comes from a default provider.',
          'Give it the provider of its cluster.',
        ),
      ];
    }),
};
