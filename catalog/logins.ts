// Credentials in addresses. Files of the catalog and what Pods are started with are read by everyone who may look.

/**
 * Scheme, slashes and authority of each address; who writes `//` alone means the scheme of whoever reads it. Texts are
 * hostile: no pattern here reads a part of one again from each place. What follows the slashes is looked at and not taken,
 * since the next address may begin in it.
 */
const ADDRESS = /(?:([a-z][a-z0-9+.-]{0,31}):)?([/\\]+)(?=([^\s/?#"<>`]*))/gi;
/** All of an address, for its parameters; JDBC has them behind ";" as well, and npm behind "/:". */
const WHOLE = /(jdbc:[a-z0-9:]{1,32})?\/\/[^\s"<>`]*/gi;
const PARAMETER = /([?&;]|\/:)([A-Za-z0-9_.-]{1,64})=([^\s&#;?]*)/g;
/** `user/password@` of Oracle's driver, and `user:password@tcp(host)` of Go's for MySQL. */
const OF_DRIVERS =
  /jdbc:oracle:[a-z0-9]{1,8}:[^\s/@"]{1,128}\/([^\s@"]{1,128})@|@(?:tcp|unix)[46]?\((?<=:([^\s:@"']{1,128})@[a-z0-9]{3,5}\()/gi;

/** What browsers, and what reads addresses as they do, take with any number of slashes of either kind. */
const OF_BROWSERS = /^(?:https?|wss?|ftp)$/i;

/** Where a user without a password is one: `https://<token>@host`, as git hosts, registries and Sentry take it. */
const TOKEN_AS_USER = /^(?:.*\+)?https?$/i;

/** Parameters of a query that are credentials, whatever the scheme. */
const CREDENTIAL =
  /^(?:.*[_-])?(?:api[_-]?key|access[_-]?key|access[_-]?token|auth[_-]?token|account[_-]?key|passwd|password|pwd|sas[_-]?token|secret|secret[_-]?key|sig|signature|token)$/i;

/** Who puts variables into a text before anything reads it. */
type ReadBy = 'kubernetes' | 'shell';

/** What something else fills in: nothing but variables of a container, or what a service file leaves to be filled in. */
const FILLED = /^(?:\$\([A-Za-z_][A-Za-z0-9_]*\)|\{[a-z]+\})+$/;
/**
 * In what a shell reads, also its own variables, whose absence may be told or be nothing, and its parameters; a command whose
 * output is taken, cut at its first blank; a variable of Robot's, and a template's.
 */
const FILLED_IN_SHELL =
  /^(?:(?:\$\(\w+\)|\$?\{\w+\}|\$\{\w+(?::?\?[^{}]*|:?-)\}|\$(?:\w+|[@*])|%\{\w+=?\}|\{\{[\w.]*\}\})+|\$\([^)]*)$/;
/** Nothing but dots and asterisks: somebody took it out. */
const TAKEN_OUT = /^[*.\u2022\u2026]+$/;

const isFilled = (credential: string, readBy: ReadBy): boolean =>
  TAKEN_OUT.test(credential) ||
  (readBy === 'shell' ? FILLED_IN_SHELL.test(credential.replaceAll(/["']/g, '')) : FILLED.test(credential));

function inAuthority(scheme: string, authority: string, readBy: ReadBy): boolean {
  // A quote behind which a list or a text goes on ends the address.
  const [quoted = ''] = authority.split(/'(?=[,:;)\]}]|$)/, 1);
  const end = quoted.lastIndexOf('@');
  if (end < 0) return false;
  const written = quoted.slice(0, end);
  // Behind a comma stands an address of mail, or another host, which may follow on a port.
  const token = TOKEN_AS_USER.test(scheme) && !/[,;<>"'()[\]|]/.test(written) ? written : '';
  const login = written.replace(/^(?:[^:@,;]*:\d{1,5}[,;])+/, '');
  const colon = login.indexOf(':');
  const credential = colon >= 0 ? login.slice(colon + 1) : token;
  return credential !== '' && !isFilled(credential, readBy);
}

const isAddress = (scheme: string, slashes: string): boolean =>
  OF_BROWSERS.test(scheme) || (scheme === '' ? slashes.startsWith('//') : slashes.length > 1);

/**
 * Where in a text an address with a credential begins: with a password, a user that is a token, or such a parameter. A user
 * of SSH, of a database or of mail is none.
 * @param readBy who puts variables into the text. @default Kubernetes
 * @returns the first one's index; undefined where there is none
 */
export function findLogin(text: string, readBy: ReadBy = 'kubernetes'): number | undefined {
  if (!/[@=]/.test(text)) return undefined;
  for (const { index, 1: scheme = '', 2: slashes = '', 3: authority = '' } of text.matchAll(ADDRESS)) {
    if (isAddress(scheme, slashes) && inAuthority(scheme, authority, readBy)) return index;
  }
  for (const { index, 0: whole, 1: driver } of text.matchAll(WHOLE)) {
    for (const [, sign = '', name = '', value = ''] of whole.matchAll(PARAMETER)) {
      if (sign === ';' && driver === undefined) continue;
      if (value !== '' && CREDENTIAL.test(name) && !isFilled(value, readBy)) return index;
    }
  }
  for (const { index, 1: ofOracle, 2: ofGo } of text.matchAll(OF_DRIVERS)) {
    if (!isFilled(ofOracle ?? ofGo ?? '', readBy)) return index;
  }
  return undefined;
}

/** Whether a text has an address with a credential in it, see {@link findLogin}. */
export const holdsLogin = (text: string, readBy: ReadBy = 'kubernetes'): boolean =>
  findLogin(text, readBy) !== undefined;

/** How a file is told that holds one. */
export const LOGIN = {
  what: 'holds a credential in an address',
  remedy:
    'Take it out: everyone may read this file. Passwords come by `services`, or by variables that a stack names.',
} as const;
