import type { StackSettings } from './schema';

/** Below which all repositories stand: the registry's address, and the path that an existing one gives us. */
export const repositoryRoot = ({
  registry: { address, existing },
}: {
  readonly registry: Pick<StackSettings['registry'], 'address' | 'existing'>;
}): string => (existing?.path === undefined ? address : `${address}/${existing.path}`);
