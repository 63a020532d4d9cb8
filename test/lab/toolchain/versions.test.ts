import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PARTS, SUITE_PARTS } from '../../../lab/toolchain/parts';

const folder = join(__dirname, '..', '..', '..', 'lab', 'toolchain');

/** Two versions that cannot be one: the language host's newest is years older than the CLI's SDK (parts.ts). */
const APART = new Set(['github.com/pulumi/pulumi/sdk/v3']);

/**
 * Parts that share nothing: the official provider is what its own go.mod makes of it, with a Kubernetes client of four
 * versions before.
 */
const ALONE = new Set(['provider-kubernetes']);

/** What a go.mod asks for, with its replacements: module to version. */
function versions(part: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of readFileSync(join(folder, part, 'go.mod'), 'utf8').split('\n')) {
    const [, module = '', version = ''] =
      /^\s*(?:require\s+)?(\S+) (v\S+)(?: \/\/ indirect)?$/.exec(line) ??
      /^\s*(?:replace\s+)?(\S+) => \S+ (v\S+)$/.exec(line) ??
      [];
    if (module) found.set(module, version);
  }
  return found;
}

test('every part has a go.mod that is read here', () => {
  const parts = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const all = [...PARTS, ...SUITE_PARTS];
  expect(parts.map(({ name }) => name).sort()).toEqual(all.map(({ name }) => name).sort());
  for (const { name } of all) expect(versions(name).size).toBeGreaterThan(10);
});

test('parts that share a module take one version of it, so that its packages are compiled once for all', () => {
  const seen = new Map<string, Map<string, string[]>>();
  for (const { name } of PARTS.filter((part) => !ALONE.has(part.name))) {
    for (const [module, version] of versions(name)) {
      const of = seen.get(module) ?? new Map<string, string[]>();
      seen.set(module, of.set(version, [...(of.get(version) ?? []), name]));
    }
  }
  const twice = [...seen].filter(([module, of]) => of.size > 1 && !APART.has(module));
  expect(twice.map(([module, of]) => ({ module, versions: Object.fromEntries(of) }))).toEqual([]);
});

test("the provider's release is the one that the programs' package asks for", () => {
  const manifest = join(folder, '..', '..', 'node_modules', '@pulumi', 'kubernetes', 'package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
  const urls = PARTS.find(({ name }) => name === 'provider-kubernetes')?.official?.map(({ url }) => url);
  expect(urls).toEqual([expect.stringContaining(`/v${version}/pulumi-resource-kubernetes-v${version}-`)]);
});
