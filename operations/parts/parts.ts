import { createHash, createHmac } from 'node:crypto';
import { z } from 'zod';
import { partSecretName } from '../../components/jenkins/names';
import { typeToken } from '../../components/shared/naming';
import { cutName, partName } from '../../stacks/names';
import { PROJECT } from '../engine/urns';
import { opened } from '../preview/recorded';

// A part is the state of one module's production, in a stack of its own while deploys work on it: the engine reads and
// writes a state whole, so that a deploy on the environment's own state takes the longer the more modules there are.
// Whoever has the environment cuts it, and encrypts it for that module's deploys, which can read no other.

const resourceSchema = z.looseObject({
  urn: z.string(),
  type: z.string(),
  id: z.string().optional(),
  parent: z.string().optional(),
  provider: z.string().optional(),
  modified: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
  dependencies: z.array(z.string()).nullish(),
  propertyDependencies: z.record(z.string(), z.array(z.string()).nullable()).nullish(),
});
const ownedSchema = z.looseObject({ urn: z.string(), parent: z.string().optional() });
const deploymentSchema = z.looseObject({
  secrets_providers: z.looseObject({ state: z.unknown() }).nullish(),
  resources: z.array(resourceSchema).nullish(),
  pending_operations: z
    .array(z.looseObject({ resource: z.looseObject({ urn: z.string() }).optional() }))
    .nullish(),
});
type Resource = z.infer<typeof resourceSchema>;
const secretDataSchema = z.looseObject({ data: z.record(z.string(), z.string()) });

const topology = typeToken('index', 'Topology');

/** The component whose children a part is about. */
export const partOwner = (environment: string, module: string): string =>
  `urn:pulumi:${environment}::${PROJECT}::${topology}$${typeToken('production')}::production-${module}`;

const isOwned =
  (owner: string) =>
  ({ urn, parent }: Pick<Resource, 'urn' | 'parent'>): boolean =>
    urn === owner || parent === owner;

/** The same as another stack has it: their URNs differ in the first part, and in the name of the stack's own resource. */
export function asStack<T>(value: T, from: string, to: string): T {
  const itself = (stack: string) => `::pulumi:pulumi:Stack::${PROJECT}-${stack}"`;
  const text = JSON.stringify(value)
    .replaceAll(`"urn:pulumi:${from}::`, `"urn:pulumi:${to}::`)
    .replaceAll(itself(from), itself(to));
  return JSON.parse(text) as T;
}

/** Was something under way when the run that wrote this ended? */
export const isOpen = (deployment: unknown): boolean =>
  (deploymentSchema.parse(deployment).pending_operations?.length ?? 0) > 0;

/** A provider as deploys use it: they log in as their own account, by their own kubeconfig. */
function asGiven(resource: Resource): Resource {
  if (!resource.type.startsWith('pulumi:providers:')) return resource;
  const without = (properties: Record<string, unknown> | undefined) =>
    properties && Object.fromEntries(Object.entries(properties).filter(([key]) => key !== 'kubeconfig'));
  return { ...resource, inputs: without(resource.inputs), outputs: without(resource.outputs) };
}

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
  return asStack({ ...rest, resources: kept.map(asGiven) }, environment, partName(environment, module));
}

/** What an environment has for the deploys of one module. */
export interface Cutting {
  readonly module: string;
  /** Stack that it stands in; another one as soon as anything of it is another. */
  readonly name: string;
  /** What its secrets are encrypted with, as the module's deploy Pods have it. */
  readonly passphrase: string;
  /** See {@link cutPart}. */
  readonly deployment: Record<string, unknown>;
}

/** The passphrase of each module's part, as the last run gave it to deploy Pods: module → passphrase. */
export function partPassphrases(deployment: unknown): Map<string, string> {
  const prefix = partSecretName('');
  return new Map(
    (deploymentSchema.parse(deployment).resources ?? []).flatMap(({ type, urn, inputs }) => {
      const name = urn.split('::').at(-1) ?? '';
      if (type !== 'kubernetes:core/v1:Secret' || !name.startsWith(prefix)) return [];
      const data = secretDataSchema.safeParse(opened(inputs)).data?.data.text;
      return data ? [[name.slice(prefix.length), Buffer.from(data, 'base64').toString('utf8')]] : [];
    }),
  );
}

/**
 * A resource for comparing. Pulumi's SDK notes what it needs in the order in which that was there, which two runs of one
 * program do not share, and the lines and the folder that it was registered from.
 */
function comparable({ sourcePosition: _line, stackTrace: _calls, ...resource }: Resource): unknown {
  const { dependencies, propertyDependencies } = resource;
  return {
    ...resource,
    dependencies: dependencies?.toSorted(),
    propertyDependencies: Object.entries(propertyDependencies ?? {})
      .map(([property, urns]) => [property, urns?.toSorted()] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  };
}

/** With another order of resources, or at another time, it is the same. */
function markOf({ resources, manifest: _when, ...rest }: Record<string, unknown>, key: string): string {
  const sorted = z
    .array(resourceSchema)
    .parse(resources)
    .map((resource) => JSON.stringify(comparable(resource)))
    .sort();
  return createHmac('sha256', key)
    .update(JSON.stringify({ ...rest, secrets_providers: undefined, resources: sorted }))
    .digest('hex')
    .slice(0, 16);
}

/**
 * What the deploys of each module begin with. None for a module in whose production something was left open: a deploy
 * would not know of it.
 * @param deployment an environment's, with its secrets in plain text
 */
export function cuttings(deployment: unknown, environment: string): Cutting[] {
  const { pending_operations: open } = deploymentSchema.parse(deployment);
  return [...partPassphrases(deployment)].flatMap(([module, passphrase]) => {
    const owner = partOwner(environment, module);
    const isLeft = (open ?? []).some(
      ({ resource }) => resource && isOwned(owner)(ownedSchema.parse(resource)),
    );
    const part = isLeft ? undefined : cutPart(deployment, environment, module);
    if (!part) return [];
    const name = cutName(environment, module, markOf(part, passphrase));
    return [{ module, name, passphrase, deployment: part }];
  });
}

/** The same state with its secrets, in plain text by now, to be encrypted by a passphrase. */
export const saltedWith = (deployment: Record<string, unknown>, salt: string): Record<string, unknown> => ({
  ...deployment,
  secrets_providers: { type: 'passphrase', state: { salt } },
});

/** The salt with which a state's secrets are encrypted by a passphrase; empty where something else does it. */
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

/** What {@link partBase} gave of the environment that something was cut from. */
export const baseOfCut = (cut: unknown, environment: string, module: string): string =>
  partBase(asStack(cut, partName(environment, module), environment), environment, module);

/**
 * An environment's state with what deploys did in a part. Where the environment itself was changed since the part was
 * cut, by a plain `pulumi up`, its own state stays: a run of all of it has the ledger, hence the deploys, before it.
 * @param part with its secrets in plain text, as far as it is encrypted otherwise than the environment
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
  if (partBase(deployment, environment, module) !== base) return deployment;
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
