import { createHash, createHmac } from 'node:crypto';
import { isSecret, isTemplate, type Piece, piecesOf, textsIn } from '../../components/shared/references';
import { Secrets, type Versions } from '../../components/shared/secrets';
import { subKeysIn, writtenKey } from '../../stacks/secrets';
import { hide } from '../../text/hide';

/** The secrets that a topology starts from. */
export interface RootSecrets {
  readonly environment: string;
  /** Versions of secrets that were rotated. @default each has its first */
  readonly versions?: Versions;
  readonly seed: string;
  readonly gitlabToken: string;
  /** Variables that `deployEnvironment` names. */
  readonly given: Readonly<Record<string, string>>;
}

export interface Withheld {
  /** The deployment with a placeholder for each secret, fit for a Pod that runs code of others. */
  readonly deployment: unknown;
  /** Changes with whatever the state records; the same however often it is asked. */
  readonly fingerprint: string;
  /** Every secret value that was taken out: what must not come back in a log. */
  readonly values: readonly string[];
  /** How many secrets stood in the state unmarked, readable by anyone who reads the state. */
  readonly unmarked: number;
}

// How an exported deployment marks a secret: pulumi/sdk/go/common/resource/sig.
const SIGNATURE_KEY = '4dabf18193072939515e22adb298388d';
const SECRET = '1b47061264138c4ac30d75fd1eb44270';

/**
 * The secrets that the preview starts from instead. One-way from the real seed, so that two previews of one state are
 * equal, and nothing of the seed is in them.
 */
export function placeholders(real: RootSecrets): RootSecrets {
  const from = (purpose: string) =>
    createHmac('sha256', real.seed).update(`switchyard/placeholder/${purpose}`).digest('hex');
  const seed = from('seed');
  const gitlabToken = `withheld-${from('gitlab-token').slice(0, 32)}`;
  // By value, since two variables may bring the same: in the state both become one placeholder.
  const standIn = (value: string): string => {
    if (value === real.seed) return seed;
    // Keys stay keys: what is derived from them may be the very same text.
    const keys = subKeysIn(value);
    if (keys) return keys.map((one) => writtenKey({ ...one, key: from(`key/${one.key}`) })).join(' ');
    return value === real.gitlabToken ? gitlabToken : `withheld-${from(`given/${value}`).slice(0, 32)}`;
  };
  return {
    ...real,
    seed,
    gitlabToken,
    given: Object.fromEntries(Object.entries(real.given).map(([name, value]) => [name, standIn(value)])),
  };
}

/** A text with its secret references filled in; undefined when it refers to outputs, or to what is not given. */
function filled(pieces: readonly Piece[], secrets: RootSecrets): string | undefined {
  const derived = new Secrets(secrets.seed, secrets.environment, secrets.versions);
  let text = '';
  for (const piece of pieces) {
    if (typeof piece === 'string') text += piece;
    else if (piece.kind === 'secret') text += derived.secret(piece.purpose);
    else if (piece.kind === 'basic') text += derived.basic(piece.user, piece.purpose);
    else if (piece.kind === 'htpasswd') text += derived.htpasswd(piece.user, piece.purpose);
    else if (piece.kind === 'certificate') text += derived.certificate(piece.purpose, piece.host, piece.part);
    else if (piece.kind === 'key' && !piece.of) text += derived.key(piece.path);
    else {
      const variable = piece.kind === 'key' ? piece.of?.variable : piece.kind === 'given' && piece.name;
      const value = variable ? secrets.given[variable] : undefined;
      if (value === undefined) return undefined;
      text +=
        piece.kind === 'key' && piece.of ? new Secrets(value, piece.of.environment).key(piece.path) : value;
    }
  }
  return text;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What a text says that is base64 of a text; undefined for any other. */
function unbase64(text: string): string | undefined {
  const decoded = Buffer.from(text, 'base64').toString('utf8');
  return base64(decoded) === text ? decoded : undefined;
}

/** Texts that the declarations make of secrets, each beside what the placeholders make of it. */
interface Translations {
  readonly known: Map<string, string>;
  /** Those among them that anyone may read: a certificate is made of a secret, and is none. */
  readonly shown: ReadonlySet<string>;
}

function translations(declared: unknown, real: RootSecrets, placeholder: RootSecrets): Translations {
  const shown = new Set<string>();
  const pairs = new Map<string, string>([
    [real.seed, placeholder.seed],
    [real.gitlabToken, placeholder.gitlabToken],
    ...Object.entries(real.given).map(([name, value]): [string, string] => [
      value,
      placeholder.given[name] ?? '',
    ]),
  ]);
  for (const text of textsIn(declared)) {
    if (!isTemplate(text)) continue;
    const pieces = piecesOf(text);
    const [was, is] = [filled(pieces, real), filled(pieces, placeholder)];
    if (was !== undefined && is !== undefined && was !== is) pairs.set(was, is);
    // The bare secret too: it may be printed without what stands around it.
    for (const piece of pieces) {
      if (typeof piece === 'string') continue;
      const [bare, stand] = [filled([piece], real), filled([piece], placeholder)];
      if (bare === undefined || stand === undefined) continue;
      pairs.set(bare, stand);
      if (piece.kind === 'certificate' && !isSecret(piece, undefined)) shown.add(bare).add(base64(bare));
    }
  }
  // Kubernetes gives a Secret back in base64.
  for (const [was, is] of [...pairs]) pairs.set(base64(was), base64(is));
  pairs.delete('');
  return { known: pairs, shown };
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** The value of what an export marks as a secret; undefined for all else. */
export function openSecret(value: unknown): unknown {
  if (!isRecord(value) || value[SIGNATURE_KEY] !== SECRET || typeof value.plaintext !== 'string')
    return undefined;
  return JSON.parse(value.plaintext);
}

/** Tokens of the state's GitLab providers. */
function gitlabTokens(deployment: unknown): string[] {
  const body = isRecord(deployment) && isRecord(deployment.deployment) ? deployment.deployment : deployment;
  const resources = isRecord(body) && Array.isArray(body.resources) ? body.resources : [];
  return resources.flatMap((resource: unknown): string[] => {
    if (!isRecord(resource) || resource.type !== 'pulumi:providers:gitlab' || !isRecord(resource.inputs))
      return [];
    const { token } = resource.inputs;
    if (!isRecord(token) || typeof token.plaintext !== 'string') return [];
    const value: unknown = JSON.parse(token.plaintext);
    return typeof value === 'string' && value !== '' ? [value] : [];
  });
}

/** Keys sorted all the way down. */
export function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, canonical(value[key])]),
  );
}

/** Who saved the state when, and how it was encrypted, is none of its content. */
const PASSING = new Set(['created', 'modified', 'manifest', 'metadata', 'secrets_providers']);

/** What names a resource or refers to one. */
const IDENTITY = new Set([
  'urn',
  'type',
  'parent',
  'provider',
  'dependencies',
  'propertyDependencies',
  'deletedWith',
]);

export function withoutPassing(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPassing);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !PASSING.has(key)));
}

/**
 * Takes the secrets out of an exported deployment (`stack export --show-secrets`).
 *
 * What the declarations derive from the seed is replaced by what they derive from a placeholder seed, so that a
 * program that runs with that seed finds it unchanged. Every other secret, a token that GitLab issued among them,
 * becomes `withheld-…`; equal values become equal placeholders. What is a secret and stands unmarked is hidden as well.
 * @param declared arguments of the declarations that made the state, with references in them
 */
export function withhold(deployment: unknown, declared: unknown, real: RootSecrets): Withheld {
  const placeholder = placeholders(real);
  const { known, shown } = translations(declared, real, placeholder);
  // The state may know GitLab by another token than the one at hand, which is often the bot's.
  for (const token of gitlabTokens(deployment)) known.set(token, placeholder.gitlabToken);
  const values = new Set([...known.keys()].filter((text) => !shown.has(text)));
  // What stands in the repository in plain text is public, and stays what it is also beside a secret.
  const open = new Set([...textsIn(declared)].filter((text) => typeof text === 'string'));
  for (const text of [...open]) open.add(base64(text));
  const stand = (text: string): string => {
    const translated = known.get(text);
    if (translated !== undefined || text === '') return translated ?? '';
    if (open.has(text)) return text;
    values.add(text);
    // The data of a Secret: what else holds the same in plain stays equal to it.
    const decoded = unbase64(text);
    if (decoded !== undefined) return base64(stand(decoded));
    const mark = createHmac('sha256', real.seed).update(`switchyard/withheld/${text}`).digest('hex');
    return `withheld-${mark.slice(0, 32)}`;
  };
  /** Inside a secret nothing stays but its shape: a reader learns which keys there are. */
  const cover = (value: unknown): unknown => {
    if (typeof value === 'string') return stand(value);
    if (typeof value === 'number') return 0;
    if (Array.isArray(value)) return value.map(cover);
    if (!isRecord(value)) return value;
    if (value[SIGNATURE_KEY] === SECRET) return marked(value);
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, key === SIGNATURE_KEY ? inner : cover(inner)]),
    );
  };
  const marked = (node: Record<string, unknown>): unknown => {
    const { plaintext } = node;
    if (typeof plaintext !== 'string') {
      throw new Error('the state was exported without its secrets; nothing can be withheld from ciphertext');
    }
    return { [SIGNATURE_KEY]: SECRET, plaintext: JSON.stringify(cover(JSON.parse(plaintext))) };
  };
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string' && shown.has(value)) return known.get(value);
    if (Array.isArray(value)) return value.map(walk);
    if (!isRecord(value)) return value;
    if (value[SIGNATURE_KEY] === SECRET) return marked(value);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner)]));
  };
  const covered = walk(deployment);

  let unmarked = 0;
  const secrets = [...values];
  const scan = (value: unknown): unknown => {
    if (typeof value === 'string') {
      const hidden = hide(value, secrets);
      if (hidden.found > 0) unmarked += 1;
      return hidden.text;
    }
    if (Array.isArray(value)) return value.map(scan);
    if (!isRecord(value)) return value;
    return Object.fromEntries(
      // Names of resources are no secrets, whatever words they share with one.
      Object.entries(value).map(([key, inner]) => [key, IDENTITY.has(key) ? inner : scan(inner)]),
    );
  };
  // Most states hold nothing unmarked: one look at the whole is far quicker than one at each text.
  const scanned = hide(JSON.stringify(covered), secrets).found === 0 ? covered : scan(covered);
  const body = isRecord(scanned) && isRecord(scanned.deployment) ? scanned.deployment : scanned;
  const plain = { ...(isRecord(body) ? body : {}) };
  const resources = withoutPassing(plain.resources ?? []);
  // Its salt belongs to the real passphrase; whoever imports this puts a provider of its own in.
  delete plain.secrets_providers;
  return {
    deployment: isRecord(scanned) && isRecord(scanned.deployment) ? { ...scanned, deployment: plain } : plain,
    fingerprint: createHash('sha256')
      .update(JSON.stringify(canonical(withoutPassing(resources))))
      .digest('hex'),
    values: secrets,
    unmarked,
  };
}
