import { randomUUID } from 'node:crypto';
import type * as pulumi from '@pulumi/pulumi';

/** What is known only at run time: a secret, what was looked up, or an output of another resource. */
export type Reference =
  | { readonly kind: 'secret'; readonly purpose: string }
  | { readonly kind: 'basic'; readonly user: string; readonly purpose: string }
  | { readonly kind: 'htpasswd'; readonly user: string; readonly purpose: string }
  | {
      readonly kind: 'certificate';
      readonly purpose: string;
      readonly host: string;
      readonly part: CertificatePart;
    }
  | { readonly kind: 'key'; readonly path: string; readonly of?: OtherSeed }
  | { readonly kind: 'given'; readonly name: string }
  | {
      readonly kind: 'input';
      readonly name: string;
      readonly value: pulumi.Input<string>;
      /** Set where it stands for `base64(user:value)`. */
      readonly user?: string;
    }
  | { readonly kind: 'found'; readonly what: Found; readonly key: string }
  | { readonly kind: 'output'; readonly resource: string; readonly property: string };

/** A key, its certificate, or that as the API server wants a trusted one: base64 of its text. */
export type CertificatePart = 'key' | 'cert' | 'bundle';

/** What is there already and is looked up before the first resource. */
export type Found = 'group' | 'project' | 'user' | 'server';

/** Another environment's seed, in a variable of whoever runs `up` of this one. */
export interface OtherSeed {
  readonly environment: string;
  readonly variable: string;
}

export type Piece = string | Reference;

/**
 * A value that the registrar makes at run time: one reference, or text with references in it. It stands inside the
 * arguments as an object of this class, so that a pure function can return whole arguments and `render` can print them;
 * no text of a file ever becomes one, whatever it says (docs/decisions/0002).
 */
export class Template {
  /** @internal Made by the functions of this file only. */
  constructor(readonly pieces: readonly Piece[]) {
    Object.freeze(pieces);
    Object.freeze(this);
  }

  /** For people: source form, `«kind:argument:…»`, in the place of each reference. */
  get shown(): string {
    return this.pieces.map((piece) => (typeof piece === 'string' ? piece : show(piece))).join('');
  }

  /** So that a dump of declarations reads as `render` prints them. Nothing reads a reference back out of it. */
  toJSON(): string {
    return this.shown;
  }

  /** @throws Error always: plain text would carry a reference that nobody resolves */
  toString(): never {
    throw new Error(
      `${this.shown} is known only at run time: put it into a text with text\`…\` or written()`,
    );
  }
}

/**
 * A reference to the compiler: the output that it becomes. It may stand wherever the official packages take an output,
 * and nowhere where they want a plain value.
 */
export type Ref<T = string> = Template & pulumi.Output<T>;

const ref = <T = string>(...pieces: readonly Piece[]): Ref<T> => new Template(pieces) as Ref<T>;

/** A secret derived from the stack's seed for one purpose, in the version that the stack says: 64 hexadecimal characters. */
export const secretRef = (purpose: string): Ref => ref({ kind: 'secret', purpose });
/** `base64(user:secret)`, as HTTP basic authentication and Docker's config file have it. */
export const basicRef = (user: string, purpose: string): Ref => ref({ kind: 'basic', user, purpose });
/** A line of an htpasswd file, bcrypt. */
export const htpasswdRef = (user: string, purpose: string): Ref => ref({ kind: 'htpasswd', user, purpose });
/** Part of a certificate for one host that is derived from the secret of a purpose; only its key is a secret. */
export const certificateRef = (purpose: string, host: string, part: CertificatePart): Ref =>
  ref({ kind: 'certificate', purpose, host, part });
/**
 * A sub-key that a Pod gets in the seed's place: what gives the secrets of the purposes below `path`, '' for all.
 * @param of another environment, whose seed a variable brings. @default this one
 */
export const keyRef = (path: string, of?: OtherSeed): Ref =>
  ref({ kind: 'key', path, ...(of ? { of } : {}) });
/** A secret that a person or the environment brings; see `stacks/secrets.ts` and `deployEnvironment`. */
export const givenRef = (name: string): Ref => ref({ kind: 'given', name });
/**
 * A value that whoever uses a component brings: text or a reference as it is, and what is known later as a reference.
 * @param name for people, in error messages
 */
export const inputRef = (name: string, value: pulumi.Input<string>): string | Ref =>
  typeof value === 'string' || isTemplate(value)
    ? (value as string | Ref)
    : ref({ kind: 'input', name, value });

/** A user of a registry. */
export interface Login {
  readonly user: string;
  readonly password: pulumi.Input<string>;
}

/** `base64(user:password)` of a login, whose password is a derived secret or somebody's own. */
export function basicOf({ user, password }: Login): Ref {
  if (!isTemplate(password)) return ref({ kind: 'input', name: `login of ${user}`, value: password, user });
  const [only] = password.pieces;
  if (password.pieces.length !== 1 || typeof only !== 'object' || only.kind !== 'secret')
    throw new Error(`${password.shown} is no password to log in with`);
  return basicRef(user, only.purpose);
}

/**
 * What was looked up: the id of a GitLab group or project by its full path, of a user by name, or a cluster's API server
 * by the cluster's role.
 */
export const foundRef = (what: Found, key: string): Ref => ref({ kind: 'found', what, key });
/** An output property of another declaration, or one key of a map that it outputs: `data.token`. */
export const outputRef = (resource: string, property: string): Ref =>
  ref({ kind: 'output', resource, property });

export const isTemplate = (value: unknown): value is Template => value instanceof Template;

/** Pieces of a text or a template; a plain text is one piece. */
export function piecesOf(value: string | Template): readonly Piece[] {
  return isTemplate(value) ? value.pieces : [value];
}

function joined(pieces: readonly Piece[]): Piece[] {
  const all: Piece[] = [];
  for (const piece of pieces) {
    const last = all.at(-1);
    if (piece === '') continue;
    if (typeof piece === 'string' && typeof last === 'string') all[all.length - 1] = last + piece;
    else all.push(piece);
  }
  return all;
}

/** What a text may be made of: plain text, or what {@link text}, {@link written} and the references return. */
export type Textual = string | Template | Ref;

/** Text with references in it: text`user:${secretRef('x')}`. */
export function text(literals: TemplateStringsArray, ...values: readonly Textual[]): Ref {
  const pieces = literals.flatMap((literal, index): Piece[] => {
    const value = values[index];
    return value === undefined ? [literal] : [literal, ...piecesOf(value)];
  });
  return ref(...joined(pieces));
}

/** These texts, with a separator between each two; the empty text where there are none. */
export function joinedBy(separator: string, texts: readonly Textual[]): string | Ref {
  const pieces = joined(texts.flatMap((one, index) => [...(index > 0 ? [separator] : []), ...piecesOf(one)]));
  return pieces.length === 0 ? '' : ref(...pieces);
}

/** Source form of a reference. */
export function show(reference: Reference): string {
  switch (reference.kind) {
    case 'secret':
      return `«secret:${reference.purpose}»`;
    case 'certificate':
      return `«certificate:${reference.part}:${reference.purpose}»`;
    case 'key':
      return `«key:${reference.of ? `${reference.of.environment}:` : ''}${reference.path}»`;
    case 'given':
    case 'input':
      return `«${reference.kind}:${reference.name}»`;
    case 'found':
      return `«found:${reference.what}:${reference.key}»`;
    case 'output':
      return `«output:${reference.resource}:${reference.property}»`;
    default:
      return `«${reference.kind}:${reference.user}:${reference.purpose}»`;
  }
}

/**
 * Whether what a reference becomes is a secret.
 * @param type of the resource that an output is of: all that a Secret outputs is one
 */
export function isSecret(reference: Reference, type: string | undefined): boolean {
  // What somebody brings says itself whether it is one.
  if (reference.kind === 'found' || reference.kind === 'input') return false;
  if (reference.kind === 'certificate') return reference.part === 'key';
  if (reference.kind !== 'output') return true;
  return type === 'kubernetes:core/v1:Secret' || /token|password|key/i.test(reference.property);
}

type Leaf = (value: string | Template) => unknown;

/** A copy of plain data with each text and each reference in it replaced; keys stay. */
export function mapTexts(value: unknown, change: Leaf): unknown {
  if (typeof value === 'string' || isTemplate(value)) return change(value);
  if (Array.isArray(value)) return value.map((inner) => mapTexts(inner, change));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, mapTexts(inner, change)]));
}

/** A text as people read it: source form in the place of each reference. */
export const shownText = (value: string | Template): string => (isTemplate(value) ? value.shown : value);

/** Plain data with each reference as people read it. */
export const shown = (value: unknown): unknown => mapTexts(value, shownText);

/** Every text and template anywhere in a value. */
export function* textsIn(value: unknown): Generator<string | Template> {
  if (typeof value === 'string' || isTemplate(value)) yield value;
  else if (value !== null && typeof value === 'object')
    for (const inner of Object.values(value)) yield* textsIn(inner);
}

/** Every reference anywhere in a value. */
export function referencesIn(value: unknown): Reference[] {
  if (isTemplate(value)) return value.pieces.filter((piece) => typeof piece !== 'string');
  if (value !== null && typeof value === 'object') return Object.values(value).flatMap(referencesIn);
  return [];
}

function* keysIn(value: unknown): Generator<string> {
  if (value === null || typeof value !== 'object' || isTemplate(value)) return;
  if (!Array.isArray(value)) yield* Object.keys(value);
  for (const inner of Object.values(value)) yield* keysIn(inner);
}

/** Words that stand for references, while the text that holds them goes through something that knows text only. */
class StandIns {
  private readonly words = new Map<unknown, { readonly reference: Reference; readonly word: string }>();

  /** @param opening what each word begins with, and what no other text holds */
  constructor(private readonly opening: string) {}

  /** A word that no writer quotes, folds or escapes. */
  private of(reference: Reference): string {
    // An input is known by what it is alone: it may hold what no text tells from another.
    const key = reference.kind === 'input' ? reference : JSON.stringify(reference);
    const word = this.words.get(key)?.word ?? `${this.opening}${this.words.size}»`;
    this.words.set(key, { reference, word });
    return word;
  }

  text(value: string | Template): string {
    return piecesOf(value)
      .map((piece) => (typeof piece === 'string' ? piece : this.of(piece)))
      .join('');
  }

  /** The text with references again. */
  back(text: string): string | Ref {
    const byWord = new Map([...this.words.values()].map(({ word, reference }) => [word, reference]));
    const pieces: Piece[] = [];
    let end = 0;
    for (let at = text.indexOf(this.opening); at >= 0; at = text.indexOf(this.opening, at + 1)) {
      const after = text.indexOf('»', at) + 1;
      const reference = byWord.get(text.slice(at, after));
      if (!reference) continue;
      pieces.push(text.slice(end, at), reference);
      end = after;
    }
    return end === 0 ? text : ref(...joined([...pieces, text.slice(end)]));
  }

  get all(): Reference[] {
    return [...this.words.values()].map(({ reference }) => reference);
  }
}

/** A beginning of words that none of these texts has. */
function unusedOpening(texts: readonly string[]): string {
  let opening = '«r';
  while (texts.some((one) => one.includes(opening))) opening += 'r';
  return opening;
}

/**
 * Plain data with references in it, as a text of some syntax. What the references become is put in as it is, without
 * the syntax' quotes: only for what has no character of its own there (digests, hexadecimal, base64, addresses).
 * @param write the syntax' writer, which is given plain data and returns the text
 * @returns the text, as a template where references are in it
 * @throws Error when the writer leaves a reference out
 */
export function written(value: unknown, write: (plain: unknown) => string): string | Ref {
  const literals = [...textsIn(value)].flatMap((leaf) =>
    piecesOf(leaf).filter((piece) => typeof piece === 'string'),
  );
  const standIns = new StandIns(unusedOpening([...literals, ...keysIn(value)]));
  const result = standIns.back(write(mapTexts(value, (leaf) => standIns.text(leaf))));
  const kept = new Set(referencesIn([result]).map(show));
  const lost = standIns.all.find((reference) => !kept.has(show(reference)));
  if (lost) throw new Error(`${show(lost)} was lost by what wrote the text around it`);
  return result;
}

/** The other way: what a reader of a syntax makes of a text, with the references where it has put them. */
export function readBack(value: string | Template, read: (plain: string) => unknown): unknown {
  if (typeof value === 'string') return read(value);
  // Random, since a reader may make any text of escapes.
  const standIns = new StandIns(`«${randomUUID()}-`);
  return mapTexts(read(standIns.text(value)), (leaf) => (isTemplate(leaf) ? leaf : standIns.back(leaf)));
}
