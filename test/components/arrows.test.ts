import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { root } from '../support/model';

// What docs/architecture.md says of the folders: a box may be read, changed and used without the others, and rules and the
// GitLab stand-in are read from the bottom up.

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Imports of one file below a folder by another, types too; paths below that folder. */
const importsIn = (folder: string): readonly Import[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .flatMap((from) =>
      [...readFileSync(join(folder, from), 'utf8').matchAll(/ from '(\.[^']+)'/g)].flatMap(
        ([, path = '']) => {
          const target = join(folder, dirname(from), path);
          const file = existsSync(`${target}.ts`) ? `${target}.ts` : join(target, 'index.ts');
          const to = relative(folder, file);
          return to.startsWith('..') ? [] : [{ from, to }];
        },
      ),
    );

const imports = importsIn(join(root, 'components'));

const folderOf = (path: string): string => (path.includes(sep) ? (path.split(sep)[0] ?? '') : '');

/** Folders that a folder reads, or with another `part` of paths whatever that is. */
function readsOf(all: readonly Import[], part = folderOf): Map<string, Set<string>> {
  const reads = new Map<string, Set<string>>();
  for (const { from, to } of all) {
    const [a, b] = [part(from), part(to)];
    if (a !== b) reads.set(a, (reads.get(a) ?? new Set()).add(b));
  }
  return reads;
}

/** What comes back to itself by what it reads. */
function circles(reads: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const reached = (from: string, seen = new Set<string>()): Set<string> => {
    for (const next of reads.get(from) ?? []) {
      if (!seen.has(next)) reached(next, seen.add(next));
    }
    return seen;
  };
  return [...reads.keys()].filter((folder) => reached(folder).has(folder)).sort();
}

test('no two folders of components need each other', () => {
  // The files at the top read all of the folders; only `specs` reads one of them, the model.
  const below = imports.filter(({ from, to }) => folderOf(from) !== '' && folderOf(to) !== '');
  expect(below.length).toBeGreaterThan(100);
  expect(circles(readsOf(below))).toEqual([]);
});

test.each(['rules', 'lab/gitlab'])('no two folders of %s need each other, nor two of its files', (folder) => {
  const all = importsIn(join(root, folder));
  expect(all.length).toBeGreaterThan(50);
  expect(circles(readsOf(all))).toEqual([]);
  expect(circles(readsOf(all, (path) => path))).toEqual([]);
});

test('a circle between two folders is found', () => {
  const reads = readsOf([
    { from: join('a', 'x.ts'), to: join('b', 'y.ts') },
    { from: join('b', 'z.ts'), to: join('c', 'y.ts') },
    { from: join('c', 'z.ts'), to: join('a', 'y.ts') },
    { from: join('d', 'z.ts'), to: join('a', 'y.ts') },
  ]);
  expect(circles(reads)).toEqual(['a', 'b', 'c']);
});

test('the model ends at the top and in specs: no box knows it, nor what it is read from', () => {
  const known = imports
    .filter(
      ({ from, to }) => folderOf(from) !== '' && folderOf(from) !== 'specs' && /^[^/\\]+$|^specs/.test(to),
    )
    .map(({ from, to }) => `${from} reads ${to}`);
  expect(known).toEqual([]);
});

test('what all boxes share reads none of them', () => {
  const reads = [...(readsOf(imports).get('shared') ?? [])];
  expect(reads).toEqual([]);
});

test('operations is folders, each of which docs/architecture.md names, and what others know by its path', () => {
  const entries = readdirSync(join(root, 'operations'), { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  expect(files.sort()).toEqual(['cli.ts', 'library.ts', 'place.ts']);
  const [, table = ''] = readFileSync(join(root, 'docs/architecture.md'), 'utf8').split(
    '## Where a file of `operations/` goes',
  );
  const named = [...(table.split('\n## ')[0] ?? '').matchAll(/^\| `([a-z]+)\/`/gm)].map(([, name]) => name);
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(named.sort()).toEqual(folders.sort());
});
