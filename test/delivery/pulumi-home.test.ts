import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepNoLogs } from '../../delivery/pulumi-home';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-home-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a home without logs is made: their folder can be made no more', () => {
  const home = join(folder, 'a', 'pulumi');
  keepNoLogs(home);
  keepNoLogs(home);
  expect(readdirSync(home)).toEqual(['logs']);
  expect(() => mkdirSync(join(home, 'logs'), { recursive: true })).toThrow('EEXIST');
});

test('logs that somebody has stay', () => {
  mkdirSync(join(folder, 'logs'));
  writeFileSync(join(folder, 'logs', 'one.log'), 'x');
  keepNoLogs(folder);
  expect(readdirSync(join(folder, 'logs'))).toEqual(['one.log']);
});

test('a home that cannot be made is left to Pulumi', () => {
  writeFileSync(join(folder, 'file'), '');
  keepNoLogs(join(folder, 'file', 'pulumi'));
  expect(statSync(join(folder, 'file')).isFile()).toBe(true);
  expect(existsSync(join(folder, 'logs'))).toBe(false);
});
