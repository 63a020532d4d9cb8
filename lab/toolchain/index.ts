import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Suite } from '../images/definitions';
import { places } from '../run';
import { cacheHome, hashFiles, type Step, type StepLog } from '../steps';
import { download } from './download';
import { findGo, goIsAtHand } from './go';
import { packageStep } from './packages';
import { type Mend, PARTS, type Part, type Program, SUITE_PARTS } from './parts';

/**
 * What every part is compiled with: the same for all, so that one finds in Go's cache what another has compiled. No
 * debugger ever looks at these programs, and debug information costs time in each package; traces of a panic need none.
 */
export const COMPILER_FLAGS = ['-trimpath', '-mod=readonly', '-gcflags=all=-dwarf=false'];

const bin = (name: string): string => join(cacheHome(), 'bin', name);

/** Path of a program of the toolchain: the cache's link, whatever it was made from. */
export function toolPath(name: string): string {
  return bin(name);
}

const NAMES = (program: Program): string[] => [program.name, ...(program.links ?? [])];

function partHash(part: Part): Promise<string> {
  return hashFiles(
    [join(__dirname, part.name)],
    [
      part.version,
      JSON.stringify(part.programs),
      JSON.stringify(part.stamps ?? {}),
      process.arch,
      ...(part.embeds || part.instead ? [JSON.stringify([part.embeds, part.instead])] : []),
      ...(part.mends ? [JSON.stringify(part.mends)] : []),
      ...(part.tags ? [JSON.stringify(part.tags)] : []),
    ],
  );
}

/** Linker flags of a part. */
export function linkerFlags(part: Part): string {
  const stamps = Object.entries(part.stamps ?? {}).map(([name, value]) => `-X ${name}=${value}`);
  return ['-s', '-w', ...stamps].join(' ');
}

/** The part's programs on PATH, when they are there in exactly the pinned version. */
function onPath(part: Part): string | undefined {
  if (!part.installed) return undefined;
  try {
    const { program, args, match } = part.installed;
    const path = execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program], { encoding: 'utf8' }).trim();
    const output = execFileSync(path, args, {
      encoding: 'utf8',
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return match.exec(output)?.[1] === part.version && !path.startsWith(cacheHome()) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** Below this many MiB a compiler of a large package would collect garbage all the time. */
const LEAST_MIB = 512;

/**
 * How Go's compilers collect garbage: only above a bound, where a quarter of the memory, divided by as many as run at once, is
 * enough for that. Most end before they reach it; to collect all the same took a sixth of what they take.
 */
export function collecting(
  memoryBytes = totalmem(),
  cores = cpus().length,
): Readonly<Record<string, string>> {
  const compilers = places(cores, memoryBytes).compile * cores;
  const mebibytes = Math.floor(memoryBytes / 1024 ** 2 / 4 / compilers);
  return mebibytes < LEAST_MIB ? {} : { GOGC: 'off', GOMEMLIMIT: `${mebibytes}MiB` };
}

/** What compiling a part needs besides its flags: static programs run in any image and need no C compiler. */
const BUILD_ENVIRONMENT = {
  CGO_ENABLED: '0',
  GOTOOLCHAIN: 'auto',
  GOFLAGS: '-buildvcs=false',
  GOWORK: 'off',
  ...collecting(),
};

/** Parts that are needed early get more of the cores than those that are compiled beside them. */
const niceness = (part: Part): number =>
  PARTS.includes(part) ? Math.min(3 + 2 * PARTS.indexOf(part), 19) : 19;

/**
 * How many packages Go has to compile: those of which its cache holds nothing that fits.
 * @returns undefined when Go cannot say, which the build will say better
 */
async function packagesToCompile(
  go: string,
  flags: string[],
  { part, sources }: { readonly part: Part; readonly sources: string },
  log: StepLog,
): Promise<number | undefined> {
  // For the program itself, which is linked anew, there is another word: its package is in the cache, the program is not.
  const format =
    '{{if .Stale}}{{if ne .StaleReason "not installed but available in build cache"}}{{.ImportPath}}{{end}}{{end}}';
  const packages = part.programs.map(({ source }) => source);
  try {
    const { stdout } = await log.exec(go, ['list', '-deps', '-f', format, ...flags, ...packages], {
      cwd: sources,
      env: BUILD_ENVIRONMENT,
      nice: niceness(part),
    });
    return stdout.split('\n').filter(Boolean).length;
  } catch {
    log.signal?.throwIfAborted();
    return undefined;
  }
}

/** Counts packages in what `go build -v` prints: the path of each, when its compilation begins. */
export function countPackages(counted: (packages: number) => void): (output: string) => void {
  let rest = '';
  let packages = 0;
  return (output) => {
    const lines = (rest + output).split('\n');
    rest = lines.pop() ?? '';
    // Errors begin with `#` or hold blanks, as do notes about modules.
    const found = lines.filter((line) => /^[\w.~@-]+(\/[\w.~@-]+)*$/.test(line)).length;
    packages += found;
    if (found > 0) counted(packages);
  };
}

/** Packages of Go's own that import nearly all that any part uses of it, and nothing that none does. */
const COMMON_PACKAGES = ['net/http/pprof', 'html/template'];

const libraries = new Map<string, Promise<unknown>>();

/**
 * Go's own packages, which every part is made of, compiled before any part: parts that are built side by side would each
 * compile them, as none finds in the cache what another has not finished. Once in a run, by whoever comes first.
 */
function standardLibrary(go: string, part: Part, log: StepLog): Promise<unknown> {
  const known = libraries.get(go);
  if (known) return known;
  // In a part's folder, whose go.mod says by which Go: an older one on PATH fetches that.
  const options = { cwd: join(__dirname, part.name), env: BUILD_ENVIRONMENT, nice: niceness(part) };
  const compiled = log.exec(go, ['build', ...COMPILER_FLAGS, ...COMMON_PACKAGES], options);
  libraries.set(go, compiled);
  compiled.catch(() => libraries.delete(go));
  return compiled;
}

/** Where Go keeps a module of a part, in its cache. */
async function moduleFolder(go: string, part: Part, module: string, log: StepLog): Promise<string> {
  const options = { cwd: join(__dirname, part.name), env: BUILD_ENVIRONMENT };
  await log.exec(go, ['mod', 'download', module], options);
  const { stdout } = await log.exec(go, ['list', '-m', '-f', '{{.Dir}}', module], options);
  return stdout.trim();
}

/**
 * Runs a build of a part where its sources lie: in its own folder, or in a copy that has what it embeds, too, and the
 * modules of which a file is ours.
 */
async function withSources<T>(
  go: string,
  part: Part,
  log: StepLog,
  use: (sources: string) => Promise<T>,
): Promise<T> {
  const own = join(__dirname, part.name);
  if (!part.embeds && !part.instead && !part.mends) return use(own);
  const copy = mkdtempSync(join(cacheHome(), 'builds', `.${part.name}-sources-`));
  try {
    cpSync(own, copy, { recursive: true });
    for (const [module, files] of Object.entries(part.embeds ?? {})) {
      const folder = await moduleFolder(go, part, module, log);
      for (const file of files) copyFileSync(join(folder, file), join(copy, basename(file)));
    }
    const changed = new Set([...Object.keys(part.instead ?? {}), ...Object.keys(part.mends ?? {})]);
    for (const module of changed) {
      // Go lets nobody replace a file in its cache of modules, which is read-only.
      const copied = `./modules/${module}`;
      mkdirSync(dirname(join(copy, copied)), { recursive: true });
      const folder = await moduleFolder(go, part, module, log);
      await log.exec('cp', ['-r', '--no-preserve=mode', folder, join(copy, copied)]);
      for (const [file, ours] of Object.entries(part.instead?.[module] ?? {})) {
        copyFileSync(join(own, ours), join(copy, copied, file));
      }
      for (const [file, mend] of Object.entries(part.mends?.[module] ?? {})) {
        const path = join(copy, copied, file);
        writeFileSync(path, mended(readFileSync(path, 'utf8'), mend, `${module}/${file}`));
      }
      await log.exec(go, ['mod', 'edit', '-replace', `${module}=${copied}`], {
        cwd: copy,
        env: BUILD_ENVIRONMENT,
      });
    }
    return await use(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/**
 * A module's file with a {@link Mend} in it.
 * @throws {Error} If its line does not stand there exactly once: the module is another than it was written for.
 */
export function mended(text: string, { before, put }: Mend, file: string): string {
  const lines = text.split('\n');
  const places = lines.flatMap((line, at) => (line === before ? [at] : []));
  const [place] = places;
  if (place === undefined || places.length > 1)
    throw new Error(
      `${file}: "${before.trim()}" stands there ${places.length} times, not once. Read it anew.`,
    );
  return [...lines.slice(0, place), put, ...lines.slice(place)].join('\n');
}

async function build(part: Part, folder: string, log: StepLog): Promise<void> {
  const go = await findGo(log);
  await standardLibrary(go, part, log);
  await withSources(go, part, log, (sources) => compile(go, part, { sources, folder }, log));
}

async function compile(
  go: string,
  part: Part,
  { sources, folder }: { readonly sources: string; readonly folder: string },
  log: StepLog,
): Promise<void> {
  const tags = part.tags ? ['-tags', part.tags.join(',')] : [];
  const flags = [...COMPILER_FLAGS, ...tags, '-ldflags', linkerFlags(part)];
  const total = await packagesToCompile(go, flags, { part, sources }, log);
  const report = (done: number) => {
    if (total !== undefined) log.progress?.({ done, total, unit: 'packages' });
  };
  report(0);
  let before = 0;
  for (const program of part.programs) {
    let done = before;
    await log.exec(go, ['build', '-v', ...flags, '-o', join(folder, program.name), program.source], {
      cwd: sources,
      env: BUILD_ENVIRONMENT,
      nice: niceness(part),
      onOutput: countPackages((packages) => {
        done = before + packages;
        report(done);
      }),
    });
    before = done;
  }
}

function link(target: string, name: string): void {
  mkdirSync(join(cacheHome(), 'bin'), { recursive: true });
  const fresh = `${bin(name)}.${process.pid}`;
  rmSync(fresh, { force: true });
  symlinkSync(target, fresh);
  renameSync(fresh, bin(name));
}

const folderOf = async (part: Part): Promise<string> =>
  join(cacheHome(), 'builds', `${part.name}-${(await partHash(part)).slice(0, 16)}`);

/**
 * The file behind each name of a part's programs in a folder: a build makes one file for several names, a release may have
 * one for each. @returns undefined when a program is not there
 */
function filesIn(folder: string, part: Part): Map<string, string> | undefined {
  const files = new Map<string, string>();
  for (const program of part.programs) {
    const own = join(folder, program.name);
    for (const name of NAMES(program)) {
      const file = [join(folder, name), own].find((path) => existsSync(path));
      if (file) files.set(name, file);
      else if (name !== program.name) return undefined;
    }
    if (!existsSync(own) && !program.links?.length) return undefined;
  }
  return files;
}

/** Where a part's programs are by now, best first: PATH, its own folder, the archive that they came with. */
async function present(part: Part): Promise<Map<string, string> | undefined> {
  const installed = onPath(part);
  if (installed && part.programs.length === 1) {
    return new Map(part.programs.flatMap(NAMES).map((name) => [name, installed]));
  }
  const host = PARTS.find(({ name }) => name === part.comesWith);
  const folders = [await folderOf(part), ...(host ? [await folderOf(host)] : [])];
  for (const folder of folders) {
    const files = filesIn(folder, part);
    if (files) return files;
  }
  return undefined;
}

async function linked(part: Part): Promise<boolean> {
  const files = await present(part);
  if (!files) return false;
  return [...files].every(([name, file]) => {
    try {
      return readlinkSync(bin(name)) === file;
    } catch {
      return false;
    }
  });
}

async function linkPresent(part: Part): Promise<boolean> {
  const files = await present(part);
  for (const [name, file] of files ?? []) link(file, name);
  return files !== undefined;
}

/** Fills a part's folder by `fill`; renamed when complete: what is interrupted leaves nothing that looks finished. */
async function inFolder(part: Part, fill: (folder: string) => Promise<boolean>): Promise<boolean> {
  mkdirSync(join(cacheHome(), 'builds'), { recursive: true });
  const fresh = mkdtempSync(join(cacheHome(), 'builds', `.${part.name}-`));
  try {
    if (!(await fill(fresh))) return false;
    for (const file of readdirSync(fresh)) chmodSync(join(fresh, file), 0o755);
    chmodSync(fresh, 0o755);
    const folder = await folderOf(part);
    // There only where somebody took files out of it.
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
    return linkPresent(part);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** A part without a build: as it is there already, or from its official download. @returns false when there is none */
export async function fetchPart(part: Part, log: StepLog): Promise<boolean> {
  if (await linkPresent(part)) return true;
  const { official } = part;
  if (!official || process.arch !== 'x64') return false;
  return inFolder(part, (folder) => download(official, folder, log));
}

/** A part from its pinned Go module. */
export async function buildPart(part: Part, log: StepLog): Promise<void> {
  await inFolder(part, async (folder) => {
    await build(part, folder, log);
    return true;
  });
}

function partStep(part: Part): Step {
  return {
    name: `toolchain-${part.name}`,
    title: `${part.title} ${part.version}`,
    // unzip, where the Go that compiles has to be fetched.
    needs: [
      ...(goIsAtHand() ? [] : ['packages']),
      ...(part.comesWith ? [`toolchain-${part.comesWith}`] : []),
    ],
    place: 'compile',
    inputs: () => partHash(part),
    done: () => linked(part),
    fetch: (log) => fetchPart(part, log),
    run: (log) => buildPart(part, log),
  };
}

/** Debian packages, then every program that none of them carries. */
export function toolchainSteps(): Step[] {
  return [packageStep(), ...PARTS.map(partStep)];
}

/** Programs of the images that a suite brings, when it runs. */
export const suitePartSteps = (suite: Suite): Step[] =>
  SUITE_PARTS.filter((part) => part.suite === suite).map(partStep);

/** Version texts that the rest of the lab may print. */
export function partVersion(name: string): string {
  const part = PARTS.find((candidate) => candidate.name === name);
  if (!part) throw new Error(`no part ${name}`);
  return part.version;
}
