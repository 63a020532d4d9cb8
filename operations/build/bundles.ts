import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { entryOf } from '../../catalog/entry';
import {
  installedFor,
  LIBRARY,
  ownProgram,
  sourceOf,
  switchyardIn,
  VERSION_FILE,
} from '../../catalog/own-program';
import { OWN_PROGRAM, OWN_TRANSFORM } from '../../catalog/place';
import { PROGRAM_FILE, programOf } from '../../catalog/program';

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
    entryPoints: [sourceOf(root, programs[name])],
    outfile,
    ...common,
    external: [...common.external, ...external],
    plugins: [...common.plugins, ...plugins],
  });
  return filesOf(metafile);
}

/**
 * What sources import.
 * @param from what the paths of files are relative to
 * @returns packages by the names under which the sources import them, and the sources themselves
 */
async function importsOf(
  from: string,
  entries: readonly string[],
): Promise<{ readonly packages: readonly string[]; readonly files: readonly string[] }> {
  const { metafile } = await build({
    absWorkingDir: from,
    entryPoints: [...entries],
    outdir: join(from, 'unwritten'),
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'cjs',
    packages: 'external',
    logLevel: 'warning',
  });
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  const names = imports.filter(({ external }) => external).map(({ path }) => path);
  return {
    packages: [...new Set(names)].filter(
      (name) => !isBuiltin(name) && name !== 'esbuild' && entryOf(LIBRARY, name) === undefined,
    ),
    files: filesOf(metafile),
  };
}

/** Has some packages come from another folder than where the bundle of packages is made. */
const packagesFrom = (folder: string, names: ReadonlySet<string>): Plugin => ({
  name: 'packages-from',
  setup(builder) {
    const here = {};
    builder.onResolve({ filter: /^[^./]/ }, ({ path, importer, kind, pluginData }) =>
      names.has(path) && importer === 'packages.ts' && pluginData !== here
        ? builder.resolve(path, { kind, resolveDir: folder, pluginData: here })
        : undefined,
    );
  },
});

/** Where the delivery image keeps what it compiles merge requests of a repository with that installs Switchyard. */
const productIn = (out: string): string => join(out, 'lib', 'product');

/**
 * Switchyard's own sources, the services that come with it, and which program and version it is.
 * @param files its sources, relative to `root`
 * @returns further files that this was made of, relative to `root`
 */
function copyProduct(root: string, project: string, out: string, files: readonly string[]): string[] {
  const product = productIn(out);
  // Some say where their folder's sources begin.
  const manifests = files
    .flatMap((file) => ancestors(file).map((folder) => join(folder, 'package.json')))
    .filter((file) => existsSync(join(root, file)));
  const services = readdirSync(join(root, 'catalog', 'services')).map((file) => `catalog/services/${file}`);
  for (const file of new Set([...files, ...manifests, ...services]))
    cpSync(join(root, file), join(product, file), { dereference: true });
  writeFileSync(join(product, PROGRAM_FILE), `${programOf(root)}\n`);
  writeFileSync(join(product, VERSION_FILE), `${switchyardIn(project) ?? ''}\n`);
  return [...services, relative(root, join(project, 'package-lock.json'))];
}

/** The folders that a path is in, without the one that it is relative to. */
function ancestors(path: string): string[] {
  const folder = dirname(path);
  return folder === '.' ? [] : [...ancestors(folder), folder];
}

/**
 * One bundle of every package that the programs import, by name. With it, and the compiler beside it, a preview compiles and
 * runs the program of a merge request where there is no package registry.
 * @param project whose program that is; where it installs Switchyard, that is laid out beside the bundle. @default `root`
 * @returns the files that they were made of, relative to `root`
 */
export async function bundlePackages(root: string, out: string, project = root): Promise<string[]> {
  const installs = project !== root;
  const parts = installs ? [programs.switchyard, ...Object.values(LIBRARY)] : [programs.switchyard];
  const product = await importsOf(
    root,
    parts.map((part) => sourceOf(root, part)),
  );
  const sources = [OWN_PROGRAM, OWN_TRANSFORM].filter((file) => existsSync(join(project, file)));
  const own = installs ? await importsOf(project, sources) : { packages: [], files: [] };
  const further = new Set(own.packages.filter((name) => !product.packages.includes(name)));
  const packages = [...product.packages, ...further]
    .filter((name) => installedFor(further.has(name) ? project : root, packageOf(name)) !== undefined)
    .sort();
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
    plugins: [...common.plugins, packagesFrom(project, further)],
  });
  // The compiler is a program of its own for the image's platform, and a small package that starts it.
  for (const name of ['esbuild', '@esbuild/linux-x64']) {
    const installed = installedFor(root, name);
    if (installed !== undefined)
      cpSync(installed, join(out, 'node_modules', name), { recursive: true, dereference: true });
  }
  return [...filesOf(metafile), ...(installs ? copyProduct(root, project, out, product.files) : [])];
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
  if (options.previews) files.push(...(await bundlePackages(root, out, project)));
  cpSync(join(root, 'delivery', 'library'), join(out, 'library'), { recursive: true });
  cpSync(join(root, 'delivery', 'image', 'Dockerfile'), join(out, 'Dockerfile'));
  return [...new Set(files)].sort();
}
