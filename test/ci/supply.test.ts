import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMPILER_FLAGS } from '../../lab/toolchain';
import { PARTS } from '../../lab/toolchain/parts';

// What is fetched for this repository is what it was when somebody chose it, and no version of it has a known flaw.

const root = join(__dirname, '..', '..');
const text = (...path: string[]) => readFileSync(join(root, ...path), 'utf8');

interface Locked {
  readonly link?: boolean;
  readonly resolved?: string;
  readonly integrity?: string;
}

test('every package of npm is locked by its SHA-512, but for those of this repository', () => {
  const { packages } = JSON.parse(text('package-lock.json')) as { packages: Record<string, Locked> };
  const open = Object.entries(packages).filter(([, { integrity }]) => !integrity?.startsWith('sha512-'));
  expect(open.map(([path]) => path)).toEqual(['', 'node_modules/@pulumi/gitlab', 'sdks/gitlab']);
});

test('every Go module is locked, and no build may change that', () => {
  expect(COMPILER_FLAGS).toContain('-mod=readonly');
  for (const { name } of PARTS) {
    const sums = new Set(
      text('lab', 'toolchain', name, 'go.sum')
        .split('\n')
        .flatMap((line) => /^(\S+ \S+?)(?:\/go\.mod)? h1:/.exec(line)?.[1] ?? []),
    );
    const mod = text('lab', 'toolchain', name, 'go.mod');
    const replaced = new Set(
      [...mod.matchAll(/^\s*(?:replace )?(\S+)(?: \S+)? => /gm)].map(([, path]) => path),
    );
    const required = [...mod.matchAll(/^(?:require )?\s*([\w.~-]+\.[\w.~-]+\/\S+|\S+\.\w+) (v\S+)/gm)].filter(
      ([, path]) => !replaced.has(path),
    );
    expect(required.length).toBeGreaterThan(0);
    expect([name, required.filter(([, path, version]) => !sums.has(`${path} ${version}`))]).toEqual([
      name,
      [],
    ]);
  }
});

test.each([
  ['lab', 'images', 'robot'],
  ['test', 'lab', 'gitlab'],
])('every wheel of %s/%s/%s is locked by its SHA-256', (...folder) => {
  const lines = text(...folder, 'requirements.txt')
    .replaceAll('\\\n', ' ')
    .trim()
    .split('\n');
  for (const line of lines) expect(line).toMatch(/^[\w-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+$/);
});

test('nothing is built from an image, or installed, without a version', () => {
  const recipes = [
    ...readdirSync(join(root, 'delivery', 'image'))
      .filter((file) => file.endsWith('Dockerfile'))
      .map((file) => ['delivery', 'image', file]),
    ...readdirSync(join(root, 'lab', 'images'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => ['lab', 'images', name, 'Dockerfile'])
      // `debian` is made from packages.
      .filter((recipe) => existsSync(join(root, ...recipe))),
  ];
  expect(recipes.length).toBeGreaterThan(15);
  for (const recipe of recipes) {
    for (const [, image = ''] of text(...recipe).matchAll(/^FROM (?:--\S+ )?(\S+)/gm))
      expect([recipe, image]).toEqual([recipe, expect.stringMatching(/^(scratch|\$\{\w+\}|\S+[:@]\S+)$/)]);
    expect([recipe, text(...recipe)]).toEqual([
      recipe,
      expect.not.stringMatching(/:latest\b|pip3? install(?! .*==)/),
    ]);
  }
});

/** What `npm audit` says of the packages that people install; undefined where the registry answers no audits. */
function audit(): { readonly vulnerabilities: Record<string, { readonly severity: string }> } | undefined {
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd: root, encoding: 'utf8' });
  const answer = JSON.parse(stdout || '{}');
  return answer.vulnerabilities ? answer : undefined;
}

const audited = audit();
const when = audited ? test : test.skip;
when(
  `npm audit knows of no high or critical flaw${audited ? '' : ': skipped, since this registry answers no audits'}`,
  () => {
    const bad = Object.entries(audited?.vulnerabilities ?? {}).filter(([, { severity }]) =>
      ['high', 'critical'].includes(severity),
    );
    expect(bad.map(([name]) => name)).toEqual([]);
  },
);
