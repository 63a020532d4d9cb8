import { z } from 'zod';
import { type Problem, ProblemsError } from '../../catalog/problems';
import { quantity } from '../../catalog/quantity';
import type { ObjectName } from '../../clients/kubernetes';
import { type BoxDeclaration, topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import { namespacesOf } from '../../stacks/namespaces';
import type { ClusterRole } from '../outside/clients';

// Kubernetes forbids changing a StatefulSet's volume, so that the size of a service's volume is changed at the claim itself,
// which its class must allow (https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims).
// A claim that the topology declares is changed by the engine: its size in place, and by another class it makes it anew,
// with a volume that holds nothing (`.spec.storageClassName` in pkg/provider/diff.go of pulumi-kubernetes).

/** The claim of a volume, and what the files want of it. */
export interface Wanted {
  readonly role: ClusterRole;
  readonly namespace: string;
  readonly claim: string;
  readonly storage: string;
  /** Class that it must be of. @default any: a StatefulSet's volume stays what it was made as */
  readonly declared?: { readonly storageClass: string | undefined; readonly key: string };
  /** File in which its size is written, and the place there. */
  readonly file: string;
  readonly key: string;
}

/** A claim that is to grow, or has yet to get what it asks for. */
export interface Growth extends Pick<Wanted, 'role' | 'namespace' | 'claim' | 'file' | 'key'> {
  /** What the volume has. */
  readonly from: string;
  readonly to: string;
  /** Whether the engine changes the claim, as one that the topology declares. */
  readonly byEngine: boolean;
}

const sizesSchema = z.looseObject({ storage: z.string().optional() }).optional();
const claimSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string(),
    managedFields: z
      .array(z.looseObject({ manager: z.string().optional(), fieldsV1: z.unknown().optional() }))
      .default([]),
  }),
  spec: z.looseObject({
    storageClassName: z.string().optional(),
    resources: z.looseObject({ requests: z.looseObject({ storage: z.string() }) }),
  }),
  status: z
    .looseObject({
      capacity: sizesSchema,
      allocatedResources: sizesSchema,
      allocatedResourceStatuses: sizesSchema,
      conditions: z
        .array(z.looseObject({ type: z.string(), status: z.string(), message: z.string().default('') }))
        .default([]),
    })
    .optional(),
});
const classFieldSchema = z.looseObject({ 'f:spec': z.looseObject({ 'f:storageClassName': z.unknown() }) });

type Claim = z.infer<typeof claimSchema>;

/** Whether a claim was made with a class: one that the cluster chose by itself is nobody's, or its controller's. */
const namedClass = ({ metadata }: Claim): boolean =>
  metadata.managedFields.some(
    ({ manager, fieldsV1 }) =>
      manager !== 'kube-controller-manager' &&
      classFieldSchema.safeParse(fieldsV1).data?.['f:spec']['f:storageClassName'] !== undefined,
  );

/** Place in the stack's file where a box's volume stands. */
const placeOf = ({ box }: BoxDeclaration): string =>
  box === 'backup' ? 'config.backup.claim' : `config.${box}`;

/** The claims that the topology declares itself. */
function declaredClaims(model: Model): Wanted[] {
  const file = `stacks/Pulumi.${model.settings.environment}.yaml`;
  return topologyBoxes(model).flatMap((box) =>
    box.declarations.flatMap(({ type, provider, args }): Wanted[] => {
      if (type !== 'kubernetes:core/v1:PersistentVolumeClaim') return [];
      const { metadata, spec } = claimSchema.parse(args);
      return [
        {
          role: provider === 'production' ? 'production' : 'ci',
          namespace: metadata.namespace,
          claim: metadata.name,
          storage: spec.resources.requests.storage,
          declared: { storageClass: spec.storageClassName, key: `${placeOf(box)}.storageClass` },
          file,
          key: `${placeOf(box)}.storage`,
        },
      ];
    }),
  );
}

/** Every claim that the topology has: those that it declares, and those that its services' StatefulSets make. */
export function wantedClaims(model: Model): Wanted[] {
  const { modules, settings } = model;
  const services = modules.flatMap((module) =>
    module.services.flatMap((use, index): Wanted[] =>
      use.existing
        ? []
        : [
            {
              role: 'production',
              namespace: namespacesOf(settings).production(module.name),
              claim: `${use.name}-data-${use.name}-0`,
              storage: use.storage,
              file: `catalog/modules/${module.name}.yaml`,
              key: `services.${index}.storage`,
            },
          ],
    ),
  );
  return [...declaredClaims(model), ...services];
}

/** What the clusters say of volumes. */
export interface Volumes {
  /** A claim that is wanted, as it is; undefined where it is not there yet, or could not be asked for. */
  readonly claimOf: (wanted: Wanted) => unknown;
  /** Whether a class lets its volumes grow. */
  readonly expandable: (role: ClusterRole, storageClass: string) => Promise<boolean>;
}

/** What is wrong with a class; undefined where nothing is. */
function classProblem({ declared, file, namespace, claim }: Wanted, there: Claim): Problem | undefined {
  const existing = there.spec.storageClassName;
  if (!declared || !existing) return undefined;
  const { storageClass, key } = declared;
  if (storageClass === existing || (storageClass === undefined && !namedClass(there))) return undefined;
  return {
    file,
    key,
    what: `${storageClass === undefined ? `is not there any more, and the volume of ${namespace}/${claim} has the class "${existing}"` : `"${storageClass}" is not the class "${existing}" that the volume of ${namespace}/${claim} has`}: the claim would be made anew, without what it holds.`,
    remedy: `Write ${existing}. For another class copy what it holds, delete the claim by hand, and copy it back.`,
  };
}

/** What a volume has of what its claim asks for: a driver may give more, which nobody wanted. */
function sizeOf({ spec, status }: Claim): { readonly has: string; readonly asked: string } {
  const asked = spec.resources.requests.storage;
  const has = status?.capacity?.storage ?? asked;
  return { has: (quantity(has) ?? 0) < (quantity(asked) ?? 0) ? has : asked, asked };
}

/**
 * What is to grow, given the claims that are there; also what was asked for before and is not there yet.
 * @throws ProblemsError for a volume that cannot grow, one that would have to shrink, and one that would be made anew
 */
export async function growthOf(
  wanted: readonly Wanted[],
  { claimOf, expandable }: Volumes,
): Promise<Growth[]> {
  const growing: Growth[] = [];
  const problems: Problem[] = [];
  for (const one of wanted) {
    const { role, namespace, claim, storage, declared, file, key } = one;
    const { data } = claimSchema.safeParse(claimOf(one));
    if (!data) continue;
    const { spec } = data;
    const other = classProblem(one, data);
    if (other) problems.push(other);
    const { has, asked } = sizeOf(data);
    const [before, request, after] = [quantity(has), quantity(asked), quantity(storage)];
    if (before === undefined || request === undefined || after === undefined) continue;
    if (before === after && request === after) continue;
    const fault = (what: string, remedy: string): void => {
      problems.push({ file, key, what, remedy });
    };
    if (after < before)
      fault(
        `"${storage}" is less than the ${has} that its volume has, and no volume shrinks.`,
        `Write ${has}.`,
      );
    else if (after === before)
      // RecoverVolumeExpansionFailure of Kubernetes 1.34 (ValidatePersistentVolumeClaimUpdate).
      fault(
        `"${storage}" is what its volume has, but its claim asks for ${asked}, and Kubernetes takes that back only to more than ${has}.`,
        `Write a little more than ${has}, which its driver has room for.`,
      );
    else if (after > request && !(spec.storageClassName && (await expandable(role, spec.storageClassName))))
      fault(
        `"${storage}" is more than the ${has} that its volume has, and its class "${spec.storageClassName ?? ''}" lets no volume grow.`,
        `Set allowVolumeExpansion on the class if its driver can; else write ${has}, or ${declared ? 'copy what it holds, delete the claim by hand, and copy it back' : 'move the data to a new instance of another "name" by its backup'}.`,
      );
    else
      growing.push({
        ...{ role, namespace, claim, file, key },
        ...{ from: has, to: storage, byEngine: declared !== undefined },
      });
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return growing;
}

/** A claim that asks for more: what is sent of it. */
export const grown = ({
  namespace,
  claim,
  to,
}: Pick<Growth, 'namespace' | 'claim' | 'to'>): ObjectName & { readonly spec: object } => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { namespace, name: claim },
  spec: { resources: { requests: { storage: to } } },
});

export const growthLine = ({ namespace, claim, from, to }: Growth): string =>
  `volume ${namespace}/${claim} grows from ${from} to ${to}`;

/** How far a claim has come. */
export interface Progress {
  /** What its volume has. */
  readonly has: string;
  readonly done: boolean;
  /** What its driver or the kubelet says of it; empty where neither says anything. */
  readonly said: string;
  /** Whether its driver cannot: waiting is of no use. */
  readonly refused: boolean;
}

const TOLD: readonly string[] = ['ControllerResizeError', 'NodeResizeError', 'FileSystemResizePending'];

/**
 * What a claim says of its growth, by the status that external-resizer and the kubelet write
 * (https://kubernetes.io/docs/concepts/storage/persistent-volumes/#recovering-from-failure-when-expanding-volumes).
 */
export function progressOf(claim: unknown, to: string): Progress {
  const { data } = claimSchema.safeParse(claim);
  if (!data) return { has: 'no size', done: false, said: 'it is not there', refused: false };
  const { status } = data;
  const has = status?.capacity?.storage ?? '0';
  const said = TOLD.flatMap(
    (type) =>
      status?.conditions.filter((one) => one.type === type && one.status === 'True' && one.message !== '') ??
      [],
  );
  return {
    has,
    done: (quantity(has) ?? 0) >= (quantity(to) ?? Number.POSITIVE_INFINITY),
    said: said[0]?.message ?? '',
    // Of this size: what was refused before stands there until its driver was asked again.
    refused:
      quantity(status?.allocatedResources?.storage) === quantity(to) &&
      /Infeasible$/.test(status?.allocatedResourceStatuses?.storage ?? ''),
  };
}

/** What did not grow, with its place and the remedy. */
export const growthFault = (
  { namespace, claim, to, file, key }: Growth,
  { has, said, refused }: Progress,
  seconds: number,
): string => {
  const why = refused ? 'its driver refuses' : `not within ${seconds} s`;
  return `${file}: ${key}: volume ${namespace}/${claim} has ${has} and did not grow to ${to}: ${why}${said === '' ? '' : ` (${said})`}. What it holds is as it was. Give its class room, and say the same again; or write a size of more than ${has} that it has room for.`;
};
