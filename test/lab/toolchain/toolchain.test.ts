import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMPILER_FLAGS, countPackages, linkerFlags } from '../../../lab/toolchain';
import { installCommand, missingPackages, PACKAGES } from '../../../lab/toolchain/packages';
import { PARTS } from '../../../lab/toolchain/parts';

describe.each(PARTS.map((part) => [part.name, part] as const))('%s', (name, part) => {
  const module = readFileSync(join(__dirname, '../../../lab/toolchain', name, 'go.mod'), 'utf8');
  test('its go.mod pins the version that the table names', () => {
    const pinned = part.pin ?? part.version;
    expect(module).toMatch(new RegExp(`\\sv${pinned.replaceAll('.', '\\.')}(\\s|$)`));
  });
  test('its modules are pinned by hash', () => {
    const sums = readFileSync(join(__dirname, '../../../lab/toolchain', name, 'go.sum'), 'utf8');
    expect(sums).toContain(' h1:');
  });
});

test('the Kubernetes programs report the version that they are', () => {
  const kubernetes = PARTS.find((part) => part.name === 'kubernetes');
  if (!kubernetes) throw new Error('kubernetes is a part');
  expect(linkerFlags(kubernetes)).toContain('-X k8s.io/component-base/version.gitVersion=v1.37.2');
});

test('only packages whose program is missing are asked for', () => {
  expect(missingPackages(() => true)).toEqual([]);
  expect(missingPackages((probe) => probe !== 'dockerd')).toEqual(['docker.io']);
  expect(missingPackages(() => false)).toEqual(Object.keys(PACKAGES));
  expect(installCommand(['a', 'b'])).toBe('apt-get update && apt-get install -y --no-install-recommends a b');
});

test('packages are counted as they are compiled, whatever the pieces in which the output comes', () => {
  const output = [
    'go: downloading golang.org/x/sys v0.40.0',
    'internal/goarch',
    'k8s.io/api/core/v1',
    '# k8s.io/kubernetes/pkg/kubelet',
    'pkg/kubelet/kubelet.go:12:2: undefined: x',
    'gopkg.in/yaml.v3',
    'switchyard.dev/lab/kubernetes',
  ].join('\n');
  for (const size of [1, 7, 1000]) {
    const counted: number[] = [];
    const count = countPackages((packages) => counted.push(packages));
    for (let at = 0; at < output.length + 1; at += size) count(`${output}\n`.slice(at, at + size));
    expect(counted.at(-1)).toBe(4);
  }
});

test('every part is compiled with the same flags, so that they share what is in the cache', () => {
  expect(COMPILER_FLAGS).toEqual(['-trimpath', '-mod=readonly', '-gcflags=all=-dwarf=false']);
});
