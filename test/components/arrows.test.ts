import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { root } from '../support/model';

// What docs/architecture.md says of the folders of components/: a box may be read, changed and used without the others.

const components = join(root, 'components');

interface Import {
  readonly from: string;
  readonly to: string;
}

/** Imports of one component's file by another, types too; paths below `components/`. */
const imports: readonly Import[] = readdirSync(components, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .flatMap((from) =>
    [...readFileSync(join(components, from), 'utf8').matchAll(/ from '(\.[^']+)'/g)].flatMap(
      ([, path = '']) => {
        const target = join(components, dirname(from), path);
        const file = existsSync(`${target}.ts`) ? `${target}.ts` : join(target, 'index.ts');
        const to = relative(components, file);
        return to.startsWith('..') ? [] : [{ from, to }];
      },
    ),
  );

const folderOf = (path: string): string => (path.includes(sep) ? (path.split(sep)[0] ?? '') : '');

/** Folders that a folder reads. */
function readsOf(all: readonly Import[]): Map<string, Set<string>> {
  const reads = new Map<string, Set<string>>();
  for (const { from, to } of all) {
    const [a, b] = [folderOf(from), folderOf(to)];
    if (a !== b) reads.set(a, (reads.get(a) ?? new Set()).add(b));
  }
  return reads;
}

/** Folders that come back to themselves by what they read. */
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
