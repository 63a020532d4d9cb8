import { existsSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import type { Plugin } from 'esbuild';
import { exitCode, Failure } from '../failure';

/** Where the delivery image keeps the packages that programs of this repository import: beside this one (`operations/build.ts`). */
export const imagePackages = (): string => join(dirname(process.argv[1] ?? __filename), 'packages.js');

/**
 * Bundles a checkout's own `switchyard` into one file. The image has no package registry at hand and no node_modules,
 * but all packages in one bundle: an import of one becomes a look-up there.
 * @param packages that bundle; a package that it lacks is told by name
 * @throws Failure (exit 1) with the compiler's first complaint: it is the author's to mend
 */
export async function compileProgram(source: string, out: string, packages: string): Promise<void> {
  const entry = join(source, 'operations', 'cli.ts');
  if (!existsSync(entry)) {
    throw new Failure(
      exitCode.red,
      'the merge result has no operations/cli.ts.',
      'Its program cannot be previewed.',
    );
  }
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
      plugins: [fromImage],
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
