import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadCatalog, readCatalogTexts } from '../../catalog/load';
import { placeOf } from '../../catalog/place';
import { isOwnSource, ownProgramId, PROGRAM_FILE, programOf } from '../../catalog/program';
import { catalogTexts } from '../support/model';

// An installed package beside a repository that uses it, and what both give together.

let folder: string;
let product: string;
let project: string;
const write = (path: string, text = ''): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-place-'));
  project = join(folder, 'own');
  product = join(project, 'node_modules', 'switchyard', 'dist', 'package');
  write(`own/node_modules/switchyard/dist/package/${PROGRAM_FILE}`, `${'a'.repeat(64)}\n`);
  write(
    'own/node_modules/switchyard/dist/package/catalog/services/cache.yaml',
    catalogTexts.services['cache.yaml'],
  );
  write('own/Pulumi.yaml');
  write('own/index.ts', 'export = 1;\n');
  write('own/stacks/Pulumi.test.yaml');
  write('own/catalog/modules/shop.yaml', catalogTexts.modules['shop.yaml']);
  write('elsewhere/file');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('an installed package works on the repository around a folder', () => {
  for (const from of ['.', 'catalog/modules', 'stacks'])
    for (const own of [product, join(product, 'operations')])
      expect(placeOf(own, join(project, from))).toEqual({ product, project });
  expect(placeOf(product, join(folder, 'elsewhere'))).toEqual({ product, project: undefined });
});

test('a checkout and a delivery image work on themselves, wherever they are run from', () => {
  const { product: image } = placeOf(join(folder, 'image', 'lib'), project);
  expect(image).toBe(process.cwd());
  write(`image/${PROGRAM_FILE}`);
  const laidOut = join(folder, 'image');
  expect(placeOf(join(laidOut, 'lib'), project)).toEqual({ product: laidOut, project: laidOut });
  write('checkout/catalog/load.ts');
  const checkout = join(folder, 'checkout');
  expect(placeOf(join(checkout, 'operations'), project)).toEqual({ product: checkout, project: checkout });
});

test('services come from the package, unless the catalog has one of that name', () => {
  const catalog = join(project, 'catalog');
  const templates = join(product, 'catalog', 'services');
  const use = () => loadCatalog(catalog, ['shop'], templates).services.cache?.description;
  expect(use()).toBe('a cache');
  expect(Object.keys(readCatalogTexts(catalog).services)).toEqual([]);
  write(
    'own/catalog/services/cache.yaml',
    (catalogTexts.services['cache.yaml'] ?? '').replace('a cache', 'our cache'),
  );
  expect(use()).toBe('our cache');
});

test.each([
  ['index.ts', true],
  ['components/mine/mine.ts', true],
  ['test/topology.test.js', false],
  ['node_modules/a/index.js', false],
  ['components/mine/node_modules/a/index.js', false],
  ['dist/image/lib/switchyard.js', false],
  ['catalog/modules/shop.yaml', false],
  ['README.md', false],
])('a change of %s makes another program: %s', (path, another) => {
  const before = programOf(product, project);
  expect(before).toMatch(/^[0-9a-f]{64}$/);
  write(`own/${path}`, 'changed\n');
  expect(programOf(product, project) !== before).toBe(another);
});

test('a commit of such a repository is the program of its checkout', () => {
  for (const path of ['components/mine/mine.ts', 'test/topology.test.js', 'README.md'])
    write(`own/${path}`, path);
  const git = (...args: string[]) => execFileSync('git', args, { cwd: project, encoding: 'utf8' });
  git('init', '--quiet');
  git('add', '--all', '--', ':!node_modules');
  const blobs = git('ls-files', '--stage')
    .split('\n')
    .filter(Boolean)
    .map((line): [string, string] => {
      const [about = '', path = ''] = line.split('\t');
      return [path, about.split(' ')[1] ?? ''];
    });
  expect(blobs.length).toBeGreaterThan(5);
  expect(ownProgramId('a'.repeat(64), blobs)).toBe(programOf(product, project));
  expect(blobs.map(([path]) => path).filter(isOwnSource)).toEqual(['components/mine/mine.ts', 'index.ts']);
});

test('so does another version of the package', () => {
  const before = programOf(product, project);
  writeFileSync(join(product, PROGRAM_FILE), `${'b'.repeat(64)}\n`);
  expect(programOf(product, project)).not.toBe(before);
});
