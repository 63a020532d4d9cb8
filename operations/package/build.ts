import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Plugin } from 'esbuild';
import { PROGRAM_FILE, programOf } from '../../catalog/program';
import { bundleProgram } from '../build/bundles';

/** Folder of a checkout, and of the package that is packed from it, with all that the program reads of its own. */
export const PACKAGE_FOLDER = 'dist/package';

/** What the compiler does not write there: templates, and what images are built from. */
const ASSETS = [
  'catalog/services',
  'components/jenkins/image',
  'delivery/image',
  'delivery/library',
  'operations/module/skeleton',
  'sdks/gitlab',
];

/** A package of this repository's own, which no registry has (docs/decisions/0019-the-package.md). */
const SDK = '@pulumi/gitlab';

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

/** Makes what was compiled find the SDK beside itself. */
function pointToSdk(folder: string): void {
  const sdk = join(folder, 'sdks', 'gitlab');
  for (const file of filesBelow(folder).filter((path) => /\.(js|d\.ts)$/.test(path))) {
    if (file.startsWith(`${sdk}/`)) continue;
    const text = readFileSync(file, 'utf8');
    const path = relative(join(file, '..'), sdk);
    const pointed = text.replaceAll(
      new RegExp(`(["'])${SDK}\\1`, 'g'),
      JSON.stringify(path.startsWith('.') ? path : `./${path}`),
    );
    if (pointed !== text) writeFileSync(file, pointed);
  }
}

/** The program's own packages of Pulumi are those that the repository's `index.ts` has: a run is known to one copy only. */
const sharedWithPrograms: Plugin = {
  name: 'shared-with-programs',
  setup(builder) {
    builder.onResolve({ filter: /^@pulumi\// }, ({ path }) => ({
      path: path === SDK ? './sdks/gitlab' : path,
      external: true,
    }));
  },
};

/**
 * Makes the folder that `npm pack` takes from a checkout: compiled JavaScript with its types, what the program reads of
 * its own, and the command line in one file.
 */
export async function buildPackage(root: string): Promise<void> {
  const folder = join(root, PACKAGE_FOLDER);
  const made = `${folder}.${process.pid}`;
  rmSync(made, { recursive: true, force: true });
  try {
    const compiler = join(root, 'node_modules', 'typescript-native', 'bin', 'tsc');
    const project = join(root, 'operations', 'package');
    execFileSync(process.execPath, [compiler, '-p', project, '--outDir', made], { stdio: 'inherit' });
    for (const path of ASSETS) cpSync(join(root, path), join(made, path), { recursive: true });
    pointToSdk(made);
    await bundleProgram(root, 'switchyard', join(made, 'switchyard.js'), { plugins: [sharedWithPrograms] });
    writeFileSync(join(made, PROGRAM_FILE), `${programOf(root)}\n`);
    if (existsSync(folder)) rmSync(folder, { recursive: true });
    renameSync(made, folder);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
