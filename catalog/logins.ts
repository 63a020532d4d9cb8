// Credentials in addresses. Files of the catalog and what Pods are started with are read by everyone who may look.

/**
 * Scheme and authority of each address. Texts are hostile: no pattern here reads a part of one again from each place. What
 * follows the scheme is looked at and not taken, since the next address may begin in it.
 */
const ADDRESS = /([a-z][a-z0-9+.-]{0,31}):\/\/(?=([^\s/?#]*))/gi;
const PARAMETER = /[?&]([A-Za-z0-9_.-]{1,64})=([^\s&#]*)/g;

/** Where a user without a password is one: `https://<token>@host`, as git hosts, registries and Sentry take it. */
const TOKEN_AS_USER = /^(?:.*\+)?https?$/i;

/** Parameters of a query that are credentials, whatever the scheme. */
const CREDENTIAL =
  /^(?:.*[_-])?(?:api[_-]?key|access[_-]?key|account[_-]?key|passwd|password|pwd|sas[_-]?token|secret|secret[_-]?key|sig|signature|token)$/i;

/** What something else fills in: nothing but variables of a container, or what a service file leaves to be filled in. */
const FILLED = /^(?:\$\([A-Za-z_][A-Za-z0-9_]*\)|\{[a-z]+\})+$/;
/** In what a shell reads, also its own variables. */
const FILLED_IN_SHELL = /^(?:\$\([A-Za-z_][A-Za-z0-9_]*\)|\$?\{[A-Za-z_]+\}|\$[A-Za-z_][A-Za-z0-9_]*)+$/;

function inAuthority(scheme: string, authority: string, filled: RegExp): boolean {
  const end = authority.lastIndexOf('@');
  if (end < 0) return false;
  const login = authority.slice(0, end);
  const colon = login.indexOf(':');
  // Behind a comma stands an address of mail, or another host.
  const token = TOKEN_AS_USER.test(scheme) && !/[,;<>"']/.test(login) ? login : '';
  const credential = colon >= 0 ? login.slice(colon + 1) : token;
  return credential !== '' && !filled.test(credential);
}

/**
 * Whether an address in a text holds a credential: a password, a user that is a token, or such a parameter. A user of SSH,
 * of a database or of mail is none.
 * @param readBy who puts variables into the text. @default Kubernetes
 */
export function holdsLogin(text: string, readBy: 'kubernetes' | 'shell' = 'kubernetes'): boolean {
  const filled = readBy === 'shell' ? FILLED_IN_SHELL : FILLED;
  for (const [, scheme = '', authority = ''] of text.matchAll(ADDRESS)) {
    if (inAuthority(scheme, authority, filled)) return true;
  }
  if (!text.includes('://')) return false;
  return [...text.matchAll(PARAMETER)].some(
    ([, name = '', value = '']) => value !== '' && CREDENTIAL.test(name) && !filled.test(value),
  );
}
