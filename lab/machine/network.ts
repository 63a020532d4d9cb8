import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { LabError } from '../steps';
import {
  BUILD_BRIDGE,
  BUILD_BRIDGE_ADDRESS,
  HOST_IP,
  HOST_LINK,
  LINK_PREFIX,
  NODE_IP,
  NODE_LINK,
  POD_CIDR,
  SERVICE_CIDR,
} from './addresses';
import type { ProcessIdentity } from './process';

function ip(args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a program in the machine's namespaces and returns its output. */
export function inMachine(machine: ProcessIdentity, command: string, args: string[]): string {
  const spaces = ['--target', String(machine.pid), '--mount', '--pid', '--net'];
  return execFileSync('nsenter', [...spaces, '--', command, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Name of a host interface, other than the lab's own, in 198.18.0.0/30 or 198.18.1.0/24. */
export function addressTakenBy(
  interfaces: Record<string, { address: string }[] | undefined> = networkInterfaces(),
): string | undefined {
  for (const [name, addresses] of Object.entries(interfaces)) {
    if (name === HOST_LINK || name === BUILD_BRIDGE) continue;
    if ((addresses ?? []).some(({ address }) => /^198\.18\.(0\.[0-3]|1\.\d+)$/.test(address))) return name;
  }
  return undefined;
}

const exists = (link: string): boolean => existsSync(`/sys/class/net/${link}`);

/** True when the host's end of the link is up and the node has its address. */
export function linkUp(machine: ProcessIdentity): boolean {
  try {
    return (
      exists(HOST_LINK) &&
      exists(BUILD_BRIDGE) &&
      ip(['-o', '-4', 'addr', 'show', 'dev', HOST_LINK]).includes(`${HOST_IP}/${LINK_PREFIX}`) &&
      inMachine(machine, 'ip', ['-o', '-4', 'addr', 'show', 'dev', NODE_LINK]).includes(
        `${NODE_IP}/${LINK_PREFIX}`,
      )
    );
  } catch {
    return false;
  }
}

/** Removes what stands on the host: its end of the link, with which the other goes, and the bridge of image builds. */
export function removeLink(): void {
  for (const link of [HOST_LINK, BUILD_BRIDGE]) {
    if (!exists(link)) continue;
    try {
      ip(['link', 'delete', link]);
    } catch (error) {
      // The kernel takes it down by itself, a moment after the last process of the other end's namespace.
      if (exists(link)) throw error;
    }
  }
}

/** Makes the link between host and node, the bridge of image builds, and the node's routing. There is no way on to any other network. */
export function createLink(machine: ProcessIdentity): void {
  if (linkUp(machine)) return;
  removeLink();
  try {
    ip(['link', 'add', HOST_LINK, 'type', 'veth', 'peer', 'name', NODE_LINK, 'netns', String(machine.pid)]);
    ip(['addr', 'add', `${HOST_IP}/${LINK_PREFIX}`, 'dev', HOST_LINK]);
    ip(['link', 'set', HOST_LINK, 'up']);
    ip(['link', 'add', BUILD_BRIDGE, 'type', 'bridge']);
    ip(['addr', 'add', BUILD_BRIDGE_ADDRESS, 'dev', BUILD_BRIDGE]);
    ip(['link', 'set', BUILD_BRIDGE, 'up']);
    inMachine(machine, 'ip', ['addr', 'add', `${NODE_IP}/${LINK_PREFIX}`, 'dev', NODE_LINK]);
    inMachine(machine, 'ip', ['link', 'set', NODE_LINK, 'up']);
    // Local clients of a Service need some route before the packet filter rewrites the address.
    inMachine(machine, 'ip', ['route', 'add', SERVICE_CIDR, 'dev', 'lo', 'src', NODE_IP]);
    for (const cidr of [POD_CIDR, SERVICE_CIDR]) ip(['route', 'add', cidr, 'via', NODE_IP, 'dev', HOST_LINK]);
  } catch (error) {
    const words = String((error as { stderr?: string }).stderr ?? error).trim();
    throw new LabError(
      `the link between host and lab could not be made: ${words}`,
      'The kernel needs veth and network namespaces, and 198.18.0.0/30 and 198.18.1.0/24 must be free',
    );
  }
}

/** Settings of the machine's own network namespace; the host's stay as they are. */
export function setKernel(machine: ProcessIdentity): void {
  if (!existsSync('/proc/sys/net/bridge')) {
    try {
      execFileSync('modprobe', ['br_netfilter'], { stdio: 'ignore' });
    } catch {
      // Built without modules, or the file appears only with the first bridge: checked inside below.
    }
  }
  const wanted = [
    'net.ipv4.ip_forward=1',
    'net.ipv4.conf.all.rp_filter=0',
    'net.ipv4.conf.default.rp_filter=0',
    'net.ipv4.conf.all.route_localnet=1',
  ];
  const set = wanted.map((entry) => {
    const [key = '', value] = entry.split('=');
    return `echo ${value} > /proc/sys/${key.replaceAll('.', '/')}`;
  });
  // Needed for Service addresses between Pods of one bridge; absent where br_netfilter is not there.
  set.push('f=/proc/sys/net/bridge/bridge-nf-call-iptables; if [ -e $f ]; then echo 1 > $f; fi');
  inMachine(machine, '/bin/sh', ['-ec', set.join('\n')]);
}
