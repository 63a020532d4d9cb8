import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
