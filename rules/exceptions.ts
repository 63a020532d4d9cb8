import { namespacesOf } from '../stacks/namespaces';

interface Exception {
  readonly level: 'baseline' | 'privileged';
  readonly reason: string;
}

/** Namespaces that may have less than Pod Security `restricted`, each with its reason. Everything else is restricted. */
export const podSecurityExceptions: Readonly<Record<string, Exception>> = {
  [namespacesOf({}).build]: {
    level: 'privileged',
    reason:
      'Rootless BuildKit makes user namespaces of its own, for which seccomp and AppArmor must be off; nothing else runs there.',
  },
};

/**
 * The exception for a namespace, before whose name an environment's prefix may stand. A module's namespace may end like
 * one: the component tells them apart.
 */
export const exceptionFor = (name: string, component: string | undefined): Exception | undefined =>
  Object.entries(podSecurityExceptions).find(
    ([own]) => name === own || (component === 'jenkins' && name.endsWith(`-${own}`)),
  )?.[1];
