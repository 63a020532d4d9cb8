import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCatalog } from '../../catalog/load';
import { root } from '../support/model';

// The fingerprint of MongoDB as its container runs it, with a mongodump that prints an archive of ours.

const folder = mkdtempSync(join(tmpdir(), 'switchyard-fingerprint-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { services } = loadCatalog(join(root, 'catalog'));

function commandOf(kind: string): readonly string[] {
  const backup = services[kind]?.backup;
  if (!backup || !('dump' in backup) || !backup.fingerprint) throw new Error(`${kind} has no fingerprint`);
  return backup.fingerprint;
}

/** BSON (https://bsonspec.org/spec.html) of what an archive holds here. */
function bson(fields: Readonly<Record<string, string | number | boolean>>): Buffer {
  const parts = Object.entries(fields).map(([name, value]) => {
    const key = (type: number) => Buffer.from([type, ...Buffer.from(name), 0]);
    if (typeof value === 'boolean') return Buffer.concat([key(8), Buffer.from([value ? 1 : 0])]);
    const size = Buffer.alloc(4);
    if (typeof value === 'number') {
      size.writeInt32LE(value);
      return Buffer.concat([key(16), size]);
    }
    size.writeInt32LE(Buffer.byteLength(value) + 1);
    return Buffer.concat([key(2), size, Buffer.from(`${value}\0`)]);
  });
  const body = Buffer.concat([...parts, Buffer.from([0])]);
  const size = Buffer.alloc(4);
  size.writeInt32LE(body.length + 4);
  return Buffer.concat([size, body]);
}

const END = Buffer.alloc(4, 0xff);
const MAGIC = Buffer.from('6de29981', 'hex');
type Row = Readonly<Record<string, string | number>>;
type Block = readonly [db: string, collection: string, rows: readonly Row[], end?: number];

/** An archive: of each collection its metadata, then its rows in one block or several. */
const archive = (blocks: readonly Block[], uuid = 'a1'): Buffer =>
  Buffer.concat([
    MAGIC,
    bson({ concurrent_collections: 4, server_version: uuid, version: '0.1' }),
    ...blocks.map(([db, collection]) => bson({ collection, db, metadata: `{"uuid":"${uuid}"}` })),
    END,
    ...blocks.flatMap(([db, collection, rows, CRC]) => [
      bson({ EOF: CRC !== undefined, collection, db, ...(CRC === undefined ? {} : { CRC }) }),
      ...rows.map(bson),
      END,
    ]),
  ]);

function fingerprint(
  dumped: Buffer,
  exitCode = 0,
): { readonly code: number | null; readonly printed: string } {
  writeFileSync(join(folder, 'archive'), dumped);
  const program = join(folder, 'mongodump');
  writeFileSync(program, `#!/bin/sh\ncat "${join(folder, 'archive')}"\nexit ${exitCode}\n`);
  chmodSync(program, 0o755);
  const [command = '', ...args] = commandOf('mongodb');
  const { status, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
  });
  return { code: status, printed: stdout };
}

const one = { _id: 1, mark: 'first' };
const two = { _id: 2, mark: 'a line\nand another' };
const plain: Block[] = [
  ['module', 'events', [one, two]],
  ['module', 'people', [one]],
];
const same = fingerprint(archive(plain));

test('the same documents print the same, whatever their order, their blocks and the numbers of the server', () => {
  expect(same).toEqual({ code: 0, printed: expect.stringMatching(/^[0-9a-f]{64} {2}-\n$/) });
  const interleaved = archive(
    [
      ['module', 'events', [two]],
      ['module', 'people', [one]],
      ['module', 'people', [], 77],
      ['module', 'events', [one]],
      ['module', 'events', [], 78],
    ],
    'b2',
  );
  expect(fingerprint(interleaved)).toEqual(same);
});

test("what the server keeps for itself is not compared, nor is a collection's way into the dump", () => {
  const own: Block[] = ['admin', 'config', 'local'].map((db) => [db, 'system.version', [two]]);
  expect(fingerprint(archive([...own, ...plain]))).toEqual(same);
  // A database of a module whose name only begins like one of the server's.
  expect(fingerprint(archive([...plain, ['configuration', 'events', [two]]]))).not.toEqual(same);
});

test.each<[string, Block[]]>([
  ['is gone', [['module', 'events', [one]], ...plain.slice(1)]],
  ['is another', [['module', 'events', [one, { ...two, mark: 'A line' }]], ...plain.slice(1)]],
  ['is there twice', [['module', 'events', [one, two, two]], ...plain.slice(1)]],
  ['is in another collection', [['module', 'events', [two]], plain[1] as Block, ['module', 'people', [one]]]],
  ['is in another database', [plain[0] as Block, ['other', 'people', [one]]]],
])('a document that %s prints something else', (_, blocks) => {
  const changed = fingerprint(archive(blocks));
  expect(changed.code).toBe(0);
  expect(changed.printed).not.toBe(same.printed);
});

test('a dump that broke off or failed is no fingerprint', () => {
  const whole = archive(plain);
  expect(fingerprint(whole.subarray(0, whole.length - 9)).code).not.toBe(0);
  expect(fingerprint(Buffer.alloc(0)).code).not.toBe(0);
  expect(fingerprint(MAGIC).code).not.toBe(0);
  expect(fingerprint(whole, 1).code).toBe(1);
});

test('no fingerprint hides that what it reads has failed', () => {
  const kinds = Object.keys(services).filter((kind) => {
    const backup = services[kind]?.backup;
    return backup && 'dump' in backup && backup.fingerprint?.some((word) => word.includes('|'));
  });
  expect(kinds).toEqual(['elasticsearch', 'hdfs', 'mongodb', 'mysql', 'postgresql', 'rabbitmq', 'redis']);
  for (const kind of kinds) expect(commandOf(kind).slice(0, 4)).toEqual(['bash', '-o', 'pipefail', '-c']);
});
