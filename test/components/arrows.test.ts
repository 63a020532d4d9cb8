import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { root } from '../support/model';
import { PRODUCT_FOLDERS } from '../support/product';

// What docs/architecture.md says of the folders: a box may be read, changed and used without the others, and rules and the
// GitLab stand-in are read from the bottom up.

interface Import {
  readonly from: string;
  readonly to: string;
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));

/**
 * Imports of one file below a folder by another, types too; paths below that folder.
 * @param of folders in it whose files import. @default all
 */
const importsIn = (folder: string, of: readonly string[] = ['.']): readonly Import[] =>
  of
    .flatMap((part) => filesIn(join(folder, part)).map((path) => join(part, path)))
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

/** Imports of files of some folders by their paths from the root. */
const importsOf = (folders: readonly string[]): readonly Import[] => {
  const all = importsIn(root, folders);
  return all.map(({ from, to }) => ({ from, to: to.replace(/\.ts$/, '') }));
};
const architecture = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
/** A section of docs/architecture.md. */
const section = (title: string): string => architecture.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';

test('clients read what everybody reads, and nobody else has the library that asks a cluster', () => {
  const reads = new Set(importsOf(['clients']).map(({ to }) => to.split('/')[0]));
  expect([...reads].sort()).toEqual(['catalog', 'clients', 'text']);
  const asking = PRODUCT_FOLDERS.flatMap((folder) =>
    filesIn(join(root, folder))
      .filter((file) =>
        /(?:from|import\() ?'@kubernetes\/client-node/.test(readFileSync(join(root, folder, file), 'utf8')),
      )
      .map(() => folder),
  );
  expect([...new Set(asking)]).toEqual(['clients']);
});

test('what operations and rules read of delivery is in the table of docs/architecture.md, and nothing else is', () => {
  const read = new Set(
    importsOf(['operations', 'rules']).flatMap(({ to }) =>
      to.startsWith('delivery/') ? [to.slice('delivery/'.length)] : [],
    ),
  );
  const rows = section('What `operations/` and `rules/` read of `delivery/`').matchAll(/^\| (`[^|]+`) +\|/gm);
  const named = [...rows].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
  const covers = (name: string, file: string): boolean =>
    name.endsWith('/') ? file.startsWith(name) : file === name;
  expect([...read].filter((file) => !named.some((name) => covers(name, file)))).toEqual([]);
  expect(named.filter((name) => ![...read].some((file) => covers(name, file)))).toEqual([]);
  expect(importsOf(['delivery']).filter(({ to }) => /^(operations|rules|components)\//.test(to))).toEqual([]);
});

test('operations is folders, each of which docs/architecture.md names, and what others know by its path', () => {
  const entries = readdirSync(join(root, 'operations'), { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  expect(files.sort()).toEqual(['cli.ts', 'library.ts', 'place.ts']);
  const table = section('Where a file of `operations/` goes');
  const named = [...table.matchAll(/^\| `([a-z]+)\/`/gm)].map(([, name]) => name);
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(named.sort()).toEqual(folders.sort());
});
