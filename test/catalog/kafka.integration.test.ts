import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { serviceContainer } from '../../catalog/containers';
import { loadCatalog } from '../../catalog/load';
import { root } from '../support/model';

// How Kafka is started, copied and restored: the catalog's own files, around a program that writes as a node does. Kafka
// itself is asked by night, in test/lab/e2e/services.test.ts.

const found = loadCatalog(join(root, 'catalog')).services.kafka;
if (!found?.backup || !('dump' in found.backup)) throw new Error('no kafka that is dumped');
const service = found;
const { backup } = found;

/**
 * Writes each number to partition a-0 and then to b-0, as a producer would that waits for an answer; its metadata are the
 * accounts. It has threads, as a node has.
 */
const NODE = `
const fs = require('node:fs');
const log = process.env.KAFKA_LOG_DIRS;
const file = (partition) => {
  fs.mkdirSync(log + '/' + partition, { recursive: true });
  return fs.openSync(log + '/' + partition + '/00000000000000000000.log', 'a');
};
file('__cluster_metadata-0');
const [a, b] = [file('a-0'), file('b-0')];
let number = fs.fstatSync(b).size / 8;
fs.ftruncateSync(a, number * 8);
process.on('SIGTERM', () => process.exit(7));
(function write() {
  for (let at = 0; at < 20; at++) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(++number));
    fs.writeSync(a, bytes);
    fs.writeSync(b, bytes);
  }
  setTimeout(write, 1);
})();
`;
/** kafka-configs.sh: a user has the password that stands in the file of its input. */
const CONFIGS = `#!/bin/bash
while [ "$1" != --entity-name ]; do shift; done
sed 's/^SCRAM-SHA-512=password=//' > "$KAFKA_LOG_DIRS/__cluster_metadata-0/$2"
`;
const OFFSETS = `#!/bin/bash
printf '%s:1:7\\n' b a
`;

let folder: string;
let env: Record<string, string>;
const children = new Set<ChildProcess>();
const place = (...path: string[]): string => join(folder, ...path);
const log = (...path: string[]): string => place('data', 'log', ...path);

/** A text of the catalog, with its paths in the test's folder. */
const here = (words: string): string =>
  words.replace(/(?<![\w/])\/(opt|etc|run|tmp)\//g, (path) => place(path));

function program(path: string, source: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, source);
  chmodSync(path, 0o755);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-kafka-'));
  const use = { name: 'events', kind: 'kafka', version: '4.1', storage: '1Gi' };
  const access = { host: '127.0.0.1', user: 'shop', password: 'first-1', database: 'shop' };
  const { annotations } = serviceContainer(use, service, 'kafka', access);
  for (const [index, path] of Object.keys(service.files).sort().entries())
    program(here(path), here(annotations[`switchyard.dev/events-file-${index}`] ?? ''));
  program(place('node.js'), NODE);
  program(place('etc/kafka/docker/run'), `#!/bin/sh\nexec ${process.execPath} ${place('node.js')}\n`);
  program(place('opt/kafka/bin/kafka-configs.sh'), CONFIGS);
  program(place('opt/kafka/bin/kafka-get-offsets.sh'), OFFSETS);
  for (const path of ['data', 'run/switchyard', 'tmp', 'bin']) mkdirSync(place(path), { recursive: true });
  // A shell whose input is a socket, as Node has its pipes, takes itself for a remote login's and reads a person's files.
  env = {
    ...{ PATH: `${place('bin')}:${process.env.PATH}`, SHLVL: '1', KAFKA_LOG_DIRS: log() },
    ...{ MODULE_USER: 'shop', MODULE_PASSWORD: 'first-1' },
  };
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  if (existsSync(place('tmp/kafka.pid'))) {
    try {
      process.kill(node(), 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  rmSync(folder, { recursive: true, force: true });
});

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once('close', resolve));

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !what(); tries++) await sleep(20);
  expect(what()).toBe(true);
}

/** The container's process 1, whose node is ready. */
async function start(): Promise<{ child: ChildProcess; over: Promise<number | null> }> {
  rmSync(place('tmp/kafka.pid'), { force: true });
  const child = spawn('bash', [place('opt/switchyard/start.sh')], { env, stdio: 'ignore' });
  children.add(child);
  const over = ended(child).finally(() => children.delete(child));
  await until(() => existsSync(place('tmp/kafka.pid')) && existsSync(log('.account')));
  await until(() => existsSync(log('b-0')) && written('b-0') > 0);
  return { child, over };
}

const node = (): number => Number(readFileSync(place('tmp/kafka.pid'), 'utf8'));
const written = (partition: string): number => statSync(log(partition, '00000000000000000000.log')).size / 8;

function begin(argv: readonly string[] = [], input: Buffer = Buffer.alloc(0)): ChildProcess {
  const [command = '', ...args] = argv.map(here);
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined).end(input);
  return child;
}

async function run(
  argv: readonly string[] | undefined,
  input?: Buffer,
): Promise<{ code: number | null; out: Buffer; said: string }> {
  const child = begin(argv, input);
  if (!child.stdout || !child.stderr) throw new Error('no pipes');
  const [out, said, code] = await Promise.all([buffer(child.stdout), text(child.stderr), ended(child)]);
  return { code, out, said: said.trim() };
}

/** The files of a copy. */
function filesOf(copy: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  let at = copy.indexOf('\n') + 1;
  expect(copy.toString('latin1', 0, at)).toBe('switchyard-kafka 1\n');
  for (;;) {
    const end = copy.indexOf('\n', at);
    const [length = '', path = ''] = copy.toString('latin1', at, end).split(' ');
    at = end + 1;
    if (length === 'END') {
      expect([Number(path), at]).toEqual([files.size, copy.length]);
      return files;
    }
    files.set(path, copy.subarray(at, at + Number(length)));
    at += Number(length);
  }
}

/** Below a folder, each file's path. */
const pathsIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort();

const BYTES = Buffer.from([0, 10, 13, 255, 69, 78, 68, 32, 49, 10]);
function put(path: string, bytes: string | Buffer): void {
  mkdirSync(dirname(log(path)), { recursive: true });
  writeFileSync(log(path), bytes);
}

test('what ends process 1 ends the node, whose exit code is the one of the container', async () => {
  const { child, over } = await start();
  expect(node()).not.toBe(child.pid);
  child.kill('SIGTERM');
  expect(await over).toBe(7);
  expect(() => process.kill(node(), 0)).toThrow('ESRCH');
  // A node that ends by itself takes the container along.
  const again = await start();
  process.kill(node(), 'SIGKILL');
  expect(await again.over).toBe(137);
});

test('a copy is of one moment, however much is written meanwhile, and the node goes on', async () => {
  await start();
  for (let times = 0; times < 5; times++) {
    const before = written('b-0');
    const { code, out, said } = await run(backup.dump);
    expect({ code, said }).toEqual({ code: 0, said: '' });
    const files = filesOf(out);
    const [a = 0, b = 0] = ['a-0', 'b-0'].map(
      (partition) => (files.get(`${partition}/00000000000000000000.log`)?.length ?? 0) / 8,
    );
    expect(b).toBeGreaterThanOrEqual(before);
    expect([b, b + 1]).toContain(a);
    await until(() => written('b-0') > b + 1);
    expect(existsSync(place('data/copy'))).toBe(false);
  }
});

test('a copy claims no clean end, and holds neither indexes nor what was deleted', async () => {
  put('letters-0/00000000000000000000.log', BYTES);
  put('letters-0/00000000000000000007.log', Buffer.alloc(2_500_000, 'x\n'));
  put('letters-0/00000000000000000007.snapshot', 'producers');
  put('letters-0/00000000000000000007.log.swap', 'half compacted');
  put('letters-0/partition.metadata', '');
  put('log-start-offset-checkpoint', '0\n');
  put('meta.properties', 'node.id=1\n');
  const kept = pathsIn(log());
  for (const path of [
    ...['.kafka_cleanshutdown', '.lock', 'recovery-point-offset-checkpoint', 'meta.properties.tmp'],
    ...['00000000000000000000.index', '00000000000000000000.timeindex', '00000000000000000000.txnindex'].map(
      (name) => `letters-0/${name}`,
    ),
    'letters-0/00000000000000000003.log.deleted',
    'gone-0.585f1bac90d84760a5992afb4289e024-delete/00000000000000000000.log',
    'gone-1.034786aac9b54efc818d4b515892327c-stray/00000000000000000000.log',
  ])
    put(path, 'of today');
  await start();
  const files = filesOf((await run(backup.dump)).out);
  const own = /^(a-0|b-0|__cluster_metadata-0)\//;
  expect([...files.keys()].filter((path) => !own.test(path)).sort()).toEqual(kept);
  for (const path of kept)
    expect([path, files.get(path)?.equals(readFileSync(log(path)))]).toEqual([path, true]);
});

test('a node with other data has what the copy holds and nothing else, and lets in by the password of today', async () => {
  put('letters-0/00000000000000000000.log', BYTES);
  put('letters-0/00000000000000000007.log', Buffer.alloc(1_048_576, 'x\n'));
  put('empty-0/00000000000000000000.log', '');
  const first = await start();
  // The second user's has been changed since: the copy has the former one.
  writeFileSync(log('__cluster_metadata-0/shop_2'), 'former');
  const { out } = await run(backup.dump);
  first.child.kill('SIGTERM');
  await first.over;

  rmSync(log(), { recursive: true });
  put('later-0/00000000000000000000.log', 'another topic');
  writeFileSync(place('run/switchyard/user'), 'shop_2');
  writeFileSync(place('run/switchyard/password'), 'second-2');
  const second = await start();
  expect(await run(backup.restore, out)).toMatchObject({ code: 0, said: '' });
  // Nothing has changed before the restart.
  expect(existsSync(log('later-0'))).toBe(true);
  expect(await run(backup.restart)).toMatchObject({ code: 0, said: '' });
  expect(await second.over).toBe(137);
  const third = await start();
  expect(readdirSync(log()).sort()).toEqual([
    ...['.account', '__cluster_metadata-0', 'a-0', 'b-0', 'empty-0', 'letters-0'],
  ]);
  const files = filesOf(out);
  for (const [path, bytes] of files)
    if (/^(letters|empty)/.test(path))
      expect([path, bytes.equals(readFileSync(log(path)))]).toEqual([path, true]);
  for (const user of ['shop', 'shop_2'])
    expect(readFileSync(log('__cluster_metadata-0', user), 'utf8').trim()).toBe('second-2');
  expect(readdirSync(place('data')).sort()).toEqual(['dump.lock', 'log', 'restore.lock']);
  // The next start is one as any other.
  third.child.kill('SIGTERM');
  await third.over;
  await start();
  expect(existsSync(log('letters-0'))).toBe(true);
});

test('on an empty volume only the user whose turn it is comes to be', async () => {
  writeFileSync(place('run/switchyard/user'), 'shop_2');
  writeFileSync(place('run/switchyard/password'), 'second-2');
  await start();
  expect(readdirSync(log('__cluster_metadata-0'))).toEqual(['00000000000000000000.log', 'shop_2']);
});

test('a restore of less than a whole copy is told, and a start takes nothing of it', async () => {
  put('letters-0/00000000000000000000.log', BYTES);
  put('letters-0/00000000000000000007.log', Buffer.alloc(300_000, '5 x\n'));
  const { child, over } = await start();
  const { out } = await run(backup.dump);
  put('later-0/00000000000000000000.log', 'another topic');
  for (const length of [out.length - 2, out.length - 7, out.length - 100_000, 40, 25]) {
    expect(await run(backup.restore, out.subarray(0, length))).toMatchObject({
      code: 1,
      said: expect.stringMatching(/^the copy breaks off after \d+ files$/),
    });
    // One that was whole before is not taken for this one.
    expect(readdirSync(place('data')).sort()).toEqual(['dump.lock', 'log', 'restore.lock']);
    expect((await run(backup.restart)).code).toBe(1);
    if (length === out.length - 2) expect((await run(backup.restore, out)).code).toBe(0);
  }
  expect(await run(backup.restore, Buffer.from('another dump\n'))).toMatchObject({
    code: 1,
    said: 'this is no copy of Kafka',
  });
  // Killed between the two commands: what was restored is not let in by whatever restarts the node.
  expect((await run(backup.restore, out)).code).toBe(0);
  child.kill('SIGTERM');
  await over;
  await start();
  expect(existsSync(log('later-0'))).toBe(true);
});

test('a start that is killed while it puts the copy in place goes on at the next one', async () => {
  put('letters-0/00000000000000000000.log', BYTES);
  const { child, over } = await start();
  const { out } = await run(backup.dump);
  put('later-0/00000000000000000000.log', 'another topic');
  expect((await run(backup.restore, out)).code).toBe(0);
  expect((await run(backup.restart)).code).toBe(0);
  await over;
  expect(child.exitCode).toBe(137);
  cpSync(place('data'), place('kept'), { recursive: true });
  for (const gone of [log('letters-0'), log('__cluster_metadata-0'), log()]) {
    rmSync(gone, { recursive: true });
    const again = await start();
    expect([existsSync(log('letters-0')), existsSync(log('later-0'))]).toEqual([true, false]);
    again.child.kill('SIGTERM');
    await again.over;
    rmSync(place('data'), { recursive: true });
    cpSync(place('kept'), place('data'), { recursive: true });
  }
});

test('a node goes on whatever becomes of its copy, which fails where it had to stand for long', async () => {
  await start();
  const copy = readFileSync(place('opt/switchyard/copy.sh'), 'utf8');
  expect(copy.match(/sleep 8$/gm)).toHaveLength(1);
  program(place('opt/switchyard/copy.sh'), copy.replace('sleep 8\n', 'sleep 2\n'));
  program(place('bin/cp'), '#!/bin/sh\nsleep 4\nexec /bin/cp "$@"\n');
  const late = await run(backup.dump);
  expect(late).toMatchObject({ code: 1, said: 'Kafka would have to stand still for too long' });
  expect(late.out).toHaveLength(0);
  await until(() => !existsSync(place('data/copy')));

  const killed = begin(backup.dump);
  await until(() => / T /.test(readFileSync(`/proc/${node()}/stat`, 'latin1')));
  const stood = written('b-0');
  killed.kill('SIGKILL');
  await sleep(500);
  expect(written('b-0')).toBe(stood);
  await until(() => written('b-0') > stood);
  rmSync(place('bin/cp'));
  // What it left is in nobody's way.
  expect((await run(backup.dump)).code).toBe(0);
});

test('a fingerprint is the same until a record comes, and knows nothing of what the node keeps for itself', async () => {
  put('letters-0/00000000000000000000.log', BYTES);
  put('a.name-with-1-0/00000000000000000000.log', '');
  for (const path of [
    ...['__consumer_offsets-0', '__transaction_state-49', '__share_group_state-1', '__cluster_metadata-0'],
    'gone-0.585f1bac90d84760a5992afb4289e024-delete',
  ])
    put(`${path}/00000000000000000000.log`, 'own');
  const printed = async () => {
    const { code, out, said } = await run(backup.fingerprint);
    expect({ code, said }).toEqual({ code: 0, said: '' });
    return out.toString();
  };
  const before = await printed();
  expect(before.split('\n').map((line) => line.replace(/[0-9a-f]{64}/, 'SUM'))).toEqual([
    ...['a:1:7', 'b:1:7', 'a:1:7', 'b:1:7'],
    ...['a.name-with-1-0 SUM  -', 'letters-0 SUM  -', ''],
  ]);
  put('__consumer_offsets-0/00000000000000000000.log', 'read');
  // Where a segment ends is no matter of its records.
  put('letters-0/00000000000000000000.log', BYTES.subarray(0, 4));
  put('letters-0/00000000000000000004.log', BYTES.subarray(4));
  expect(await printed()).toBe(before);
  put('letters-0/00000000000000000009.log', 'x');
  expect(await printed()).not.toBe(before);

  program(place('opt/kafka/bin/kafka-get-offsets.sh'), '#!/bin/sh\nexit 1\n');
  expect((await run(backup.fingerprint)).code).toBe(1);
  // Without topics the program that asks for offsets fails.
  for (const partition of readdirSync(log()).filter((name) => !name.startsWith('__')))
    rmSync(log(partition), { recursive: true });
  expect(await printed()).toBe('');
});
