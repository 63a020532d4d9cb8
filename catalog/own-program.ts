import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { z } from 'zod';
import { entryOf } from './entry';
import { OWN_PROGRAM, OWN_TRANSFORM } from './place';

// How the program of a repository that installs Switchyard is bundled with Switchyard's own.

/** What such a repository imports of Switchyard, as `exports` of package.json: name → source, without its ending. */
export const LIBRARY: Readonly<Record<string, string>> = {
  switchyard: 'operations/library',
  'switchyard/kinds': 'components/shared/kinds',
  'switchyard/transform': 'components/shared/transform',
};

/** File that says in an image which Switchyard its repository installed, see {@link switchyardIn}. */
export const VERSION_FILE = 'version';

/** Path of a source: TypeScript in a checkout, compiled in an installed package. */
export const sourceOf = (root: string, name: string): string =>
  ['.ts', '.js'].map((ending) => name + ending).find((path) => existsSync(join(root, path))) ?? name;

/**
 * Puts a repository's program and its transform in the place of this one's, and has it import the Switchyard that runs it.
 * @param product Switchyard: a checkout, `dist/package`, or what an image has of it
 * @param project the repository
 */
export const ownProgram = (product: string, project: string): Plugin => ({
  name: 'own-program',
  setup(builder) {
    const places = new Map([
      [join(product, 'operations/program/own-program'), OWN_PROGRAM],
      [join(product, 'operations/program/own-transform'), OWN_TRANSFORM],
    ]);
    builder.onResolve({ filter: /^\..*\/own-(?:program|transform)$/ }, ({ path, resolveDir }) => {
      const source = places.get(join(resolveDir, path));
      const own = source && join(project, source);
      return own && existsSync(own) ? { path: own } : undefined;
    });
    builder.onResolve({ filter: /^switchyard(?:\/|$)/ }, ({ path }) => {
      const source = entryOf(LIBRARY, path);
      return source === undefined ? undefined : { path: join(product, sourceOf(product, source)) };
    });
  },
});

/** The folder of a package as a folder's sources find it; undefined where it is not installed. */
export function installedFor(folder: string, name: string): string | undefined {
  const place = join(folder, 'node_modules', name);
  if (existsSync(place)) return place;
  return dirname(folder) === folder ? undefined : installedFor(dirname(folder), name);
}

const lockSchema = z.object({
  packages: z.object({
    'node_modules/switchyard': z.object({
      version: z.string(),
      integrity: z.string().optional(),
      resolved: z.string().optional(),
    }),
  }),
});
const manifestSchema = z.object({ dependencies: z.object({ switchyard: z.string() }) });

function read<T>(file: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return schema.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Which Switchyard a repository installs: version and checksum of npm's lock file, or without one what package.json asks
 * for. Undefined where neither says it.
 */
export function switchyardIn(project: string): string | undefined {
  const locked = read(join(project, 'package-lock.json'), lockSchema)?.packages['node_modules/switchyard'];
  if (locked) return [locked.version, locked.integrity ?? locked.resolved ?? ''].join(' ').trim();
  return read(join(project, 'package.json'), manifestSchema)?.dependencies.switchyard;
}
