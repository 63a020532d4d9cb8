import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checksumOf, linkerFlags } from '../../../lab/toolchain';
import { installCommand, missingPackages, PACKAGES } from '../../../lab/toolchain/packages';
import { PARTS } from '../../../lab/toolchain/parts';

test('a checksum is taken only for the very file', () => {
  const hash = 'a'.repeat(64);
  const list = `${'b'.repeat(64)}  other.tar.gz\n${hash} *file.tar.gz\nnonsense  bad.tar.gz\n`;
  expect(checksumOf(list, 'file.tar.gz')).toBe(hash);
  expect(checksumOf(list, 'bad.tar.gz')).toBeUndefined();
  expect(checksumOf(list, 'file.tar')).toBeUndefined();
});

describe.each(PARTS.map((part) => [part.name, part] as const))('%s', (name, part) => {
  const module = readFileSync(join(__dirname, '../../../lab/toolchain', name, 'go.mod'), 'utf8');
  test('its go.mod pins the version that the table names', () => {
    expect(module).toMatch(new RegExp(`\\sv${part.version.replaceAll('.', '\\.')}(\\s|$)`));
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
