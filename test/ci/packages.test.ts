import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from '../support/model';

// Who imports which package, and where it is asked for: whoever runs Switchyard installs none of the lab's (docs/lab.md), and
// nothing is installed that nobody uses.

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}
const manifest = (...folder: string[]) =>
  JSON.parse(readFileSync(join(root, ...folder, 'package.json'), 'utf8')) as Manifest;
const product = manifest();
const lab = manifest('lab');
const bench = manifest('bench');
const named = (dependencies: Readonly<Record<string, string>>): string[] => Object.keys(dependencies).sort();

/** Of the product's sources, what is asked for by `devDependencies` all the same. */
const FOR_A_CHECKOUT: Readonly<Record<string, string>> = {
  '@pulumi/gitlab':
    'sdks/gitlab, a path of this repository; the package has a copy (docs/decisions/0019-the-package.md)',
  '@pulumi/policy': 'policy/ is in no package: it is used from a checkout (docs/rules.md)',
  tsx: 'the same',
  typescript: 'operations/schemas reads the comments of sources, of which a package has none',
};

/** What no source imports, though it is used. */
const NOT_IMPORTED: Readonly<Record<string, string>> = {
  '@biomejs/biome': 'npm run lint',
  '@swc/core': 'a peer of @swc/jest',
  '@swc/jest': 'named by jest.config.js',
  '@types/jest': 'named by tsconfig.json',
  '@types/node': 'named by tsconfig.json',
  '@types/tar-stream': 'the types of tar-stream',
  jest: 'runs the tests',
  node: 'puts Node 22 first on the PATH of npm’s scripts',
  'typescript-native': 'npm run types',
};

/** `switchyard/kinds` and the like are this repository's own (`paths` of tsconfig.json). */
const OWN = 'switchyard';

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

const NO_SOURCES = new Set(['node_modules', 'dist', 'coverage', 'rendered', '.git']);

function* sourcesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !NO_SOURCES.has(entry.name)) yield* sourcesBelow(path);
    else if (entry.isFile() && /\.[cm]?[jt]s$/.test(entry.name)) yield path;
  }
}

/** @returns package → a file that imports it, for its types or at run time */
function importersIn(files: readonly string[]): Map<string, string> {
  const importers = new Map<string, string>();
  for (const file of files) {
    const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), 'utf8'), true, true);
    for (const { fileName } of importedFiles) {
      const name = packageOf(fileName);
      if (!/^[./]/.test(fileName) && !isBuiltin(fileName) && name !== OWN) importers.set(name, file);
    }
  }
  return importers;
}

const all = [...sourcesBelow('')];
const below = (folder: string) => all.filter((file) => file.startsWith(`${folder}/`));
const byLab = importersIn(below('lab'));
const byBench = importersIn(below('bench'));
const byTests = importersIn(below('test'));
const byProduct = importersIn(all.filter((file) => !/^(?:bench|lab|test)\//.test(file)));

/** What is imported, but for these packages, with a file that does. */
const further = (importers: ReadonlyMap<string, string>, ...asked: readonly (readonly string[])[]) =>
  [...importers].filter(([name]) => !asked.flat().includes(name));

test('the product imports what its own package.json asks for, and nothing of the lab', () => {
  expect(byProduct.size).toBeGreaterThan(15);
  expect(further(byProduct, named(product.dependencies), Object.keys(FOR_A_CHECKOUT))).toEqual([]);
  expect(named(lab.dependencies).filter((name) => byProduct.has(name))).toEqual([]);
});

test('of what is for a checkout only, all is imported, and asked for by devDependencies', () => {
  const names = Object.keys(FOR_A_CHECKOUT);
  expect(names.filter((name) => byProduct.has(name) && name in product.devDependencies)).toEqual(names);
});

test('the lab imports what lab/package.json asks for, and what the product does, whose code it runs', () => {
  expect(byLab.size).toBeGreaterThan(8);
  expect(further(byLab, named(lab.dependencies), named(product.dependencies))).toEqual([]);
});

test('benches import what bench/package.json asks for, which are peers, and what the product and its tests do', () => {
  const asked = [bench.dependencies, product.dependencies, product.devDependencies].map(named);
  expect(further(byBench, ...asked)).toEqual([]);
  // What cdk8s is made of.
  expect(named(bench.dependencies).filter((name) => !byBench.has(name))).toEqual(['constructs']);
});

test('tests import what either asks for', () => {
  const asked = [product.dependencies, product.devDependencies, lab.dependencies].map(named);
  expect(further(byTests, ...asked)).toEqual([]);
});

test('no package is asked for twice: benches, the lab and the product have one copy of each', () => {
  const names = [bench.dependencies, lab.dependencies, product.dependencies, product.devDependencies].flatMap(
    named,
  );
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test('no package is asked for that nobody imports: by the product, the lab or, of devDependencies, tests', () => {
  expect(named(product.dependencies).filter((name) => !byProduct.has(name))).toEqual([]);
  expect(named(lab.dependencies).filter((name) => !byLab.has(name))).toEqual([]);
  // Neither more nor less: one that is imported leaves the list.
  expect(named(product.devDependencies).filter((name) => !byTests.has(name) && !byProduct.has(name))).toEqual(
    Object.keys(NOT_IMPORTED),
  );
});

test('an import is found in each way to write it, and in no text or comment', () => {
  const { importedFiles } = ts.preProcessFile(
    [
      `import 'a';`,
      `import type { B } from '@b/c/d';`,
      `export * from 'e';`,
      `const f = await import('f');`,
      `const g = require('g');`,
      `type H = import('h').H;`,
      `const text = "import 'i'"; // import 'j'`,
      `const template = \`require('k')\`;`,
    ].join('\n'),
    true,
    true,
  );
  expect(importedFiles.map(({ fileName }) => packageOf(fileName))).toEqual(['a', '@b/c', 'e', 'f', 'g', 'h']);
});
