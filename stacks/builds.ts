import { isIPv4 } from 'node:net';
import type { StackSettings } from './schema';

/** Port at which the delivery Pod takes what its build hands over. */
export const GATE_PORT = 8099;

/** Below this path of the topology's registry lie images that every build may start from, and only read. */
export const BASES_PATH = 'base';

/** Addresses that are of one network each, and never the internet's. The first is link-local: metadata of clouds. */
const LINK_LOCAL = '169.254.0.0/16';
const PRIVATE = ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'] as const;

const numberOf = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

/** Whether the first range holds the whole second one, and more. */
function holds(outer: string, inner: string): boolean {
  const [from = '', length = '32'] = outer.split('/');
  const [address = '', innerLength = '32'] = inner.split('/');
  if (Number(length) >= Number(innerLength)) return false;
  const size = 2 ** (32 - Number(length));
  return Math.floor(numberOf(from) / size) === Math.floor(numberOf(address) / size);
}

/** Whether a range lies in the link-local one, where nothing of a build's is. */
export const isLinkLocal = (cidr: string): boolean => cidr === LINK_LOCAL || holds(LINK_LOCAL, cidr);

/**
 * A range as a network policy takes it: who names a range that holds private ones means the addresses beside them.
 * Nodes, API servers and Services have private addresses; a private range is reached by its own name only.
 */
export function publicBlock(cidr: string): { readonly cidr: string; readonly except?: string[] } {
  const except = [LINK_LOCAL, ...PRIVATE].filter((range) => holds(cidr, range)).sort();
  return except.length > 0 ? { cidr, except } : { cidr };
}

export interface Way {
  readonly cidr: string;
  readonly ports: readonly number[];
}

/** Where images come from that have no registry in their name; a build's base images among them. */
const DEFAULT_PORT = 443;

/**
 * Where builds may connect to besides DNS, Jenkins, their gate and the topology's registry: the mirror of base images,
 * and what the stack names. A mirror with a name has addresses that no network policy knows: unless the stack names
 * them, builds reach public addresses at its port.
 */
export function buildWays({ images, jenkins }: Pick<StackSettings, 'images' | 'jenkins'>): Way[] {
  const [host = '', port] = (images.mirror ?? '').split(':');
  const mirror = { port: Number(port ?? (images.mirrorInsecure ? 80 : DEFAULT_PORT)) };
  if (isIPv4(host)) return [{ cidr: `${host}/32`, ports: [mirror.port] }, ...(jenkins.buildEgress ?? [])];
  return jenkins.buildEgress ?? [{ cidr: '0.0.0.0/0', ports: [mirror.port] }];
}
