import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { EXIT } from '../../../operations/cli/refusal';
import { Engine, type EngineInputs } from '../../../operations/engine/engine';
import { engineFailure } from '../../../operations/engine/operate';
import type { Claims } from '../../../operations/parts/claims';

// Starts a program dozens of times, which takes its time on a busy machine.
jest.setTimeout(30_000);

/** The claim of another process, where a test lets there be one. */
const OTHER = 'test.0123456789abcdef';
/** Stands in for Pulumi's command line: writes down how it is called, and holds a lock where the test says so. */
const pulumi = `#!/bin/sh
echo "$PULUMI_BACKEND_URL $*" >> "$CALLS"
case "$*" in
  version*) echo "v\${VERSION:-3.259.0}" ;;
  *"stack select"*) [ -z "$MISSING" ] || { echo "error: no stack named 'test' found" >&2; exit 255; } ;;
  *--help*) echo --run-program ;;
  *"stack export --show-secrets"*) echo '{"version":3,"deployment":{"resources":[],"note":"opened"}}' ;;
  *"stack export"*) [ -z "$PENDING" ] || { echo "$PENDING"; exit 0; }
    echo '{"version":3,"deployment":{"resources":[{"urn":"a","type":"pulumi:pulumi:Stack"}]}}' ;;
  *"stack history"*) echo '[]' ;;
  *"stack output"*) echo '{"jenkins":"http://jenkins.test","token":"[secret]"}' ;;
  *"stack init"*) echo 'encryptionsalt: salt' > "Pulumi.$3.yaml"; echo "$3" > "$CALLS.claim" ;;
  *"stack rm"*) rm -f "$CALLS.claim" ;;
  *"stack ls"*) case "$PWD" in
      */claims) for file in "$CALLS.claim" "$CALLS.other"; do
          [ ! -f "$file" ] || names="\${names:+$names, }{\\"name\\":\\"$(cat "$file")\\"}"
        done ;;
    esac
    echo "[$names]" ;;
  *"tag get switchyard:cut-for"*) [ -z "$CUT_FOR" ] || { echo "$CUT_FOR"; exit 0; }
    echo "error: stack tag '$4' not found for stack 'test'" >&2; exit 255 ;;
  *"tag get switchyard:claim --stack ${OTHER} "*) echo 'created by ada@there (pid 12) at 2026-11-24T11:00:00Z' ;;
  *"tag get"*) echo "error: stack tag '$4' not found for stack 'test'" >&2; exit 255 ;;
  refresh*--target*) [ -z "$AWAY" ] || { echo 'error: no answer' >&2; exit 255; } ;;
  up*) [ -z "$FAILED" ] || {
    log=\${*##*--event-log }; log=\${log%% *}
    echo "$FAILED" >>"$log"
    echo '{"sequence":9,"timestamp":9,"cancelEvent":{}}' >>"$log"
    exit 255
  } ;;
  refresh*)
    echo "error: the stack is currently locked by 1 lock(s). file:///l.json: created by ada@there (pid 12) at 2026-11-24T11:00:00Z" >&2
    exit 255 ;;
esac
`;

let folder: string;
let environment: NodeJS.ProcessEnv;
beforeEach(() => {
  environment = { ...process.env };
  folder = mkdtempSync(join(tmpdir(), 'switchyard-engine-'));
  for (const inside of ['bin', 'stacks']) mkdirSync(join(folder, inside));
  writeFileSync(join(folder, 'bin', 'pulumi'), pulumi);
  chmodSync(join(folder, 'bin', 'pulumi'), 0o755);
  writeFileSync(join(folder, 'stacks', 'Pulumi.test.yaml'), 'config: {}\n');
  Object.assign(process.env, {
    PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`,
    PULUMI_HOME: join(folder, 'home'),
    CALLS: join(folder, 'calls'),
  });
});
afterEach(() => {
  process.env = environment;
  rmSync(folder, { recursive: true, force: true });
});

const notes: string[] = [];
const open = (more: Partial<EngineInputs> = {}) =>
  Engine.open({
    root: folder,
    environment: 'test',
    backend: 'file:///one',
    stacks: join(folder, 'stacks'),
    program: async () => {},
    settle: async () => undefined,
    untilEnded: async () => {},
    note: (text) => notes.push(text),
    ...more,
  });
const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');

test('the state is kept as it was before the first change of a command, and never with its secrets', async () => {
  const engine = await open();
  await engine.prepare();
  await engine.prepare();
  await engine.close();
  const kept = join(folder, 'home', 'switchyard', 'states', 'test');
  const files = readdirSync(kept);
  expect(files).toHaveLength(1);
  const text = readFileSync(join(kept, files[0] ?? ''), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ version: 3 });
  expect(text).not.toContain('opened');
  // What is cut for modules is encrypted anew, so only that is read with its secrets.
  const exports = calls().filter((call) => call.includes('stack export'));
  const [first, ...others] = exports;
  expect(first).toBe('file:///one stack export --stack test --non-interactive');
  const opened = 'file:///one stack export --show-secrets --stack test --non-interactive';
  expect(new Set(others)).toEqual(new Set([opened]));
});

test('after an up the plain outputs are asked for, and no secret', async () => {
  const engine = await open();
  const { outputs } = await engine.run('up', { onEvent: () => {} });
  await engine.close();
  expect(outputs).toEqual({ jenkins: 'http://jenkins.test' });
  const after = calls().slice(calls().findIndex((call) => call.includes(' up ')) + 1);
  expect(after.filter((call) => call.includes('stack output'))).toEqual([
    'file:///one stack output --json --stack test --non-interactive',
  ]);
});

test('a deploy that meets an up waits for its turn, an up that meets another is refused', async () => {
  const other = join(folder, 'calls.other');
  writeFileSync(other, OTHER);
  const up = await open();
  await expect(up.run('up', { onEvent: () => {} })).rejects.toMatchObject({ code: EXIT.locked });
  await up.close();
  notes.length = 0;
  let opened = false;
  const deploy = open({ part: 'shop' }).finally(() => {
    opened = true;
  });
  deploy.catch(() => undefined);
  while (notes.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(notes).toEqual([
    'test is locked, created by ada@there (pid 12) at 2026-11-24T11:00:00Z: waiting for its end.',
  ]);
  expect(opened).toBe(false);
  rmSync(other);
  // Its turn has come: it looks for its part, of which there is none here.
  await expect(deploy).rejects.toMatchObject({ code: EXIT.uncut });
});

test('what comes before a change comes when it is claimed, and may end it', async () => {
  const engine = await open();
  const claimed: string[] = [];
  const before = async () => {
    claimed.push(...calls().filter((call) => call.includes('stack tag set switchyard:claim')));
    throw new Error('another one');
  };
  await expect(engine.run('up', { before, onEvent: () => {} })).rejects.toThrow('another one');
  await engine.close();
  // A person's, which nobody but people take away.
  expect(claimed).toEqual([
    expect.stringMatching(
      /switchyard:claim created by \S+ \(pid \d+\) at \S+Z --stack test\.[0-9a-f]{16} --non-interactive$/,
    ),
  ]);
  const [, claim = ''] = /--stack (\S+)/.exec(claimed[0] ?? '') ?? [];
  expect(calls().filter((call) => call.includes(`stack rm ${claim} `))).toHaveLength(1);
  expect(calls().filter((call) => call.includes(' up '))).toEqual([]);
});

test('what a Pod claims to change an environment is a lease', async () => {
  const engine = await open({ lease: true });
  const claimed: string[] = [];
  const before = async () => {
    claimed.push(...calls().filter((call) => call.includes('stack tag set switchyard:claim')));
  };
  await engine.run('up', { before, onEvent: () => {} });
  await engine.close();
  expect(claimed).toEqual([expect.stringContaining('Z, lease 0 --stack test.')]);
});

test('a lease that is lost before the engine begins keeps it from beginning', async () => {
  const engine = await open({ lease: true });
  const before = async () => {
    // As whoever takes it for dead does: the stand-in finds no tag of a claim either.
    rmSync(join(folder, 'calls.claim'));
    const { claims } = engine as unknown as { claims: Claims };
    await claims.renew();
  };
  await expect(engine.run('up', { before, onEvent: () => {} })).rejects.toThrow('The claim of test was lost');
  await engine.close();
  expect(calls().filter((call) => call.includes(' up '))).toEqual([]);
});

test('who only looks and cuts the state anew, as `switchyard cut` does in a Pod, claims by a lease too', async () => {
  process.env.CUT_FOR = 'another update';
  const engine = await open({ existing: true });
  await engine.close();
  expect(calls().filter((call) => call.includes('stack tag set'))).toEqual([
    expect.stringMatching(/switchyard:claim created by .*Z, lease 0 --stack test\./),
    expect.stringContaining('switchyard:cut-for never --stack test '),
  ]);
});

test('with a second backend the state goes there, and no file stays on the machine', async () => {
  const engine = await open({ stateCopies: 'gs://copies' });
  await engine.prepare();
  await engine.close();
  const imports = calls().filter((call) => call.includes('stack import'));
  expect(imports).toEqual([expect.stringMatching(/^gs:\/\/copies stack import --file \S+ --stack test/)]);
  expect(() => readdirSync(join(folder, 'home', 'switchyard'))).toThrow('ENOENT');
});

const resource = { urn: 'urn:x', type: 'kubernetes:core/v1:Secret', inputs: {}, provider: '' };
const pending = (...types: string[]) => {
  process.env.PENDING = JSON.stringify({
    version: 3,
    deployment: {
      resources: [{ urn: 'a', type: 'pulumi:pulumi:Stack' }],
      pending_operations: types.map((type) => ({ type, resource: { ...resource, urn: `urn:${type}` } })),
    },
  });
};

test('what a killed run was changing or deleting is read anew before anything else, what it was creating is settled', async () => {
  pending('creating', 'updating', 'deleting');
  const ended: string[] = [];
  const engine = await open({
    settle: async ({ urn }) => ({ id: `id of ${urn}` }),
    untilEnded: async ({ urn }) => {
      ended.push(urn);
    },
  });
  await engine.prepare();
  await engine.close();
  expect(ended).toEqual(['urn:updating', 'urn:deleting']);
  const settling = calls().flatMap(
    (call) => /(?:^|\s)(refresh .*|stack import)/.exec(call)?.[1]?.match(/stack import|urn:\w+/g) ?? [],
  );
  expect(settling).toEqual(['urn:updating', 'urn:deleting', 'stack import', 'urn:creating']);
});

describe('an up that is told to end in the middle', () => {
  const failed = (op: string, urn: string) =>
    JSON.stringify({
      sequence: 1,
      timestamp: 1,
      resOpFailedEvent: { metadata: { op, urn, type: 't', provider: '' }, status: 0, steps: 0 },
    });
  // Up to there Pulumi writes its events into a file (automation/stack.ts).
  beforeEach(() => {
    process.env.VERSION = '3.205.0';
  });
  const ends = async (told = true) => {
    const engine = await open();
    const before = async () => {
      if (told) process.emit('SIGTERM');
    };
    await expect(engine.run('up', { before, onEvent: () => {} })).rejects.toThrow('255');
    await engine.close();
    return calls().filter((call) => call.includes('refresh'));
  };

  test('looks at what it was changing', async () => {
    process.env.FAILED = [failed('update', 'urn:changed'), failed('create', 'urn:made')].join('\n');
    const [looked = '', ...others] = await ends();
    expect(looked).toContain('--target urn:changed');
    expect(looked).not.toContain('urn:made');
    expect(others).toEqual([]);
  });
  test('looks at nothing where it changed nothing', async () => {
    process.env.FAILED = failed('create', 'urn:made');
    expect(await ends()).toEqual([]);
  });
  test('looks at nothing where nobody told it: what others changed there would no longer be drift', async () => {
    process.env.FAILED = failed('update', 'urn:refused');
    expect(await ends(false)).toEqual([]);
  });
  test('says what to do where that look fails', async () => {
    Object.assign(process.env, { FAILED: failed('update', 'urn:changed'), AWAY: '1' });
    await ends();
    expect(notes.at(-1)).toMatch(
      /^What was under way could not be read \(.*\): say switchyard refresh test first\.$/,
    );
  });
});

test('a limited run settles only what is all its own', async () => {
  pending('updating', 'deleting');
  const engine = await open();
  await engine.prepare(['urn:updating']);
  await engine.close();
  expect(calls().filter((call) => call.includes('refresh'))).toEqual([]);
});

test('a held lock says by whom and since when, and has a code of its own', async () => {
  const engine = await open();
  const failure = await engine
    .run('refresh', { onEvent: () => {} })
    .catch((error) => engineFailure(error, 'refresh', 'test', false));
  await engine.close();
  expect(failure).toMatchObject({
    code: EXIT.locked,
    message: expect.stringContaining(
      'test is locked, created by ada@there (pid 12) at 2026-11-24T11:00:00Z.',
    ),
  });
});

test('whoever only looks makes no stack', async () => {
  process.env.MISSING = 'yes';
  const failure = await open({ existing: true }).catch((error) =>
    engineFailure(error, 'drift', 'test', false),
  );
  expect(failure).toMatchObject({
    code: EXIT.failed,
    message: expect.stringContaining('was never brought up'),
  });
  expect(calls().filter((call) => call.includes('stack init'))).toEqual([]);
});

test('without Pulumi on PATH the message says where to get it', () => {
  const error = new Error('spawn pulumi ENOENT');
  expect(engineFailure(error, 'up', 'test', false).message).toMatch(
    /^The Pulumi CLI is not on PATH\. Install it/,
  );
});
