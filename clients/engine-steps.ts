import { z } from 'zod';

// What Pulumi's engine says, whoever runs it: commands of operations here, delivery for the preview of a merge request.

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

const claimSchema = z.looseObject({
  spec: z.looseObject({
    resources: z.looseObject({ requests: z.looseObject({ storage: z.string() }) }),
  }),
});
const claimsSchema = z.looseObject({
  spec: z.looseObject({ volumeClaimTemplates: z.array(z.unknown()).min(1) }),
});
const namedSchema = z.looseObject({ metadata: z.looseObject({ name: z.string() }) });

const sizeOf = (claim: unknown): string => {
  const parsed = claimSchema.safeParse(claim);
  return parsed.success ? ` of ${parsed.data.spec.resources.requests.storage}` : '';
};

/**
 * What data a resource holds that goes with it, in words for the person who is asked.
 * @param type Pulumi's type token
 * @param inputs its inputs as the engine's events have them
 * @returns undefined for what can be made again from the program alone
 */
export function dataHeld(type: string, inputs: Readonly<Record<string, unknown>>): string | undefined {
  const kind = type.split(':').at(-1);
  if (type.startsWith('kubernetes:')) {
    switch (kind) {
      case 'PersistentVolumeClaim':
        return `a volume${sizeOf(inputs)} with all that is on it`;
      case 'PersistentVolume':
        return 'a volume with all that is on it';
      case 'StatefulSet': {
        const parsed = claimsSchema.safeParse(inputs);
        // Kubernetes keeps the claims of a StatefulSet that goes, unless its namespace goes with it.
        return parsed.success
          ? parsed.data.spec.volumeClaimTemplates.map((claim) => `volumes${sizeOf(claim)} per Pod`).join(', ')
          : undefined;
      }
      case 'Namespace': {
        const parsed = namedSchema.safeParse(inputs);
        return parsed.success ? `all that is in ${parsed.data.metadata.name}, volumes too` : undefined;
      }
      default:
        return undefined;
    }
  }
  if (type === 'gitlab:index/project:Project') {
    return 'a repository with its merge requests, notes and statuses';
  }
  if (type === 'gitlab:index/group:Group') return 'a group with all projects in it';
  return undefined;
}
