import type { LogRequest, SetRootResourceRequest } from '@pulumi/pulumi/proto/engine_pb';
import type {
  ReadResourceRequest,
  RegisterResourceOutputsRequest,
  RegisterResourceRequest,
} from '@pulumi/pulumi/proto/resource_pb';
import { type Struct, Value } from 'google-protobuf/google/protobuf/struct_pb';

// What a program that nobody has reviewed may ask of an engine. The engine's side runs Pulumi's plug-ins, and some of
// these run programs when they are told to: a kubeconfig names one that logs in, a Helm release one that rewrites it, a
// plug-in itself is fetched from where the program says. Whoever runs there writes the plan.

const GITLAB_PROVIDER = 'pulumi:providers:gitlab';

/** Inputs of a provider that name neither a file, a program nor a place to fetch one from. */
const PROVIDERS: Readonly<Record<string, readonly string[]>> = {
  'pulumi:providers:kubernetes': [
    'clusterIdentifier',
    'context',
    'enableConfigMapMutable',
    'enableSecretMutable',
    'enableServerSideApply',
    'namespace',
    'suppressDeprecationWarnings',
  ],
  [GITLAB_PROVIDER]: ['baseUrl', 'earlyAuthCheck', 'token'],
  'pulumi:providers:docker': [],
};

/** How an environment asks its GitLab. */
export interface AppliedGitlab {
  readonly baseUrls: readonly string[];
  /** The placeholder that a preview has for it. */
  readonly token: string;
}

/** The images that the topology builds: a preview leaves them as they are. */
export const IMAGE_TYPE = 'docker:index/image:Image';
/** What the engine leaves out, wherever it stands; its `*` is a name without a colon. */
export const LEFT_OUT = `**${IMAGE_TYPE}::*`;
/** What the package says that an image was called before. */
const IMAGE_WAS = 'docker:image:Image';

/** Kubernetes' own kinds, and those of its extensions. Helm and Kustomize run programs. */
const KUBERNETES_KIND =
  /^kubernetes:(?!(?:helm\.sh|kustomize|yaml)[/:])[a-z0-9.-]+\/v[0-9a-z]+:[A-Z][A-Za-z0-9]*$/;
const GITLAB_KIND = /^gitlab:index\/[A-Za-z0-9]+:[A-Za-z0-9]+$/;
const FRAME = /^(?:pulumi:pulumi:Stack|switchyard:[A-Za-z0-9]+:[A-Za-z0-9]+)$/;

/** Fields of a registration that may be set. Others have code run in its course, or a plug-in fetched. */
const FIELDS = new Set([
  'type',
  'name',
  'parent',
  'custom',
  'object',
  'protect',
  'dependenciesList',
  'provider',
  'propertydependenciesMap',
  'deletebeforereplace',
  'deletebeforereplacedefined',
  'version',
  'ignorechangesList',
  'acceptsecrets',
  'additionalsecretoutputsList',
  'aliasurnsList',
  'aliasesList',
  'aliasspecs',
  'customtimeouts',
  'supportspartialvalues',
  'acceptresources',
  'replaceonchangesList',
  'retainondelete',
  'deletedwith',
  'replaceWithList',
  'supportsresultreporting',
  'sourceposition',
  'stacktrace',
  'parentstacktracehandle',
]);
const READ_FIELDS = new Set([
  ...['id', 'type', 'name', 'parent', 'properties', 'dependenciesList', 'provider', 'version'],
  ...['acceptsecrets', 'additionalsecretoutputsList', 'acceptresources', 'sourceposition', 'stacktrace'],
  'parentstacktracehandle',
]);
const OUTPUT_FIELDS = new Set(['urn', 'outputs']);
const LOG_FIELDS = new Set(['severity', 'message', 'urn', 'streamid', 'ephemeral']);
const ROOT_FIELDS = new Set(['urn']);

/** Under this key stands what an object is, where it is more than that. */
const SIGNATURE = '4dabf18193072939515e22adb298388d';
/** A secret, and an output: the engine takes what is in them. */
const WRAPPED = ['1b47061264138c4ac30d75fd1eb44270', 'd0e6a833031e9bbcd3f4e8bde6ca49a4'];
/**
 * These, and a reference to a resource. The engine opens or fetches others, an asset and an archive, as soon as they come
 * to it.
 */
const HARMLESS = [...WRAPPED, '5cf8f73096256a8f31e491e813e4eb8e'];

const isSet = (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 : !['', 0, false, undefined, null].includes(value as never);

const textOf = (value: Value): string | undefined =>
  value.getKindCase() === Value.KindCase.STRING_VALUE ? value.getStringValue() : undefined;

/**
 * Whether the engine may open or fetch something of a message's values. They are read as they are handed on, and a
 * signature has to stand there plainly: the engine takes also what gives one when it is unwrapped.
 */
function holdsFetched(fields: Struct | undefined): boolean {
  let found = false;
  fields?.getFieldsMap().forEach((value: Value, key: string) => {
    found ||= (key === SIGNATURE && !HARMLESS.includes(textOf(value) ?? '')) || isFetched(value);
  });
  return found;
}

const isFetched = (value: Value): boolean =>
  holdsFetched(value.getStructValue()) || (value.getListValue()?.getValuesList() ?? []).some(isFetched);

const FETCHED = 'has an asset or an archive, which previews do not take';

/** Why a message is none that is known here: it sets something else. */
function whyUnusual(message: { toObject(): object }, known: ReadonlySet<string>): string | undefined {
  const odd = Object.entries(message.toObject()).find(([field, value]) => !known.has(field) && isSet(value));
  return odd && `sets ${odd[0]}, which previews do not take`;
}

/** The engine would make a provider up, from the stack's configuration. */
const whyUnprovided = (provider: string): string | undefined =>
  provider === '' ? 'names no provider' : undefined;

/** Why a type is none that a preview looks at with a provider's help. */
function whyNotType(type: string, provider: string): string | undefined {
  if (!KUBERNETES_KIND.test(type) && !GITLAB_KIND.test(type)) return 'has a type that previews do not take';
  return whyUnprovided(provider);
}

/**
 * Why the engine would not leave an image as it is, or something else with it: what it leaves out it finds by type and
 * name, and takes for what the aliases name.
 */
function whyNotImage(request: RegisterResourceRequest): string | undefined {
  if (request.getName().includes(':')) return 'has a name with ":"';
  // The package sends what it called images before, and its SDK the parent with it.
  const others = request.getAliasesList().filter((alias) => {
    const { type = '', parenturn = '', ...rest } = alias.getSpec()?.toObject() ?? {};
    const elsewhere = parenturn !== '' && parenturn !== request.getParent();
    return type !== IMAGE_WAS || elsewhere || Object.values(rest).some(isSet);
  });
  return others.length > 0 || request.getAliasurnsList().length > 0
    ? 'has an alias, which previews do not take of an image'
    : undefined;
}

function keysOf(fields: Struct | undefined): string[] {
  const keys: string[] = [];
  fields?.getFieldsMap().forEach((_value: Value, key: string) => {
    keys.push(key);
  });
  return keys;
}

/** A text, also where it is marked as a secret or an output. */
function plainOf(value: Value | undefined): string | undefined {
  if (value === undefined) return undefined;
  const fields = value.getStructValue()?.getFieldsMap();
  const mark = fields?.get(SIGNATURE);
  return mark && WRAPPED.includes(textOf(mark) ?? '') ? plainOf(fields?.get('value')) : textOf(value);
}

/** Why a provider would ask another GitLab than the environment does, or as somebody else: what it asks for is the program's. */
function whyNotGitlab(inputs: Struct | undefined, { baseUrls, token }: AppliedGitlab): string | undefined {
  const given = (key: string): string | undefined => plainOf(inputs?.getFieldsMap().get(key));
  const other = baseUrls.includes(given('baseUrl') ?? '') ? given('token') !== token && 'token' : 'baseUrl';
  return other
    ? `has another ${other} of a provider than was applied, which previews do not take`
    : undefined;
}

/**
 * @param applied how the environment asks its GitLab
 * @returns why the engine is not to be asked for it; undefined where it may be
 */
export function whyNotRegistered(
  request: RegisterResourceRequest,
  applied: AppliedGitlab,
): string | undefined {
  const type = request.getType();
  const odd = whyUnusual(request, FIELDS);
  if (odd !== undefined) return odd;
  // What is left out is found by its type, in a text that ends with the name.
  if (request.getName().includes('::')) return 'has a name with "::"';
  if (holdsFetched(request.getObject())) return FETCHED;
  if (!request.getCustom()) return FRAME.test(type) ? undefined : 'is a component of another package';
  if (type === IMAGE_TYPE) return whyNotImage(request) ?? whyUnprovided(request.getProvider());
  if (!type.startsWith('pulumi:')) return whyNotType(type, request.getProvider());
  const known = PROVIDERS[type];
  if (known === undefined) return 'is a provider that previews do not have';
  const inputs = request.getObject();
  const key = keysOf(inputs).find((name) => name !== 'version' && !known.includes(name));
  if (key !== undefined) return `sets ${key} of a provider, which previews do not take`;
  return type === GITLAB_PROVIDER ? whyNotGitlab(inputs, applied) : undefined;
}

/** As {@link whyNotRegistered}, of a resource that is only read. */
export function whyNotRead(request: ReadResourceRequest): string | undefined {
  const odd = whyUnusual(request, READ_FIELDS);
  if (odd !== undefined) return odd;
  if (holdsFetched(request.getProperties())) return FETCHED;
  return whyNotType(request.getType(), request.getProvider());
}

/** Type of the resource that a URN names, as the engine reads it. */
const typeIn = (urn: string): string => urn.split('::')[2]?.split('$').pop() ?? '';

/** As {@link whyNotRegistered}, of what a component says of itself. */
export function whyNotOutput(request: RegisterResourceOutputsRequest): string | undefined {
  const odd = whyUnusual(request, OUTPUT_FIELDS);
  if (odd !== undefined) return odd;
  if (!FRAME.test(typeIn(request.getUrn()))) return 'is no component of the topology';
  return holdsFetched(request.getOutputs()) ? FETCHED : undefined;
}

/** As {@link whyNotRegistered}, of a message for the plan's readers. */
export const whyNotSaid = (request: LogRequest): string | undefined => whyUnusual(request, LOG_FIELDS);

/** As {@link whyNotRegistered}, of which resource is the stack's. */
export const whyNotRoot = (request: SetRootResourceRequest): string | undefined =>
  whyUnusual(request, ROOT_FIELDS);
