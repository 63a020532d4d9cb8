import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { exitCode } from '../../clients/failure';
import { packParcel, unpackParcel } from '../../delivery/parcel';

let root: string;
let from: string;
let into: string;
let file: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'parcel-'));
  from = join(root, 'from');
  into = join(root, 'into');
  file = join(root, 'parcel');
  mkdirSync(from);
});
afterEach(() => rmSync(root, { recursive: true }));

const parcel = (header: unknown, contents = ''): void =>
  writeFileSync(
    file,
    gzipSync(`${typeof header === 'string' ? header : JSON.stringify(header)}\n${contents}`),
  );
const held = (): Record<string, string> =>
  Object.fromEntries(readdirSync(into).map((name) => [name, readFileSync(join(into, name), 'latin1')]));

describe('a parcel', () => {
  it('gives back the plain files that went in, byte by byte, whatever they hold', async () => {
    const contents = fc.array(fc.uint8Array({ maxLength: 100_000 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(contents, async (files) => {
        rmSync(from, { recursive: true });
        mkdirSync(from);
        for (const [index, bytes] of files.entries()) writeFileSync(join(from, `f${index}`), bytes);
        await packParcel(from, file);
        await unpackParcel(file, into);
        expect(held()).toEqual(
          Object.fromEntries(
            files.map((bytes, index) => [`f${index}`, Buffer.from(bytes).toString('latin1')]),
          ),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('takes no link, pipe, folder or hidden file along', async () => {
    writeFileSync(join(from, 'log'), 'x');
    writeFileSync(join(from, '.bashrc'), 'x');
    writeFileSync(join(from, 'new\nline'), 'x');
    symlinkSync('/etc/passwd', join(from, 'events.jsonl'));
    execFileSync('mkfifo', [join(from, 'pipe')]);
    mkdirSync(join(from, 'folder'));
    await packParcel(from, file);
    expect(await unpackParcel(file, into)).toEqual(['log']);
  });

  it('replaces what stood in its folder, and a link in its place, not what that points to', async () => {
    mkdirSync(join(root, 'elsewhere'));
    writeFileSync(join(root, 'elsewhere', 'kept'), 'x');
    symlinkSync('elsewhere', into);
    writeFileSync(join(from, 'log'), 'new');
    await packParcel(from, file);
    await unpackParcel(file, into);
    expect(held()).toEqual({ log: 'new' });
    expect(readdirSync(join(root, 'elsewhere'))).toEqual(['kept']);
  });

  it.each<[string, () => void]>([
    ['a path', () => parcel([{ name: '../x', size: 1 }], 'x')],
    ['a folder', () => parcel([{ name: 'a/x', size: 1 }], 'x')],
    ['an absolute path', () => parcel([{ name: '/etc/x', size: 1 }], 'x')],
    ['a hidden file', () => parcel([{ name: '.npmrc', size: 1 }], 'x')],
    ['a name with a line break', () => parcel([{ name: 'a\nb', size: 1 }], 'x')],
    ['a name with NUL', () => parcel([{ name: 'a\u0000b', size: 1 }], 'x')],
    [
      'two files of one name',
      () =>
        parcel(
          [
            { name: 'a', size: 1 },
            { name: 'A', size: 1 },
          ],
          'xy',
        ),
    ],
    ['a negative size', () => parcel([{ name: 'a', size: -1 }])],
    ['a kind', () => parcel([{ name: 'a', size: 0, link: '/etc' }])],
    ['less than it says', () => parcel([{ name: 'a', size: 9 }], 'x')],
    ['more than it says', () => parcel([{ name: 'a', size: 1 }], 'xy')],
    ['more than it says, of nothing', () => parcel([], 'x')],
    [
      'more files than it may',
      () => parcel(Array.from({ length: 17 }, (_, n) => ({ name: `f${n}`, size: 0 }))),
    ],
    ['more bytes than it may', () => parcel([{ name: 'a', size: 2 ** 31 }], 'x')],
    ['a header without end', () => writeFileSync(file, gzipSync('['.repeat(1 << 20)))],
    ['no header', () => parcel('{}')],
    ['a tar', () => execFileSync('tar', ['-czf', file, '-C', root, 'from'])],
    ['text', () => writeFileSync(file, 'x')],
    ['nothing', () => writeFileSync(file, '')],
    [
      'what is cut off',
      () => {
        parcel([{ name: 'a', size: 5000 }], 'x'.repeat(5000));
        writeFileSync(file, readFileSync(file).subarray(0, 20));
      },
    ],
  ])('that holds %s is refused, and leaves nothing', async (_what, make) => {
    make();
    await expect(unpackParcel(file, into)).rejects.toMatchObject({ code: exitCode.red });
    expect(existsSync(into)).toBe(false);
    expect(readdirSync(root).sort()).toEqual(['from', 'parcel']);
  });

  it('is not read through a link, nor from a pipe', async () => {
    symlinkSync('/dev/zero', file);
    await expect(unpackParcel(file, into)).rejects.toMatchObject({ code: exitCode.input });
    rmSync(file);
    execFileSync('mkfifo', [file]);
    await expect(unpackParcel(file, into)).rejects.toMatchObject({ code: exitCode.red });
  });

  it('that grows beyond what is carried is refused where it is packed and where it is unpacked', async () => {
    writeFileSync(join(from, 'log'), 'x'.repeat(100));
    const small = { files: 1, bytes: 99, packed: 1000 };
    await expect(packParcel(from, file, small)).rejects.toMatchObject({ code: exitCode.red });
    await packParcel(from, file);
    expect(gunzipSync(readFileSync(file)).toString()).toBe(`[{"name":"log","size":100}]\n${'x'.repeat(100)}`);
    await expect(unpackParcel(file, into, small)).rejects.toMatchObject({ code: exitCode.red });
    await expect(unpackParcel(file, into, { ...small, bytes: 100, packed: 10 })).rejects.toMatchObject({
      code: exitCode.red,
    });
    await expect(packParcel(from, file, { ...small, bytes: 100, packed: 10 })).rejects.toMatchObject({
      code: exitCode.red,
    });
    expect(existsSync(file)).toBe(false);
  });
});
