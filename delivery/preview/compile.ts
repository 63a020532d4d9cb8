import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { ownProgram, sourceOf, switchyardIn, VERSION_FILE } from '../../catalog/own-program';
import { OWN_PROGRAM } from '../../catalog/place';
import { PROGRAM_FILE, programOf } from '../../catalog/program';
import { exitCode, Failure } from '../../clients/failure';

/** What the delivery image has to compile a merge request with (`operations/build/bundles.ts`). */
export interface Compiler {
  /** The bundle of all packages that programs of the repository import. */
  readonly packages: string;
  /** Switchyard itself, where the repository installs it. @default none: the repository is Switchyard's own */
  readonly product?: string;
  /** The shared library that goes with `product`. */
  readonly library: string;
}

/** @param lib folder of this program in its image */
export function imageCompiler(lib = dirname(process.argv[1] ?? __filename)): Compiler {
  const product = join(lib, 'product');
  return {
    packages: join(lib, 'packages.js'),
    library: join(lib, '..', 'library'),
    ...(existsSync(product) ? { product } : {}),
  };
}

/** A program of the topology's repository, compiled. */
export interface Compiled {
  /** What Node.js is to run. */
  readonly file: string;
  /** Variables that have it read the catalog and the shared library of that repository. */
  readonly env: { readonly SWITCHYARD_CATALOG: string; readonly SWITCHYARD_LIBRARY: string };
}

const none = (file: string): Failure =>
  new Failure(exitCode.red, `the merge result has no ${file}.`, 'Its program cannot be previewed.');

/**
 * Compiles the program of a checkout of the topology's repository.
 * @param folder gets what is made of it, and is the current folder of none of its runs
 * @throws Failure (exit 1) with the compiler's first complaint: it is the author's to mend
 */
export async function compileMerged(
  source: string,
  folder: string,
  compiler = imageCompiler(),
): Promise<Compiled> {
  const { product } = compiler;
  if (product !== undefined) return compileOwn(source, join(folder, 'own'), { ...compiler, product });
  const entry = join(source, 'operations', 'cli.ts');
  if (!existsSync(entry)) throw none('operations/cli.ts');
  const file = join(folder, 'switchyard.js');
  await compileProgram(source, entry, file, compiler.packages);
  return {
    file,
    env: {
      SWITCHYARD_CATALOG: join(source, 'catalog'),
      SWITCHYARD_LIBRARY: join(source, 'delivery', 'library'),
    },
  };
}

/** Lays a repository that installs Switchyard out as its delivery image has it: one program, with the services of both. */
async function compileOwn(
  source: string,
  out: string,
  { packages, product, library }: Compiler & { readonly product: string },
): Promise<Compiled> {
  if (!existsSync(join(source, OWN_PROGRAM))) throw none(OWN_PROGRAM);
  const file = join(out, 'lib', 'switchyard.js');
  const entry = join(product, sourceOf(product, 'operations/cli'));
  await compileProgram(source, entry, file, packages, [ownProgram(product, source)]);
  writeFileSync(join(out, PROGRAM_FILE), `${programOf(product, source)}\n`);
  // Beside no program: an installed package is known by the two.
  const catalog = join(out, 'given', 'catalog');
  mkdirSync(catalog, { recursive: true });
  for (const from of [join(product, 'catalog', 'services'), join(source, 'catalog', 'services')])
    if (existsSync(from)) cpSync(from, join(catalog, 'services'), { recursive: true, dereference: true });
  const modules = join(source, 'catalog', 'modules');
  if (existsSync(modules)) cpSync(modules, join(catalog, 'modules'), { recursive: true, dereference: true });
  return { file, env: { SWITCHYARD_CATALOG: catalog, SWITCHYARD_LIBRARY: library } };
}

/**
 * A merge request that upgrades Switchyard would be previewed by the one that this image has.
 * @throws Failure (exit 1) where the repository installs another
 */
export function requireSameSwitchyard(source: string, { product } = imageCompiler()): void {
  if (product === undefined) return;
  const had = readFileSync(join(product, VERSION_FILE), 'utf8').trim();
  const wanted = switchyardIn(source) ?? '';
  if (wanted === had) return;
  const said = (version: string): string => version.split(' ')[0] || 'none';
  const [here, there] = [said(had), said(wanted)];
  throw new Failure(
    exitCode.red,
    here === there
      ? `the merge result installs another package of Switchyard ${there} than the delivery image has.`
      : `the merge result installs Switchyard ${there}, and the delivery image has ${here}.`,
    'Upgrade it by hand first: docs/previews.md.',
  );
}

/**
 * Bundles a program into one file. The image has no package registry at hand and no node_modules, but all packages in one
 * bundle: an import of one becomes a look-up there.
 * @param source checkout, to which places in complaints are relative
 * @param entry source of the program
 * @param packages that bundle; a package that it lacks is told by name
 */
async function compileProgram(
  source: string,
  entry: string,
  out: string,
  packages: string,
  plugins: readonly Plugin[] = [],
): Promise<void> {
  // Loaded only here: the other commands run where there is no bundler.
  const { build } = await import('esbuild');
  const known: string[] = createRequire(__filename)(packages).names;
  const fromImage: Plugin = {
    name: 'packages-of-the-image',
    setup(builder) {
      builder.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === 'entry-point') return undefined;
        if (known.includes(path)) return { path, namespace: 'image' };
        if (isBuiltin(path)) {
          return { path, external: true };
        }
        // Reached only by commands that a preview does not run.
        if (['esbuild', 'typescript', 'ts-node'].includes(path)) return { path, external: true };
        return {
          errors: [
            {
              text: `the package "${path}" is not in the delivery image; a merge request that adds one is previewed after its image is built`,
            },
          ],
        };
      });
      builder.onLoad({ filter: /.*/, namespace: 'image' }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(packages)}).load(${JSON.stringify(path)});`,
        resolveDir: source,
      }));
      builder.onResolve({ filter: /^\// }, ({ path }) =>
        path === packages ? { path, external: true } : undefined,
      );
    },
  };
  try {
    await build({
      absWorkingDir: source,
      entryPoints: [entry],
      outfile: out,
      bundle: true,
      platform: 'node',
      target: 'node22',
      format: 'cjs',
      plugins: [...plugins, fromImage],
      logLevel: 'silent',
    });
  } catch (error) {
    const first = (error as { errors?: { text: string; location?: { file: string; line: number } | null }[] })
      .errors?.[0];
    if (!first) throw error;
    const where = first.location ? `${first.location.file}:${first.location.line}: ` : '';
    throw new Failure(exitCode.red, `the merge result does not compile: ${where}${first.text}.`);
  }
}
