import type { Declaration } from './declaration';
import { referencesIn } from './references';

/** Names of the declarations that this one needs: those it waits for, and those whose outputs it uses. */
export function needsOf(declaration: Declaration): string[] {
  const outputs = referencesIn(declaration.args).flatMap((reference) =>
    reference.kind === 'output' ? [reference.resource] : [],
  );
  return [...(declaration.dependsOn ?? []), ...outputs];
}

/**
 * Declarations in an order in which each comes after those of the same list that it needs; otherwise as given. So a
 * box lists its parts in the order that reads best.
 * @throws Error on a circle, or where the old name of one is another's by now: faults of the program
 */
export function inOrder(declarations: readonly Declaration[]): Declaration[] {
  const byName = new Map(declarations.map((declaration) => [declaration.name, declaration]));
  for (const { name, type, aliases = [] } of declarations) {
    const taken = aliases.find((alias) => byName.get(alias)?.type === type);
    if (taken !== undefined)
      throw new Error(`"${name}" was called "${taken}" before, and so is another declaration now`);
  }
  const placed = new Set<string>();
  const open = new Set<string>();
  const ordered: Declaration[] = [];
  const place = (declaration: Declaration): void => {
    if (placed.has(declaration.name)) return;
    if (open.has(declaration.name)) throw new Error(`"${declaration.name}" needs itself, in a circle`);
    open.add(declaration.name);
    for (const name of needsOf(declaration)) {
      const needed = byName.get(name);
      // A name that is given twice is told by the rule names-unique, which must get to see it.
      if (needed && needed !== declaration) place(needed);
    }
    placed.add(declaration.name);
    ordered.push(declaration);
  };
  for (const declaration of declarations) place(declaration);
  return ordered;
}
