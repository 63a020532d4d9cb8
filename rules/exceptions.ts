import { names } from '../components/shared/naming';

/** Namespaces that may have less than Pod Security `restricted`, each with its reason. Everything else is restricted. */
export const podSecurityExceptions: Readonly<
  Record<string, { readonly level: 'baseline' | 'privileged'; readonly reason: string }>
> = {
  [names.buildNamespace]: {
    level: 'privileged',
    reason:
      'Rootless BuildKit makes user namespaces of its own, for which seccomp and AppArmor must be off; nothing else runs there.',
  },
};
