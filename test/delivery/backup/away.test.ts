import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Restic } from '../../../delivery/backup/restic';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-away-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A restic whose storage is away for the first calls, or says something else. */
function restic(
  away: number,
  said = 'Fatal: unable to open config file: dial tcp 10.0.0.1:443: i/o timeout',
): Restic {
  const program = join(folder, 'restic');
  writeFileSync(
    program,
    `#!/bin/sh
echo "$1" >>${folder}/calls
[ "$(wc -l <${folder}/calls)" -gt ${away} ] || { echo '${said}' >&2; exit 1; }
[ "$1" = snapshots ] && echo '[]'
exit 0
`,
  );
  chmodSync(program, 0o755);
  const env = { PATH: process.env.PATH };
  return new Restic({ repository: 's3:x', environment: 'e', env, program, policy: { baseMs: 1, capMs: 1 } });
}
const calls = (): string[] => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');

test('a storage that is away for a moment is opened when it is back', async () => {
  expect(await restic(2).holdings()).toEqual({ snapshots: [], successes: [] });
  expect(calls()).toEqual(['cat', 'cat', 'cat', 'snapshots']);
});

test('one that stays away is told so, and a wrong key is tried once', async () => {
  await expect(restic(9).holdings()).rejects.toMatchObject({ reason: 'unreachable' });
  expect(calls()).toHaveLength(3);
  rmSync(join(folder, 'calls'));
  const wrong = restic(9, 'Fatal: wrong password or no key found');
  await expect(wrong.holdings()).rejects.toMatchObject({ reason: 'wrong-key' });
  expect(calls()).toHaveLength(1);
});

const BYTES = 1_000_000;

/** A restic that does one thing, for as long as its storage may stand still. */
function standing(script: string): Restic {
  const program = join(folder, 'restic');
  writeFileSync(program, `#!/bin/sh\n${script}\n`);
  chmodSync(program, 0o755);
  return new Restic({
    repository: 's3:x',
    environment: 'e',
    env: { PATH: process.env.PATH },
    program,
    stallMs: 500,
    lastMs: 1000,
  });
}
const item = { kind: 'state', item: 'e' } as const;
const snapshot = { ...item, id: '1', time: 0 };
const many = () => Readable.from([Buffer.alloc(BYTES), Buffer.alloc(BYTES)]);

test.each([
  ['takes nothing', 'exec sleep 600'],
  ['has taken all', 'cat >/dev/null; exec sleep 600'],
  ['does not end when it is told to', "trap '' INT; sleep 600"],
])('a restic that stands still when it %s is ended, and nothing counts as stored', async (_what, script) => {
  const begun = Date.now();
  await expect(standing(script).store(item, many())).rejects.toThrow('made no progress for 0.5 s');
  expect(Date.now() - begun).toBeLessThan(30_000);
});

test('one whose storage stands still in the middle of a dump breaks it', async () => {
  await expect(buffer(standing('echo half; exec sleep 600').read(snapshot))).rejects.toThrow(
    'restic dump failed (made no progress for 0.5 s)',
  );
});

test('who feeds it or reads it slowly is waited for', async () => {
  const slowly = async function* () {
    for (let chunk = 0; chunk < 3; chunk++) {
      await sleep(800);
      yield Buffer.alloc(BYTES);
    }
  };
  const summary =
    '{"message_type":"summary","data_added":1,"total_bytes_processed":3000000,"snapshot_id":"s"}';
  const stored = await standing(`cat >/dev/null; echo '${summary}'`).store(item, Readable.from(slowly()));
  expect(stored.bytes).toBe(3 * BYTES);
  const dump = standing(`head -c ${BYTES} /dev/zero`).read(snapshot);
  await sleep(1_500);
  expect(await buffer(dump)).toHaveLength(BYTES);
});
