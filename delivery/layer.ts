import { createGunzip, createZstdDecompress } from 'node:zlib';

// What a layer takes of a node's disk, found by unpacking it without keeping anything. Whoever made it may have it read one
// way here and another way by what unpacks it in earnest, which is Go's archive/tar in each container runtime: so what that
// reads leniently, or two readers differently, is refused (src/archive/tar/reader.go of Go 1.26).

/** Something about a layer that is its author's fault; reads behind "whose layer sha256:…". */
export class LayerFault extends Error {}

/** An image's layers make more than they may. */
export class Full extends LayerFault {}

/** What an image's layers may make, in all. */
export interface Most {
  readonly bytes: number;
  /** Files, folders and links. */
  readonly entries: number;
}

/** For how many bytes ext4 has one inode by default (`inode_ratio` of mke2fs.conf). */
const INODE_RATIO = 16_384;

/** An image that may have so many bytes gets no larger share of a node's inodes. */
export const mostOf = (bytes: number): Most => ({ bytes, entries: Math.floor(bytes / INODE_RATIO) });

/** Bytes as people read them. @param digits behind the point, at most */
export const gibibytes = (bytes: number, digits: number): string =>
  `${Number((bytes / 2 ** 30).toFixed(digits))} GiB`;

/** Counts what the layers of one image make. */
export class Tally {
  bytes = 0;
  entries = 0;

  constructor(private readonly most: Most) {}

  add({ bytes = 0, entries = 0 }: Partial<Most>): void {
    this.bytes += bytes;
    this.entries += entries;
    if (this.bytes > this.most.bytes) {
      throw new Full(`brings it to more than ${gibibytes(this.most.bytes, 3)} unpacked`);
    }
    if (this.entries > this.most.entries) {
      throw new Full(`brings it to more than ${this.most.entries} files, folders and links`);
    }
  }
}

const BLOCK = 512;
const NOTHING = Buffer.alloc(BLOCK);
/** Bytes of an extended header that archive/tar reads. */
const MOST_EXTENDED = 2 ** 20;
const SPARSE = 'holds a sparse file, which takes more of a disk than it has bytes';

const NO_SIZE = 'has a size that is none';

/** A number in octal; NaN: it is none. */
function octal(field: Buffer): number {
  const text = field.toString('latin1');
  return /^ *[0-7]*[ \0]*$/.test(text) ? Number.parseInt(text.trim(), 8) || 0 : Number.NaN;
}

/** A size: in octal, or where that is too small in binary, as GNU tar and archive/tar write it. */
function sizeIn(field: Buffer): number {
  const binary = ((field[0] ?? 0) & 0x80) !== 0;
  const size = binary ? field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0) : octal(field);
  if ((binary && field[0] !== 0x80) || !Number.isSafeInteger(size)) throw new LayerFault(NO_SIZE);
  return size;
}

/** What a header of PAX says of the entry after it. @returns the size that it gives */
function sizeOfRecords(bytes: Buffer): number | undefined {
  let size: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    // `<length> <key>=<value>\n`, the length of all of it.
    const [whole, digits = ''] = /^([1-9]\d{0,6}) /.exec(bytes.toString('latin1', at, at + 8)) ?? [];
    const end = at + Number(digits);
    const record = bytes.toString('latin1', at + (whole?.length ?? 0), end - 1);
    const sign = record.indexOf('=');
    if (!whole || sign <= 0 || end > bytes.length || bytes[end - 1] !== 0x0a) {
      throw new LayerFault('has an extended header that is none');
    }
    const key = record.slice(0, sign);
    if (key.startsWith('GNU.sparse.')) throw new LayerFault(SPARSE);
    if (key === 'size') {
      if (size !== undefined || !/^\d{1,15}$/.test(record.slice(sign + 1))) {
        throw new LayerFault(NO_SIZE);
      }
      size = Number(record.slice(sign + 1));
    }
    at = end;
  }
  return size;
}

/** Walks through a tar as it comes, in pieces of any size. */
class TarWalk {
  /** Of a block that has not come whole. */
  private readonly block = Buffer.alloc(BLOCK);
  private blockBytes = 0;
  /** Bytes to come before the next header, padding among them. */
  private left = 0;
  /** The extended header that is coming. */
  private extended: { readonly global: boolean; readonly bytes: Buffer; filled: number } | undefined;
  /** What the extended header said of the entry to come. */
  private size: number | undefined;
  private empty = 0;

  constructor(private readonly tally: Tally) {}

  write(chunk: Buffer): void {
    this.tally.add({ bytes: chunk.length });
    // Two empty blocks end a tar: what comes behind them makes nothing.
    for (let at = 0; at < chunk.length && this.empty < 2; ) {
      if (this.left > 0) {
        const step = Math.min(this.left, chunk.length - at);
        this.take(chunk.subarray(at, at + step));
        at += step;
        continue;
      }
      const step = Math.min(BLOCK - this.blockBytes, chunk.length - at);
      if (step === BLOCK) this.header(chunk.subarray(at, at + BLOCK));
      else {
        chunk.copy(this.block, this.blockBytes, at, at + step);
        this.blockBytes += step;
        if (this.blockBytes === BLOCK) {
          this.blockBytes = 0;
          this.header(this.block);
        }
      }
      at += step;
    }
  }

  end(): void {
    if (this.empty < 2 && (this.left > 0 || this.blockBytes > 0)) throw new LayerFault('ends too early');
  }

  private take(data: Buffer): void {
    this.left -= data.length;
    const { extended } = this;
    if (!extended) return;
    extended.filled += data.copy(extended.bytes, extended.filled);
    if (this.left > 0) return;
    this.extended = undefined;
    const size = sizeOfRecords(extended.bytes);
    if (extended.global && size !== undefined)
      throw new LayerFault('says the size of files that it does not name');
    if (!extended.global) this.size = size;
  }

  private header(block: Buffer): void {
    if (block.equals(NOTHING)) {
      this.empty++;
      return;
    }
    if (this.empty > 0) throw new LayerFault('goes on behind an empty block');
    const sum = block.reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 0x20 : byte), 0);
    if (octal(block.subarray(148, 156)) !== sum) throw new LayerFault('is not a tar');
    const size = sizeIn(block.subarray(124, 136));
    const type = String.fromCharCode(block[156] ?? 0);
    switch (type) {
      case 'x':
      case 'g':
      case 'L':
      case 'K':
        this.aside(type, size);
        return;
      case '0':
        this.data(this.size ?? size);
        break;
      // Links, devices, folders, pipes: archive/tar reads no data of theirs, whatever they say.
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
        break;
      // A file or a folder, by its name.
      case '\0':
        if ((this.size ?? size) > 0) throw new LayerFault('has a file of a kind that is no more');
        break;
      case 'S':
        throw new LayerFault(SPARSE);
      default:
        throw new LayerFault(`has an entry of type ${JSON.stringify(type)}`);
    }
    this.size = undefined;
    this.tally.add({ entries: 1 });
  }

  /** What is said beside the entries: of the next one, or of all. */
  private aside(type: 'x' | 'g' | 'L' | 'K', size: number): void {
    if (size > MOST_EXTENDED) throw new LayerFault('has an extended header without an end');
    if (type === 'x' || type === 'g') {
      // archive/tar forgets the first.
      if (this.size !== undefined) throw new LayerFault('says the size of a file twice');
      this.extended = { global: type === 'g', bytes: Buffer.alloc(size), filled: 0 };
      if (size === 0) this.extended = undefined;
    }
    this.data(size);
  }

  private data(size: number): void {
    this.left = Math.ceil(size / BLOCK) * BLOCK;
  }
}

type Packing = 'gzip' | 'zstd' | 'none';

const startsWith = (bytes: Buffer, ...start: readonly number[]): boolean =>
  start.every((byte, at) => bytes[at] === byte);

/** As container runtimes find it, whatever the manifest says; undefined: packed in a way that only some know. */
function packingOf(bytes: Buffer): Packing | undefined {
  if (startsWith(bytes, 0x1f, 0x8b)) return 'gzip';
  if (startsWith(bytes, 0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  // A frame of zstd that is skipped.
  if (((bytes[0] ?? 0) & 0xf0) === 0x50 && startsWith(bytes.subarray(1), 0x2a, 0x4d, 0x18)) return 'zstd';
  const other = startsWith(bytes, 0x42, 0x5a, 0x68) || startsWith(bytes, 0xfd, 0x37, 0x7a, 0x58, 0x5a);
  return other ? undefined : 'none';
}

/** What the manifest says. */
const packingSaid = (mediaType: string): Packing =>
  mediaType.endsWith('gzip') ? 'gzip' : mediaType.endsWith('zstd') ? 'zstd' : 'none';

/** Frames of zstd one behind the other: each needs a decoder of its own, which takes a millisecond. */
const MOST_FRAMES = 20_000;
const OUTPUT = { chunkSize: 256 * 1024 };

type Decoder = ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>;

/** Unpacks as it comes. Node's decoders of zstd end with the first frame, and gunzip at a zero: what is left begins anew. */
async function unpack(
  source: AsyncIterable<Buffer>,
  packing: 'gzip' | 'zstd',
  take: (data: Buffer) => void,
): Promise<void> {
  const open = (): Decoder => {
    const decoder = packing === 'gzip' ? createGunzip(OUTPUT) : createZstdDecompress(OUTPUT);
    decoder.on('data', (data: Buffer) => {
      try {
        take(data);
      } catch (error) {
        decoder.destroy(error as Error);
      }
    });
    // Heard by whoever waits for what it does next.
    decoder.on('error', () => undefined);
    return decoder;
  };
  /** Settles when `begin` says that it is done, or when the decoder fails. */
  const done = (decoder: Decoder, begin: (ended: () => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      if (decoder.errored) {
        reject(decoder.errored);
        return;
      }
      decoder.once('error', reject);
      begin(() => {
        decoder.off('error', reject);
        resolve();
      });
    });
  const end = (decoder: Decoder): Promise<void> =>
    done(decoder, (ended) => {
      if (decoder.readableEnded) ended();
      else decoder.once('end', ended).end();
    });

  let decoder = open();
  try {
    let frames = 1;
    for await (const chunk of source) {
      for (let rest = chunk; rest.length > 0; ) {
        const before = decoder.bytesWritten;
        const piece = rest;
        await done(decoder, (ended) => decoder.write(piece, ended));
        rest = piece.subarray(decoder.bytesWritten - before);
        if (rest.length === 0) break;
        await end(decoder);
        if (++frames > MOST_FRAMES) throw new LayerFault(`has more than ${MOST_FRAMES} frames of zstd`);
        decoder.destroy();
        decoder = open();
      }
    }
    await end(decoder);
  } finally {
    decoder.destroy();
  }
}

/** The first bytes of a stream, and all of it. */
async function peek(
  source: AsyncIterable<Buffer>,
  bytes: number,
): Promise<{ readonly first: Buffer; readonly all: AsyncIterable<Buffer> }> {
  const rest = source[Symbol.asyncIterator]();
  let first: Buffer = Buffer.alloc(0);
  while (first.length < bytes) {
    const { done, value } = await rest.next();
    if (done) break;
    first = Buffer.concat([first, value]);
  }
  async function* all(): AsyncGenerator<Buffer> {
    try {
      yield first;
      for (;;) {
        const { done, value } = await rest.next();
        if (done) return;
        yield value;
      }
    } finally {
      await rest.return?.();
    }
  }
  return { first, all: all() };
}

/**
 * Counts what a layer makes, without keeping it.
 * @param source its bytes as they are stored; what this throws is thrown on
 * @throws LayerFault where it is not the tar that its media type says, or where the tally has no more room
 */
export async function countLayer(
  source: AsyncIterable<Buffer>,
  mediaType: string,
  tally: Tally,
): Promise<void> {
  const { first, all } = await peek(source, 8);
  const packing = packingOf(first);
  const said = packingSaid(mediaType);
  const walk = new TarWalk(tally);
  let broke: { readonly error: unknown } | undefined;
  async function* told(): AsyncGenerator<Buffer> {
    try {
      yield* all;
    } catch (error) {
      broke = { error };
      throw error;
    }
  }
  try {
    if (packing !== said) {
      throw new LayerFault(`is not packed as its type says (${said === 'none' ? 'not at all' : said})`);
    }
    if (said === 'none') for await (const chunk of told()) walk.write(chunk);
    else await unpack(told(), said, (data) => walk.write(data));
    walk.end();
  } catch (error) {
    if (broke) throw broke.error;
    if (error instanceof LayerFault) throw error;
    throw new LayerFault(`cannot be unpacked (${(error as Error).message})`);
  }
}
