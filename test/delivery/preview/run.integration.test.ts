import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { topologyBoxes } from '../../../components/boxes';
import { digestEvents } from '../../../delivery/preview/events';
import { appliedGitlab, withoutSecureValues } from '../../../delivery/preview/isolated';
import { previewPaths } from '../../../delivery/preview/session';
import { bundleProgram } from '../../../operations/build/bundles';
import { scrub, writePreviewInputs } from '../../../operations/preview/prepare';
import { withhold } from '../../../operations/preview/withhold';
import { root, testModel } from '../../support/model';
import { previewBySides } from './sides';

// Bundles the command of the program's side.
jest.setTimeout(180_000);

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
      {
        urn: 'urn:pulumi:test::switchyard::pulumi:providers:gitlab::gitlab',
        type: 'pulumi:providers:gitlab',
        inputs: { baseUrl: 'https://gitlab.test/api/v4/', token: marked(issued) },
      },
    ],
  },
};
const boxes = topologyBoxes(testModel());
const declared = boxes.flatMap(({ declarations }) => declarations.map(({ args }) => args));

let image: string;
beforeAll(async () => {
  image = mkdtempSync(join(tmpdir(), 'run-image-'));
  await bundleProgram(root, 'delivery', join(image, 'delivery.js'));
  // The compiler finds its own program beside its package.
  symlinkSync(join(root, 'node_modules'), join(image, 'node_modules'));
  writeFileSync(join(image, 'packages.js'), 'exports.names = [];\n');
});
afterAll(() => rmSync(image, { recursive: true, force: true }));

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
  "stack init"*) echo 'encryptionsalt: fresh' > Pulumi.test.yaml ;;
  "stack export"*) echo '{"deployment":{"secrets_providers":{"type":"passphrase","state":{"salt":"fresh"}}}}' ;;
  "stack import"*) for last; do :; done; grep -q '"salt":"fresh"' "$last" ;;
esac
`,
  );
  chmodSync(join(bin, 'pulumi'), 0o755);
  process.env.PATH = `${bin}${delimiter}${process.env.PATH}`;
  // What a Pod must not have, and would not hand on if it had it.
  process.env.SWITCHYARD_CANARY = 'a credential of the Pod that ran it';
});
afterEach(() => {
  process.env = before;
  rmSync(folder, { recursive: true, force: true });
});

/** What the preview Pod gets of an environment with this state. */
function written(state: unknown = deployment) {
  const paths = previewPaths(folder, 'test');
  writePreviewInputs(
    {
      environment: 'test',
      deployment: state,
      boxes,
      secrets: real,
      ledger: 'modules: {}\n',
      basis: 'b'.repeat(64),
      found: {},
      clusters: { ci: 'one', production: 'two' },
      nodes: {},
    },
    paths.folder,
  );
  return paths;
}

/** Runs an author's program as the preview Pod does. */
async function preview(
  program: string,
  timeoutMs = 60_000,
  change: (source: string) => void = () => undefined,
) {
  written();
  const source = join(folder, 'source');
  mkdirSync(join(source, 'operations'), { recursive: true });
  mkdirSync(join(source, 'stacks'));
  writeFileSync(
    join(source, 'stacks', 'Pulumi.test.yaml'),
    'encryptionsalt: v1:salt\nconfig:\n  switchyard:seed: { secure: v1:xyz }\n  switchyard:environment: test\n',
  );
  writeFileSync(join(source, 'operations', 'cli.ts'), program);
  change(source);
  return previewBySides({
    workspace: folder,
    environment: 'test',
    delivery: join(image, 'delivery.js'),
    timeoutMs,
    path: process.env.PATH ?? '',
  });
}

test('the engine knows where the environment asks its GitLab, and a placeholder for its token', () => {
  const applied = appliedGitlab(written().given);
  expect(applied.baseUrls).toEqual(['https://gitlab.test/api/v4/']);
  expect(applied.token).toMatch(/./);
  expect([real.gitlabToken, issued]).not.toContain(applied.token);
  for (const resources of [[], null, deployment.deployment.resources.slice(0, 2)])
    expect(appliedGitlab(written({ version: 3, deployment: { resources } }).given).baseUrls).toEqual([]);
});

test('an author who prints all that a program can read prints no secret', async () => {
  const { code, record, paths } = await preview(`
    import { readFileSync, readdirSync } from 'node:fs';
    import { dirname, join } from 'node:path';
    declare const process: { env: Record<string, string> };
    // Environment, ledger, all that was handed over, everything below the temporary folders.
    console.log(JSON.stringify(process.env));
    for (const top of [dirname(process.env.SWITCHYARD_LEDGER_FILE), process.env.HOME])
      for (const file of readdirSync(top, { recursive: true, withFileTypes: true }) as never[])
        try { console.error(readFileSync(join(file['parentPath'], file['name']), 'utf8').slice(0, 1e6)); } catch {}
  `);
  // It is no program that an engine could have run.
  expect(code).toBe(1);
  const log = record.log ?? '';
  // It did read: the placeholders are there, and the state is not.
  expect(log).toContain('"SWITCHYARD_SEED":');
  expect(log).toContain('switchyard:environment');
  expect(log).not.toContain('urn:pulumi:test::switchyard::pulumi:pulumi:Stack');
  for (const value of [
    real.seed,
    real.gitlabToken,
    issued,
    ...Object.values(real.given),
    'a credential of the Pod',
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

test("the program's exit code is kept, and one that is never ready for the engine is a fault in its time", async () => {
  expect((await preview('process.exit(7);')).record['exit-code']).toBe('7');
  rmSync(join(folder, 'source'), { recursive: true });
  const { code, record } = await preview('setInterval(() => undefined, 1000);', 8_000);
  expect(code).toBe(137);
  expect(digestEvents(record['events.jsonl'] ?? '').faults).toEqual([
    'the merge result’s program was not ready in its time.',
  ]);
});

test('a program that says of itself that all went well is no preview', async () => {
  const { code, record } = await preview(`
    import { writeFileSync } from 'node:fs';
    import { dirname, join } from 'node:path';
    declare const process: { env: Record<string, string>; argv: string[] };
    const left = dirname(process.argv[5] ?? '');
    writeFileSync(join(left, 'events.jsonl'), JSON.stringify({ summaryEvent: {} }));
    writeFileSync(join(left, 'exit-code'), '0');
    console.log(JSON.stringify({ summaryEvent: {} }));
  `);
  expect(code).toBe(1);
  expect(record['exit-code']).toBe('1');
  expect(record).not.toHaveProperty('events.jsonl');
});

test('what it leaves is read as plain files of a bearable size, or not at all', async () => {
  const secret = join(folder, 'a-file-of-ours');
  writeFileSync(secret, 'nothing of yours');
  const { record } = await preview(`
    import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
    import { dirname, join } from 'node:path';
    declare const process: { argv: string[]; exit: (code: number) => never };
    const left = dirname(process.argv[5] ?? '');
    symlinkSync(${JSON.stringify(secret)}, join(left, 'rules.json'));
    rmSync(join(left, 'log'));
    symlinkSync(${JSON.stringify(secret)}, join(left, 'log'));
    process.exit(3);
  `);
  expect(record['exit-code']).toBe('3');
  expect(JSON.stringify(record)).not.toContain('nothing of yours');
  expect(record.log).toContain('no plain file of at most 8 MiB');
  rmSync(join(folder, 'source'), { recursive: true });
  const endless = await preview(`
    const line = 'x'.repeat(1 << 20);
    for (let i = 0; i < 20; i += 1) console.log(line);
  `);
  expect(endless.record.log?.length).toBeLessThan(9 << 20);
  expect(endless.record.log).toContain('It said more, which is not kept.');
});

test('no network is left to it, nor to what it starts', async () => {
  const { record } = await preview(`
    import { execSync } from 'node:child_process';
    import { connect, createServer } from 'node:net';
    for (const host of ['127.0.0.1', '::1', '192.0.2.1'])
      connect(80, host).on('error', (error) => console.log(host, error['code']));
    createServer().on('error', (error) => console.log('listening', error['code'])).listen(0, '127.0.0.1');
    const script = "require('node:net').connect(80, '127.0.0.1').on('error', (e) => console.log('child', e.code))";
    console.log(String(execSync(\`node -e "\${script}"\`)));
  `);
  for (const what of ['127.0.0.1', '::1', '192.0.2.1', 'listening', 'child'])
    expect(record.log).toContain(`${what} EPERM`);
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

test('a stack file that is a link is not followed', async () => {
  const { code, record } = await preview('', 60_000, (source) => {
    const file = join(source, 'stacks', 'Pulumi.test.yaml');
    rmSync(file);
    symlinkSync('/proc/self/environ', file);
  });
  expect(code).toBe(1);
  expect(digestEvents(record['events.jsonl'] ?? '').faults).toEqual([
    'the merge result has no stacks/Pulumi.test.yaml. It must be a plain file.',
  ]);
});

test('a stack file loses what is encrypted for others, and keeps the rest', () => {
  const text = 'encryptionsalt: v1:s\nconfig:\n  a:b: 1\n  a:c:\n    secure: v1:x\n  a:d: { e: f }\n';
  expect(withoutSecureValues(text)).toBe('config:\n  a:b: 1\n  a:d: { e: f }\n');
  expect(withoutSecureValues('no: config\n')).toBe('no: config\n');
});
