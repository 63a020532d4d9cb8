import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineEvent } from '@pulumi/pulumi/automation';
import type { Model } from '../../components/model';
import { brokenRules } from '../../rules/assert';

/** What `delivery` makes a merge request's note from. */
export interface PreviewRecord {
  /** Writes the broken rules to `rules.json`, as a list of `{ id, where, what, remedy }`. */
  readonly rules: (model: Model, only?: readonly string[]) => void;
  /** Writes an event on a line of `events.jsonl`. */
  readonly event: (event: EngineEvent) => void;
}

/** Begins a record; what an earlier one left of these files goes. */
export function openRecord(folder: string): PreviewRecord {
  mkdirSync(folder, { recursive: true });
  const events = join(folder, 'events.jsonl');
  writeFileSync(events, '');
  return {
    rules: (model, only) => {
      const found = brokenRules(model, only).map(({ rule, where, what, remedy }) => ({
        id: rule,
        where,
        what,
        remedy,
      }));
      writeFileSync(join(folder, 'rules.json'), `${JSON.stringify(found, null, 2)}\n`);
    },
    event: (event) => appendFileSync(events, `${JSON.stringify(event)}\n`),
  };
}
