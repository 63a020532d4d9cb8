import { buildGraph, type Graph } from './graph';
import { type Indexed, indexNamespaces, type LedgerFacts, type Untestable } from './indexed';
import type { Item } from './item';
import { readJenkins } from './jenkins';
import { podsOf } from './pods';
import { push } from './read';

export type { NamespaceFacts, Untestable } from './indexed';

/** What the rules read: every resource, indexed, and the way of a commit through them. */
export interface Facts extends Indexed {
  readonly graph: Graph;
}

/** Indexes resources for the rules; linear in their number. */
export function factsOf(
  items: readonly Item[],
  untestable: readonly Untestable[] = [],
  now: Date = new Date(),
  ledger?: LedgerFacts,
): Facts {
  const byType = new Map<string, Item[]>();
  const byName = new Map<string, Item>();
  for (const item of items) {
    push(byType, item.type, item);
    byName.set(item.name, item);
  }
  const jenkins = readJenkins(byType);
  const pods = podsOf(items, byType, jenkins);
  const namespaces = indexNamespaces(items, pods);
  const indexed = {
    items,
    byType,
    byName,
    namespaces,
    pods,
    jenkins,
    untestable,
    today: now.toISOString().slice(0, 10),
    ...(ledger ? { ledger } : {}),
  };
  return { ...indexed, graph: buildGraph(indexed) };
}
