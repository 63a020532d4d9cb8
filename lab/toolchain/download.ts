import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract as tarExtract } from 'tar-stream';
import { z } from 'zod';
import { LabError, type StepLog } from '../steps';

/** A published file with its published checksum. */
export interface Official {
  url: string;
  /** Where its SHA-256 stands; see {@link checksumOf} for the forms. */
  checksums: string;
  /** Programs in a .tar.gz, by their paths there; without it the file is the program, called as in the address. */
  archive?: Readonly<Record<string, string>>;
}

/** Where official files are, and whether they are looked for at all; see docs/lab.md. */
export const DOWNLOADS_VARIABLE = 'SWITCHYARD_DOWNLOADS';

/** Milliseconds after which a host that does not answer counts as one to which there is no way. */
const ANSWER_WITHIN = 4000;
/** Milliseconds without a single byte after which a download has stalled. Its whole time has no limit: lines are slow. */
const SILENCE = 30_000;

/** Hosts of all official files. All are asked at once, the first time that one is wanted. */
export const ORIGINS = ['https://dl.k8s.io', 'https://github.com', 'https://get.pulumi.com'];

/**
 * Where a file is taken from: its own address, or the same below the base that SWITCHYARD_DOWNLOADS names, as
 * `<base>/<host>/<path>`.
 * @returns undefined when nothing is to be downloaded
 * @throws LabError when the variable is neither `off` nor an address
 */
export function addressOf(url: string, setting = process.env[DOWNLOADS_VARIABLE] ?? ''): string | undefined {
  if (setting === 'off') return undefined;
  if (setting === '') return url;
  if (!URL.canParse(setting) || !/^https?:\/\//.test(setting)) {
    throw new LabError(
      `${DOWNLOADS_VARIABLE} is "${setting}", which is neither "off" nor an http address`,
      `Name the base below which official files are (<base>/github.com/…), or unset it`,
    );
  }
  const { host, pathname } = new URL(url);
  return `${setting.replace(/\/+$/, '')}/${host}${pathname}`;
}

async function answers(origin: string): Promise<boolean> {
  try {
    // Any answer will do: it is the way that is looked for.
    await fetch(origin, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_WITHIN),
    });
    return true;
  } catch {
    return false;
  }
}

const ways = new Map<string, Promise<boolean>>();

/** Does the host of an address answer? Asked once in a run; a machine without internet waits once for all of them. */
export function wayTo(address: string): Promise<boolean> {
  const wanted = new URL(address).origin;
  const known = ORIGINS.flatMap((origin) => addressOf(origin) ?? []).map((found) => new URL(found).origin);
  for (const origin of new Set([wanted, ...known])) {
    if (!ways.has(origin)) ways.set(origin, answers(origin));
  }
  return ways.get(wanted) ?? answers(wanted);
}

const statementSchema = z.object({
  subject: z.array(z.object({ name: z.string(), digest: z.object({ sha256: z.string() }) })),
});

const SHA256 = /^[0-9a-f]{64}$/;

/**
 * The SHA-256 that a release gives for a file: from lines `<hash>  <file>` as sha256sum writes them, from a file that
 * holds the hash alone, or from the subjects of an in-toto statement.
 */
export function checksumOf(list: string, file: string): string | undefined {
  const text = list.trim();
  if (SHA256.test(text)) return text;
  if (text.startsWith('{')) {
    try {
      const { subject } = statementSchema.parse(JSON.parse(text));
      const hash = subject.find(({ name }) => basename(name) === file)?.digest.sha256;
      return hash && SHA256.test(hash) ? hash : undefined;
    } catch {
      return undefined;
    }
  }
  for (const line of text.split('\n')) {
    const [hash = '', name = ''] = line.trim().split(/\s+\*?/);
    if (basename(name) === file && SHA256.test(hash)) return hash;
  }
  return undefined;
}

/** The reason in one line: what fetch says is only that it failed. */
function reason(error: unknown): string {
  const { message = String(error), cause } = error as { message?: string; cause?: { message?: string } };
  return cause?.message ? `${message} (${cause.message})` : message;
}

export interface FetchOptions {
  /** Milliseconds without a byte after which it fails. @default 30 s */
  silence?: number;
  signal?: AbortSignal;
  /** Bytes so far, and bytes in all, 0 when the server does not say. */
  progress?: (done: number, total: number) => void;
}

/**
 * Takes a file from the network.
 * @returns its SHA-256
 * @throws Error when there is no such file, the line breaks, or nothing comes for `silence`
 */
export async function fetchFile(url: string, file: string, options: FetchOptions = {}): Promise<string> {
  const silence = options.silence ?? SILENCE;
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), silence);
  const signal = options.signal ? AbortSignal.any([stalled.signal, options.signal]) : stalled.signal;
  try {
    const response = await fetch(url, { signal });
    if (!response.ok || !response.body) throw new Error(`answered ${response.status}`);
    const total = Number(response.headers.get('content-length') ?? 0);
    const hash = createHash('sha256');
    let done = 0;
    await pipeline(
      Readable.fromWeb(response.body),
      async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          timer.refresh();
          hash.update(chunk);
          done += chunk.length;
          options.progress?.(done, total);
          yield chunk;
        }
      },
      createWriteStream(file),
      { signal },
    );
    return hash.digest('hex');
  } catch (error) {
    if (stalled.signal.aborted) throw new Error(`stalled: nothing came for ${silence / 1000} s`);
    throw new Error(reason(error));
  } finally {
    clearTimeout(timer);
  }
}

/** Writes the wanted files of a .tar.gz into a folder. @throws Error naming those that it does not hold */
export async function unpack(
  archive: string,
  folder: string,
  wanted: Readonly<Record<string, string>>,
): Promise<void> {
  const missing = new Map(Object.entries(wanted).map(([program, path]) => [path, program]));
  const entries = tarExtract();
  const read = pipeline(createReadStream(archive), createGunzip(), entries);
  const write = async (): Promise<void> => {
    for await (const entry of entries) {
      const path = entry.header.name.replace(/^\.\//, '');
      const program = entry.header.type === 'file' ? missing.get(path) : undefined;
      if (!program) {
        entry.resume();
        continue;
      }
      await pipeline(entry, createWriteStream(join(folder, program), { mode: 0o755 }));
      missing.delete(path);
    }
  };
  await Promise.all([read, write()]);
  if (missing.size > 0) throw new Error(`holds no ${[...missing.keys()].join(', ')}`);
}

/** One published file into `folder`, checked before it is looked into. */
async function take(official: Official, folder: string, options: FetchOptions): Promise<void> {
  const { url, checksums, archive } = official;
  const file = basename(new URL(url).pathname);
  const scratch = join(folder, `.${file}`);
  const fetched = async (address: string, more: FetchOptions = {}): Promise<string> => {
    const from = addressOf(address) ?? address;
    try {
      return await fetchFile(from, scratch, { ...options, progress: undefined, ...more });
    } catch (error) {
      throw new Error(`${from}: ${reason(error)}`);
    }
  };
  await fetched(checksums);
  const wanted = checksumOf(readFileSync(scratch, 'utf8'), file);
  if (!wanted) throw new Error(`${checksums} names no SHA-256 of ${file}`);
  const found = await fetched(url, { progress: options.progress });
  if (found !== wanted) {
    throw new Error(`${file} is refused: its SHA-256 is ${found}, ${basename(checksums)} says ${wanted}`);
  }
  if (!archive) {
    renameSync(scratch, join(folder, file));
    return;
  }
  try {
    await unpack(scratch, folder, archive);
  } catch (error) {
    throw new Error(`${file}: ${reason(error)}`);
  }
  rmSync(scratch);
}

/**
 * All published files of a part into `folder`.
 * @returns false when there is no way to them, or one of them is not what it should be: the watcher is told the latter
 */
export async function download(
  files: readonly Official[],
  folder: string,
  log: StepLog,
  options: Pick<FetchOptions, 'silence'> = {},
): Promise<boolean> {
  for (const { url } of files) {
    const address = addressOf(url);
    if (!address) {
      log.line(`${DOWNLOADS_VARIABLE} is off: nothing is downloaded`);
      return false;
    }
    if (!(await wayTo(address))) {
      log.line(`no way to ${new URL(address).origin}`);
      return false;
    }
  }
  const MB = 1e6;
  const bytes = files.map(() => ({ done: 0, total: 0 }));
  const progress = (index: number) => (done: number, total: number) => {
    bytes[index] = { done, total };
    const sum = (key: 'done' | 'total') => bytes.reduce((all, each) => all + each[key], 0) / MB;
    log.progress?.({ done: sum('done'), total: sum('total'), unit: 'MB' });
  };
  // One that fails ends the others: nothing may be written any more when the caller clears the folder.
  const group = new AbortController();
  const signal = log.signal ? AbortSignal.any([log.signal, group.signal]) : group.signal;
  const faults: unknown[] = [];
  await Promise.all(
    files.map((official, index) =>
      take(official, folder, { ...options, signal, progress: progress(index) }).catch((error: unknown) => {
        faults.push(error);
        group.abort();
      }),
    ),
  );
  log.signal?.throwIfAborted();
  if (faults.length === 0) return true;
  const say = log.note ?? log.line;
  say(`no official download: ${reason(faults[0])}. It is built instead`);
  return false;
}
