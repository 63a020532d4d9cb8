import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { GitFailure, gitEnvironment, WorkingCopy } from '../../clients/git';
import { repositoryItems } from '../../delivery/backup/kinds/repositories';
import { answerAsGit } from '../support/git-backend';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const GITALY = 'The git server, Gitaly, is not available at this time. Please contact your administrator.';
const LOAD = 'GitLab is currently unable to handle this request due to load.';

const root = mkdtempSync(join(tmpdir(), 'switchyard-git-'));
let server: Server;
let url: string;
/** What is answered before the repository is; `always` after them, if there is one. */
let before: Answer[] = [];
let always: Answer | undefined;
let asked: string[] = [];
let left = 0;

const status =
  (code: number, text = ''): Answer =>
  (_request, response) =>
    void response.writeHead(code, { 'content-type': 'text/plain' }).end(text);
/** GitLab's own words in git's protocol. */
const busy: Answer = (_request, response) => {
  const line = `ERR ${LOAD}\n`;
  const length = (line.length + 4).toString(16).padStart(4, '0');
  response
    .writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
    .end(`001e# service=git-upload-pack\n0000${length}${line}`);
};
const empty: Answer = (request) => void request.socket.destroy();
const hangs: Answer = (request) => {
  request.socket.on('close', () => {
    left += 1;
  });
};
const cutShort: Answer = (request, response) => {
  response.writeHead(200, {
    'content-type': 'application/x-git-upload-pack-result',
    'content-length': '1000',
  });
  response.write('0008NAK\n', () => request.socket.destroy());
};

/** What Git's own server answers. */
const repository: Answer = (request, response) => answerAsGit(root, request, response);

beforeAll(async () => {
  const source = join(root, 'source');
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', source, ...args], { env: gitEnvironment({ url: 'http://none', token: '' }) });
  mkdirSync(source);
  git('init', '--quiet', '--initial-branch=main');
  writeFileSync(join(source, 'file'), 'content');
  git('add', '.');
  git('commit', '--quiet', '-m', 'first');
  git('clone', '--quiet', '--bare', source, join(root, 'project.git'));
  server = createServer((request, response) => {
    asked.push(`${request.method} ${(request.url ?? '').split('/project.git/')[1]?.split('?')[0]}`);
    (before.shift() ?? always ?? repository)(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/project.git`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  before = [];
  always = undefined;
  asked = [];
  left = 0;
});

async function workingCopy(timeoutMs?: number): Promise<WorkingCopy> {
  const copy = new WorkingCopy(mkdtempSync(join(root, 'copy-')), { url, token: 'a-secret' }, timeoutMs);
  await copy.open();
  return copy;
}
const fetchMain = async (branch = 'main', timeoutMs?: number): Promise<WorkingCopy> => {
  const copy = await workingCopy(timeoutMs);
  await copy.fetchUntil([branch], async () => true);
  return copy;
};

test.each<[string, Answer[], number]>([
  ['a Gitaly that is away, twice', [status(503, GITALY), status(503, GITALY)], 3],
  ['too many requests', [status(429, 'Retry later')], 2],
  ['a server that closes without a word', [empty], 2],
  ['a GitLab that takes no more at a time', [busy], 2],
  ['an answer that is cut', [repository, repository, cutShort], 4],
  ['an upload that is refused for now', [repository, repository, status(502, 'Bad Gateway')], 4],
])('%s is asked again', async (_what, answers, least) => {
  before = answers;
  const copy = await fetchMain();
  expect(await copy.text('main', 'file')).toBe('content');
  expect(asked.length).toBeGreaterThanOrEqual(least);
  expect(before).toEqual([]);
});

test.each<[string, Answer, RegExp]>([
  ['401', status(401), /could not read Username.*GITLAB_TOKEN may read it\.$/],
  [
    '403',
    status(403, 'HTTP Basic: Access denied. The request timed out, by the way.'),
    /GITLAB_TOKEN may read it\.$/,
  ],
  ['404', status(404, 'The project you were looking for could not be found'), /GITLAB_TOKEN may read it\.$/],
])('a refusal by %s is not asked again, and names the token', async (_what, answer, message) => {
  always = answer;
  const fault = await fetchMain().catch((error: Error) => error);
  expect(fault).toBeInstanceOf(GitFailure);
  expect(String(fault)).toMatch(message);
  expect(String(fault)).not.toContain('a-secret');
  expect(asked).toEqual(['GET info/refs']);
});

test.each(['GET info/refs', 'POST git-upload-pack'])(
  'where %s is sent on to another server, that one is not asked, and the token stays here',
  async (sentOn) => {
    const heard: unknown[] = [];
    const elsewhere = createServer((request, response) => {
      heard.push([request.method, request.headers.authorization]);
      repository(request, response);
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const { port } = elsewhere.address() as AddressInfo;
    always = (request, response) => {
      if (asked.at(-1) !== sentOn) return repository(request, response);
      response.writeHead(302, { location: `http://127.0.0.1:${port}${request.url}` }).end();
    };
    try {
      const fault = await fetchMain().catch((error: Error) => error);
      expect(heard).toEqual([]);
      expect(fault).toBeInstanceOf(GitFailure);
      expect(asked.filter((one) => one === sentOn)).toEqual([sentOn]);
    } finally {
      elsewhere.closeAllConnections();
      await new Promise((resolve) => elsewhere.close(resolve));
    }
  },
);

test('a branch that is not there is not asked for again, and the token is not blamed', async () => {
  await expect(fetchMain('RPC-failed')).rejects.toThrow(
    /^git fetch of .* failed: fatal: couldn't find remote ref refs\/heads\/RPC-failed\.$/,
  );
  expect(asked.filter((path) => path === 'GET info/refs')).toHaveLength(1);
});

test('what stays away is told with what the server said, and with advice that fits', async () => {
  always = status(503, GITALY);
  const fault = await fetchMain('main', 3_000).catch((error: Error) => error.message);
  expect(fault).toBe(`git fetch of ${url} failed: remote: ${GITALY} Try again when GitLab answers.`);
  expect(asked.length).toBeGreaterThan(1);
});

test('a server that never answers is left, by git’s helper too, and asked again within the limit', async () => {
  always = hangs;
  const begun = Date.now();
  await expect(fetchMain('main', 1_000)).rejects.toThrow(/failed: fatal: timed out after 1 s\. Try again/);
  expect(Date.now() - begun).toBeLessThan(10_000);
  expect(left).toBe(asked.length);
});

test('a backup asks again as well', async () => {
  const [item] = repositoryItems([{ item: 'project', remote: { url, token: 'a-secret' } }]);
  before = [status(503, GITALY)];
  expect(await item?.content?.()).toMatch(/^[0-9a-f]{64}$/);
  before = [empty];
  const source = await item?.open();
  expect((await buffer(source?.stream as NodeJS.ReadableStream)).toString('latin1', 0, 20)).toContain(
    'git bundle',
  );
  await source?.close?.();
  always = status(403);
  asked = [];
  await expect(item?.content?.()).rejects.toThrow('GITLAB_TOKEN may do this');
  expect(asked).toHaveLength(1);
});

// As git 2.39 and curl 7.88 write them, with OpenSSL and GnuTLS; the rest as `workhorse/internal/git/error.go` has it.
test.each<[boolean, string]>([
  [
    true,
    "fatal: unable to access 'u': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
  ],
  [
    true,
    "fatal: unable to access 'u': OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to gitlab.test:443",
  ],
  [
    true,
    "fatal: unable to access 'u': OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof while reading",
  ],
  [true, 'error: RPC failed; HTTP 504 curl 22 The requested URL returned error: 504\nfatal: expected flush'],
  [
    true,
    'error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: CANCEL (err 8)\nfatal: early EOF',
  ],
  [true, `remote: ${LOAD}\nerror: remote unpack failed: server is busy`],
  [true, "fatal: unable to access 'u': Could not resolve host: gitlab.test"],
  [false, "fatal: unable to access 'u': server certificate verification failed. CAfile: none CRLfile: none"],
  [false, "fatal: unable to access 'u': SSL certificate problem: unable to get local issuer certificate"],
  [
    false,
    'error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403\nfatal: the remote end hung up unexpectedly',
  ],
  [
    false,
    'error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413\nsend-pack: unexpected disconnect',
  ],
  [
    false,
    "To u\n ! [rejected]        main -> main (non-fast-forward)\nerror: failed to push some refs to 'u'",
  ],
  [
    false,
    'remote: GitLab: the hook timed out, Connection refused\nTo u\n ! [remote rejected] main -> main (pre-receive hook declined)',
  ],
  [false, 'fatal: not a git repository'],
])('whether another run may succeed is %s after: %s', (passing, stderr) => {
  expect(new GitFailure('fetch', 'https://gitlab.test/a.git', stderr, 'read it').passing).toBe(passing);
});

test('git speaks English, whoever runs it', () => {
  expect(
    gitEnvironment({ url: 'https://gitlab.test/a.git', token: 't' }, { LANG: 'de_DE.UTF-8' }),
  ).toMatchObject({
    LC_ALL: 'C',
  });
});

test('a character of several bytes is one, wherever git’s output is cut', async () => {
  const copy = await workingCopy();
  const text = `a${'€'.repeat(200_000)}`;
  writeFileSync(join(copy.folder, 'file'), text);
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', copy.folder, ...args], { env: gitEnvironment({ url, token: '' }) });
  git('add', '.');
  git('commit', '--quiet', '-m', 'wide');
  git('update-ref', 'refs/remotes/origin/wide', 'HEAD');
  expect((await copy.text('wide', 'file')) === text).toBe(true);
});
