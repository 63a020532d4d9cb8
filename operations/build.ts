import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { OWN_PROGRAM, OWN_TRANSFORM } from '../catalog/place';
import { PROGRAM_FILE, programOf } from '../catalog/program';

/**
 * For function serialisation, which no program of ours uses, Pulumi loads a TypeScript compiler, and npm's own resolver of
 * dependencies, which is a tenth of a second and two megabytes.
 */
const withoutCompiler: Plugin = {
  name: 'without-compiler',
  setup(builder) {
    builder.onResolve({ filter: /\/(typescript-shim|codePaths)$/ }, ({ path }) => ({
      path,
      namespace: 'without-compiler',
    }));
    builder.onLoad({ filter: /.*/, namespace: 'without-compiler' }, () => ({
      contents: 'module.exports = {};',
    }));
  },
};

const common = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'cjs',
  // Most of it is comments and spaces of @kubernetes/client-node: a third of the bytes is left, a quarter less of a start.
  minifyWhitespace: true,
  minifySyntax: true,
  plugins: [withoutCompiler],
  // Reached only by builds, ts-node and `render --open`, none of which runs inside the image.
  external: ['esbuild', 'typescript', 'ts-node', 'node-gyp/bin/node-gyp.js', 'open'],
  logLevel: 'warning',
  metafile: true,
} satisfies BuildOptions;

/** Bundled programs of the delivery image; each starts in a fraction of what its sources would take. */
const programs = { delivery: 'delivery/cli', switchyard: 'operations/cli' } as const;

/** Source of a program: TypeScript in a checkout, compiled in an installed package. */
const entryOf = (root: string, name: keyof typeof programs): string =>
  ['.ts', '.js'].map((ending) => programs[name] + ending).find((path) => existsSync(join(root, path))) ??
  programs[name];

/** Puts the program of somebody's own repository in the place of this one's. */
const ownProgram = (root: string, project: string): Plugin => ({
  name: 'own-program',
  setup(builder) {
    builder.onResolve({ filter: /^\.\.\/index$/ }, ({ resolveDir }) =>
      resolveDir === join(root, 'operations') ? { path: join(project, OWN_PROGRAM) } : undefined,
    );
    builder.onResolve({ filter: /^\.\/own-transform$/ }, ({ resolveDir }) =>
      resolveDir === join(root, 'operations') && existsSync(join(project, OWN_TRANSFORM))
        ? { path: join(project, OWN_TRANSFORM) }
        : undefined,
    );
    // One copy of what runs and of what is run.
    builder.onResolve({ filter: /^switchyard$/ }, () => ({ path: join(root, 'operations', 'library.js') }));
  },
});

/** The files that a bundle was made of, relative to the checkout. */
const filesOf = ({ inputs }: Metafile): string[] =>
  Object.keys(inputs).filter((path) => !/^[a-z-]+:|^<|^packages\.ts$/.test(path));

/**
 * Bundles one program into one file, which starts in a third of the time that its sources take.
 * @param options further ones of esbuild
 * @returns the files that it was made of, relative to `root`
 */
export async function bundleProgram(
  root: string,
  name: keyof typeof programs,
  outfile: string,
  { external = [], plugins = [] }: Pick<BuildOptions, 'external' | 'plugins'> = {},
): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entryOf(root, name)],
    outfile,
    ...common,
    external: [...common.external, ...external],
    plugins: [...common.plugins, ...plugins],
  });
  return filesOf(metafile);
}

/** Packages by the names under which the sources of a program import them, sorted. */
async function importedPackages(root: string, entry: string): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'cjs',
    packages: 'external',
    logLevel: 'warning',
  });
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  return [...new Set(imports.filter(({ external }) => external).map(({ path }) => path))].sort();
}

/**
 * One bundle of every package that this repository's programs import, by name. With it, and the compiler beside it, a
 * preview compiles and runs the program of a merge request where there is no package registry.
 * @returns the files that they were made of, relative to `root`
 */
export async function bundlePackages(root: string, out: string): Promise<string[]> {
  const sources = await importedPackages(root, entryOf(root, 'switchyard'));
  const packages = sources.filter(
    (name) =>
      !isBuiltin(name) && name !== 'esbuild' && existsSync(join(root, 'node_modules', packageOf(name))),
  );
  const table = packages.map((name) => `  ${JSON.stringify(name)}: () => require(${JSON.stringify(name)}),`);
  const { metafile } = await build({
    absWorkingDir: root,
    stdin: {
      contents: `const table = {\n${table.join('\n')}\n};\nexports.names = Object.keys(table);\nexports.load = (name) => table[name]();\n`,
      resolveDir: root,
      sourcefile: 'packages.ts',
    },
    outfile: join(out, 'lib', 'packages.js'),
    ...common,
  });
  // The compiler is a program of its own for the image's platform, and a small package that starts it.
  for (const name of ['esbuild', '@esbuild/linux-x64']) {
    const installed = join(root, 'node_modules', name);
    if (existsSync(installed)) {
      cpSync(installed, join(out, 'node_modules', name), { recursive: true, dereference: true });
    }
  }
  return filesOf(metafile);
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/**
 * Lays out the context of the delivery image, which judges, merges and deploys with the very programs of this checkout.
 * Same sources, same bytes.
 * @returns the files that its bundles were made of, relative to `root`, sorted
 */
export async function buildDeliveryImage(
  root: string,
  options: {
    readonly out: string;
    /** With what compiles the program of a merge request. @default false */
    readonly previews?: boolean;
    /** Whose program it gets. @default that of `root` */
    readonly project?: string;
  },
): Promise<string[]> {
  const { out, project = root } = options;
  const plugins = project === root ? [] : [ownProgram(root, project)];
  const files: string[] = [];
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, 'bin'), { recursive: true });
  for (const name of ['delivery', 'switchyard'] as const) {
    files.push(...(await bundleProgram(root, name, join(out, 'lib', `${name}.js`), { plugins })));
  }
  for (const name of ['confined', ...Object.keys(programs)]) {
    cpSync(join(root, 'delivery', 'image', 'bin', name), join(out, 'bin', name));
    chmodSync(join(out, 'bin', name), 0o755);
  }
  writeFileSync(join(out, PROGRAM_FILE), `${programOf(root, project)}\n`);
  if (options.previews) files.push(...(await bundlePackages(root, out)));
  cpSync(join(root, 'delivery', 'library'), join(out, 'library'), { recursive: true });
  cpSync(join(root, 'delivery', 'image', 'Dockerfile'), join(out, 'Dockerfile'));
  return [...new Set(files)].sort();
}
