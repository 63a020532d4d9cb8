import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { isClosedHost } from '../catalog/addresses';
import { isResolvable, say, storage } from '../catalog/shapes';
import { isOwnVariable } from '../catalog/variables';

export { say, storage as quantity };

/** What no address has, and readers of addresses drop, or take for another character. */
const NO_ADDRESS = /[\s\p{C}"'`\\{}<>^|]/u;
/** As long as an address of ours gets that others go on from: GitLab, Jenkins and proxies take some 2,000 characters. */
const LONGEST_URL = 1024;

/** A text without the slashes at its end. */
export function withoutSlashes(text: string): string {
  let end = text.length;
  while (text[end - 1] === '/') end -= 1;
  return text.slice(0, end);
}

/** A part of a path that leads nowhere, or back. */
const NO_PART = /\/(?=\/)|\/(?:\.|%2e){1,2}(?=\/|$)/i;

/** What is wrong with an http address that a reader of URLs takes; undefined where nothing is. */
export function urlFault(given: string): readonly [what: string, remedy: string] | undefined {
  if (given.length > LONGEST_URL)
    return [`is longer than ${LONGEST_URL} characters`, 'Shorten it: others go on from it.'];
  const { username, password, hostname, port } = new URL(given);
  const [, written = '', path = ''] = /^[a-z]+:\/\/(?:[^/?#]*@)?([^/?#]*)([^?#]*)/i.exec(given) ?? [];
  if (username !== '' || password !== '')
    return ['holds credentials', 'Leave out what stands before "@": everyone sees this address.'];
  if (NO_ADDRESS.test(given))
    return ['has a character that no address has', 'Leave it out, or write it as "%" and its two digits.'];
  // GitLab asks as much of a hook's (lib/gitlab/url_blocker.rb, `validate_hostname`).
  if (!/^[\p{L}\p{N}[]/u.test(hostname))
    return ['has a host that begins with neither a letter nor a digit', 'Write the host.'];
  if (isIPv4(hostname) && written.split(':', 1)[0] !== hostname)
    return [`has a host that is read as ${hostname}`, 'Write that, or the name that is meant.'];
  if (isClosedHost(hostname))
    return ['is link-local, or a metadata service', 'Write another address: no way leads there.'];
  if (!isIPv4(hostname) && !hostname.startsWith('[') && !isResolvable(hostname))
    return [
      'has a host that no resolver takes',
      'Write 1 to 63 characters between two dots, and 253 in all.',
    ];
  if (port === '0') return ['names port 0', 'Write the port, or leave it out.'];
  if (/[?#]/.test(given)) return ['has a part after "?" or "#"', 'Leave it out.'];
  if (NO_PART.test(withoutSlashes(path)))
    return ['has an empty part, or "." or "..", in its path', 'Write the path that requests have.'];
  return undefined;
}

/**
 * An address of a service: pictures, ConfigMaps and logs show it, so that no login may stand in it. Paths of its go on
 * behind it, so that a slash at its end is left out.
 */
export const httpUrl = z
  .url({
    protocol: /^https?$/,
    error: say('is not an http(s) URL', 'Write it whole, e.g. "https://gitlab.example.com".'),
    abort: true,
  })
  .superRefine((given, context) => {
    const fault = urlFault(given);
    if (fault) context.addIssue({ code: 'custom', message: say(...fault), continue: false });
  })
  .overwrite(withoutSlashes);

/** Name of an environment variable, through which a secret comes in. */
export const variableName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]*$/, say('is not an environment variable name', 'Use capitals, digits and "_".'));

/** A variable that holds one password, key or kubeconfig: none of those that the topology itself lives from. */
export const secretVariable = variableName.refine(
  (name) => !isOwnVariable(name),
  say('is a variable of the topology itself', 'Give this secret in a variable of its own.'),
);

/** A refinement: of these optional keys one is there, and only one. */
export const oneOf =
  <K extends string>(...keys: readonly K[]) =>
  (given: Partial<Record<K, unknown>>, context: z.RefinementCtx): void => {
    if (keys.filter((key) => given[key] !== undefined).length === 1) return;
    context.addIssue({
      code: 'custom',
      message: say(`needs one of ${keys.join(' and ')}`, 'Write the one that is meant, and only that.'),
    });
  };
