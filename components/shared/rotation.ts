import type { Versions } from './secrets';

/** Annotation of a Pod that is to start anew when a secret of its has another version. */
export const VERSIONS = 'switchyard.dev/secret-versions';

/** Which of the secrets below a path were rotated how often: plain, and the same for whoever may not know the secrets. */
export function rotatedMark(versions: Versions, path: string): Record<string, string> {
  const rotated = Object.entries(versions)
    .filter(([purpose]) => purpose.startsWith(`${path}/`))
    .map(([purpose, version]) => `${purpose.slice(path.length + 1)}=${version}`)
    .sort();
  return rotated.length === 0 ? {} : { [VERSIONS]: rotated.join(' ') };
}

/** Whether a purpose is a path, or below it. */
export const isWithin = (purpose: string, path: string): boolean =>
  purpose === path || purpose.startsWith(`${path}/`);

/** Among the purposes that a run brings in: all of them, where what it finds was taken over without its secrets. */
export const EVERY = '*';

/**
 * Options of what holds a password that something with data took at its first start: a database, a backup repository.
 * Another version, another seed, another way to derive it reach it only while `switchyard rotate` brings them in; until
 * then every run leaves what was applied.
 */
export const keptUntilRotated = (
  { rotating = [] }: { readonly rotating?: readonly string[] },
  path: string,
  properties: readonly string[],
): { readonly ignoreChanges?: readonly string[] } =>
  rotating.some((purpose) => purpose === EVERY || isWithin(purpose, path))
    ? {}
    : { ignoreChanges: properties };
