import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasResources, keepState, plainSecrets, statesFolder } from '../../../operations/engine/states';

const SIGNATURE = { '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270' };
const state = (secret: Record<string, string>) => ({
  version: 3,
  deployment: { resources: [{ outputs: { token: { ...SIGNATURE, ...secret } } }] },
});

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'switchyard-states-')), 'lab');
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }));

test('a state is kept whole, for its owner only', () => {
  const kept = state({ ciphertext: 'v1:abc' });
  const file = keepState(folder, kept, new Date('2026-11-24T11:02:03.456Z'));
  expect(file).toBe(join(folder, '2026-11-24T11-02-03.456Z.json'));
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(kept);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test('a state with a secret in the clear is not written', () => {
  const open = state({ plaintext: '"hunter2"' });
  expect(plainSecrets(open)).toEqual(['deployment.resources.0.outputs.token']);
  expect(() => keepState(folder, open, new Date())).toThrow(
    'the state holds a secret in the clear at deployment.resources.0.outputs.token; it is not copied',
  );
  expect(() => readdirSync(folder)).toThrow('ENOENT');
});

test('the newest twenty stay', () => {
  for (let minute = 0; minute < 25; minute++) {
    keepState(folder, state({ ciphertext: 'v1' }), new Date(Date.UTC(2026, 0, 1, 0, minute)));
  }
  const kept = readdirSync(folder).sort();
  expect(kept).toHaveLength(20);
  expect(kept[0]).toBe('2026-01-01T00-05-00.000Z.json');
});

test('an environment that was never brought up has nothing to keep', () => {
  expect(hasResources({ version: 3, deployment: { manifest: {} } })).toBe(false);
  expect(hasResources({ version: 3, deployment: { resources: [] } })).toBe(false);
  expect(hasResources(state({}))).toBe(true);
});

test("copies stand in Pulumi's own folder, by environment", () => {
  expect(statesFolder('lab', { PULUMI_HOME: '/p' })).toBe('/p/switchyard/states/lab');
});
