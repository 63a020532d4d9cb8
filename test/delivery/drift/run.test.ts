import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { driftPaths } from '../../../delivery/drift/files';
import { lookForDrift } from '../../../delivery/drift/run';

const TOKEN = 'glpat-may-only-read';
let folder: string;
let before: NodeJS.ProcessEnv;

/** An executable that stands in for one of the image's programs. */
function program(name: string, script: string): void {
  writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${script}`);
  chmodSync(join(folder, 'bin', name), 0o755);
}

beforeEach(() => {
  before = { ...process.env };
  folder = mkdtempSync(join(tmpdir(), 'look-'));
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'stacks'));
  writeFileSync(
    join(folder, 'stacks', 'Pulumi.test.yaml'),
    'encryptionsalt: v1:salt\nconfig:\n  switchyard:seed: { secure: v1:xyz }\n  switchyard:environment: test\n',
  );
  const { given } = driftPaths(folder, 'test');
  mkdirSync(given, { recursive: true });
  writeFileSync(
    join(given, 'environment.json'),
    JSON.stringify({ GITLAB_TOKEN: 'withheld-token', PULUMI_CONFIG_PASSPHRASE: 'withheld-passphrase' }),
  );
  writeFileSync(join(given, 'state.json'), '{"deployment":{"resources":[{"token":"\\"withheld-token\\""}]}}');
  writeFileSync(join(given, 'ledger.yaml'), 'modules: {}\n');
  writeFileSync(join(given, 'found.json'), '{}');
  program(
    'pulumi',
    `case "$*" in
  "stack export"*) echo '{"deployment":{"secrets_providers":{"state":{"salt":"fresh"}}}}' ;;
  "stack import"*) for last; do :; done; cp "$last" "${folder}/imported" ;;
esac
`,
  );
  process.env.PATH = `${join(folder, 'bin')}${delimiter}${process.env.PATH}`;
  process.env.CANARY = 'a variable of the Pod';
});
afterEach(() => {
  process.env = before;
  rmSync(folder, { recursive: true, force: true });
});

const look = () =>
  lookForDrift({
    environment: 'test',
    paths: driftPaths(folder, 'test'),
    timeoutMs: 20_000,
    stacks: join(folder, 'stacks'),
    gitlabToken: TOKEN,
    variables: { SWITCHYARD_CATALOG: '/catalog', SWITCHYARD_LIBRARY: '/library' },
  });

test.each([0, 5])('a look that ends with %s leaves its document, its note and its log', async (code) => {
  program(
    'switchyard',
    `echo looking >&2; echo "{\\"arguments\\":\\"$*\\"}"; for last; do :; done; echo note >"$last"; exit ${code}`,
  );
  expect(await look()).toContain('looking\n');
  const { report, note } = driftPaths(folder, 'test');
  expect(JSON.parse(readFileSync(report, 'utf8'))).toEqual({
    arguments: `drift test --fenced --json --note ${note}`,
  });
  expect(readFileSync(note, 'utf8')).toBe('note\n');
});

test('it works on a state of its own, which logs in to GitLab with the token that may only read', async () => {
  program('switchyard', 'env >&2; cat "$SWITCHYARD_STACKS/Pulumi.test.yaml" >&2; echo "{}"');
  const log = await look();
  expect(log).toContain(`GITLAB_TOKEN=${TOKEN}\n`);
  expect(log).toMatch(/PULUMI_BACKEND_URL=file:\/\/\S+\/backend\n/);
  expect(log).toContain('SWITCHYARD_CATALOG=/catalog\n');
  expect(log).not.toContain('CANARY');
  expect(log).not.toContain('v1:');
  expect(JSON.parse(readFileSync(join(folder, 'imported'), 'utf8')).deployment.resources).toEqual([
    { token: `"${TOKEN}"` },
  ]);
});

test('one that could not look says why, and leaves no report of an earlier one', async () => {
  program('switchyard', 'echo "{}"');
  await look();
  program('switchyard', "echo 'the cluster does not answer' >&2; echo '{}'; exit 1");
  await expect(look()).rejects.toThrow(/the cluster does not answer[\s\S]*could not be looked for \(1\)/);
  expect(() => readFileSync(driftPaths(folder, 'test').report)).toThrow(/ENOENT/);
});
