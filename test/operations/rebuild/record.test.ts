import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal, type RebuildRecord, recordFile } from '../../../operations/rebuild/record';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-rebuild-'));
  file = join(folder, 'rebuilds', 'lab.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const record: RebuildRecord = {
  environment: 'lab',
  from: 'latest',
  at: 1_795_000_000,
  begun: '2026-11-24T15:00:00.000Z',
  over: [],
  keep: ['gitlab'],
  steps: {},
  restored: [],
};

test('a rebuild that was killed goes on with the same snapshots, and skips what it ended', () => {
  const first = Journal.begin(file, record);
  first.done('state', 1.23, new Date('2026-11-24T15:01:00Z'));
  first.restored('databases', 'orders/mysql');
  const found = Journal.unfinished(file);
  expect(found).toEqual({
    ...record,
    steps: { state: { ended: '2026-11-24T15:01:00.000Z', seconds: 1.2 } },
    restored: ['databases orders/mysql'],
  });
  const second = Journal.goOn(file, found ?? record);
  expect(second.resumed).toBe(true);
  expect(second.hasDone('state')).toBe(true);
  expect(second.hasDone('databases')).toBe(false);
  expect(second.hasRestored('databases', 'orders/mysql')).toBe(true);
  expect(second.hasRestored('databases', 'orders/redis')).toBe(false);
});

test('one that ended leaves nothing to go on with, and its record under its time', () => {
  const journal = Journal.begin(file, record);
  const kept = journal.end();
  expect(Journal.unfinished(file)).toBeUndefined();
  expect(readdirSync(join(folder, 'rebuilds'))).toEqual(['lab-2026-11-24T15-00-00.000Z.json']);
  expect(JSON.parse(readFileSync(kept, 'utf8'))).toEqual(record);
});

test('a file that is no record is told, not overwritten', () => {
  Journal.begin(file, record);
  writeFileSync(file, '{}');
  expect(() => Journal.unfinished(file)).toThrow(/is not the record of a rebuild; move it away/);
  expect(readFileSync(file, 'utf8')).toBe('{}');
});

test('the record lies beside what Pulumi keeps', () => {
  expect(recordFile('lab', { PULUMI_HOME: '/p' })).toBe('/p/switchyard/rebuilds/lab.json');
});
