import { isIPv4 } from 'node:net';

/**
 * Where machines of clouds tell whoever asks who they are, and hand out what they may do: all that is link-local, and
 * the addresses beside it. Nothing that the topology runs has a way there.
 * - Link-local: https://www.rfc-editor.org/rfc/rfc3927, https://www.rfc-editor.org/rfc/rfc4291#section-2.5.6
 * - AWS, `fd00:ec2::254`: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 * - Google, `fd20:ce::254`: https://cloud.google.com/compute/docs/metadata/querying-metadata
 * - Azure, 168.63.129.16: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
 * - Alibaba, 100.100.100.200: https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
 */
export const CLOSED_RANGES = {
  v4: ['100.100.100.200/32', '168.63.129.16/32', '169.254.0.0/16'],
  v6: ['fd00:ec2::/32', 'fd20:ce::/32', 'fe80::/10'],
} as const;

/** Addresses that are of one network each, and never the internet's. */
const PRIVATE = ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'] as const;

/** A range as its first address, as a number, and how many of its bits are fixed. */
interface Range {
  readonly first: bigint;
  readonly fixed: number;
  readonly bits: 32 | 128;
}

const joined = (parts: readonly number[], size: bigint): bigint =>
  parts.reduce((sum, part) => (sum << size) + BigInt(part), 0n);

function v6(address: string): bigint {
  // An IPv4 address may stand for the last 32 bits.
  const plain = address.replace(/[0-9]+(?:\.[0-9]+){3}$/, (tail) => {
    const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [head = '', tail] = plain.split('::');
  const [before, after] = [groups(head), groups(tail ?? '')];
  const between = tail === undefined ? [] : Array<number>(8 - before.length - after.length).fill(0);
  return joined([...before, ...between, ...after], 16n);
}

function range(cidr: string): Range {
  const [address = '', length] = cidr.split('/');
  const bits = address.includes(':') ? 128 : 32;
  const whole = bits === 128 ? v6(address) : joined(address.split('.').map(Number), 8n);
  const fixed = Number(length ?? bits);
  const free = BigInt(bits - fixed);
  return { first: (whole >> free) << free, fixed, bits };
}

/** Whether the first range holds all of the second one. */
export function holds(outer: string, inner: string): boolean {
  const [out, within] = [range(outer), range(inner)];
  if (out.bits !== within.bits || out.fixed > within.fixed) return false;
  const free = BigInt(out.bits - out.fixed);
  return out.first >> free === within.first >> free;
}

const closedOf = (cidr: string): readonly string[] => CLOSED_RANGES[cidr.includes(':') ? 'v6' : 'v4'];

/** The closed ranges, or parts of them, that a range leads to; `except` is what it leaves out. */
export const closedWithin = (cidr: string, except: readonly string[] = []): string[] =>
  closedOf(cidr).flatMap((closed) => {
    const met = holds(cidr, closed) ? closed : holds(closed, cidr) ? cidr : undefined;
    return met === undefined || except.some((left) => holds(left, met)) ? [] : [met];
  });

/** Whether all of a range, or of an address, is closed. */
export const isClosed = (cidr: string): boolean => closedOf(cidr).some((closed) => holds(closed, cidr));

/** The same of a host as an address of it has it: a name, an IPv4 address, or an IPv6 address in brackets. */
export function isClosedHost(host: string): boolean {
  const v6 = /^\[(.*)\]$/.exec(host)?.[1];
  return v6 === undefined ? isIPv4(host) && isClosed(host) : isClosed(v6);
}

/** Addresses that no other machine has: of whoever asks, of many at once, and of none. */
const NO_HOST = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'] as const;

/** Whether an IPv4 address is one that nothing else answers at. */
export const isNoHost = (address: string): boolean => NO_HOST.some((range) => holds(range, address));

// Of at most 63 characters: without a bound, a hostile text is read again from each of its characters.
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const SERVICE = new RegExp(`(?<![\\w-])(${LABEL})\\.(${LABEL})\\.svc\\b`, 'g');

/** The Services that a text names as the cluster's DNS does: `<service>.<namespace>.svc`. */
export const servicesIn = (text: string): { readonly service: string; readonly namespace: string }[] =>
  [...text.matchAll(SERVICE)].map(([, service = '', namespace = '']) => ({ service, namespace }));

/** A range as a network policy takes it, with what it must not lead to. */
export interface Block {
  readonly cidr: string;
  readonly except?: string[];
}

const without = (cidr: string, ranges: readonly string[]): Block => {
  const except = ranges.filter((inner) => inner !== cidr && holds(cidr, inner)).sort();
  return except.length > 0 ? { cidr, except } : { cidr };
};

/** All of a range but what is closed. */
export const openBlock = (cidr: string): Block => without(cidr, closedOf(cidr));

/**
 * A range that a file names: who names one that holds private ones means the addresses beside them. Nodes, API servers
 * and Services have private addresses; a private range is reached by its own name only.
 */
export const publicBlock = (cidr: string): Block => without(cidr, [...closedOf(cidr), ...PRIVATE]);
