import { createHash } from 'node:crypto';
import type { State } from '../engine/pulumi';
import { canonical, isRecord, withoutPassing } from './withhold';

/**
 * What a comparison stands on, as a fingerprint: the recorded state and the ledger. It needs no secret and knows no program, so
 * that `withhold` by the program that was applied and `up` by the one that is to be applied find the same.
 * @param state as it is stored: whatever writes it changes this, also where it writes the same again
 * @param ledger text of the environment's file of the release ledger
 */
export function basisOf({ deployment }: State, ledger: string): string {
  const { resources = [], pending_operations: open = [] } = isRecord(deployment) ? deployment : {};
  return createHash('sha256')
    .update(JSON.stringify(canonical([withoutPassing(resources), open, ledger])))
    .digest('hex');
}
