import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { topologyBoxes } from '../../../components/boxes';
import { digestEvents } from '../../../delivery/preview/events';
import { withoutSecureValues } from '../../../delivery/preview/isolated';
import { runPreview } from '../../../delivery/preview/run';
import { previewPaths } from '../../../delivery/preview/session';
import { scrub, writePreviewInputs } from '../../../operations/preview/prepare';
import { withhold } from '../../../operations/preview/withhold';
import { testModel } from '../../support/model';

const real = {
  environment: 'test',
  seed: 'the real seed of the test, long enough to be one',
  gitlabToken: 'glpat-the-real-root-token',
  given: { PULUMI_CONFIG_PASSPHRASE: 'the real passphrase', AWS_SECRET_ACCESS_KEY: 'the real state key' },
};
const marked = (value: string) => ({
  '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
  plaintext: JSON.stringify(value),
});
const issued = 'glpat-issued-to-the-bot';
const deployment = {
  version: 3,
  deployment: {
    resources: [
      {
        urn: 'urn:pulumi:test::switchyard::pulumi:pulumi:Stack::switchyard-test',
        type: 'pulumi:pulumi:Stack',
        outputs: { bot: marked(issued), seed: marked(real.seed) },
      },
      {
        urn: 'urn:x::y::z::w',
        type: 'x',
        inputs: { passphrase: marked(real.given.PULUMI_CONFIG_PASSPHRASE) },
      },
    ],
  },
};
const boxes = topologyBoxes(testModel());
const declared = boxes.flatMap(({ declarations }) => declarations.map(({ args }) => args));

let folder: string;
let before: NodeJS.ProcessEnv;
beforeEach(() => {
  before = { ...process.env };
  folder = mkdtempSync(join(tmpdir(), 'run-'));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  // Stands in for the engine's own commands: an export has a secrets provider, and an import is checked to have it.
  writeFileSync(
    join(bin, 'pulumi'),
    `#!/bin/sh
case "$*" in
  "stack export"*) echo '{"deployment":{"secrets_providers":{"type":"passphrase","state":{"salt":"fresh"}}}}' ;;
  "stack import"*) for last; do :; done; grep -q '"salt":"fresh"' "$last" ;;
esac
`,
  );
  chmodSync(join(bin, 'pulumi'), 0o755);
  writeFileSync(join(folder, 'packages.js'), 'exports.names = [];\n');
  process.env.PATH = `${bin}${delimiter}${process.env.PATH}`;
  // What a Pod must not have, and would not hand on if it had it.
  process.env.SWITCHYARD_CANARY = 'a credential of the Pod that ran it';
});
afterEach(() => {
  process.env = before;
  rmSync(folder, { recursive: true, force: true });
});

/** Runs an author's program as the preview Pod does. */
async function preview(program: string, timeoutMs = 20_000) {
  const paths = previewPaths(folder, 'test');
  writePreviewInputs(
    {
      environment: 'test',
      deployment,
      boxes,
      secrets: real,
      ledger: 'modules: {}\n',
      found: {},
      clusters: { ci: 'one', production: 'two' },
      nodes: {},
    },
    paths.folder,
  );
  const source = join(folder, 'source');
  mkdirSync(join(source, 'operations'), { recursive: true });
  mkdirSync(join(source, 'stacks'));
  writeFileSync(
    join(source, 'stacks', 'Pulumi.test.yaml'),
    'encryptionsalt: v1:salt\nconfig:\n  switchyard:seed: { secure: v1:xyz }\n  switchyard:environment: test\n',
  );
  writeFileSync(join(source, 'operations', 'cli.ts'), program);
  const code = await runPreview({
    source,
    environment: 'test',
    paths,
    timeoutMs,
    packages: join(folder, 'packages.js'),
  });
  const record: Record<string, string> = Object.fromEntries(
    readdirSync(paths.record).map((file) => [file, readFileSync(join(paths.record, file), 'utf8')]),
  );
  return { code, record, paths };
}

test('an author who prints all that a preview can read prints no secret', async () => {
  const { code, record, paths } = await preview(`
    import { readFileSync, readdirSync } from 'node:fs';
    import { join } from 'node:path';
    declare const process: { env: Record<string, string>; argv: string[] };
    // Environment, configuration, state with its outputs, ledger, everything below the temporary folders.
    console.log(JSON.stringify(process.env));
    const given = join(process.argv[5] ?? '', '..', 'given');
    for (const file of readdirSync(given)) console.log(readFileSync(join(given, file), 'utf8'));
    for (const file of readdirSync(process.env.HOME, { recursive: true, withFileTypes: true }) as never[])
      try { console.error(readFileSync(join(file['parentPath'], file['name']), 'utf8').slice(0, 1e6)); } catch {}
  `);
  expect(code).toBe(0);
  const log = record.log ?? '';
  // It did read: the state is there, with placeholders.
  expect(log).toContain('urn:pulumi:test::switchyard::pulumi:pulumi:Stack');
  expect(log).toContain('withheld-');
  for (const value of [
    real.seed,
    real.gitlabToken,
    issued,
    ...Object.values(real.given),
    'a credential of the Pod',
    'v1:xyz',
  ]) {
    expect(log).not.toContain(value);
    expect(log).not.toContain(Buffer.from(value).toString('base64').slice(0, -4));
  }
  expect(scrub(paths.record, withhold(deployment, declared, real).values)).toBe(0);
});

test('nothing that it prints reaches the log of the build', async () => {
  const written: string[] = [];
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    jest.spyOn(process[stream], 'write').mockImplementation((chunk) => written.push(String(chunk)) > 0),
  );
  try {
    const { record } = await preview("console.log('loud'); console.error('louder');");
    expect(record.log).toContain('loud');
    expect(record.log).toContain('louder');
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  expect(written.join('')).not.toContain('loud');
});

test('should a secret get in all the same, it is taken out of what comes back', async () => {
  const { paths } = await preview(
    `console.log('it is ${issued}, in base64 ${Buffer.from(issued).toString('base64')}');`,
  );
  expect(scrub(paths.record, withhold(deployment, declared, real).values)).toBe(1);
  expect(readFileSync(paths.log, 'utf8')).toContain('it is [hidden], in base64 [hidden]');
});

test("the program's exit code is kept, and a program without end is ended", async () => {
  expect((await preview('process.exit(7);')).record['exit-code']).toBe('7');
  rmSync(join(folder, 'source'), { recursive: true });
  const { code } = await preview('setInterval(() => undefined, 1000);', 1500);
  expect(code).toBe(137);
});

test('what does not compile is a fault of the preview, told with its place', async () => {
  const { code, record } = await preview("import './missing';\n");
  expect(code).toBe(1);
  expect(digestEvents(record['events.jsonl'] ?? '').faults).toEqual([
    expect.stringMatching(
      /^the merge result does not compile: operations\/cli\.ts:1: Could not resolve "\.\/missing"/,
    ),
  ]);
});

test('a stack file loses what is encrypted for others, and keeps the rest', () => {
  const text = 'encryptionsalt: v1:s\nconfig:\n  a:b: 1\n  a:c:\n    secure: v1:x\n  a:d: { e: f }\n';
  expect(withoutSecureValues(text)).toBe('config:\n  a:b: 1\n  a:d: { e: f }\n');
  expect(withoutSecureValues('no: config\n')).toBe('no: config\n');
});
