import { createHash } from 'node:crypto';
import { z } from 'zod';
import { typeToken } from '../components/shared/naming';
import { partName } from '../stacks/names';
import { PROJECT } from './urns';

// A part is the state of one module's production, in a stack of its own while deploys work on it: the engine reads and
// writes a state whole, so that a deploy on the environment's own state takes the longer the more modules there are.

const resourceSchema = z.looseObject({
  urn: z.string(),
  type: z.string(),
  id: z.string().optional(),
  parent: z.string().optional(),
  provider: z.string().optional(),
  modified: z.string().optional(),
});
const deploymentSchema = z.looseObject({
  secrets_providers: z.looseObject({ state: z.unknown() }).nullish(),
  resources: z.array(resourceSchema).nullish(),
  pending_operations: z.array(z.unknown()).nullish(),
});
type Resource = z.infer<typeof resourceSchema>;

const topology = typeToken('index', 'Topology');

/** The component whose children a part is about. */
export const partOwner = (environment: string, module: string): string =>
  `urn:pulumi:${environment}::${PROJECT}::${topology}$${typeToken('production')}::production-${module}`;

const isOwned =
  (owner: string) =>
  ({ urn, parent }: Resource): boolean =>
    urn === owner || parent === owner;

/** The same as another stack has it: their URNs differ in the first part, and in the name of the stack's own resource. */
function asStack<T>(value: T, from: string, to: string): T {
  const itself = (stack: string) => `::pulumi:pulumi:Stack::${PROJECT}-${stack}"`;
  const text = JSON.stringify(value)
    .replaceAll(`"urn:pulumi:${from}::`, `"urn:pulumi:${to}::`)
    .replaceAll(itself(from), itself(to));
  return JSON.parse(text) as T;
}

/** Was something under way when the run that wrote this ended? */
export const isOpen = (deployment: unknown): boolean =>
  (deploymentSchema.parse(deployment).pending_operations?.length ?? 0) > 0;

/** Provider references are `<urn>::<id>`. */
const providerUrn = (reference: string): string => reference.slice(0, reference.lastIndexOf('::'));

/**
 * What of an environment's state a part begins with: the module's production, and what that stands on.
 * @returns undefined where the environment has no production of the module
 */
export function cutPart(
  deployment: unknown,
  environment: string,
  module: string,
): Record<string, unknown> | undefined {
  const { resources, pending_operations: _open, ...rest } = deploymentSchema.parse(deployment);
  const owner = partOwner(environment, module);
  const owned = (resources ?? []).filter(isOwned(owner));
  if (owned.length === 0) return undefined;
  const providers = new Set(owned.flatMap(({ provider }) => (provider ? [providerUrn(provider)] : [])));
  const kept = (resources ?? []).filter(
    (resource) =>
      resource.type === 'pulumi:pulumi:Stack' ||
      resource.type === topology ||
      providers.has(resource.urn) ||
      isOwned(owner)(resource),
  );
  return asStack({ ...rest, resources: kept }, environment, partName(environment, module));
}

/**
 * The salt with which a state's secrets are encrypted by a passphrase; empty where something else does it. A part keeps
 * that of its environment: only so may the one's resources stand in the other's state.
 */
export function saltOf(deployment: unknown): string {
  const state = z
    .looseObject({ salt: z.string() })
    .safeParse(deploymentSchema.parse(deployment).secrets_providers?.state);
  return state.data?.salt ?? '';
}

/** Tells whether an environment's state of a module's production is still the one that a part was cut from. */
export function partBase(deployment: unknown, environment: string, module: string): string {
  const { resources } = deploymentSchema.parse(deployment);
  const owned = (resources ?? []).filter(isOwned(partOwner(environment, module)));
  const lines = owned.map(({ urn, id, modified }) => [urn, id, modified].join(' ')).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/**
 * An environment's state with what deploys did in a part. Where the environment itself was changed since the part was
 * cut, by a plain `pulumi up`, or is encrypted otherwise by now, its own state stays: a run of all of it has the ledger,
 * hence the deploys, before it.
 * @param base what {@link partBase} gave when the part was cut
 */
export function gatherPart(
  deployment: unknown,
  part: unknown,
  {
    environment,
    module,
    base,
  }: { readonly environment: string; readonly module: string; readonly base: string },
): unknown {
  const { resources, ...rest } = deploymentSchema.parse(deployment);
  const { secrets_providers: secrets } = deploymentSchema.parse(part);
  const encryptedAlike = JSON.stringify(secrets) === JSON.stringify(rest.secrets_providers);
  if (!encryptedAlike || partBase(deployment, environment, module) !== base) return deployment;
  const main = resources ?? [];
  const brought = deploymentSchema.parse(asStack(part, partName(environment, module), environment));
  const owned = isOwned(partOwner(environment, module));
  const references = new Map(
    main
      .filter(({ type }) => type.startsWith('pulumi:providers:'))
      .map(({ urn, id }) => [urn, `${urn}::${id}`]),
  );
  const asInMain = (resource: Resource): Resource => {
    const reference = resource.provider && references.get(providerUrn(resource.provider));
    return reference ? { ...resource, provider: reference } : resource;
  };
  // After their provider, which may stand behind the component itself.
  const from = main.findIndex((resource) => owned(resource) && resource.provider);
  const at = from === -1 ? main.length : from;
  const own = (brought.resources ?? []).filter(owned).map(asInMain);
  const others = (resource: Resource) => !owned(resource);
  return {
    ...rest,
    resources: [...main.slice(0, at).filter(others), ...own, ...main.slice(at).filter(others)],
  };
}
