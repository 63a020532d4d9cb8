// Facts of GitLab: none; what is answered is kept, as a database keeps it, and WebHookWorker's queue with it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { gitIsNewEnough } from '../../../lab/gitlab';
import { type Body, type Receiver, ROOT_TOKEN, startReceiver, startTestGitLab } from './support';

let scratch: string;
let program: string;
let port: number;
let receiver: Receiver;
const children: ChildProcess[] = [];

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'gitlab-durable-'));
  program = join(scratch, 'server.js');
  writeFileSync(join(scratch, 'token'), ROOT_TOKEN);
  receiver = await startReceiver();
  port = await portOfItsOwn();
  await build({
    entryPoints: [join(__dirname, '../../../lab/gitlab/main.ts')],
    bundle: true,
    platform: 'node',
    target: 'node22',
    outfile: program,
    logLevel: 'silent',
  });
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await receiver.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** A free port that no other program gets by asking for any: the daemon comes back to it after a restart. */
async function portOfItsOwn(): Promise<number> {
  for (let candidate = 20_000 + (process.pid % 10_000); ; candidate += 1) {
    const probe = net.createServer().listen(candidate, '127.0.0.1');
    const free = await Promise.race([
      once(probe, 'listening').then(() => true),
      once(probe, 'error').then(() => false),
    ]);
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    return candidate;
  }
}

function daemon(...extra: string[]): ChildProcess {
  const args = [
    '--disable-warning=ExperimentalWarning',
    program,
    '--data',
    join(scratch, 'data'),
    '--token-file',
    join(scratch, 'token'),
    '--port',
    String(port),
    '--allow-local-hooks',
    ...extra,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  return child;
}

async function call(method: string, path: string, body?: unknown): Promise<Body> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v4${path}`, {
    method,
    headers: { 'PRIVATE-TOKEN': ROOT_TOKEN, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body ? JSON.stringify(body) : undefined,
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function ready(): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (await call('GET', '/version').catch(() => undefined)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the daemon did not answer');
}

async function stderrOf(child: ChildProcess): Promise<{ code: number; text: string }> {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  return { code: code as number, text };
}

it('everything that was answered survives kill -9, and a hook on its way is sent after the restart', async () => {
  let child = daemon();
  await ready();
  const project = await call('POST', '/projects', { name: 'p', initialize_with_readme: true });
  const hook = await call('POST', `/projects/${project.id}/hooks`, { url: receiver.url, push_events: true });
  // Nobody answers there any more while this push is told.
  const { url } = receiver;
  await receiver.close();
  const silent = net.createServer(() => undefined).listen(Number(new URL(url).port), '127.0.0.1');
  await once(silent, 'listening');
  const commit = await call('POST', `/projects/${project.id}/repository/commits`, {
    branch: 'topic',
    start_branch: 'main',
    commit_message: 'm',
    actions: [{ action: 'create', file_path: 'a', content: 'a' }],
  });
  await call('POST', `/projects/${project.id}/merge_requests`, {
    title: 'T',
    source_branch: 'topic',
    target_branch: 'main',
  });
  await call('POST', `/projects/${project.id}/statuses/${commit.id}`, { state: 'success', ref: 'topic' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  silent.close();

  receiver = await startReceiver(Number(new URL(url).port));
  child = daemon();
  await ready();
  let shown: Body;
  do {
    shown = await call('GET', `/projects/${project.id}/merge_requests/1`);
  } while (['preparing', 'unchecked', 'checking'].includes(shown.detailed_merge_status));
  expect(shown).toMatchObject({
    sha: commit.id,
    detailed_merge_status: 'mergeable',
    // Also when it was killed before the pipeline had heard of the status.
    head_pipeline: { status: 'success' },
  });
  for (let attempt = 0; receiver.received.length === 0 && attempt < 100; attempt += 1)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(receiver.received.map(({ body }) => body.after)).toEqual([commit.id]);
  expect((await call('GET', `/projects/${project.id}/hooks/${hook.id}/events`))[0]).toMatchObject({
    response_status: '200',
  });
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it('one clear line, and no second server, when the data folder or the port is taken', async () => {
  const first = daemon();
  await ready();
  const samePort = await stderrOf(daemon('--data', join(scratch, 'other')));
  expect([samePort.code, samePort.text.trim().split('\n')]).toEqual([
    1,
    [expect.stringContaining('EADDRINUSE')],
  ]);
  const sameData = await stderrOf(daemon('--port', '0'));
  expect([sameData.code, sameData.text.trim().split('\n')]).toEqual([
    1,
    [expect.stringContaining('is in use by another server')],
  ]);
  first.kill('SIGTERM');
  expect(await once(first, 'exit')).toEqual([0, null]);
});

it('a request that comes while it starts is answered', async () => {
  const dataDir = mkdtempSync(join(scratch, 'early-'));
  const own = await portOfItsOwn();
  const starting = startTestGitLab({ dataDir, port: own });
  let answer: Response | undefined;
  while (!answer) {
    // Again at once: what counts is the moment between listening and being ready.
    answer = await fetch(`http://127.0.0.1:${own}/-/readiness`, {
      signal: AbortSignal.timeout(30_000),
    }).catch((error: Error) => {
      if (error.name === 'TimeoutError') throw error;
      return undefined;
    });
  }
  expect(answer.status).toBe(200);
  await (await starting).close();
});

it('no file holds a token, and the state survives a change of the root token', async () => {
  const dataDir = mkdtempSync(join(scratch, 'state-'));
  const first = await startTestGitLab({ dataDir });
  const made = await first.ok('POST', '/users/1/personal_access_tokens', { name: 't', scopes: ['api'] });
  await first.close();
  const second = await startTestGitLab({ dataDir, rootToken: 'glpat-another-root-token-0123' });
  expect((await second.call('GET', '/user')).status).toBe(401);
  expect((await second.call('GET', '/user', undefined, 'glpat-another-root-token-0123')).status).toBe(200);
  expect((await second.call('GET', '/user', undefined, made.token)).status).toBe(200);
  await second.close();
  const stored = readFileSync(join(dataDir, 'gitlab.sqlite'), 'latin1');
  expect(statSync(join(dataDir, 'gitlab.sqlite')).size).toBeGreaterThan(0);
  for (const secret of [ROOT_TOKEN, made.token, 'glpat-another-root-token-0123'])
    expect(stored).not.toContain(secret);
});

it.each([
  ['git version 2.39.5', true],
  ['git version 2.37.0', false],
  ['git version 3.0.1', true],
  ['', false],
])('%p is new enough for merging without a working copy: %p', (version, expected) => {
  expect(gitIsNewEnough(version)).toBe(expected);
});
