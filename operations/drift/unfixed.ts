import { z } from 'zod';

const deploymentSchema = z.looseObject({
  resources: z.array(z.looseObject({ urn: z.string(), delete: z.boolean().optional() })).nullish(),
});

const keyOf = ({ urn, delete: leaving }: { urn: string; delete?: boolean }): string =>
  leaving ? `${urn} leaving` : urn;

/**
 * The state after a fix that failed, in which what was not put right stands as it was applied last. The fix began with
 * a look at what is there, which wrote the drifted values down: left so, the next `drift` would find no difference.
 * @param unfixed URNs of what drifted and was not put right
 */
export function withUnfixed(before: unknown, after: unknown, unfixed: ReadonlySet<string>): unknown {
  const { resources: then } = deploymentSchema.parse(before);
  const { resources: now, ...rest } = deploymentSchema.parse(after);
  const current = new Map((now ?? []).map((resource) => [keyOf(resource), resource]));
  const known = new Set((then ?? []).map(keyOf));
  return {
    ...rest,
    // In the order of before, since a state names what something needs ahead of it, also what is gone by now.
    resources: [
      ...(then ?? []).flatMap((resource) => {
        const kept = unfixed.has(resource.urn) ? resource : current.get(keyOf(resource));
        return kept ? [kept] : [];
      }),
      ...(now ?? []).filter((resource) => !known.has(keyOf(resource))),
    ],
  };
}
