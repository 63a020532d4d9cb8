import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { pack } from 'tar-stream';
import { countLayer, Full, LayerFault, type Most, mostOf, Tally } from '../../delivery/layer';
import { paxOf, type TarEntry, tarBody, tarHeader, tarOf } from '../support/tar';

const TYPE = 'application/vnd.oci.image.layer.v1.tar';
const PLENTY: Most = { bytes: 2 ** 40, entries: 1e6 };

async function* pieces(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function count(bytes: Buffer, { type = TYPE, size = 1000, most = PLENTY } = {}) {
  const tally = new Tally(most);
  await countLayer(pieces(bytes, size), type, tally);
  return { bytes: tally.bytes, entries: tally.entries };
}

const file = (bytes: number): TarEntry => ({ data: Buffer.alloc(bytes, 'x') });

describe('a layer', () => {
  test('is counted alike in pieces of any size, packed in any way, and by several frames', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(1200), { maxLength: 4 }),
        fc.constantFrom(97, 511, 512, 513, 10_000),
        fc.integer({ min: 0, max: 8000 }),
        async (sizes, size, where) => {
          const tar = tarOf(sizes.map(file));
          const at = Math.min(where, tar.length);
          const halves = [tar.subarray(0, at), tar.subarray(at)];
          const made = { bytes: tar.length, entries: sizes.length };
          for (const each of [1, size]) expect(await count(tar, { size: each })).toEqual(made);
          const gzip = Buffer.concat(halves.map((half) => gzipSync(half)));
          expect(await count(gzip, { size, type: `${TYPE}+gzip` })).toEqual(made);
          // What lies between two frames is skipped.
          const skipped = Buffer.from('5f2a4d1803000000616263', 'hex');
          const [first, second] = halves.map((half) => zstdCompressSync(half)) as [Buffer, Buffer];
          const zstd = Buffer.concat([skipped, first, skipped, second]);
          expect(await count(zstd, { size, type: `${TYPE}+zstd` })).toEqual(made);
        },
      ),
      { numRuns: 15 },
    );
  });

  test('of another program, with long names and extended headers, is counted', async () => {
    const tar = pack();
    tar.entry({ name: `${'folder/'.repeat(40)}file`, pax: { comment: 'long' } }, 'data');
    tar.entry({ name: 'folder', type: 'directory' });
    tar.entry({ name: 'link', type: 'symlink', linkname: 'y'.repeat(200) });
    tar.entry({ name: 'hard', type: 'link', linkname: 'file' });
    tar.finalize();
    const chunks: Buffer[] = [];
    for await (const chunk of tar) chunks.push(chunk as Buffer);
    expect((await count(Buffer.concat(chunks))).entries).toBe(4);
  });

  test('with the size of a file in an extended header or in binary is read by that size', async () => {
    const binary = Buffer.alloc(12);
    binary[0] = 0x80;
    binary[11] = 100;
    const said = tarOf([
      { ...file(100), size: binary },
      paxOf({ size: '100' }),
      { ...file(100), size: '00000000000\0' },
      file(1),
    ]);
    expect((await count(said)).entries).toBe(3);
  });

  test('may hold tars of any kind as files, also right behind a header', async () => {
    const inner = tarBody([{ type: 'S', name: 'sparse' }, paxOf({ 'GNU.sparse.major': '1' })]);
    expect((await count(tarOf([{ data: inner }]))).entries).toBe(1);
  });

  test.each<[string, Buffer, string]>([
    ['with a sparse file of GNU', tarOf([{ type: 'S' }]), 'sparse'],
    ['with a sparse file of PAX', tarOf([paxOf({ 'GNU.sparse.realsize': '9' }), file(1)]), 'sparse'],
    [
      'with a sparse file of PAX for all',
      tarOf([paxOf({ 'GNU.sparse.map': '0,1' }, 'g'), file(1)]),
      'sparse',
    ],
    [
      'of which two readers take different sizes',
      tarOf([paxOf({ size: '1' }), paxOf({ comment: 'x' }), file(1)]),
      'twice',
    ],
    ['with a size for all', tarOf([paxOf({ size: '1' }, 'g'), file(1)]), 'does not name'],
    ['with a size that is none', tarOf([paxOf({ size: '-1' }), file(1)]), 'size that is none'],
    ['with half a size', tarOf([{ size: '1x0000000000' }]), 'size that is none'],
    ['with a negative size', tarOf([{ size: Buffer.alloc(12, 0xff) }]), 'size that is none'],
    [
      'with a file of old, which a name with a slash makes a folder',
      tarOf([{ ...file(1), type: '\0' }]),
      'no more',
    ],
    ['with an entry of a kind that nobody knows', tarOf([{ type: 'Z' }]), 'type "Z"'],
    [
      'with an extended header that is none',
      tarOf([{ type: 'x', data: Buffer.from('99 a=b\n') }]),
      'extended header',
    ],
    ['with an endless extended header', tarHeader({ type: 'L', size: '00010000000\0' }), 'without an end'],
    [
      'that goes on behind an empty block',
      Buffer.concat([Buffer.alloc(512), tarOf([file(1)])]),
      'empty block',
    ],
    ['that ends in a header', tarOf([file(1)]).subarray(0, 300), 'too early'],
    ['that ends in a file', tarOf([file(600)]).subarray(0, 700), 'too early'],
    ['that is no tar', Buffer.alloc(2000, 'no tar'), 'not a tar'],
  ])('%s is refused', async (_what, tar, why) => {
    await expect(count(tar)).rejects.toThrow(why);
    await expect(count(tar, { size: 7 })).rejects.toThrow(LayerFault);
    await expect(count(gzipSync(tar), { type: `${TYPE}+gzip` })).rejects.toThrow(why);
  });

  test.each([
    ['gzip that says it is a tar', gzipSync(tarOf([])), TYPE],
    ['a tar that says it is gzip', tarOf([]), `${TYPE}+gzip`],
    ['zstd that says it is gzip', zstdCompressSync(tarOf([])), `${TYPE}+gzip`],
    ['gzip that says it is zstd', gzipSync(tarOf([])), 'application/vnd.docker.image.rootfs.diff.tar.zstd'],
    ['bzip2, which some unpack', Buffer.from('BZh91AY&SY'), TYPE],
    ['xz, which some unpack', Buffer.from('fd377a585a000004', 'hex'), TYPE],
  ])('%s is refused', async (_what, bytes, type) => {
    await expect(count(bytes, { type })).rejects.toThrow('not packed as its type says');
  });

  test.each([
    ['gzip that is cut off', gzipSync(tarOf([file(5000)])).subarray(0, -9), 'gzip'],
    ['gzip with something behind it', Buffer.concat([gzipSync(tarOf([])), Buffer.from('more')]), 'gzip'],
    [
      'gzip with zeros and then more behind it',
      Buffer.concat([gzipSync(tarOf([])), Buffer.alloc(9), gzipSync('x')]),
      'gzip',
    ],
    [
      'zstd with something behind it',
      Buffer.concat([zstdCompressSync(tarOf([])), Buffer.from('more')]),
      'zstd',
    ],
  ])('of %s is refused', async (_what, bytes, packing) => {
    for (const size of [1, 1000]) {
      await expect(count(bytes, { type: `${TYPE}+${packing}`, size })).rejects.toThrow('cannot be unpacked');
    }
  });

  test('is not unpacked beyond what it may make, however small it is packed', async () => {
    const bomb = tarOf([{ data: Buffer.alloc(16 * 2 ** 20) }]);
    const most = mostOf(2 ** 20);
    for (const [packed, packing] of [
      [gzipSync(bomb), 'gzip'],
      [zstdCompressSync(bomb), 'zstd'],
    ] as const) {
      expect(packed.length).toBeLessThan(100_000);
      const tally = new Tally(most);
      const counted = countLayer(pieces(packed), `${TYPE}+${packing}`, tally);
      await expect(counted).rejects.toThrow(new Full('brings it to more than 0.001 GiB unpacked'));
      expect(tally.bytes).toBeLessThan(4 * 2 ** 20);
    }
  });

  test('makes no more inodes than such an image has a share of', async () => {
    const many = Array.from({ length: 65 }, () => file(0));
    await expect(count(tarOf(many), { most: mostOf(2 ** 20) })).rejects.toThrow('more than 64 files');
    await expect(count(tarOf(many.slice(1)), { most: mostOf(2 ** 20) })).resolves.toMatchObject({
      entries: 64,
    });
  });

  test('that its registry breaks off is no fault of its author', async () => {
    const broke = new Error('the registry broke off');
    async function* breaking(bytes: Buffer): AsyncGenerator<Buffer> {
      yield bytes.subarray(0, bytes.length - 20);
      throw broke;
    }
    const tar = tarOf([file(5000)]);
    const counted = (bytes: Buffer, type: string) => countLayer(breaking(bytes), type, new Tally(PLENTY));
    await expect(counted(tar, TYPE)).rejects.toBe(broke);
    await expect(counted(gzipSync(tar), `${TYPE}+gzip`)).rejects.toBe(broke);
  });
});
