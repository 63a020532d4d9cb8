import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { isClosed, isNoHost } from './addresses';
import { holdsLogin, LOGIN } from './logins';

// Shapes that files of the catalog and of the stacks share. What Kubernetes has a rule for follows that rule, no
// narrower and no wider: k8s.io/apimachinery 0.37 pkg/util/validation, and pkg/apis/*/validation of Kubernetes 1.37.

/** A schema message may carry its remedy after ` | `; `parseYaml` splits the two. */
export const say = (what: string, remedy: string): string => `${what} | ${remedy}`;

/** For a check behind which others make no sense: they are not told as well. */
const first = (what: string, remedy: string) => ({ error: say(what, remedy), abort: true });

/**
 * Most entries of a list or a map that people write. Each of them is checked, held against the rules and written into an
 * object of Kubernetes, of which a Pod's variables, say, may have 1 MiB in all: a thousand takes milliseconds, and who has
 * more means something else.
 */
export const MOST_ENTRIES = 1000;
/** The same of what each module, or each entry of another list, has again: ports, labels, owners. */
export const MOST_EACH = 100;
/** The same of ways out: each is a rule of a NetworkPolicy, which every node writes into its firewall for each Pod. */
export const MOST_WAYS = 500;
/** Ports of all ways out of one list: a policy has each range with each of its ports. */
const MOST_PORTS = 2000;

const tooMany = (most: number) => first(`has more than ${most} entries`, 'Shorten it.');

/** The bound of a list: `z.array(…).max(...entries())`. */
export const entries = (most: number = MOST_ENTRIES) => [most, tooMany(most)] as const;

/** A refinement: a map has no more than {@link MOST_ENTRIES}. What is behind it is not looked at then. */
export function fewEntries(map: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  if (Object.keys(map).length <= MOST_ENTRIES) return;
  context.addIssue({ code: 'custom', message: tooMany(MOST_ENTRIES).error, continue: false });
}
/** What editors are told of it. */
export const FEW = { maxProperties: MOST_ENTRIES };

/** A refinement of ways out: they have no more than {@link MOST_PORTS} ports together. */
export function fewPorts(
  ways: readonly { readonly ports: readonly number[] }[],
  context: z.RefinementCtx,
): void {
  let sum = 0;
  const index = ways.findIndex(({ ports }) => {
    sum += ports.length;
    return sum > MOST_PORTS;
  });
  if (index < 0) return;
  const message = say(
    `makes more than ${MOST_PORTS} ports of all ranges together`,
    'Name fewer ports, or one range in the place of several.',
  );
  context.addIssue({ code: 'custom', message, path: [index], continue: false });
}

const LABEL = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(?:\\.${LABEL})*`;

/** DNS-1123 subdomain: the names of Secrets, service accounts, ingress classes and storage classes. */
export const subdomain = z
  .string()
  .max(253, first('is longer than 253 characters', 'Shorten it.'))
  .regex(
    new RegExp(`^${SUBDOMAIN}$`),
    first('is not a name in Kubernetes', 'Use lower-case letters, digits, "-" and ".".'),
  );

/** DNS-1123 label: the names of namespaces. */
export const namespaceName = z
  .string()
  .max(63, first('is longer than 63 characters', 'Shorten it.'))
  .regex(
    new RegExp(`^${LABEL}$`),
    first('is not the name of a namespace', 'Use lower-case letters, digits and "-".'),
  );

export const isAddress = (host: string): boolean => /^\d+(\.\d+){3}$/.test(host);

/** Whether resolvers take a name: at most 63 characters between two dots, and 253 in all; one dot may end it. */
export const isResolvable = (host: string): boolean =>
  host.length <= 253 &&
  host
    .replace(/\.$/, '')
    .split('.')
    .every((part) => part !== '' && part.length <= 63);

/**
 * Whether a host is read as an address, and is none, or another one than it says: its last part is a number
 * (https://url.spec.whatwg.org/#ends-in-a-number-checker; resolvers take "10.1" and "012.0.0.1" as their C library does).
 */
export const isNoAddress = (host: string): boolean =>
  /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/i.test(host) && !isIPv4(host);

/** Name or IPv4 address of a host other than whoever asks. Resolvers take at most 63 characters between two dots. */
export const hostName = z
  .string()
  .max(253, first('is longer than 253 characters', 'Write a host name.'))
  .regex(
    new RegExp(`^${SUBDOMAIN}$`),
    first('is not a host name', 'Write "orders.example.com", without scheme and port.'),
  )
  .refine(
    (host) => host.split('.').every((part) => part.length <= 63),
    say('has more than 63 characters between two dots', 'Shorten that part.'),
  )
  .refine(
    (host) => !isNoAddress(host),
    first('is neither a name nor an IPv4 address', 'Write "orders.example.com" or "10.0.0.7".'),
  )
  .refine(
    (host) => !isIPv4(host) || !isClosed(host),
    say('is link-local, or a metadata service', 'Write another address: no way leads there.'),
  )
  .refine(
    (host) => host !== 'localhost' && !(isIPv4(host) && isNoHost(host)),
    say('is no other machine', 'Write the name or the address that Pods reach it by.'),
  );

/** A range of IPv4 addresses by its first one: Kubernetes from 1.36 takes no other (`StrictIPCIDRValidation`). */
export const addressRange = z
  .cidrv4({
    error: say('is not an IPv4 range', 'Write "10.0.0.0/24", or "10.0.0.7/32" for one.'),
    abort: true,
  })
  .refine(
    (range) => {
      const [address = '', length = ''] = range.split('/');
      const bits = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
      return bits % 2 ** (32 - Number(length)) === 0;
    },
    say('does not begin with its first address', 'Write "10.0.0.0/24", or "10.0.0.7/32" for one.'),
  )
  .refine(
    (cidr) => !isClosed(cidr),
    say('is link-local, or a metadata service', 'Leave it out: no way leads there.'),
  );

/** Host of an Ingress: a name, of which the first part may be `*`, and no address. */
export const ingressHost = z
  .string()
  .max(253, first('is longer than 253 characters', 'Write a host name.'))
  .regex(
    new RegExp(`^(?:\\*\\.)?${SUBDOMAIN}$`),
    first('is not a host name', 'Write "orders.example.com" or "*.example.com", without scheme and port.'),
  )
  .refine((host) => !isAddress(host), say('is an address', 'An Ingress goes by names: write one.'));

/** What stands between two slashes of a path in GitLab, of a project that may end in a dot (its lib/gitlab/path_regex.rb). */
const NAMESPACE_PART = /^(?:[A-Za-z0-9_.][A-Za-z0-9_.-]*[A-Za-z0-9_-]|[A-Za-z0-9_])$/;
const PROJECT_PART = /^[A-Za-z0-9_.][A-Za-z0-9_.-]*$/;

/** Of `PROJECT_WILDCARD_ROUTES` those that have no shape of ours besides. */
const isKept = (part: string): boolean =>
  [...reservedProjects, 'create_dir', 'find_file'].includes(folded(part));

const isPart = (part: string, form: RegExp): boolean =>
  part.length <= 255 && form.test(part) && !/\.(git|atom)$/.test(part);

/** Whether a group of GitLab's can have this full path, however old it is. */
export const isGroupPath = (path: string): boolean =>
  path.split('/').every((part, index) => isPart(part, NAMESPACE_PART) && (index === 0 || !isKept(part)));

/** Whether a project of GitLab's can: each stands in a group, or with a person. */
export function isProjectPath(path: string): boolean {
  const end = path.lastIndexOf('/');
  const last = path.slice(end + 1);
  return end > 0 && isGroupPath(path.slice(0, end)) && isPart(last, PROJECT_PART) && !isKept(last);
}

/**
 * Why GitLab makes no group or project of a name that is a DNS label; undefined where it does (`oci_repository_path_regex` of
 * its lib/gitlab/regex.rb: what it makes has a place in its registry).
 */
export const faultOfNewPath = (
  name: string,
): { readonly what: string; readonly remedy: string } | undefined =>
  name.includes('--')
    ? {
        what: 'has two "-" in a row, which GitLab takes in no path of a group or project',
        remedy: 'Write one.',
      }
    : undefined;

/** A refinement: GitLab makes what is called so. */
export function newPath(name: string, context: z.RefinementCtx): void {
  const fault = faultOfNewPath(name);
  if (fault) context.addIssue({ code: 'custom', message: say(fault.what, fault.remedy) });
}

/** Name of a user of GitLab (`NAMESPACE_FORMAT_REGEX` of its lib/gitlab/path_regex.rb). */
export const userName = z
  .string()
  .max(255, first('is longer than 255 characters', 'Write the name after "@".'))
  .regex(NAMESPACE_PART, first('is not the name of a user of GitLab', 'Write the name after "@".'))
  .refine(
    (name) => !/\.(git|atom)$/.test(name),
    say('is not the name of a user of GitLab', 'No name ends in ".git" or ".atom".'),
  );

/** Name of a user or path of a group or project as GitLab compares it: without case. */
export const folded = (name: string): string => name.toLowerCase();

/** @returns each name that is another one to GitLab's eyes again: its index, and how it stood first */
export function twice(names: readonly string[]): { readonly index: number; readonly first: string }[] {
  const known = new Map<string, string>();
  return names.flatMap((name, index) => {
    const first = known.get(folded(name));
    if (first === undefined) known.set(folded(name), name);
    return first === undefined ? [] : [{ index, first }];
  });
}

/**
 * Names that GitLab keeps for addresses of its own below a project and at the top (`PROJECT_WILDCARD_ROUTES` and
 * `TOP_LEVEL_ROUTES` of its lib/gitlab/path_regex.rb, and its doc/user/reserved_names.md), as far as they have the shape of
 * ours; those of former versions, too.
 */
export const reservedProjects: readonly string[] = [
  ...['badges', 'blame', 'blob', 'builds', 'commits', 'create', 'edit', 'files', 'new', 'preview', 'raw'],
  ...['refs', 'tree', 'update', 'wikis'],
];
export const reservedGroups: readonly string[] = [
  ...['admin', 'api', 'assets', 'autocomplete', 'ci', 'dashboard', 'explore', 'files', 'groups', 'help'],
  ...['import', 'invites', 'jwt', 'koding', 'login', 'oauth', 'profile', 'projects', 'public', 's', 'search'],
  ...['sitemap', 'snippets', 'u', 'unsubscribes', 'uploads', 'users', 'v2'],
];

/** Longest word that nginx reads in its configuration, with room for what stands beside it: NGX_CONF_BUFFER is 4096. */
export const LONGEST_WORD = 4032;

/**
 * Path of a request. Kubernetes takes any text; what no request has, a proxy's configuration may take for its own: nginx
 * ends a word at a blank, and a block at a brace.
 */
export const httpPath = z
  .string()
  .max(LONGEST_WORD, first(`is longer than ${LONGEST_WORD} characters`, 'Shorten it: proxies read no more.'))
  .regex(/^\//, first('is not an HTTP path', 'Start it with "/".'))
  .regex(
    /^[^\s\p{C}"'`\\{}<>^|#]*$/u,
    say('has a character that no request has', 'Write it as "%" and its two digits.'),
  );

/** Path below which an Ingress of `pathType: Prefix` leads to something. */
export const ingressPath = httpPath.refine(
  (path) => !/\/\/|\/\.\.?(\/|$)|%2f/i.test(path),
  say('has an empty part, or "." or ".." or "%2f" in it', 'Write the path that requests have.'),
);

const QUALIFIED = new RegExp(`^(?:(${SUBDOMAIN})/)?([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)$`);

/** Whether Kubernetes takes a text as the key of a label; keys of annotations may have capitals before the "/" as well. */
export function isQualifiedName(key: string): boolean {
  const [, prefix = '', name = ''] = QUALIFIED.exec(key) ?? [];
  return name !== '' && name.length <= 63 && prefix.length <= 253;
}

/** `parseYaml` refuses what a shell could not fill in either; here no shell reads the value. */
function loginFault(key: string, value: string, context: z.RefinementCtx): void {
  if (!holdsLogin(value)) return;
  context.addIssue({ code: 'custom', path: [key], message: say(LOGIN.what, LOGIN.remedy) });
}

/** Annotations that people add, e.g. for an ingress controller. */
export const annotations = z
  .record(z.string(), z.string())
  .superRefine(fewEntries)
  .meta(FEW)
  .superRefine((given, context) => {
    for (const [key, value] of Object.entries(given)) {
      loginFault(key, value, context);
      if (/[^\P{Cc}\t\n\r]/u.test(value))
        context.addIssue({
          code: 'custom',
          path: [key],
          message: say('has a control character in it', 'Remove it: nobody sees it.'),
        });
      if (isQualifiedName(key.toLowerCase())) continue;
      context.addIssue({
        code: 'custom',
        path: [key],
        message: say(
          'is not the key of an annotation',
          'Write "domain/name": at most 63 letters, digits, "-", "_" and "." after the "/".',
        ),
      });
    }
  })
  .default({});

/** Name of a port: Kubernetes takes what IANA takes as the name of a service. */
export const portName = z
  .string()
  .max(15, first('is longer than 15 characters', 'Shorten it.'))
  .regex(
    /^[a-z0-9]+(-[a-z0-9]+)*$/,
    first('is not the name of a port', 'Use lower-case letters and digits, with single "-" between them.'),
  )
  .refine((name) => /[a-z]/.test(name), say('has no letter', 'Name it for what it serves.'));

/** Environment variable of a container that also stands in a ConfigMap: what every Kubernetes takes as either. */
export const variableOfContainer = z
  .string()
  .max(253, first('is longer than 253 characters', 'Shorten it.'))
  .regex(
    /^[A-Za-z_.-][A-Za-z0-9_.-]*$/,
    first('is not an environment variable name', 'Use letters, digits, "_", "-" and ".", no digit first.'),
  )
  .refine(
    (name) => name !== '.' && !name.startsWith('..'),
    say('is not an environment variable name', 'Begin with a letter or "_".'),
  )
  .refine(
    (name) => !/^SWITCHYARD_SERVICE_PASSWORD(_[0-9]+)?$/.test(name),
    say('is what a password reaches its container by in production', 'Choose another name.'),
  );

/** A name or a title. GitLab and others strip it, and take none of which nothing is left. */
export const title = z
  .string()
  .refine((text) => text.trim() !== '', first('is blank', 'Write a name.'))
  .refine(
    (text) => text === text.trim(),
    say('begins or ends with a blank', 'Leave it out: whoever is given the name does.'),
  );

/** Why something is as it is, in a sentence. */
export const reason = (what: string, remedy: string) =>
  z
    .string()
    .min(10, first(what, remedy))
    .refine((text) => text.trim().length >= 10, say(what, remedy));

/** What something is: in a block of YAML it ends with a line break. */
export const about = z.string().refine((text) => text.trim() !== '', say('is blank', 'Say it in one line.'));

/** Longest text that Linux takes as one variable or argument: MAX_ARG_STRLEN, with its end. */
const LONGEST_ARGUMENT = 128 * 1024 - 1;

/** Most characters of what a service file leaves to be filled in: a host, a user, a database, a password. */
export const LONGEST_FILLED = 253;
/** Bytes of a template as a program sees it at most, once all that it names is filled in. */
const filledSize = (template: string): number =>
  Buffer.byteLength(template) + (template.match(/(?<!\$)\{[a-z]+\}/g)?.length ?? 0) * LONGEST_FILLED;

const tooLong = first(
  `is longer than the ${LONGEST_ARGUMENT} bytes that a program takes as one argument`,
  'Put the text into a file of the image.',
);

/** Program, or an argument. */
export const filledArgument = z.string().refine((text) => filledSize(text) <= LONGEST_ARGUMENT, tooLong);

/** Program or argument of a command, as it is passed on: whoever may look at Pods reads it. */
export const argumentOfProgram = z
  .string()
  .refine((text) => Buffer.byteLength(text) <= LONGEST_ARGUMENT, tooLong)
  .refine((text) => !holdsLogin(text), say(LOGIN.what, LOGIN.remedy));

/**
 * Variables by name; Linux starts no program with a longer one.
 * @param beside what stands before each where it is passed on
 * @param sizeOf bytes of a value as the program sees it. @default those that are written
 */
export const variables = <Key extends z.ZodType<string, string>>(
  name: Key,
  { beside = '', sizeOf = (value: string) => Buffer.byteLength(value) } = {},
) =>
  z
    .record(name, z.string())
    .superRefine(fewEntries)
    .meta(FEW)
    .superRefine((given, context) => {
      for (const [key, value] of Object.entries(given)) {
        loginFault(key, value, context);
        const size = Buffer.byteLength(`${beside}${key}=`) + sizeOf(value);
        if (size <= LONGEST_ARGUMENT) continue;
        context.addIssue({
          code: 'custom',
          path: [key],
          message: say(
            `has ${size} bytes with its name, and no program starts with a variable of more than ${LONGEST_ARGUMENT}`,
            'Put the text into a file of the image.',
          ),
        });
      }
    });

/** Variables of a service file, with names of what is filled in. */
export const filledVariables = <Key extends z.ZodType<string, string>>(name: Key) =>
  variables(name, { sizeOf: filledSize });

/** Longest name of a file that Linux takes (NAME_MAX), in bytes, and longest path, with room for where it lies (PATH_MAX: 4096). */
const LONGEST_NAME = 255;
const LONGEST_PATH = 1024;
/** A refinement: a file may lie there. */
const fitsPath = (path: string): boolean =>
  Buffer.byteLength(path) <= LONGEST_PATH &&
  path.split('/').every((part) => Buffer.byteLength(part) <= LONGEST_NAME);
const NO_ROOM = first(
  `is longer than a path may be: ${LONGEST_NAME} bytes between two "/", and ${LONGEST_PATH} in all`,
  'Shorten it.',
);

/**
 * Where something is mounted in a container: as it is written is where it lies, so that no two of a Pod are one. runc
 * mounts nothing below /proc.
 */
export const mountPath = z
  .string()
  .regex(/^\/./, first('is not a folder below "/"', 'Write an absolute path, such as "/data".'))
  .refine(fitsPath, NO_ROOM)
  .refine(
    (path) =>
      path
        .slice(1)
        .split('/')
        .every((part) => !['', '.', '..'].includes(part)),
    first('has an empty part, or "." or ".."', 'Write where it is: "/data", without "/" at the end.'),
  )
  .refine(
    (path) => !/[:\p{Cc}]/u.test(path),
    first('has ":" or a control character in it', 'Leave it out: no place of a mount has it.'),
  )
  .refine((path) => !/^\/proc(?:\/|$)/.test(path), say('is where the kernel is', 'Mount it elsewhere.'));

/** A path inside a checkout: where it leads cannot leave the checkout, nor get into what git and delivery keep there. */
export const checkoutPath = (example: string) =>
  z
    .string()
    .min(1, first('is empty', `Write "${example}".`))
    .refine(fitsPath, NO_ROOM)
    .refine(
      (path) => path.split('/').every((part) => !['', '.', '..'].includes(part)),
      say('does not lead to something inside the repository', `Write "${example}", without "." and "..".`),
    )
    .refine(
      (path) => !/^\.(git|switchyard)(\/|$)/i.test(path),
      say('is where git and delivery keep what is theirs', `Write "${example}".`),
    )
    // Jenkins takes the path as a pattern, in which these have a meaning of their own.
    .refine(
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
      (path) => !/[*?,\\\u0000-\u001f]/.test(path),
      say('has a character that means something else to Jenkins', 'Leave out "*", "?", "," and "\\".'),
    );

/** Most that an amount of bytes may be: a quota adds up thousands of them, and Kubernetes counts to 2^63 - 1. */
const MOST_BYTES = 2 ** 50;
const UNITS: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };

/** Bytes of an amount as the files write it; it has the shape already. */
export const bytesOf = (amount: string): number =>
  Number(amount.slice(0, -2)) * (UNITS[amount.slice(-2)] ?? 1);

/** Thousandths of a core of an amount as the files write it; it has the shape already. */
export const millicoresOf = (amount: string): number =>
  amount.endsWith('m') ? Number(amount.slice(0, -1)) : Math.round(Number(amount) * 1000);

/** An amount of bytes in binary units. */
const binary = (of: string, example: string) =>
  z
    .string()
    .regex(/^[1-9][0-9]*(Ki|Mi|Gi|Ti)$/, first(`is not an amount of ${of}`, `Write ${example}.`))
    .refine((amount) => bytesOf(amount) <= MOST_BYTES, say('is more than 1024Ti', `Write ${example}.`));

/** Amount of bytes in binary units: "256Mi", "2Gi". */
export const memory = binary('memory', '"256Mi" or "2Gi"');
/** An amount of storage. */
export const storage = binary('storage', '"20Gi"');

/** What each container is promised of its node's disk; more is taken as long as there is some, up to its limit. */
export const DISK_REQUEST = '64Mi';

/** Disk of its node that a container may fill. */
export const disk = binary('disk', '"2Gi"').refine(
  (amount) => bytesOf(amount) >= bytesOf(DISK_REQUEST),
  say(`is less than the ${DISK_REQUEST} that each container is promised`, 'Write "2Gi".'),
);

/** CPU: millicores ("500m") or cores ("2"). Kubernetes knows nothing finer than a millicore. */
export const cpu = z
  .string()
  .regex(
    /^([1-9][0-9]*m|[1-9][0-9]*(\.[0-9]{1,3})?|0\.[0-9]{1,3})$/,
    first('is not an amount of CPU', 'Write "500m" or "2".'),
  )
  .refine((amount) => millicoresOf(amount) > 0, say('is no CPU at all', 'Write "500m" or "2".'))
  .refine(
    (amount) => millicoresOf(amount) <= 1e9,
    say('is more than a million cores', 'Write "500m" or "2".'),
  );

/** A refinement: no limit is below what is asked for, which the API server refuses. */
export function limitsHold(
  given: { cpu: string; memory: string; cpuLimit?: string | undefined; memoryLimit?: string | undefined },
  context: z.RefinementCtx,
): void {
  const below = (key: 'cpu' | 'memory', amount: (text: string) => number): void => {
    const limit = given[`${key}Limit`];
    if (limit === undefined || amount(limit) >= amount(given[key])) return;
    context.addIssue({
      code: 'custom',
      path: [`${key}Limit`],
      message: say(`is less than ${key}, "${given[key]}"`, `Raise it, or lower ${key}.`),
    });
  };
  below('cpu', millicoresOf);
  below('memory', bytesOf);
}

/** Host and port of a registry, as a pattern. */
const REGISTRY = String.raw`[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?`;
const registry = new RegExp(`^${REGISTRY}$`);

/**
 * Name of an image as registries and kubelets take it: `[host[:port]/]path[:tag][@digest]` (distribution/reference).
 * Which version is pinned is another question.
 */
export const imageName = z
  .string()
  .max(512, first('is longer than 512 characters', 'Shorten it.'))
  .regex(
    new RegExp(
      String.raw`^(?:${REGISTRY}\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`,
    ),
    first('is not the name of an image', 'Write "repository:1.2.3" or "repository@sha256:…", in lower case.'),
  )
  .refine(
    (name) => pathOfImage(name).length <= 255,
    say('has a path of more than 255 characters', 'Shorten it: no registry takes it.'),
  );

/** What stands behind the registry (`splitDockerDomain` of distribution/reference): the path that has a longest length. */
function pathOfImage(name: string): string {
  const [named = ''] = name.split('@', 1);
  const plain = named.replace(/:[^/:]*$/, '');
  const [host = '', ...rest] = plain.split('/');
  if (rest.length === 0) return `library/${plain}`;
  // What is written as a host and is none is taken for the beginning of the path.
  const isHost = (/[.:A-Z]/.test(host) || host === 'localhost') && registry.test(host);
  return isHost ? rest.join('/') : plain;
}
