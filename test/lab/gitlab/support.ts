import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Background } from '../../../lab/gitlab/instance/instance';
import { type GitLab, type GitLabOptions, startGitLab } from '../../../lab/gitlab/server';

export const ROOT_TOKEN = 'glpat-root-0123456789abcdefgh';

// biome-ignore lint/suspicious/noExplicitAny: the body is whatever the API under test sends; tests assert its shape
export type Body = any;

export interface Answer {
  status: number;
  body: Body;
  headers: Headers;
}

export interface TestGitLab extends GitLab {
  dataDir: string;
  warnings: string[];
  /** Calls the API as root, or with another token (`null`: none). */
  call(method: string, path: string, body?: unknown, token?: string | null): Promise<Answer>;
  /** Like `call`, and fails the test unless the answer is a success. */
  ok(method: string, path: string, body?: unknown, token?: string | null): Promise<Body>;
  /** A user with a token; added to `project` (id) with `level`. */
  user(name: string, project?: number, level?: number): Promise<{ id: number; token: string }>;
  /** Clone URL with credentials. */
  remote(path: string, token: string, username?: string): string;
  /** A group with a project that has a README on main. */
  project(name: string, settings?: Record<string, unknown>): Promise<Body>;
  /** Commits one file to a branch (made from main when missing) and answers the sha. */
  commitFile(project: number, branch: string, path: string, content: string): Promise<string>;
}

/** Background jobs are done before the answer: for tests of anything else. */
const AT_ONCE: Background = { prepare: 0, check: 0, rebase: 0, pipeline: 0, merge: 0 };

const started: TestGitLab[] = [];

/** A GitLab on a free loopback port with a data folder of its own; `stopAll` in afterAll ends it. */
export async function startTestGitLab(options: Partial<GitLabOptions> = {}): Promise<TestGitLab> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'gitlab-test-'));
  const warnings: string[] = [];
  const log = { info: () => undefined, warn: (text: string) => warnings.push(text) };
  const gitlab = await startGitLab({
    dataDir,
    rootToken: ROOT_TOKEN,
    allowLocalHooks: true,
    background: AT_ONCE,
    log,
    ...options,
  });
  const call = async (
    method: string,
    path: string,
    body?: unknown,
    token: string | null = ROOT_TOKEN,
  ): Promise<Answer> => {
    const response = await fetch(`${gitlab.url}/api/v4${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { 'PRIVATE-TOKEN': token }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    const json = response.headers.get('content-type')?.includes('json') && text !== '';
    return { status: response.status, body: json ? JSON.parse(text) : text, headers: response.headers };
  };
  const ok = async (method: string, path: string, body?: unknown, token?: string | null): Promise<Body> => {
    const answer = await call(method, path, body, token);
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  let group: Body;
  const test: TestGitLab = {
    ...gitlab,
    dataDir,
    warnings,
    call,
    ok,
    user: async (name, project, level = 30) => {
      const user = await ok('POST', '/users', {
        username: name,
        name,
        email: `${name}@example.com`,
        force_random_password: true,
      });
      const token = await ok('POST', `/users/${user.id}/personal_access_tokens`, {
        name: 'test',
        scopes: ['api'],
      });
      if (project !== undefined)
        await ok('POST', `/projects/${project}/members`, { user_id: user.id, access_level: level });
      return { id: user.id, token: token.token };
    },
    remote: (path, token, username = 'oauth2') =>
      `${gitlab.url.replace('//', `//${username}:${token}@`)}/${path}.git`,
    project: async (name, settings = {}) => {
      group ??= await ok('POST', '/groups', { name: 'switchyard', path: 'switchyard' });
      return ok('POST', '/projects', {
        name,
        namespace_id: group.id,
        initialize_with_readme: true,
        ...settings,
      });
    },
    commitFile: async (project, branch, path, content) => {
      const exists =
        (await call('GET', `/projects/${project}/repository/branches/${encodeURIComponent(branch)}`))
          .status === 200;
      const commit = await ok('POST', `/projects/${project}/repository/commits`, {
        branch,
        ...(exists ? {} : { start_branch: 'main' }),
        commit_message: `Change ${path}`,
        actions: [
          {
            action:
              exists &&
              (
                await call(
                  'HEAD',
                  `/projects/${project}/repository/files/${encodeURIComponent(path)}?ref=${encodeURIComponent(branch)}`,
                )
              ).status === 200
                ? 'update'
                : 'create',
            file_path: path,
            content,
          },
        ],
      });
      return commit.id;
    },
  };
  started.push(test);
  return test;
}

export async function stopAll(): Promise<void> {
  for (const gitlab of started.splice(0)) {
    await gitlab.close();
    rmSync(gitlab.dataDir, { recursive: true, force: true });
  }
}

export interface Received {
  headers: http.IncomingHttpHeaders;
  body: Body;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** What it answers. */
  status: number;
  close(): Promise<void>;
}

/** A server that keeps what is posted to it. */
export async function startReceiver(port = 0): Promise<Receiver> {
  const receiver: Receiver = { url: '', received: [], status: 200, close: async () => undefined };
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      receiver.received.push({
        headers: request.headers,
        body: JSON.parse(Buffer.concat(chunks).toString()),
      });
      response.writeHead(receiver.status, { 'Content-Type': 'text/plain' });
      response.end('taken');
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  receiver.close = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return receiver;
}

const run = promisify(execFile);

/** Runs git with nothing of the user's configuration; the result also when it fails. */
export async function git(cwd: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const identity = ['-c', 'user.name=Dev', '-c', 'user.email=dev@example.com'];
  const env = {
    PATH: process.env.PATH,
    HOME: cwd,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    LC_ALL: 'C',
  };
  try {
    const { stdout, stderr } = await run('git', [...identity, ...args], { cwd, env });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { code: failed.code, output: failed.stdout + failed.stderr };
  }
}
