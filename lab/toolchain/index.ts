import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { cacheHome, hashFiles, LabError, type Step, type StepLog } from '../steps';
import { findGo, goIsAtHand } from './go';
import { packageStep } from './packages';
import { PARTS, type Part, type Program } from './parts';

/** Seconds after which a machine counts as having no way to the official downloads. */
const DOWNLOAD_SECONDS = 4;

const bin = (name: string): string => join(cacheHome(), 'bin', name);

/** Path of a program of the toolchain: the cache's link, whatever it was made from. */
export function toolPath(name: string): string {
  return bin(name);
}

const NAMES = (program: Program): string[] => [program.name, ...(program.links ?? [])];

function partHash(part: Part): Promise<string> {
  return hashFiles(
    [join(__dirname, part.name)],
    [part.version, JSON.stringify(part.programs), JSON.stringify(part.stamps ?? {}), process.arch],
  );
}

/** Linker flags of a part. */
export function linkerFlags(part: Part): string {
  const stamps = Object.entries(part.stamps ?? {}).map(([name, value]) => `-X ${name}=${value}`);
  return ['-s', '-w', ...stamps].join(' ');
}

/** The hash that a release's checksum list gives for a file. */
export function checksumOf(list: string, file: string): string | undefined {
  for (const line of list.split('\n')) {
    const [hash, name] = line.trim().split(/\s+\*?/);
    if (name === file && hash && /^[0-9a-f]{64}$/.test(hash)) return hash;
  }
  return undefined;
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

async function fetchWithin(url: string, seconds: number): Promise<Response | undefined> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), seconds * 1000);
  try {
    const response = await fetch(url, { signal: abort.signal });
    return response.ok ? response : undefined;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Official download into `folder`. @returns false when there is none or no way to it */
async function download(part: Part, folder: string, log: StepLog): Promise<boolean> {
  if (!part.download || process.arch !== 'x64') return false;
  const { url, checksums, files } = part.download;
  const list = await fetchWithin(checksums, DOWNLOAD_SECONDS);
  if (!list) {
    log.line(`no way to the official download of ${part.name}; building it`);
    return false;
  }
  const wanted = checksumOf(await list.text(), basename(url));
  if (!wanted) {
    log.line(`${checksums} does not name ${basename(url)}; building ${part.name}`);
    return false;
  }
  const response = await fetchWithin(url, DOWNLOAD_SECONDS);
  if (!response) return false;
  const content = Buffer.from(await response.arrayBuffer());
  const found = createHash('sha256').update(content).digest('hex');
  if (found !== wanted) {
    throw new LabError(
      `${basename(url)}: SHA-256 is ${found}, the release says ${wanted}`,
      'Try again later',
    );
  }
  const archive = join(folder, 'archive.tar.gz');
  writeFileSync(archive, content);
  await log.exec('tar', ['-xzf', archive, '-C', folder, ...files]);
  for (const file of files) renameSync(join(folder, file), join(folder, `.${basename(file)}`));
  for (const file of files) {
    rmSync(join(folder, file.split('/')[0] ?? file), { recursive: true, force: true });
    rmSync(archive, { force: true });
  }
  for (const file of files) renameSync(join(folder, `.${basename(file)}`), join(folder, basename(file)));
  return true;
}

async function build(part: Part, folder: string, log: StepLog): Promise<void> {
  const go = await findGo(log);
  for (const program of part.programs) {
    await log.exec(
      go,
      [
        'build',
        '-trimpath',
        '-mod=readonly',
        '-ldflags',
        linkerFlags(part),
        '-o',
        join(folder, program.name),
        program.source,
      ],
      {
        cwd: join(__dirname, part.name),
        // Static programs run in any image and need no C compiler.
        env: { CGO_ENABLED: '0', GOTOOLCHAIN: 'auto', GOFLAGS: '-buildvcs=false', GOWORK: 'off' },
      },
    );
  }
}

function link(target: string, name: string): void {
  mkdirSync(join(cacheHome(), 'bin'), { recursive: true });
  const fresh = `${bin(name)}.${process.pid}`;
  rmSync(fresh, { force: true });
  symlinkSync(target, fresh);
  renameSync(fresh, bin(name));
}

function linked(part: Part, hash: string): boolean {
  return part.programs.every((program) =>
    NAMES(program).every((name) => {
      try {
        const target = readlinkSync(bin(name));
        return (
          existsSync(target) &&
          (target.includes(`${part.name}-${hash.slice(0, 16)}`) || onPath(part) === target)
        );
      } catch {
        return false;
      }
    }),
  );
}

/** Brings one part into the cache: from PATH, from the official download, or by a build. */
export async function provide(part: Part, log: StepLog): Promise<void> {
  const hash = await partHash(part);
  const folder = join(cacheHome(), 'builds', `${part.name}-${hash.slice(0, 16)}`);
  const installed = onPath(part);
  if (installed && part.programs.length === 1) {
    for (const program of part.programs) for (const name of NAMES(program)) link(installed, name);
    return;
  }
  if (!existsSync(folder)) {
    mkdirSync(join(cacheHome(), 'builds'), { recursive: true });
    // Renamed when complete: an interrupted build leaves nothing that looks finished.
    const fresh = mkdtempSync(join(cacheHome(), 'builds', `.${part.name}-`));
    try {
      if (!(await download(part, fresh, log))) await build(part, fresh, log);
      for (const program of part.programs) chmodSync(join(fresh, program.name), 0o755);
      chmodSync(fresh, 0o755);
      renameSync(fresh, folder);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  }
  for (const program of part.programs) {
    for (const name of NAMES(program)) link(join(folder, program.name), name);
  }
}

function partStep(part: Part): Step {
  return {
    name: `toolchain-${part.name}`,
    title: `${part.title} ${part.version}`,
    // unzip, where the Go that compiles has to be fetched.
    needs: goIsAtHand() ? [] : ['packages'],
    place: 'compile',
    inputs: () => partHash(part),
    done: async () => linked(part, await partHash(part)),
    run: (log) => provide(part, log),
  };
}

/** Debian packages, then every program that none of them carries. */
export function toolchainSteps(): Step[] {
  return [packageStep(), ...PARTS.map(partStep)];
}

/** Version texts that the rest of the lab may print. */
export function partVersion(name: string): string {
  const part = PARTS.find((candidate) => candidate.name === name);
  if (!part) throw new Error(`no part ${name}`);
  return part.version;
}
