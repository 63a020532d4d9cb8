/**
 * References name what is known only at run time: a secret, or an output of another resource. They are plain strings
 * inside the arguments, so that a pure function can return whole arguments, `render` can print them as they are, and a
 * component can put the values in. Source form: `«kind:argument:…»`.
 */
export type Reference =
  | { readonly kind: 'secret'; readonly purpose: string }
  | { readonly kind: 'basic'; readonly user: string; readonly purpose: string }
  | { readonly kind: 'htpasswd'; readonly user: string; readonly purpose: string }
  | { readonly kind: 'given'; readonly name: string }
  | { readonly kind: 'found'; readonly what: Found; readonly key: string }
  | { readonly kind: 'output'; readonly resource: string; readonly property: string };

/** What is there already and is looked up before the first resource. */
export type Found = 'group' | 'project' | 'user' | 'server';

/** A secret derived from the stack's seed for one purpose: 64 hexadecimal characters. */
export const secretRef = (purpose: string): string => `«secret:${purpose}»`;
/** `base64(user:secret)`, as HTTP basic authentication and Docker's config file have it. */
export const basicRef = (user: string, purpose: string): string => `«basic:${user}:${purpose}»`;
/** A line of an htpasswd file, bcrypt. */
export const htpasswdRef = (user: string, purpose: string): string => `«htpasswd:${user}:${purpose}»`;
/** A secret that a person or the environment brings; see `stacks/secrets.ts` and `deployEnvironment`. */
export const givenRef = (name: string): string => `«given:${name}»`;
/**
 * What was looked up: the id of a GitLab group or project by its full path, of a user by name, or a cluster's API server
 * by the cluster's role.
 */
export const foundRef = (what: Found, key: string): string => `«found:${what}:${key}»`;
/** An output property of another declaration, or one key of a map that it outputs: `data.token`. */
export const outputRef = (resource: string, property: string): string => `«output:${resource}:${property}»`;

const PATTERN = /«(secret|basic|htpasswd|given|found|output):([^«»:]+)(?::([^«»:]+))?»/g;

export type Piece = string | Reference;

/** Splits a string into literal text and references. A string without references is one piece. */
export function parseReferences(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(PATTERN)) {
    const [whole, kind, first = '', second = ''] = match;
    if (match.index > end) pieces.push(text.slice(end, match.index));
    end = match.index + whole.length;
    if (kind === 'secret') pieces.push({ kind, purpose: first });
    else if (kind === 'given') pieces.push({ kind, name: first });
    else if (kind === 'found') pieces.push({ kind, what: first as Found, key: second });
    else if (kind === 'output') pieces.push({ kind, resource: first, property: second });
    else if (kind === 'basic' || kind === 'htpasswd') pieces.push({ kind, user: first, purpose: second });
  }
  if (end < text.length || pieces.length === 0) pieces.push(text.slice(end));
  return pieces;
}

/** Every reference anywhere in a value. */
export function referencesIn(value: unknown): Reference[] {
  // Most texts have none, and this looks at every text of the topology.
  if (typeof value === 'string' && !value.includes('«')) return [];
  if (typeof value === 'string') return parseReferences(value).filter((piece) => typeof piece !== 'string');
  if (value !== null && typeof value === 'object') return Object.values(value).flatMap(referencesIn);
  return [];
}
