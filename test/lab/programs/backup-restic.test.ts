// The real restic: each of its calls derives a key for half a second, which is too slow for the unit tests.

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Refused, ResticFailure, reasonOf } from '../../../delivery/backup/restic';
import type { Snapshot } from '../../../delivery/backup/snapshots';
import { broken, Folders, flipped, KEY, parts, streamOf, vault } from '../../delivery/backup/support';
import { nightly } from '../../support/scale';

jest.setTimeout(300_000);

const folders = new Folders();
afterAll(() => folders.remove());

const root = folders.new('restic');
const repository = join(root, 'repository');
const cache = join(root, 'cache');
mkdirSync(cache);
const restic = vault(repository, cache);
const dump = randomBytes(3_000_000);

function fileWith(said: string): string {
  const file = join(folders.new('password'), 'password');
  writeFileSync(file, said);
  return file;
}

async function refusal(work: Promise<unknown>): Promise<ResticFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ResticFailure)) throw new Error(`not refused: ${error}`);
  expect(error.message).not.toContain(KEY);
  expect(error.message.split('\n')).toHaveLength(1);
  return error;
}

let mysql: Snapshot;

beforeAll(async () => {
  const said: string[] = [];
  const say = (line: string) => said.push(line);
  for (const _twice of [1, 2]) expect(await restic.prepare(say)).toEqual({ snapshots: [], successes: [] });
  expect(said).toEqual(['made the backup repository']);
  const stored = await restic.store({ kind: 'databases', item: 'orders/mysql' }, streamOf(dump));
  expect(stored.bytes).toBe(dump.length);
  expect(stored.added).toBeGreaterThan(dump.length);
  mysql = (await restic.holdings()).snapshots[0] as Snapshot;
});

test('what was stored is read back byte for byte, with its kind, item, content and size', async () => {
  const item = `modules/orders@sha256:${'a'.repeat(64)}`;
  await restic.store({ kind: 'registry', item, content: 'c0ffee' }, streamOf('layout'));
  const { snapshots, successes } = await restic.holdings();
  expect(snapshots.map(({ kind, item, content }) => ({ kind, item, content }))).toEqual([
    { kind: 'databases', item: 'orders/mysql', content: undefined },
    { kind: 'registry', item, content: 'c0ffee' },
  ]);
  expect(successes).toEqual([]);
  expect(Math.abs((snapshots[1]?.time ?? 0) - Date.now() / 1000)).toBeLessThan(60);
  expect((await buffer(restic.read(mysql))).equals(dump)).toBe(true);
  expect(await text(restic.read(snapshots[1] as Snapshot))).toBe('layout');
  expect(await restic.size(mysql)).toBe(dump.length);
});

test('what is the same already takes no room', async () => {
  const again = await restic.store({ kind: 'databases', item: 'copy/mysql' }, streamOf(dump));
  expect(again.bytes).toBe(dump.length);
  expect(again.added).toBeLessThan(20_000);
});

test('a stream that breaks leaves no snapshot, and its own reason is told', async () => {
  const before = (await restic.holdings()).snapshots.length;
  await expect(
    restic.store({ kind: 'databases', item: 'orders/half' }, broken('mysqldump ended with 2')),
  ).rejects.toThrow('mysqldump ended with 2');
  expect((await restic.holdings()).snapshots).toHaveLength(before);
});

test('a run that is killed in the middle of an item leaves none of it, and the next run stores it', async () => {
  const before = (await restic.holdings()).snapshots.length;
  const script = join(root, 'killed.ts');
  writeFileSync(
    script,
    `import { PassThrough } from 'node:stream';
     import { vault } from ${JSON.stringify(join(__dirname, '..', '..', 'delivery', 'backup', 'support'))};
     const stream = new PassThrough();
     stream.write(Buffer.alloc(100_000, 7));
     vault(${JSON.stringify(repository)}, ${JSON.stringify(cache)}).store({ kind: 'state', item: 'stack' }, stream);
     setTimeout(() => process.stdout.write('going'), 1500);`,
  );
  const child = spawn(process.execPath, ['--import', 'tsx', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: join(__dirname, '..', '..', '..'),
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGKILL');
  await sleep(4000);
  expect((await restic.holdings()).snapshots).toHaveLength(before);
  await restic.store({ kind: 'state', item: 'stack' }, streamOf('all of it'));
  expect((await restic.holdings()).snapshots).toHaveLength(before + 1);
  // The lock that the killed run left does not stop the reading back.
  await restic.check();
});

test('a program that gives up early is told of, not the pipe that broke', async () => {
  const endless = new PassThrough();
  const writing = setInterval(() => endless.write(Buffer.alloc(100_000)), 5);
  const absent = vault(join(root, 'nowhere'), cache);
  const error = await refusal(absent.store({ kind: 'state', item: 'stack' }, endless));
  clearInterval(writing);
  expect(error.reason).toBe('absent');
});

test('the wrong key is refused in one sentence, before anything is read', async () => {
  const wrong = vault(repository, cache, { env: { RESTIC_PASSWORD: 'another' } });
  for (const work of [() => wrong.prepare(), () => wrong.holdings(), () => wrong.check()]) {
    const error = await refusal(work());
    expect(error.reason).toBe('wrong-key');
    expect(error.message).toBe(
      `backup: the repository ${repository} does not open with this key. ` +
        'Check RESTIC_PASSWORD: it comes from the seed with which the backup was made, and its version in the stack file.',
    );
  }
});

function made(): string {
  const folder = folders.new('at-once');
  execFileSync('restic', ['init', '--quiet'], {
    env: { PATH: process.env.PATH, HOME: cache, RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: KEY },
  });
  return folder;
}

/** What a repository comes to that several make at once: the keys of all, the configuration of the last. */
function madeBySeveral(): string {
  const [last, ...others] = [made(), made(), made()];
  for (const key of others.flatMap((folder) => parts(folder, 'keys')))
    copyFileSync(key, join(last, 'keys', basename(key)));
  return last;
}

test('a repository that several made at once opens with one key, and the others go', async () => {
  const at = madeBySeveral();
  await Promise.all([1, 2].map(() => vault(at, folders.new('cache')).prepare()));
  expect(parts(at, 'keys')).toHaveLength(1);
  const whole = vault(at, folders.new('cache'));
  await whole.store({ kind: 'state', item: 'stack' }, streamOf('kept'));
  await whole.check();
});

test('whoever comes while others still make a repository waits for the last of them, whether it opens or not', async () => {
  const [one, other] = [made(), made()];
  await Promise.all(
    [
      [one, other],
      [other, one],
    ].map(async ([first = '', last = '']) => {
      const at = folders.new('coming');
      cpSync(first, at, { recursive: true });
      for (const key of parts(last, 'keys')) copyFileSync(key, join(at, 'keys', basename(key)));
      const prepared = vault(at, folders.new('cache'), { settleMs: 20_000 }).prepare();
      await sleep(10_000);
      cpSync(join(last, 'config'), join(at, 'config'), { force: true });
      expect(await prepared).toEqual({ snapshots: [], successes: [] });
      expect(parts(at, 'keys').map((key) => basename(key))).toEqual(
        parts(last, 'keys').map((key) => basename(key)),
      );
    }),
  );
});

test('whoever begins at once with others backs up, and all of it is read back', async () => {
  const at = join(root, 'begun-at-once');
  await Promise.all(
    ['a', 'b', 'c'].map(async (item) => {
      const own = vault(at, folders.new('cache'), { settleMs: undefined });
      await own.prepare();
      await own.store({ kind: 'databases', item }, streamOf(item));
    }),
  );
  const { snapshots } = await vault(at, cache).holdings();
  expect(snapshots.map(({ item }) => item).sort()).toEqual(['a', 'b', 'c']);
  await vault(at, folders.new('cache')).check();
});

test('no key goes where something is stored', async () => {
  const at = madeBySeveral();
  await vault(at, folders.new('cache')).prepare();
  await vault(at, folders.new('cache')).store({ kind: 'state', item: 'stack' }, streamOf('kept'));
  const late = madeBySeveral();
  const stray = parts(late, 'keys').map((key) => basename(key));
  for (const key of parts(late, 'keys')) copyFileSync(key, join(at, 'keys', basename(key)));
  await vault(at, folders.new('cache'))
    .prepare()
    .catch((error: unknown) => expect((error as ResticFailure).reason).toBe('damaged'));
  expect(parts(at, 'keys').map((key) => basename(key))).toEqual(expect.arrayContaining(stray));
});

const key = 'a'.repeat(64);
/** Says what restic does of a configuration that no key opens, at once: a key takes restic half a second. */
const DAMAGED = `#!/bin/sh
case "$*" in *--key-hint*) echo x >> "$0.hints" ;; esac
echo 'Fatal: config or key ${key} is damaged: ciphertext verification failed' >&2
exit 1
`;

test('a configuration is damaged once no key opens it, by whatever its id begins with', async () => {
  const program = join(folders.new('damaged'), 'restic');
  writeFileSync(program, DAMAGED);
  chmodSync(program, 0o755);
  expect((await refusal(vault(repository, cache, { program }).prepare())).reason).toBe('damaged');
  // One digit, then two: neither the key's own first digit nor its first two are another key's.
  expect(readFileSync(`${program}.hints`, 'utf8').split('\n').filter(Boolean)).toHaveLength(15 + 255);
});

nightly(
  'a damaged configuration stays damaged, says the real restic',
  async () => {
    const config = flipped(repository, join(root, 'flipped-prepare'), join(repository, 'config'));
    expect((await refusal(vault(config, cache).prepare())).reason).toBe('damaged');
  },
  900_000,
);

test('where there is no repository, that is said', async () => {
  expect((await refusal(vault(join(root, 'nowhere'), cache).holdings())).reason).toBe('absent');
});

test('a storage that cannot be reached is no damage and no absence', async () => {
  const away = vault('rest:http://user:s3cr3tpass@127.0.0.1:9/', cache);
  const error = await refusal(away.prepare());
  expect(error.reason).toBe('unreachable');
  expect(error.message).not.toContain('s3cr3tpass');
});

test.each(['data', 'index', 'snapshots', 'config', 'keys'])(
  'one flipped bit in %s is refused by reading back',
  async (part) => {
    const files = part === 'config' ? [join(repository, 'config')] : parts(repository, part);
    const copy = flipped(repository, join(root, `flipped-${part}`), files.at(-1) ?? '');
    const damaged = vault(copy, cache);
    const { reason, message } = await refusal(damaged.check());
    // A key file that does not decrypt cannot be told from a wrong key.
    expect(part === 'keys' ? ['damaged', 'wrong-key'] : ['damaged']).toContain(reason);
    if (reason === 'damaged') expect(message).toMatch(/is damaged \(.*\)\. Restore nothing from it/);
  },
);

test('a damaged snapshot breaks the stream of reading it', async () => {
  let at = repository;
  for (const [index, file] of parts(repository, 'data').entries()) {
    at = flipped(at, join(root, `flipped-read-${index}`), file.replace(repository, at));
  }
  await expect(buffer(vault(at, folders.new('cache')).read(mysql))).rejects.toThrow(ResticFailure);
});

test('retention keeps the latest of each item, and never touches another environment', async () => {
  const shared = join(root, 'shared');
  const production = vault(shared, cache);
  const staging = vault(shared, cache, { environment: 'staging' });
  await production.prepare();
  for (const round of ['1', '2', '3']) {
    await production.store({ kind: 'databases', item: 'orders/mysql', content: round }, streamOf(round));
    await staging.store({ kind: 'databases', item: 'orders/mysql' }, streamOf(round));
  }
  await production.store({ kind: 'databases', item: 'orders/redis' }, streamOf('other item'));
  await production.succeed('databases');
  expect(await production.forget({ daily: 7, weekly: 4, monthly: 12 })).toEqual({ removed: 2 });
  const held = await production.holdings();
  expect(held.snapshots.map(({ item, content }) => [item, content])).toEqual([
    ['orders/mysql', '3'],
    ['orders/redis', undefined],
  ]);
  expect(held.successes.map(({ kind }) => kind)).toEqual(['databases']);
  expect((await staging.holdings()).snapshots).toHaveLength(3);
  await production.check();
});

test('another key is added beside the one in use, which goes afterwards; each step may be done twice', async () => {
  const rotated = folders.new('rotated');
  const of = (key: string) => vault(rotated, cache, { env: { RESTIC_PASSWORD: key } });
  await of('first').prepare();
  await of('first').store({ kind: 'state', item: 'stack' }, streamOf('kept'));
  expect(await of('second').opens()).toBe(false);
  await of('first').removeReplaced();
  await of('first').addKey('second');
  expect(await of('first').opens()).toBe(true);
  // A person's own key is nothing that a rotation removes.
  execFileSync('restic', ['key', 'add', '--quiet', '--new-password-file', fileWith('ours')], {
    env: { PATH: process.env.PATH, HOME: cache, RESTIC_REPOSITORY: rotated, RESTIC_PASSWORD: 'first' },
  });
  for (const _twice of [1, 2]) {
    await of('second').removeReplaced();
    expect(await of('first').opens()).toBe(false);
    expect(await of('ours').opens()).toBe(true);
  }
  const [snapshot] = (await of('second').holdings()).snapshots;
  expect(await text(of('second').read(snapshot as Snapshot))).toBe('kept');
  await expect(vault(join(rotated, 'nowhere'), cache).opens()).rejects.toMatchObject({ reason: 'absent' });
});

test('no argument of any restic holds a secret, and other programs’ secrets do not reach it', async () => {
  const log = folders.new('spy');
  const spy = join(log, 'restic');
  writeFileSync(spy, `#!/bin/sh\necho "$@" >> ${log}/args\nenv >> ${log}/env\nexec restic "$@"\n`);
  chmodSync(spy, 0o755);
  const spied = vault(repository, cache, {
    program: spy,
    env: { GITLAB_TOKEN: 'token-of-gitlab', AWS_SECRET_ACCESS_KEY: 'key-of-s3' },
  });
  await spied.holdings();
  await spied.store({ kind: 'state', item: 'stack' }, streamOf('x'));
  await spied.addKey('another-key');
  expect(readdirSync(log).sort()).toEqual(['args', 'env', 'restic']);
  const args = readFileSync(join(log, 'args'), 'utf8');
  expect(args).toContain('--host switchyard-production');
  for (const secret of [KEY, 'another-key', 'key-of-s3', 'token-of-gitlab'])
    expect(args).not.toContain(secret);
  const env = readFileSync(join(log, 'env'), 'utf8');
  expect(env).toContain('key-of-s3');
  expect(env).not.toContain('token-of-gitlab');
});

test.each<[Refused, number, string]>([
  ['absent', 10, 'Fatal: repository does not exist: unable to open config file'],
  ['wrong-key', 12, 'Fatal: wrong password or no key found'],
  ['locked', 11, 'unable to create lock in backend: repository is already locked by PID 7'],
  ['absent', 1, 'Fatal: unable to open config file: The specified key does not exist.'],
  ['unreachable', 1, 'Fatal: unable to open config file: client.GetObject: Access Denied.'],
  ['unreachable', 1, 'Fatal: unable to open config file: dial tcp 10.0.0.7:9000: connect: no route'],
  ['damaged', 1, 'Fatal: repository contains errors'],
  ['other', 1, 'Fatal: no space left on device'],
])('%s is told by exit code %i and "%s"', (reason, code, stderr) => {
  expect(reasonOf({ code, stderr })).toBe(reason);
});
