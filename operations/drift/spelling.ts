import { quantity } from '../../catalog/quantity';
import type { Difference } from '../engine/differences';

/** Keys below which amounts stand: of containers, claims, quotas and limits. */
const AMOUNTS = new Set([
  'requests',
  'limits',
  'hard',
  'default',
  'defaultRequest',
  'max',
  'min',
  'capacity',
  'sizeLimit',
]);

/**
 * Fields that the API server leaves out when they are false or 0, since that is what their absence means. It keeps a
 * false elsewhere: an `automountServiceAccountToken` that is gone is no longer false.
 */
const LEFT_OUT = new Set([
  'globalDefault',
  'hostIPC',
  'hostNetwork',
  'hostPID',
  'minReadySeconds',
  'paused',
  'publishNotReadyAddresses',
  'readOnly',
  'stdin',
  'tty',
]);

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0);

/**
 * Does the API server write the one value for the other? It writes `1000m` as `1`, and leaves out what is empty. A
 * plug-in that compares what was declared with what is live, and asks the server nothing, sees these as differences.
 */
export function sameToKubernetes({ path, before, after }: Difference): boolean {
  if (isEmpty(before) && isEmpty(after)) return true;
  const nothing = (value: unknown) => isEmpty(value) || value === false || value === 0;
  if (LEFT_OUT.has(String(path.at(-1)))) return nothing(before) && nothing(after);
  if (!path.some((part) => AMOUNTS.has(String(part)))) return false;
  const [was, is] = [quantity(before), quantity(after)];
  return was !== undefined && is !== undefined && Math.abs(was - is) <= 1e-9 * Math.max(was, is);
}
