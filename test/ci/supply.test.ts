import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCatalog } from '../../catalog/load';
import { COMPILER_FLAGS } from '../../lab/toolchain';
import { PARTS } from '../../lab/toolchain/parts';
import { DEFAULT_BASE } from '../../operations/module/skeleton';
import { defaultImages } from '../../stacks/schema';

// What is fetched for this repository is what it was when somebody chose it. That no version of it has a known flaw, .ci/audit.js
// asks.

const root = join(__dirname, '..', '..');
const text = (...path: string[]) => readFileSync(join(root, ...path), 'utf8');

interface Locked {
  readonly link?: boolean;
  readonly resolved?: string;
  readonly integrity?: string;
  /** It lies in the archive of the package that it is below, and has none of its own. */
  readonly inBundle?: boolean;
}

test.each([
  [
    ['package-lock.json'],
    [
      ...['', 'bench', 'lab'],
      ...['node_modules/@pulumi/gitlab', 'node_modules/@switchyard/bench', 'node_modules/@switchyard/lab'],
      'sdks/gitlab',
    ],
  ],
  [['test', 'lab', 'programs', 'mongosh', 'package-lock.json'], ['']],
])('every package of npm in %j is locked by its SHA-512, but for those of this repository', (path, own) => {
  const { packages } = JSON.parse(text(...path)) as { packages: Record<string, Locked> };
  const open = Object.entries(packages).filter(
    ([, { integrity, inBundle }]) => !inBundle && !integrity?.startsWith('sha512-'),
  );
  expect(open.map(([name]) => name)).toEqual(own);
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
      expect.not.stringMatching(/:latest\b|pip3? install(?! .*(==|--require-hashes))/),
    ]);
  }
});

/** Images that the product names by a tag alone, each with the reason. */
const BY_TAG: Readonly<Record<string, string>> = Object.fromEntries(
  (
    [
      [
        'its digest was in no public source that could be read here; images.replace takes it',
        [
          'haproxy:3.0.20-alpine',
          'moby/buildkit:v0.34.2-rootless',
          'mongo:7.0.25',
          'rabbitmq:4.1.4',
          'registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0',
        ],
      ],
      [
        'the same; it is for who builds the recipe to write it there',
        ['moby/buildkit:v${BUILDKIT}', 'registry.k8s.io/kubectl:v${KUBERNETES}'],
      ],
      ['the user makes it, by a recipe of delivery/image', ['switchyard/agent:1', 'switchyard/robot:7.5']],
      ['the first line of a module’s own Dockerfile, which is its author’s', [DEFAULT_BASE]],
    ] as const
  ).flatMap(([reason, images]) => images.map((image) => [image, reason])),
);

test('every image of the product is named by its digest too, or is on the short list', () => {
  const recipes = [
    ['delivery', 'image', 'agent.Dockerfile'],
    ['delivery', 'image', 'robot.Dockerfile'],
    ['delivery', 'image', 'Dockerfile'],
    ['components', 'jenkins', 'image', 'Dockerfile'],
    ['operations', 'module', 'skeleton', 'Dockerfile'],
  ];
  const images = [
    ...Object.values(defaultImages),
    ...Object.values(loadCatalog(join(root, 'catalog')).services).flatMap(({ versions }) =>
      Object.values(versions).map(({ image }) => image),
    ),
    ...recipes.flatMap((recipe) =>
      [...text(...recipe).matchAll(/^FROM (?:--\S+ )?(\S+)/gm)].map(([, image = '']) => image),
    ),
    DEFAULT_BASE,
  ].filter((image) => image !== '${BASE}');
  expect(images).toEqual(expect.arrayContaining([expect.stringMatching(/^redis:/), 'mongo:7.0.25']));
  const open = images.filter((image) => !/^[^@]+:[^@]+@sha256:[0-9a-f]{64}$/.test(image));
  // Neither more nor less: one that has its digest leaves the list.
  expect([...new Set(open)].sort()).toEqual(Object.keys(BY_TAG).sort());
});

test('whatever a recipe of the product downloads is held against a checksum', () => {
  const agent = text('delivery', 'image', 'agent.Dockerfile');
  const robot = text('delivery', 'image', 'robot.Dockerfile');
  const plugins = text('components', 'jenkins', 'image', 'plugins.lock');
  // What test/delivery/recipes.test.ts runs.
  expect(agent.match(/\b(curl -|wget |pulumi plugin install )/g)).toEqual([
    'curl -',
    'pulumi plugin install ',
  ]);
  expect(agent).toMatch(/sha256sum -c -/);
  expect(robot.match(/\b(curl|wget|pip install) /g)).toEqual(['pip install ']);
  expect(robot).toMatch(/pip install .*--require-hashes/);
  const lines = plugins.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines.filter((line) => !/^[\w.-]+:\S+ # sha256:[0-9a-f]{64}( |$)/.test(line))).toEqual([]);
  // And no other recipe or script of an image downloads anything.
  for (const folder of [
    ['components', 'jenkins', 'image'],
    ['delivery', 'image'],
  ])
    for (const file of readdirSync(join(root, ...folder), { withFileTypes: true })) {
      if (!file.isFile() || /^(agent|robot)\.Dockerfile$/.test(file.name)) continue;
      const lines = text(...folder, file.name)
        .split('\n')
        .filter((line) => !line.trimStart().startsWith('#'));
      // The reload asks Jenkins beside it.
      const asks = lines.filter((line) => /\b(curl|wget|pip3? install|npm (ci|install))\b|^ADD /.test(line));
      expect([file.name, asks.filter((line) => !/curl --config -/.test(line))]).toEqual([file.name, []]);
    }
});
