import {
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
import { type Rolling, readRolling, rollingTeller, rollingText } from '../../delivery/rolling';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rolling-'));
  file = join(folder, '.switchyard', 'rollout', 'progress.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test.each<[Rolling, string]>([
  [{ step: 'turn' }, 'it waits for its turn, since another deploy is under way'],
  [{ step: 'agent' }, 'it waits for the Pod that rolls it out'],
  [{ step: 'state', begun: 0, at: 0 }, "it opens the module's state, and waits for whoever has that"],
  [{ step: 'begun', begun: 0, at: 0 }, 'what changes is applied'],
  [{ step: 'migration', begun: 1000, at: 43_999 }, 'its migration runs (after 42 s)'],
  [{ step: 'pods', ready: 2, wanted: 4, begun: 0, at: 119_000 }, '2 of 4 Pods are ready (after 119 s)'],
  [{ step: 'pods', ready: 3, wanted: 4, begun: 0, at: 125_000 }, '3 of 4 Pods are ready (after 2 min 5 s)'],
  [
    { step: 'watch', ready: 4, wanted: 4, begun: 5000, at: 0 },
    '4 of 4 Pods are ready (after 0 s), and watched for crashes',
  ],
])('%j is told', (rolling, text) => {
  expect(rollingText(rolling)).toBe(text);
});

test('a step is left once, with when it began and when it was so, and nothing beside it', () => {
  let now = 1000;
  const tell = rollingTeller(file, undefined, () => now);
  tell({ step: 'state' });
  expect(readRolling(file)).toEqual({ step: 'state', begun: 1000, at: 1000 });
  now = 5000;
  tell({ step: 'pods', ready: 1, wanted: 2 });
  now = 9000;
  tell({ step: 'pods', ready: 1, wanted: 2 });
  expect(readRolling(file)).toEqual({ step: 'pods', ready: 1, wanted: 2, begun: 1000, at: 5000 });
  expect(readdirSync(join(file, '..'))).toEqual(['progress.json']);
  rollingTeller(file, 1000, () => 12_000)({ step: 'watch', ready: 2, wanted: 2 });
  expect(readRolling(file)).toMatchObject({ step: 'watch', begun: 1000, at: 12_000 });
});

test('where nothing can be left, nothing is, and nothing else happens', () => {
  writeFileSync(join(folder, '.switchyard'), 'a file in the place of a folder');
  expect(() => rollingTeller(file)({ step: 'begun' })).not.toThrow();
  expect(readRolling(file)).toBeUndefined();
});

test.each([
  ['text', 'rolling'],
  ['a step that there is not', '{"step":"done"}'],
  ['a step without its numbers', '{"step":"pods","begun":0,"at":0}'],
  ['words', '{"step":"turn","says":"**deployed**"}'],
  ['numbers of no rollout', '{"step":"pods","ready":-1,"wanted":1e9,"begun":0,"at":0}'],
  ['a time that there is not', '{"step":"begun","begun":0,"at":1e300}'],
  ['more than is ever left', `{"step":"turn"}${' '.repeat(2000)}`],
])('%s is no progress', (_what, text) => {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  expect(readFileSync(file, 'utf8')).toBe(text);
  expect(readRolling(file)).toBeUndefined();
});

test('neither is a link', () => {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(join(folder, 'other'), '{"step":"turn"}');
  symlinkSync(join(folder, 'other'), file);
  expect(readRolling(file)).toBeUndefined();
});
