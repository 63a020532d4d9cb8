import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import type { CheckFailure } from '../shared/server';
import { containsUnknown, type Props } from '../shared/values';

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
const count = z.union([z.int().min(0), z.string().regex(/^\d+$/).transform(Number)]);

const settingsSchema = z.strictObject({
  baseUrl: z.string().optional(),
  token: z.string().optional(),
  earlyAuthCheck: flag.optional(),
  retries: count.optional(),
});

/** Settings of the official provider that this plug-in knows and does not cover. */
const NOT_COVERED: Record<string, string> = {
  cacertFile: 'the lab speaks plain HTTP',
  clientCert: 'the lab speaks plain HTTP',
  clientKey: 'the lab speaks plain HTTP',
  insecure: 'the lab speaks plain HTTP',
  configFile: 'set token and baseUrl',
  context: 'set token and baseUrl',
  enableAutoCiSupport: 'set token',
  headers: 'the lab needs none',
};

/** What the engine itself adds to a provider's inputs. */
const ENGINE_KEYS = new Set(['version', 'pluginDownloadURL', '__internal']);

export interface Connection {
  /** Ends in `/api/v4/`. */
  baseUrl: string;
  token: string;
  /** How often a request is repeated after a lost connection, 429 or 5xx. @default 3 */
  retries: number;
}

function known(inputs: Props): Props {
  return Object.fromEntries(
    Object.entries(inputs).filter(([key, value]) => !ENGINE_KEYS.has(key) && !containsUnknown(value)),
  );
}

/** Faults of the provider's inputs: unknown keys, wrong types, a GitLab that is not the lab's. */
export function checkProviderInputs(inputs: Props): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const rest: Props = {};
  for (const [key, value] of Object.entries(known(inputs))) {
    const reason = NOT_COVERED[key];
    if (reason)
      failures.push({ property: key, reason: `is not covered by the lab's gitlab plug-in: ${reason}` });
    else rest[key] = value;
  }
  const parsed = settingsSchema.safeParse(rest);
  for (const issue of parsed.error?.issues ?? []) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys)
        failures.push({ property: key, reason: 'is not a setting of the gitlab provider' });
    } else {
      // The parser's own message could quote the value, which may be the token.
      failures.push({ property: issue.path.join('.'), reason: 'has the wrong type' });
    }
  }
  if (parsed.data?.baseUrl !== undefined) {
    const fault = baseUrlFault(parsed.data.baseUrl);
    if (fault) failures.push({ property: 'baseUrl', reason: fault });
  }
  return failures;
}

const LAB_ADDRESSES = new BlockList();
LAB_ADDRESSES.addSubnet('127.0.0.0', 8);
LAB_ADDRESSES.addAddress('::1', 'ipv6');
// RFC 2544: reserved for tests; the lab's node lives there.
LAB_ADDRESSES.addSubnet('198.18.0.0', 15);

/**
 * Why this plug-in will not speak to a base URL, or `undefined`. It is test equipment: it refuses every host but
 * loopback and the lab's own range, so that it can never touch a company's GitLab by mistake.
 */
export function baseUrlFault(baseUrl: string): string | undefined {
  if (!URL.canParse(baseUrl)) return `"${baseUrl}" is not a URL; write e.g. "http://127.0.0.1:8929/api/v4/"`;
  const url = new URL(baseUrl);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return `"${baseUrl}" is not an http(s) URL`;
  if (url.username || url.password) return 'has credentials in it; give the token as "token" or GITLAB_TOKEN';
  if (!/\/api\/v4\/?$/.test(url.pathname)) return `"${baseUrl}" does not end in "/api/v4/"`;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const family = isIP(host);
  if (host === 'localhost') return undefined;
  if (family !== 0 && LAB_ADDRESSES.check(host, family === 6 ? 'ipv6' : 'ipv4')) return undefined;
  return (
    `${url.host} is refused: this is the lab's own plug-in and speaks only to loopback or 198.18.0.0/15. ` +
    'Install the official one: pulumi plugin install resource gitlab v10.1.1'
  );
}

/**
 * The GitLab to speak to: the inputs, else `GITLAB_BASE_URL` and `GITLAB_TOKEN`. Returns the reason when there is
 * none: known only when an operation needs it, since a preview may run before the token exists.
 */
export function connectionOf(inputs: Props, env = process.env): Connection | { fault: string } {
  const settings = settingsSchema.parse(known(inputs));
  const baseUrl = settings.baseUrl || env.GITLAB_BASE_URL;
  const token = settings.token || env.GITLAB_TOKEN;
  if (!baseUrl)
    return { fault: "gitlab provider: no GitLab is named. Set the provider's baseUrl, or GITLAB_BASE_URL" };
  const fault = baseUrlFault(baseUrl);
  if (fault) return { fault: `gitlab provider: baseUrl ${fault}` };
  if (!token) return { fault: "gitlab provider: no token. Set the provider's token, or GITLAB_TOKEN" };
  return { baseUrl: baseUrl.replace(/\/?$/, '/'), token, retries: settings.retries ?? 3 };
}
