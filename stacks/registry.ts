import type { StackSettings } from './schema';

/** Below which all repositories stand: the registry's address, and the path that an existing one gives us. */
export const repositoryRoot = ({
  registry: { address, existing },
}: {
  readonly registry: Pick<StackSettings['registry'], 'address' | 'existing'>;
}): string => (existing?.path === undefined ? address : `${address}/${existing.path}`);

/**
 * Whether builds have a login for base images. Their code is foreign: they have one only where it reads those images and
 * does nothing else, which the proxy before our own registry sees to.
 */
export const buildsLogIn = ({ registry }: Pick<StackSettings, 'registry'>): boolean =>
  !registry.existing && registry.access === 'separate';
