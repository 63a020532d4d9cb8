/** What happens to one resource, in the words of people: Pulumi's three steps of a replacement are one. */
export type Action = 'create' | 'update' | 'replace' | 'delete' | 'import' | 'forget';

const ACTIONS: Readonly<Record<string, Action>> = {
  create: 'create',
  update: 'update',
  delete: 'delete',
  replace: 'replace',
  'create-replacement': 'replace',
  'delete-replaced': 'replace',
  import: 'import',
  'import-replacement': 'replace',
  // A state entry that is dropped without touching the thing.
  'remove-pending-replace': 'forget',
  discard: 'forget',
  'discard-replaced': 'forget',
};

/** Name of a provider resource, as in `ci-cluster`, from a reference to it: its URN, then its id. */
export const providerName = (reference: string): string => reference.split('::').at(-2) ?? '';

/** By the name of an engine's step; undefined for one that changes nothing outside of Pulumi (`same`, `read`, `refresh`). */
export const actionOf = (op: string): Action | undefined => ACTIONS[op];
