import { isIPv4 } from 'node:net';
import type { StackSettings } from './schema';

/** Port at which the delivery Pod takes what its build hands over. */
export const GATE_PORT = 8099;

/** Below this path of the topology's registry lie images that every build may start from, and only read. */
export const BASES_PATH = 'base';

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
