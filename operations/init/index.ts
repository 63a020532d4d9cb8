import { randomUUID } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { type Problem, ProblemsError } from '../../catalog/problems';
import { dnsLabel } from '../../catalog/schema';
import { ownFiles } from './files';

export interface InitOptions {
  /** Name of the first environment. */
  readonly environment: string;
  /** Where npm finds Switchyard. @default the file that `npm pack` makes of this version, beside package.json */
  readonly package?: string;
}

/** Packages of which a repository and Switchyard must have the same copy, or go by the same version. */
const SHARED = ['@pulumi/pulumi'];

/** Compilers and types for `index.ts`. */
const COMPILING = ['@types/node', 'typescript'];

const manifestSchema = z.object({
  version: z.string(),
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

/** @param packageRoot the checkout or the installed package: what has `package.json` */
const manifestOf = (packageRoot: string) =>
  manifestSchema.parse(JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')));

/** What is there already, but for a repository that has no files yet. */
function contentOf(folder: string): readonly string[] | undefined {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (!found) return undefined;
  if (!found.isDirectory())
    throw new ProblemsError([{ file: folder, what: 'is not a folder.', remedy: 'Choose another name.' }]);
  return readdirSync(folder).filter((name) => name !== '.git');
}

function refuse(folder: string, content: readonly string[] | undefined, { environment }: InitOptions): void {
  const problems: Problem[] = [];
  if (content?.[0] !== undefined) {
    problems.push({
      file: folder,
      what: `is not empty: it has ${JSON.stringify([...content].sort()[0])}${content.length > 1 ? ` and ${content.length - 1} more` : ''}.`,
      remedy: 'Choose another folder, or empty this one.',
    });
  }
  const named = dnsLabel.safeParse(environment);
  if (!named.success) {
    const [what = '', remedy = ''] = (named.error.issues[0]?.message ?? '').split(' | ');
    problems.push({ file: 'init', key: '--environment', what: `"${environment}" ${what}.`, remedy });
  }
  if (problems.length > 0) throw new ProblemsError(problems);
}

/** A name that npm takes, out of a folder's. */
const packageName = (folder: string): string =>
  basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '') || 'topology';

function write(folder: string, files: ReadonlyMap<string, string>): void {
  for (const [path, text] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Puts everything into a new folder at once. */
function makeNew(folder: string, files: ReadonlyMap<string, string>): void {
  const first = mkdirSync(dirname(folder), { recursive: true });
  const made = join(dirname(folder), `.${basename(folder)}.${randomUUID()}`);
  try {
    write(made, files);
    renameSync(made, folder);
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    if (first !== undefined) rmSync(first, { recursive: true, force: true });
    throw error;
  }
}

/** Puts everything into a folder that is there, where somebody may stand in it. */
function fill(folder: string, files: ReadonlyMap<string, string>): void {
  const made = join(folder, `.switchyard-${randomUUID()}`);
  const taken: string[] = [];
  try {
    write(made, files);
    for (const name of readdirSync(made)) {
      renameSync(join(made, name), join(folder, name));
      taken.push(name);
    }
  } catch (error) {
    for (const name of taken) rmSync(join(folder, name), { recursive: true, force: true });
    throw error;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/**
 * Makes a repository of one's own in an empty folder, or in one that is not there yet.
 * @param packageRoot the checkout or the installed package
 * @returns its files, and what comes next, for the person
 * @throws ProblemsError with every fault; nothing was written then
 */
export function init(
  target: string,
  options: InitOptions,
  packageRoot: string,
): { readonly folder: string; readonly files: readonly string[]; readonly lines: readonly string[] } {
  const folder = resolve(target);
  const content = contentOf(folder);
  refuse(folder, content, options);
  const { version, dependencies, devDependencies } = manifestOf(packageRoot);
  const packed = `switchyard-${version}.tgz`;
  const rangesOf = (names: readonly string[], ranges: Readonly<Record<string, string>>) =>
    Object.fromEntries(names.map((name) => [name, ranges[name] ?? '*']));
  const files = ownFiles({
    name: packageName(folder),
    environment: options.environment,
    switchyard: options.package ?? `file:${packed}`,
    shared: rangesOf(SHARED, dependencies),
    compiling: rangesOf(COMPILING, devDependencies),
  });
  if (content === undefined) makeNew(folder, files);
  else fill(folder, files);
  const here = relative(process.cwd(), folder) || '.';
  return {
    folder,
    files: [...files.keys()],
    lines: [
      `Wrote ${files.size} files in ${here}. Next:`,
      ...(here === '.' ? [] : [`- cd ${here}`]),
      options.package === undefined
        ? `- npm install <${packed}, which \`npm pack\` makes in Switchyard's own repository>`
        : '- npm install',
      `- Put your addresses into stacks/Pulumi.${options.environment}.yaml.`,
      '- npx switchyard module new <name>; npx switchyard check',
    ],
  };
}
