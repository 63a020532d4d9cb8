import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A file of this repository: its path, and git's id of its content. */
export type Blob = readonly [path: string, id: string];

/** File that says in the delivery image, where there are no sources, which program it has. */
export const PROGRAM_FILE = 'program-id';

/**
 * Folder of a checkout in which the delivery image is laid out. With what compiles merge requests it is another image,
 * so environments with and without previews may be brought up from one checkout at the same time.
 */
export const imageContext = (previews: boolean): string => (previews ? 'dist/image-previews' : 'dist/image');

/**
 * Folder of a repository that installs Switchyard in which the context of Jenkins' image is laid out: plain `pulumi up` finds
 * contexts below the repository only.
 */
export const OWN_JENKINS_CONTEXT = 'dist/jenkins-image';

const FOLDERS = ['clients', 'components', 'delivery', 'operations', 'rules', 'text'];
const SOURCE = new RegExp(`^(?:(?:${FOLDERS.join('|')})/.+|(?:catalog|stacks)/[^/]+\\.ts|index\\.ts)$`);

/**
 * Tells this repository's program from another one: 64 hexadecimal characters, from its sources alone. Neither the
 * catalog and the stacks count, which it works on, nor the packages, which come with whatever runs it.
 */
export function programId(files: readonly Blob[]): string {
  const lines = files.flatMap(([path, id]) => (SOURCE.test(path) ? [`${path} ${id}\n`] : []));
  return createHash('sha256').update(lines.sort().join('')).digest('hex');
}

/** Git's id of a content. */
function blobId(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

/** None where there is no such folder: programs of older commits have fewer. */
function* filesBelow(root: string, folder: string): Generator<string> {
  if (!existsSync(join(root, folder))) return;
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(root, path);
    else yield path;
  }
}

const isRoot = (folder: string): boolean =>
  ['catalog', PROGRAM_FILE].some((name) => existsSync(join(folder, name)));

/**
 * The checkout, or the folder of the delivery image, that a file of the program belongs to. A bundle that lies elsewhere
 * works on the current folder.
 * @param folder of that file: the checkout itself, or one in it
 */
export const rootOf = (folder: string): string => [folder, dirname(folder)].find(isRoot) ?? process.cwd();

/** What is no source of somebody's own program: what is made, what is brought, and what only tests it. */
const NO_SOURCE = /^(?:node_modules|dist|rendered|test|catalog|stacks)$|^\./;

const mayHoldSources = (folder: string): boolean =>
  !NO_SOURCE.test(folder) && !/(?:^|\/)node_modules$/.test(folder);

/** Whether a path of somebody's own repository is a source of its program. */
export function isOwnSource(path: string): boolean {
  const folders = path.split('/').slice(0, -1);
  return (
    /\.[cm]?[jt]s$/.test(path) &&
    folders.every((_, index) => mayHoldSources(folders.slice(0, index + 1).join('/')))
  );
}

function* ownSources(project: string, folder = ''): Generator<string> {
  for (const entry of readdirSync(join(project, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory() && mayHoldSources(path)) yield* ownSources(project, path);
    else if (entry.isFile() && isOwnSource(path)) yield path;
  }
}

/**
 * Tells somebody's own program from another one: by Switchyard's, and by what that repository adds to it.
 * @param product {@link programOf} of the installed Switchyard
 * @param files plain files of that repository
 */
export function ownProgramId(product: string, files: readonly Blob[]): string {
  const lines = files.flatMap(([path, id]) => (isOwnSource(path) ? [`${path} ${id}\n`] : []));
  return createHash('sha256')
    .update([`${product}\n`, ...lines.sort()].join(''))
    .digest('hex');
}

const ownProgram = (product: string, project: string): string =>
  ownProgramId(
    programOf(product),
    [...ownSources(project)].map((path) => [path, blobId(readFileSync(join(project, path)))]),
  );

/**
 * {@link programId} of a checkout, of the folder of a delivery image, or of an installed package.
 * @param project whose program it is, see `place.ts`. @default `root`
 */
export function programOf(root: string, project = root): string {
  if (project !== root) return ownProgram(root, project);
  const noted = join(root, PROGRAM_FILE);
  if (existsSync(noted)) return readFileSync(noted, 'utf8').trim();
  const paths = [
    ...[...FOLDERS, 'catalog', 'stacks'].flatMap((folder) => [...filesBelow(root, folder)]),
    'index.ts',
  ];
  return programId(
    paths.filter((path) => SOURCE.test(path)).map((path) => [path, blobId(readFileSync(join(root, path)))]),
  );
}
