import { z } from 'zod';
import { providerName } from '../../clients/engine-steps';
import { isRealResource, parseUrn } from '../engine/urns';

/** Resources of a kind that were not looked at. */
export interface Unseen {
  /** As people say it, as in `Secret`. */
  readonly kind: string;
  readonly count: number;
}

const deploymentSchema = z.looseObject({
  resources: z
    .array(
      z.looseObject({
        urn: z.string(),
        type: z.string(),
        provider: z.string().default(''),
        inputs: z.looseObject({ context: z.string().optional() }).nullish(),
      }),
    )
    .nullish(),
});

/**
 * Kinds that an account which reads no secret cannot compare: a Secret, whose value the state does not have there;
 * tokens of the group, which GitLab shows to owners; images, since there is no Docker.
 */
const HIDDEN = /^(kubernetes:core\/v1:Secret|gitlab:index\/groupAccessToken:GroupAccessToken|docker:.*)$/;

/**
 * What a Pod without secrets leaves out of its look, by URN, and how much of each kind that is.
 * @param deployment the state
 * @param reached contexts of the clusters that are reached from here
 */
export function outOfSight(
  deployment: unknown,
  reached: ReadonlySet<string>,
): { readonly exclude: readonly string[]; readonly unseen: readonly Unseen[] } {
  const resources = deploymentSchema.parse(deployment).resources ?? [];
  const elsewhere = new Set(
    resources
      .filter(
        ({ type, inputs }) => type === 'pulumi:providers:kubernetes' && !reached.has(inputs?.context ?? ''),
      )
      .map(({ urn }) => urn.split('::').at(-1)),
  );
  const hidden = resources.filter(
    ({ type, provider }) =>
      isRealResource(type) &&
      (HIDDEN.test(type) || (type.startsWith('kubernetes:') && elsewhere.has(providerName(provider)))),
  );
  const counts = new Map<string, number>();
  for (const { urn } of hidden) {
    const { kind } = parseUrn(urn);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return {
    exclude: hidden.map(({ urn }) => urn),
    unseen: [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => ({ kind, count })),
  };
}
