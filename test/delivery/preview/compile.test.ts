import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { LIBRARY } from '../../../catalog/own-program';
import { PROGRAM_FILE, programOf } from '../../../catalog/program';
import { compileMerged, imageCompiler, requireSameSwitchyard } from '../../../delivery/preview/compile';
import { buildDeliveryImage } from '../../../operations/build/bundles';
import { root } from '../../support/model';

// The image of a repository that installs Switchyard, and a merge request that it compiles: Switchyard is a small one here,
// with the folders and imports of `dist/package`. test/lab/programs/own-repository.test.ts has the real one.

type Files = Readonly<Record<string, string>>;

const PRODUCT: Files = {
  [PROGRAM_FILE]: `${'a'.repeat(64)}\n`,
  'index.js': `module.exports = (place) => 'topology of ' + place;\n`,
  'operations/program/own-program.js': `exports.default = require('../../index');\n`,
  'operations/program/own-transform.js': 'exports.default = undefined;\n',
  'operations/library.js': `const program = require('../index');\nexports.topology = (place) => program(place);\n`,
  'operations/cli.js': `const asModule = (module) => module.__esModule || 'default' in module ? module : { default: module };
const program = asModule(require('./program/own-program')).default;
const transform = asModule(require('./program/own-transform')).default;
const sdk = require('../sdks/gitlab');
const shared = require('shared-package');
if (require.main === module) console.log(JSON.stringify({ ran: program(), transform: transform && transform(), sdk, shared }));
`,
  'components/shared/kinds.js': `exports.kind = 'a kind';\n`,
  'components/shared/transform.js': `exports.withArgs = () => 'changed';\n`,
  'sdks/gitlab/package.json': '{ "main": "bin/index.js" }\n',
  'sdks/gitlab/bin/index.js': `module.exports = 'the SDK';\n`,
  'delivery/cli.js': 'console.log("delivery");\n',
  'delivery/image/Dockerfile': 'FROM scratch\n',
  'delivery/image/bin/confined': '',
  'delivery/image/bin/delivery': '',
  'delivery/image/bin/switchyard': '',
  'delivery/library/vars/modulePipeline.groovy': 'def call() {}\n',
  'catalog/services/cache.yaml': 'description: a cache\n',
  'catalog/services/queue.yaml': 'description: a queue\n',
};

const lockOf = (version: string, integrity: string): string =>
  `${JSON.stringify({ packages: { '': {}, 'node_modules/switchyard': { version, integrity } } })}\n`;

/** What is in git. */
const SOURCES: Files = {
  'Pulumi.yaml': 'name: switchyard\n',
  'package.json': '{ "dependencies": { "switchyard": "^1.0.0" } }\n',
  'package-lock.json': lockOf('1.0.0', 'sha512-one'),
  'index.ts': `import { pad } from 'pad';
import { topology } from 'switchyard';
import { kind } from 'switchyard/kinds';
import { MINE } from './components/mine';

export = () => [topology('ours'), kind, pad(MINE)];
`,
  'components/mine.ts': `export const MINE: string = 'mine';\n`,
  'catalog/modules/shop.yaml': 'description: a shop\n',
  'catalog/services/cache.yaml': 'description: our cache\n',
  'stacks/Pulumi.live.yaml': 'config: {}\n',
};

/** What `npm install` brings. */
const PACKAGES: Files = {
  'node_modules/pad/index.js': `exports.pad = (text) => text + ', padded';\n`,
  'node_modules/shared-package/index.js': `module.exports = 'shared';\n`,
};

let work: string;
let own: string;
let product: string;
let image: string;
const write = (folder: string, files: Files): void => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
};
const run = (file: string, env: Readonly<Record<string, string>> = {}): unknown =>
  JSON.parse(
    execFileSync(process.execPath, [file], {
      cwd: work,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...env },
    }),
  );

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'compile-'));
  own = join(work, 'own');
  product = join(own, 'node_modules', 'switchyard', 'dist', 'package');
  image = join(work, 'image');
  write(own, { ...SOURCES, ...PACKAGES });
  write(product, PRODUCT);
  await buildDeliveryImage(product, { out: image, previews: true, project: own });
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const RAN = ['topology of ours', 'a kind', 'mine, padded'];
const OF_PRODUCT = { sdk: 'the SDK', shared: 'shared' };

let count = 0;
/** A checkout of a merge request, as it comes to a Pod: without packages. */
function merged(changes: Files = {}): { readonly source: string; readonly out: string } {
  const source = join(work, `source-${count}`);
  write(source, { ...SOURCES, ...changes });
  return { source, out: join(work, `out-${count++}`) };
}
const compiler = () => imageCompiler(join(image, 'lib'));

test('a repository imports what package.json exports', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { default: string }>;
  };
  const exported = Object.entries(manifest.exports).flatMap(([name, source]) =>
    typeof source === 'string' ? [] : [[name.replace('.', 'switchyard'), source.default]],
  );
  expect(exported).toEqual(
    Object.entries(LIBRARY).map(([name, source]) => [name, `./dist/package/${source}.js`]),
  );
});

test('the image runs the repository’s program, which runs Switchyard’s own once', () => {
  expect(run(join(image, 'lib', 'switchyard.js'))).toEqual({ ran: RAN, ...OF_PRODUCT });
  expect(readFileSync(join(image, PROGRAM_FILE), 'utf8').trim()).toBe(programOf(product, own));
});

test('a merge request is compiled with the Switchyard of the image, and is the program that `up` would make of it', async () => {
  const { source, out } = merged({
    'components/mine.ts': `export const MINE = 'changed';\n`,
    'transform.ts': `import { withArgs } from 'switchyard/transform';\nexport default () => withArgs();\n`,
  });
  const { file, env } = await compileMerged(source, out, compiler());
  expect(run(file)).toEqual({
    ran: ['topology of ours', 'a kind', 'changed, padded'],
    transform: 'changed',
    ...OF_PRODUCT,
  });
  const id = readFileSync(join(dirname(dirname(file)), PROGRAM_FILE), 'utf8').trim();
  expect(id).toBe(programOf(product, source));
  expect(id).not.toBe(programOf(product, own));
  expect(env.SWITCHYARD_LIBRARY).toBe(join(image, 'library'));
});

test('what changes no source is the same program', async () => {
  const { source, out } = merged({ 'catalog/modules/shop.yaml': 'description: another\n' });
  const { file } = await compileMerged(source, out, compiler());
  const id = readFileSync(join(dirname(dirname(file)), PROGRAM_FILE), 'utf8').trim();
  expect(id).toBe(programOf(product, own));
});

test('its catalog is the merge request’s, with the services that come with Switchyard', async () => {
  const { source, out } = merged({ 'catalog/modules/letters.yaml': 'description: letters\n' });
  const { env } = await compileMerged(source, out, compiler());
  const names = (kind: string) => readdirSync(join(env.SWITCHYARD_CATALOG, kind)).sort();
  expect(names('modules')).toEqual(['letters.yaml', 'shop.yaml']);
  expect(names('services')).toEqual(['cache.yaml', 'queue.yaml']);
  const cache = join(env.SWITCHYARD_CATALOG, 'services', 'cache.yaml');
  expect(readFileSync(cache, 'utf8')).toBe('description: our cache\n');
});

test.each([
  [
    'another package',
    { 'index.ts': `import 'left-pad';\n` },
    /index\.ts:1: the package "left-pad" is not in the/,
  ],
  [
    'a part of Switchyard that there is not',
    { 'index.ts': `import 'switchyard/x';\n` },
    /"switchyard\/x" is not in/,
  ],
  ['a fault', { 'components/mine.ts': 'export const = 1;\n' }, /does not compile: components\/mine\.ts:1: /],
])('%s is told with its place', async (_what, changes, said) => {
  const { source, out } = merged(changes);
  await expect(compileMerged(source, out, compiler())).rejects.toThrow(said);
});

test('a merge request without a program is told so', async () => {
  const { source, out } = merged();
  rmSync(join(source, 'index.ts'));
  await expect(compileMerged(source, out, compiler())).rejects.toThrow('the merge result has no index.ts.');
  const checkout = { ...compiler(), product: undefined };
  await expect(compileMerged(source, out, checkout)).rejects.toThrow(
    'the merge result has no operations/cli.ts.',
  );
});

test.each([
  [
    'another version',
    lockOf('1.1.0', 'sha512-two'),
    'installs Switchyard 1.1.0, and the delivery image has 1.0.0.',
  ],
  [
    'another package of the same version',
    lockOf('1.0.0', 'sha512-two'),
    'another package of Switchyard 1.0.0',
  ],
  ['a lock file without it', '{}', 'installs Switchyard ^1.0.0, and the delivery image has 1.0.0.'],
  ['a lock file that is none', 'x', 'installs Switchyard ^1.0.0, and the delivery image has 1.0.0.'],
])('%s is not previewed by the one that the image has', (_what, lock, said) => {
  const { source } = merged({ 'package-lock.json': lock });
  expect(() => requireSameSwitchyard(source, compiler())).toThrow(said);
});

test('the version of the image is taken, and so is any where the repository is Switchyard’s own', () => {
  expect(() => requireSameSwitchyard(merged().source, compiler())).not.toThrow();
  const { source } = merged({ 'package-lock.json': lockOf('9.0.0', 'sha512-nine') });
  expect(() => requireSameSwitchyard(source, { ...compiler(), product: undefined })).not.toThrow();
});

test('the same sources make the same image', async () => {
  const again = join(work, 'again');
  await buildDeliveryImage(product, { out: again, previews: true, project: own });
  const content = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(folder.length), readFileSync(path, 'utf8')]);
  expect(content(again)).toEqual(content(image));
});
