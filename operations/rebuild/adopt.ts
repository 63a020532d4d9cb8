import type { EngineEvent } from '@pulumi/pulumi/automation';
import { z } from 'zod';
import { providerName } from '../../clients/engine-steps';
import { isSecret } from '../engine/differences';
import { type Existing, type PendingCreate, takenOutputs } from '../engine/repair';
import { isRealResource } from '../engine/urns';

/** A resource that the program would make. */
export interface PlannedCreate {
  readonly urn: string;
  readonly type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Reference of its provider: URN and id. */
  readonly provider: string;
  readonly parent: string;
  readonly protect: boolean;
}

/** Gathers from a preview's events what would be made. */
export class PlannedCreates {
  private readonly creates = new Map<string, PlannedCreate>();

  take({ resourcePreEvent }: EngineEvent): void {
    const { op, urn, type, new: planned } = resourcePreEvent?.metadata ?? {};
    if (op !== 'create' || !urn || !type || !planned || !isRealResource(type)) return;
    const { parent = '', protect = false } = planned;
    const inputs = recordSchema.parse(withoutSecrets(planned.inputs ?? {}));
    const provider = resourcePreEvent?.metadata.provider ?? '';
    this.creates.set(urn, { urn, type, inputs, provider, parent, protect });
  }

  all(): PlannedCreate[] {
    return [...this.creates.values()];
  }
}

/** Without the secrets, which events do not tell: the whole `up` that follows writes them again. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((inner) => !isSecret(inner)).map(withoutSecrets);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => (isSecret(inner) ? [] : [[key, withoutSecrets(inner)]])),
  );
}

const recordSchema = z.record(z.string(), z.unknown());

const deploymentSchema = z.looseObject({
  resources: z
    .array(
      z.looseObject({
        urn: z.string(),
        type: z.string(),
        id: z.string().optional(),
        provider: z.string().optional(),
        dependencies: z.array(z.string()).nullish(),
        propertyDependencies: z.record(z.string(), z.array(z.string()).nullable()).nullish(),
        deletedWith: z.string().optional(),
      }),
    )
    .nullish(),
});

/** The same question that is asked about a creation that a killed run left open. */
export function asPending(planned: PlannedCreate, deployment: unknown): PendingCreate {
  const { resources } = deploymentSchema.parse(deployment);
  const known = (resources ?? []).flatMap(({ type, id }) => (type === planned.type && id ? [id] : []));
  return { ...planned, provider: providerName(planned.provider), known };
}

/**
 * A deployment to which resources that exist were added under the URNs that the program gives them. What they are in
 * reality is read by a refresh afterwards.
 */
export function adoptedDeployment(
  deployment: unknown,
  found: readonly (PlannedCreate & Existing)[],
): Record<string, unknown> {
  const { resources, ...rest } = deploymentSchema.parse(deployment);
  const taken = found.map(({ protect, fieldManager, ...resource }) => ({
    ...resource,
    custom: true,
    outputs: takenOutputs(resource.inputs, fieldManager),
    ...(protect ? { protect } : {}),
  }));
  return { ...rest, resources: [...(resources ?? []), ...taken] };
}

/**
 * A deployment in which objects that were taken over and read have the inputs that the program gives them. What a
 * cluster adds by itself (the class of a volume, the port of a Service) would else look like a field that the program
 * takes away, and some of those can only be changed by making the object anew, data and all. Secrets stay as they were
 * read: events do not tell what the program gives them.
 */
export function withPlannedInputs(
  deployment: unknown,
  found: readonly PlannedCreate[],
): Record<string, unknown> {
  const { resources, ...rest } = deploymentSchema.parse(deployment);
  const planned = new Map(
    found
      .filter(({ type }) => type.startsWith('kubernetes:') && type !== 'kubernetes:core/v1:Secret')
      .map(({ urn, inputs }) => [urn, inputs]),
  );
  return {
    ...rest,
    resources: (resources ?? []).map((resource) => {
      const inputs = planned.get(resource.urn);
      return inputs ? { ...resource, inputs } : resource;
    }),
  };
}

/**
 * A deployment without the resources of some providers: what stood in a cluster or a GitLab that is empty now. They are
 * not asked for one by one, because an id of the old GitLab may be somebody else's in the new one.
 * @param gone names of provider resources, as in `gitlab`
 */
export function withoutProviders(
  deployment: unknown,
  gone: ReadonlySet<string>,
): { readonly deployment: Record<string, unknown>; readonly dropped: readonly string[] } {
  const { resources, ...rest } = deploymentSchema.parse(deployment);
  const lost = (resources ?? []).filter(
    ({ provider, type }) => isRealResource(type) && provider && gone.has(providerName(provider)),
  );
  const dropped = new Set(lost.map(({ urn }) => urn));
  const kept = (urns: readonly string[] | null | undefined) =>
    (urns ?? []).filter((urn) => !dropped.has(urn));
  const remaining = (resources ?? [])
    .filter((resource) => !lost.includes(resource))
    .map(({ dependencies, propertyDependencies, deletedWith, ...resource }) => ({
      ...resource,
      ...(dependencies ? { dependencies: kept(dependencies) } : {}),
      ...(propertyDependencies
        ? {
            propertyDependencies: Object.fromEntries(
              Object.entries(propertyDependencies).map(([property, urns]) => [property, kept(urns)]),
            ),
          }
        : {}),
      ...(deletedWith && !dropped.has(deletedWith) ? { deletedWith } : {}),
    }));
  return {
    deployment: { ...rest, resources: remaining, pending_operations: [] },
    dropped: [...dropped],
  };
}
