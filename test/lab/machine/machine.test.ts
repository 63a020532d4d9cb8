import { mountsBelow } from '../../../lab/machine';
import { cgroupMounts } from '../../../lab/machine/cgroups';
import { daemonHash } from '../../../lab/machine/daemons';
import { setupScript } from '../../../lab/machine/holder';
import { addressTakenBy } from '../../../lab/machine/network';
import { faults, preflight, type Survey } from '../../../lab/machine/preflight';

const MOUNTINFO = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
40 22 254:0 / /lab/a rw - ext4 /dev/vda rw
41 40 254:0 / /lab/a/with\\040space rw - ext4 /dev/vda rw
42 22 254:0 / /labrador rw - ext4 /dev/vda rw
`;

test('cgroup hierarchies of both versions are told apart', () => {
  expect(cgroupMounts(MOUNTINFO)).toEqual([
    { path: '/sys/fs/cgroup/memory', version: 1, controllers: ['memory'] },
    { path: '/sys/fs/cgroup/cpu,cpuacct', version: 1, controllers: ['cpu', 'cpuacct'] },
    { path: '/sys/fs/cgroup/systemd', version: 1, controllers: ['name=systemd'] },
    { path: '/sys/fs/cgroup/unified', version: 2, controllers: [] },
  ]);
});

test('mounts below a folder come deepest first, and a folder with the same beginning is not one of them', () => {
  expect(mountsBelow(MOUNTINFO, '/lab')).toEqual(['/lab/a/with space', '/lab/a']);
});

describe('daemon hash', () => {
  const daemon = {
    name: 'x',
    command: 'x',
    args: ['a', 'b'],
    network: 'lab' as const,
    env: { A: '1', B: '2' },
  };
  test('does not depend on the order of the environment', () => {
    expect(daemonHash({ ...daemon, env: { B: '2', A: '1' } })).toBe(daemonHash(daemon));
  });
  test.each([
    ['arguments', { args: ['a b'] }],
    ['config', { config: 'changed' }],
    ['environment', { env: { A: '1', B: '3' } }],
    ['network', { network: 'host' as const }],
  ])('changes with the %s', (_what, change) => {
    expect(daemonHash({ ...daemon, ...change })).not.toBe(daemonHash(daemon));
  });
});

test('a path with a quote cannot break out of the set-up script', () => {
  expect(setupScript("/it's; rm -rf /x")).toContain(
    `mount --bind '/it'\\''s; rm -rf /x/kubelet' /var/lib/kubelet`,
  );
});

test("the lab's own link is no address conflict, another interface in the range is", () => {
  expect(
    addressTakenBy({ 'swy-host': [{ address: '198.18.0.1' }], eth0: [{ address: '10.0.0.1' }] }),
  ).toBeUndefined();
  expect(addressTakenBy({ bench0: [{ address: '198.18.0.2' }] })).toBe('bench0');
  expect(addressTakenBy({ bench0: [{ address: '198.18.0.4' }] })).toBeUndefined();
});

describe('preflight', () => {
  const fit: Survey = {
    nodeVersion: 'v22.23.3',
    platform: 'linux',
    uid: 0,
    freeBytes: 50 * 1024 ** 3,
    memoryBytes: 8 * 1024 ** 3,
    filesystems: 'nodev\ttmpfs\n\text4\nnodev\toverlay\n',
    namespaces: ['pid', 'mnt', 'net'],
    memoryCgroup: true,
    running: false,
  };
  test('a fit machine has no fault', () => {
    expect(faults(fit)).toEqual([]);
    expect(() => preflight(fit)).not.toThrow();
  });
  test.each<[string, Partial<Survey>, RegExp]>([
    ['old Node', { nodeVersion: 'v20.20.2' }, /^Node v20\.20\.2 is too old: 22 or newer is needed$/],
    ['no root', { uid: 1000 }, /needs root/],
    ['address taken', { takenBy: 'bench0' }, /198\.18\.0\.0\/30 is in use on bench0/],
    ['disk short', { freeBytes: 11.9 * 1024 ** 3 }, /only 11\.9 GiB of disk are free, 12 are needed/],
    ['memory short', { memoryBytes: 2 * 1024 ** 3 }, /2\.0 GiB of memory, 4 are needed/],
    ['no overlayfs', { filesystems: '\text4\n' }, /no overlayfs/],
    ['no network namespaces', { namespaces: ['pid', 'mnt'] }, /no net namespaces/],
    ['no memory cgroup', { memoryCgroup: false }, /no memory cgroup/],
  ])('%s is one fault with a remedy', (_name, change, what) => {
    const found = faults({ ...fit, ...change });
    expect(found).toHaveLength(1);
    expect(found[0]?.what).toMatch(what);
    expect(found[0]?.remedy).not.toBe('');
  });
  test('all faults are reported together, one line each', () => {
    const both = (): void => preflight({ ...fit, uid: 1000, freeBytes: 0 });
    expect(both).toThrow(/needs root.*\n.*GiB of disk/);
  });
  test('a running lab may have used up the disk', () => {
    expect(faults({ ...fit, running: true, freeBytes: 0 })).toEqual([]);
  });
});
