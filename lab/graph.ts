/** What has a name and comes after others. */
export interface Needing {
  name: string;
  /** Names of what must be done before. */
  needs?: readonly string[];
}

/** Names that lead from one back to itself, the first of them repeated at the end; undefined when there is no circle. */
function circle(nodes: ReadonlyMap<string, Needing>): string[] | undefined {
  const clear = new Set<string>();
  const follow = (name: string, path: string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (clear.has(name)) return undefined;
    for (const need of nodes.get(name)?.needs ?? []) {
      const found = follow(need, [...path, name]);
      if (found) return found;
    }
    clear.add(name);
    return undefined;
  };
  for (const name of nodes.keys()) {
    const found = follow(name, []);
    if (found) return found;
  }
  return undefined;
}

/** @throws Error naming every name that is there twice, every need that nobody meets, and a circle of needs */
export function checkGraph(nodes: readonly Needing[]): void {
  const byName = new Map<string, Needing>();
  const faults: string[] = [];
  for (const node of nodes) {
    if (byName.has(node.name)) faults.push(`there are two steps ${node.name}`);
    byName.set(node.name, node);
  }
  for (const { name, needs = [] } of nodes) {
    for (const need of needs) if (!byName.has(need)) faults.push(`${name} needs ${need}, which is no step`);
  }
  const around = circle(byName);
  if (around) faults.push(`steps need one another: ${around.join(' needs ')}`);
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** Everything that `name` comes after, directly or through others. */
export function allNeeds(nodes: readonly Needing[], name: string): Set<string> {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const found = new Set<string>();
  const collect = (from: string): void => {
    for (const need of byName.get(from)?.needs ?? []) {
      if (found.has(need)) continue;
      found.add(need);
      collect(need);
    }
  };
  collect(name);
  return found;
}

/**
 * A part of a graph by itself. What it needs of the rest counts as given; the order that the rest brought stays: where A
 * needs B and B needs C, A comes after C without B, too.
 * @throws Error naming a name that is not in the graph
 */
export function only<T extends Needing>(nodes: readonly T[], names: readonly string[]): T[] {
  const chosen = new Set(names);
  for (const name of names) {
    if (!nodes.some((node) => node.name === name)) throw new Error(`${name} is no step`);
  }
  return nodes
    .filter(({ name }) => chosen.has(name))
    .map((node) => ({
      ...node,
      needs: [...allNeeds(nodes, node.name)].filter((need) => chosen.has(need)).sort(),
    }));
}
