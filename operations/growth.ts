import { z } from 'zod';
import { type Problem, ProblemsError } from '../catalog/problems';
import { quantity } from '../catalog/quantity';
import type { Model } from '../components/model';
import { namespacesOf } from '../stacks/namespaces';
import type { ObjectName } from './outside';

// Kubernetes forbids changing a StatefulSet's volume, so that the size of a service's volume is changed at the claim itself,
// which its class must allow (https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims).

/** The claim of one service's volume, and how large its module's file wants it. */
export interface Wanted {
  readonly namespace: string;
  readonly claim: string;
  readonly storage: string;
  readonly module: string;
  /** Place in the module's file. */
  readonly key: string;
}

/** A claim that is to grow. */
export interface Growth {
  readonly namespace: string;
  readonly claim: string;
  readonly from: string;
  readonly to: string;
}

/** The claims that the topology's services have in production, as their StatefulSets call them. */
export function wantedClaims({ modules, settings }: Pick<Model, 'modules' | 'settings'>): Wanted[] {
  return modules.flatMap((module) =>
    module.services.flatMap((use, index): Wanted[] =>
      use.existing
        ? []
        : [
            {
              namespace: namespacesOf(settings).production(module.name),
              claim: `${use.name}-data-${use.name}-0`,
              storage: use.storage,
              module: module.name,
              key: `services.${index}.storage`,
            },
          ],
    ),
  );
}

const claimSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string() }),
  spec: z.looseObject({
    storageClassName: z.string().optional(),
    resources: z.looseObject({ requests: z.looseObject({ storage: z.string() }) }),
  }),
});

/**
 * What is to grow, given the claims that are there.
 * @param expandable whether a class lets its volumes grow
 * @throws ProblemsError for a volume that cannot grow, and for one that would have to shrink
 */
export async function growthOf(
  wanted: readonly Wanted[],
  claims: readonly unknown[],
  expandable: (storageClass: string) => Promise<boolean>,
): Promise<Growth[]> {
  const there = new Map(
    claims.flatMap((claim) => {
      const { data } = claimSchema.safeParse(claim);
      return data ? [[`${data.metadata.namespace}/${data.metadata.name}`, data.spec] as const] : [];
    }),
  );
  const growing: Growth[] = [];
  const problems: Problem[] = [];
  for (const { namespace, claim, storage, module, key } of wanted) {
    const spec = there.get(`${namespace}/${claim}`);
    const from = spec?.resources.requests.storage ?? storage;
    const [before, after] = [quantity(from), quantity(storage)];
    if (before === undefined || after === undefined || before === after) continue;
    const fault = (what: string, remedy: string): void => {
      problems.push({ file: `catalog/modules/${module}.yaml`, key, what, remedy });
    };
    if (after < before)
      fault(
        `"${storage}" is less than the ${from} that its volume has, and no volume shrinks.`,
        `Write ${from}.`,
      );
    else if (spec?.storageClassName === undefined || !(await expandable(spec.storageClassName)))
      fault(
        `"${storage}" is more than the ${from} that its volume has, and its class "${spec?.storageClassName ?? ''}" lets no volume grow.`,
        `Set allowVolumeExpansion on the class if its driver can; else write ${from}, or move the data to a new instance of another "name" by its backup.`,
      );
    else growing.push({ namespace, claim, from, to: storage });
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return growing;
}

/** A claim that asks for more: what is sent of it. */
export const grown = ({ namespace, claim, to }: Growth): ObjectName & { readonly spec: object } => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { namespace, name: claim },
  spec: { resources: { requests: { storage: to } } },
});

export const growthLine = ({ namespace, claim, from, to }: Growth): string =>
  `volume ${namespace}/${claim} grows from ${from} to ${to}`;
