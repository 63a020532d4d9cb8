import type { Action } from '../../clients/engine-steps';
import type { Change } from './events';
import { countActions } from './events';

/** Boxes drawn before the rest is summed up: more do not fit on a page. */
const DRAWN = 30;

/** How work and images flow between the kinds of boxes. */
const ARROWS: readonly (readonly [string, string])[] = [
  ['gitlab', 'jenkins'],
  ['jenkins', 'registry'],
  ['jenkins', 'testing'],
  ['registry', 'production'],
];

const VERBS: Readonly<Record<Action, string>> = {
  create: 'to create',
  update: 'to change',
  replace: 'to replace',
  delete: 'to delete',
  import: 'to take over',
  forget: 'to forget',
};

export const actionWords = (changes: readonly Change[]): string => {
  const counts = countActions(changes);
  const order: readonly Action[] = ['create', 'update', 'replace', 'delete', 'import', 'forget'];
  return order
    .filter((action) => (action !== 'import' && action !== 'forget' ? true : counts[action]))
    .map((action) => `${counts[action] ?? 0} ${VERBS[action]}`)
    .join(', ');
};

/** Letters, digits and dashes only: whatever else a name has could end the label or the diagram. */
const plain = (text: string): string => text.replace(/[^A-Za-z0-9-]+/g, '_').slice(0, 60);

/** The changed boxes as a Mermaid diagram, which GitLab draws; empty when no box changes. */
export function picture(changes: readonly Change[]): string {
  const boxes = new Map<string, Change[]>();
  for (const change of changes) {
    if (!change.box) continue;
    const key = `${change.box} ${change.boxName || change.box}`;
    boxes.set(key, [...(boxes.get(key) ?? []), change]);
  }
  if (boxes.size === 0) return '';
  const keys = [...boxes.keys()].sort();
  const kinds = new Set(keys.map((key) => key.split(' ')[0] ?? ''));
  const lines = ['flowchart LR'];
  const shown = keys.slice(0, DRAWN);
  for (const kind of [...kinds].sort()) {
    lines.push(`  subgraph kind_${plain(kind)} ["${plain(kind)}"]`);
    shown.forEach((key, index) => {
      const [of = '', ...name] = key.split(' ');
      if (of !== kind) return;
      const inside = boxes.get(key) ?? [];
      const dangerous = inside.some(({ action }) => action === 'delete' || action === 'replace');
      const words = actionWords(inside)
        .split(', ')
        .filter((part) => !part.startsWith('0 '))
        .join(', ');
      lines.push(
        `    box${index}["${plain(name.join(' '))}: ${words}"]:::${dangerous ? 'danger' : 'change'}`,
      );
    });
    lines.push('  end');
  }
  for (const [from, to] of ARROWS) {
    if (kinds.has(from) && kinds.has(to)) lines.push(`  kind_${from} --> kind_${to}`);
  }
  if (keys.length > DRAWN) lines.push(`  more["and ${keys.length - DRAWN} more boxes"]`);
  lines.push('  classDef change stroke:#1f75cb,stroke-width:2px');
  lines.push('  classDef danger stroke:#dd2b0e,stroke-width:3px');
  return lines.join('\n');
}
