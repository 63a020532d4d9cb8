import { constants, createWriteStream, rmSync, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { z } from 'zod';
import { exitCode, Failure } from '../clients/failure';
import { parseJson } from '../text/json';

// How files come out of a Pod that foreign code ran in. The pipeline carries one text from there to here, and here it
// becomes plain files of one new folder and nothing else: a format that has no links, no paths, no modes and no kinds
// cannot be made to write elsewhere. Gzip of one line of JSON (names and sizes), then the contents one after the other.

/** What a parcel holds at most. */
export interface ParcelBounds {
  readonly files: number;
  /** Bytes of all files. */
  readonly bytes: number;
  /** Bytes as packed: the pipeline carries it through Jenkins' memory. */
  readonly packed: number;
}

export const parcelBounds: ParcelBounds = { files: 16, bytes: 1 << 30, packed: 24 << 20 };

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const LONGEST_HEADER = 64 << 10;
const PLAIN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const headerSchema = z.array(z.strictObject({ name: z.string().regex(NAME), size: z.number().int().min(0) }));

/**
 * Packs the plain files of a folder; what else is in it stays.
 * @throws Failure (exit 1) when they are too many or too large
 */
export async function packParcel(
  folder: string,
  file: string,
  within: ParcelBounds = parcelBounds,
): Promise<void> {
  const held: { name: string; size: number; handle: FileHandle }[] = [];
  const tooLarge = (): never => {
    throw new Failure(
      exitCode.red,
      `${folder}: holds more than a parcel takes.`,
      'See what was written there.',
    );
  };
  try {
    for (const name of (await readdir(folder)).sort()) {
      if (!NAME.test(name)) continue;
      const handle = await open(join(folder, name), PLAIN).catch(() => undefined);
      const about = await handle?.stat();
      if (handle && about?.isFile()) held.push({ name, size: about.size, handle });
      else await handle?.close();
      if (held.length > within.files) tooLarge();
    }
    if (held.reduce((sum, { size }) => sum + size, 0) > within.bytes) tooLarge();
    async function* contents(): AsyncGenerator<Buffer> {
      yield Buffer.from(`${JSON.stringify(held.map(({ name, size }) => ({ name, size })))}\n`);
      for (const { handle, size } of held) {
        // A file that shrank meanwhile would move all that comes after it.
        let left = size;
        const stream =
          size === 0 ? [] : handle.createReadStream({ start: 0, end: size - 1, autoClose: false });
        for await (const chunk of stream) {
          left -= (chunk as Buffer).length;
          yield chunk as Buffer;
        }
        if (left > 0) yield Buffer.alloc(left);
      }
    }
    rmSync(file, { force: true });
    await pipeline(
      Readable.from(contents(), { objectMode: false }),
      createGzip(),
      createWriteStream(file, { flags: 'wx' }),
    );
    if (statSync(file).size > within.packed) {
      rmSync(file);
      tooLarge();
    }
  } finally {
    for (const { handle } of held) await handle.close();
  }
}

/** A fault of a parcel. */
class Unfit extends Error {}

/**
 * Unpacks a parcel into a folder that is made anew. Of one that is unfit nothing is left.
 * @throws Failure 2 when there is no parcel, 1 when it is not one, or larger than one may be
 */
export async function unpackParcel(
  file: string,
  folder: string,
  within: ParcelBounds = parcelBounds,
): Promise<readonly string[]> {
  await rm(folder, { recursive: true, force: true });
  const handle = await open(file, PLAIN).catch((error: NodeJS.ErrnoException) => {
    throw new Failure(exitCode.input, `${file}: cannot be read (${error.code}).`);
  });
  try {
    const about = await handle.stat();
    if (!about.isFile() || about.size > within.packed)
      throw new Unfit('is not a plain file of a bearable size');
    await mkdir(folder, { recursive: true });
    const plain = handle.createReadStream({ autoClose: false }).pipe(createGunzip());
    return await write(plain, folder, within);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    const { code = '' } = error as NodeJS.ErrnoException;
    const why =
      error instanceof Unfit ? error.message : /^(Z_|ERR_ZLIB)/.test(code) ? `is not packed (${code})` : '';
    if (!why) throw error;
    throw new Failure(exitCode.red, `${file}: ${why}.`, 'Nothing of it is used.');
  } finally {
    await handle.close();
  }
}

async function write(plain: AsyncIterable<Buffer>, folder: string, within: ParcelBounds): Promise<string[]> {
  let header: z.infer<typeof headerSchema> | undefined;
  let begun = Buffer.alloc(0);
  const names: string[] = [];
  let current: { handle: FileHandle; left: number } | undefined;
  /** Opens the next file; those without content are opened and closed on the way to it. */
  const next = async (): Promise<void> => {
    while (header && (!current || current.left === 0) && names.length < header.length) {
      await current?.handle.close();
      const { name, size } = header[names.length] as { name: string; size: number };
      current = { handle: await open(join(folder, name), 'wx', 0o600), left: size };
      names.push(name);
    }
  };
  try {
    for await (const chunk of plain) {
      let rest = chunk;
      if (!header) {
        begun = Buffer.concat([begun, chunk]);
        const end = begun.indexOf('\n');
        if (end < 0 && begun.length <= LONGEST_HEADER) continue;
        header = readHeader(begun.subarray(0, Math.max(end, 0)), within);
        rest = begun.subarray(end + 1);
        await next();
      }
      while (rest.length > 0) {
        if (!current || current.left === 0) throw new Unfit('holds more than it says');
        const part = rest.subarray(0, current.left);
        await current.handle.write(part);
        current.left -= part.length;
        rest = rest.subarray(part.length);
        await next();
      }
    }
    if (!header || names.length < header.length || (current && current.left > 0))
      throw new Unfit('is cut off');
    return names;
  } finally {
    await current?.handle.close();
  }
}

function readHeader(line: Buffer, within: ParcelBounds): z.infer<typeof headerSchema> {
  const parsed = headerSchema.safeParse(parseJson(line.toString('utf8')));
  if (!parsed.success) throw new Unfit('does not begin with the names and sizes of its files');
  const names = parsed.data.map(({ name }) => name.toLowerCase());
  if (new Set(names).size < names.length) throw new Unfit('holds two files of one name');
  const bytes = parsed.data.reduce((sum, { size }) => sum + size, 0);
  if (names.length > within.files || bytes > within.bytes) throw new Unfit('holds more than a parcel may');
  return parsed.data;
}
