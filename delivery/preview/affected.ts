import type { Held } from '../../stacks/files';

/** What a change of this repository's files can reach. */
export interface Reach {
  /** Environments to preview, in the order in which they are applied. */
  readonly environments: readonly string[];
  /** Environments whose stack file the merge result no longer has. */
  readonly removed: readonly string[];
}

/** An environment that previews cover, and what files it works from. */
export interface Covered extends Held {
  readonly name: string;
}

/** What no environment is made from. Whatever is not listed here counts for all: a preview too many harms nobody. */
const INERT = [
  /^(docs|test|bench|lab|\.ci|\.vscode|\.idea)\//,
  /^[^/]+\.md$/,
  /^(LICENSE|biome\.json|jest\.config\.js|\.gitignore|\.editorconfig)$/,
];

/**
 * Environments that a change of these paths can affect. Paths are relative to the repository's root.
 * @param isSource whether a path is a source of the program, wherever it stands. @default what Switchyard's own repository has
 * in folders that no environment is made from is none
 */
export function affectedEnvironments(
  paths: readonly string[],
  covered: readonly Covered[],
  present: (environment: string) => boolean,
  isSource: (path: string) => boolean = () => false,
): Reach {
  const hit = new Set<string>();
  const all = () => {
    for (const { name } of covered) hit.add(name);
  };
  for (const path of paths) {
    const stack = /^stacks\/Pulumi\.([^/]+)\.yaml$/.exec(path)?.[1];
    const module = /^catalog\/modules\/([^/]+)\.yaml$/.exec(path)?.[1];
    if (isSource(path)) all();
    else if (INERT.some((pattern) => pattern.test(path))) continue;
    else if (stack) {
      // Also whoever previews that environment: its Pods have the file.
      for (const { name, stacks } of covered) if (stacks.includes(stack)) hit.add(name);
    } else if (module) {
      for (const { name, modules } of covered) if (modules?.includes(module) ?? true) hit.add(name);
    } else all();
  }
  const wanted = covered.map(({ name }) => name).filter((name) => hit.has(name));
  return { environments: wanted.filter(present), removed: wanted.filter((name) => !present(name)) };
}
