import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { cacheHome, LabError, type StepLog } from '../steps';
import { fetchFile } from './download';
import { present } from './packages';

/**
 * The Go that the pinned modules ask for, as the module proxies carry it: golang.org/toolchain, whose zip never changes.
 * The machine's own Go, from 1.21 on, fetches the very same.
 */
export const GO = {
  version: '1.26.8',
  /** SHA-256 of the zip, by Node's name of the processor. */
  sha256: {
    x64: '30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7',
    arm64: '02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99',
  } as Readonly<Record<string, string>>,
} as const;

const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Newer or equal, by numbers: `1.26.8` fits `1.26`. */
export function fitsVersion(found: string, wanted: string): boolean {
  const numbers = (text: string): number[] => text.split('.').map(Number);
  const have = numbers(found);
  for (const [index, need] of numbers(wanted).entries()) {
    const got = have[index] ?? 0;
    if (got !== need) return got > need;
  }
  return true;
}

/** `go version` output to a plain version: `go version go1.26.8 linux/amd64` to `1.26.8`. */
export function goVersion(output: string): string | undefined {
  return /\bgo(\d+\.\d+(?:\.\d+)?)/.exec(output)?.[1];
}

/** Module proxies in the order in which Go asks them: the web addresses of a `GOPROXY`. */
export const moduleProxies = (setting = process.env.GOPROXY || 'https://proxy.golang.org'): string[] =>
  setting
    .split(/[,|]/)
    .map((entry) => entry.trim().replace(/\/$/, ''))
    .filter((entry) => /^https?:/.test(entry));

/** Is there a Go on this machine, or what it takes to unpack one? A build needs no Debian package then. */
export const goIsAtHand = (): boolean => present(process.env.SWITCHYARD_GO ?? 'go') || present('unzip');

/** `$SWITCHYARD_GO`, or else the one on PATH, when it can fetch the toolchain that a go.mod asks for. */
function installedGo(log: StepLog): string | undefined {
  const named = process.env.SWITCHYARD_GO;
  const go = named ?? 'go';
  let version: string | undefined;
  try {
    version = goVersion(
      execFileSync(go, ['env', 'GOVERSION'], { encoding: 'utf8', cwd: '/', env: process.env }),
    );
  } catch {
    version = undefined;
  }
  if (version && fitsVersion(version, '1.21')) return go;
  const fault = version ? `Go ${version} at ${go} is too old` : `Go is not at ${go}`;
  // What people name is meant: another one in its place would surprise them.
  if (named !== undefined) throw new LabError(fault, `Name a Go from 1.21 on in SWITCHYARD_GO, or unset it`);
  log.line(`${fault}; taking Go ${GO.version} from the module proxy`);
  return undefined;
}

/**
 * A Go from the module proxy, kept in the cache.
 * @throws LabError when no proxy has it, or what it has is not what is pinned
 */
export async function fetchGo(
  log: StepLog,
  wanted: Pick<typeof GO, 'version' | 'sha256'> = GO,
): Promise<string> {
  const home = join(cacheHome(), `go-${wanted.version}`);
  const go = join(home, 'bin', 'go');
  if (existsSync(go)) return go;
  const name = GO_ARCH[arch()];
  const sha256 = wanted.sha256[arch()];
  const remedy = `Install Go ${wanted.version} and put it on PATH, or name it in SWITCHYARD_GO`;
  if (!name || !sha256) throw new LabError(`no Go is pinned for ${arch()}`, remedy);

  const module = `toolchain@v0.0.1-go${wanted.version}.linux-${name}`;
  mkdirSync(cacheHome(), { recursive: true });
  // Renamed when complete: an interrupted download leaves nothing that looks finished.
  const fresh = mkdtempSync(join(cacheHome(), '.go-'));
  try {
    const zip = join(fresh, 'go.zip');
    const faults: string[] = [];
    for (const proxy of moduleProxies()) {
      const url = `${proxy}/golang.org/${module.replace('@', '/@v/')}.zip`;
      try {
        const found = await fetchFile(url, zip, { signal: log.signal });
        if (found === sha256) {
          await log.exec('unzip', ['-q', zip, '-d', fresh]);
          const unpacked = join(fresh, 'golang.org', module);
          // Zips of modules hold no modes.
          await log.exec('chmod', ['-R', 'a+x', join(unpacked, 'bin'), join(unpacked, 'pkg', 'tool')]);
          renameSync(unpacked, home);
          return go;
        }
        faults.push(`${url} has SHA-256 ${found}, pinned is ${sha256}`);
      } catch (error) {
        faults.push(`${url}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    throw new LabError(
      `Go ${wanted.version} could not be had: ${faults.join('; ') || 'GOPROXY names no proxy'}`,
      remedy,
    );
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

let looked: { named: string | undefined; go: Promise<string> } | undefined;

/** A Go that can build the parts: `$SWITCHYARD_GO`, then PATH, then the module proxy's. Looked for once, by whoever asks first. */
export function findGo(log: StepLog): Promise<string> {
  const named = process.env.SWITCHYARD_GO;
  if (looked && looked.named === named) return looked.go;
  const go = (async () => installedGo(log) ?? fetchGo(log))();
  looked = { named, go };
  // The next one tries again.
  go.catch(() => {
    looked = undefined;
  });
  return go;
}
