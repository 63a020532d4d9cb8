import { writeFileSync } from 'node:fs';
import type { Model } from '../../components/model';
import { brokenRules } from '../../rules/assert';

/** Writes the broken rules for a merge request's note, as a list of `{ id, where, what, remedy }`. */
export function writeBrokenRules(file: string, model: Model): void {
  const found = brokenRules(model).map(({ rule, where, what, remedy }) => ({
    id: rule,
    where,
    what,
    remedy,
  }));
  writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
}
