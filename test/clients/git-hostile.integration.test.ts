// What a repository holds, against the git that has a token of GitLab's: Git's own server serves it, and whoever else is asked is heard.

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gitEnvironment, WorkingCopy } from '../../clients/git';
import { answerAsGit } from '../support/git-backend';

const TOKEN = 'a-token-of-the-bot';
const root = mkdtempSync(join(tmpdir(), 'switchyard-git-hostile-'));
const source = join(root, 'source');
/** What came in, by server: path and authorization. */
const heard: Record<'ours' | 'elsewhere', { readonly path: string; readonly authorization: string }[]> = {
  ours: [],
  elsewhere: [],
};
const servers: Server[] = [];
let url: string;
let elsewhere: string;

const git = (...args: string[]): string =>
  execFileSync('git', ['-C', source, ...args], {
    env: { ...gitEnvironment({ url: 'http://none', token: '' }), GIT_COMMITTER_DATE: '@1700000000 +0000' },
    encoding: 'utf8',
  }).trim();

/** Git's own server, which says whom it hears. */
async function serve(who: keyof typeof heard): Promise<string> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://here');
    heard[who].push({ path: pathname, authorization: request.headers.authorization ?? '' });
    answerAsGit(root, request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Commits files, and submodules by path, on top of main. */
function commit(
  branch: string,
  files: Record<string, string | Buffer>,
  submodules: readonly string[] = [],
): string {
  git('checkout', '--quiet', '--force', '-B', 'work', 'main');
  git('clean', '--quiet', '-ffdx');
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), text, { mode: 0o755 });
  }
  git('add', '--all', '--force');
  for (const path of submodules)
    git('update-index', '--add', '--cacheinfo', `160000,${git('rev-parse', 'main')},${path}`);
  git('commit', '--quiet', '-m', 'Change');
  git('push', '--quiet', '--force', join(root, 'project.git'), `HEAD:refs/heads/${branch}`);
  return git('rev-parse', 'HEAD');
}

async function copyOf(branch: string): Promise<WorkingCopy> {
  const copy = new WorkingCopy(mkdtempSync(join(root, 'copy-')), { url, token: TOKEN });
  await copy.open();
  await copy.fetchUntil([branch, 'main'], async () => true, true);
  return copy;
}

beforeAll(async () => {
  mkdirSync(source);
  git('init', '--quiet', '--initial-branch=main');
  writeFileSync(join(source, 'file'), 'content\n');
  git('add', '.');
  git('commit', '--quiet', '-m', 'first');
  git('clone', '--quiet', '--bare', source, join(root, 'project.git'));
  // So that its server would give away whatever is asked for.
  execFileSync('git', ['-C', join(root, 'project.git'), 'config', 'uploadpack.allowAnySHA1InWant', 'true']);
  url = `${await serve('ours')}/project.git`;
  elsewhere = `${await serve('elsewhere')}/project.git`;
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  heard.ours = [];
  heard.elsewhere = [];
});

test('whatever a commit says of submodules, Git LFS, filters and hooks, nothing of it runs, and git asks nobody but its project', async () => {
  const ran = join(root, 'ran');
  const run = `#!/bin/sh\ntouch ${ran}; cat\n`;
  const submodule = (name: string, to: string): string =>
    `[submodule "${name}"]\n\tpath = ${name}\n\turl = ${to}\n\tupdate = !touch ${ran}\n\tfetchRecurseSubmodules = true\n\tbranch = main\n`;
  const config = [
    `[core]\n\tfsmonitor = touch ${ran}\n\thooksPath = hooks\n\tsshCommand = touch ${ran}\n`,
    ...['filter', 'diff', 'merge'].map(
      (what) =>
        `[${what} "evil"]\n\tsmudge = touch ${ran}\n\ttextconv = touch ${ran}\n\tdriver = touch ${ran}\n\tprocess = touch ${ran}\n`,
    ),
  ].join('');
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'1'.repeat(64)}\nsize 5\n`;
  const files = {
    '.gitmodules': [
      submodule('there', elsewhere),
      submodule('command', `ext::sh -c touch% ${ran}`),
      submodule('option', `--upload-pack=touch ${ran}`),
      submodule('beside', '../other.git'),
      submodule('here', `file://${join(root, 'project.git')}`),
    ].join(''),
    '.lfsconfig': `[lfs]\n\turl = ${elsewhere}\n\tpushurl = ${elsewhere}\n[lfs "customtransfer.evil"]\n\tpath = touch ${ran}\n`,
    '.gitattributes':
      '* filter=evil diff=evil merge=evil ident export-subst\n*.bin filter=lfs diff=lfs merge=lfs\n',
    '.gitconfig': config,
    'a.bin': pointer,
    'id.txt': '$Id$ $Format:%H$\n',
    file: 'another content\n',
    // Half of a repository in the tree, which git would take for one if it were started inside.
    'nested/HEAD': 'ref: refs/heads/main\n',
    'nested/config': config,
    'nested/objects/keep': '',
    'nested/refs/keep': '',
    'nested/hooks/post-checkout': run,
    'hooks/post-checkout': run,
    'hooks/post-merge': run,
  };
  const names = ['there', 'command', 'option', 'beside', 'here'];
  const head = commit('evil', files, names);
  const copy = await copyOf('evil');
  const base = await copy.head('main');
  expect(await copy.checkOutMerge(base, head)).toMatchObject({
    tree: expect.stringMatching(/^[0-9a-f]{40}$/),
  });
  expect(await copy.heldElsewhere()).toEqual({ submodules: [...names].sort(), lfs: ['a.bin'] });
  expect((await copy.changedPaths(base, head)).sort()).toEqual([...Object.keys(files), ...names].sort());
  expect(await copy.changes('evil', 1_600_000_000)).toContain('another content');
  expect(await copy.plainFile(head, '.lfsconfig', 10_000)).toBe(files['.lfsconfig']);
  // Once more, now that all of it lies there.
  await copy.fetchUntil(['evil', 'main'], async () => true, true);
  await copy.checkOut(base);
  await copy.checkOut(head);
  for (const [path, text] of Object.entries(files))
    expect([path, readFileSync(join(copy.folder, path), 'utf8')]).toEqual([path, text]);
  for (const name of names) expect(readdirSync(join(copy.folder, name))).toEqual([]);
  expect(existsSync(ran)).toBe(false);
  expect(heard.elsewhere).toEqual([]);
  const asked = new Set(heard.ours.map(({ path }) => path));
  expect([...asked].sort()).toEqual(['/project.git/git-upload-pack', '/project.git/info/refs']);
  for (const { authorization } of heard.ours)
    expect(Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()).toBe(`oauth2:${TOKEN}`);
  for (const file of ['config', 'FETCH_HEAD'])
    expect(readFileSync(join(copy.folder, '.git', file), 'utf8')).not.toContain(TOKEN);
}, 60_000);

// The C library turns one into the other by modules of its own, one of which wrote past its buffer (CVE-2024-2961, ISO-2022-CN-EXT).
test.each(['UTF-16', 'UTF-7', 'ISO-2022-CN-EXT', 'none-such'])(
  'a file is as it was committed, whatever encoding the commit asks for: %s',
  async (encoding) => {
    const text = 'FROM scratch\n# 劄 +ADw-\n';
    const bare = join(root, 'blobs');
    writeFileSync(bare, text);
    git('checkout', '--quiet', '--force', '-B', 'work', 'main');
    const blob = git('hash-object', '-w', '--no-filters', bare);
    git('update-index', '--add', '--cacheinfo', `100644,${blob},Dockerfile`);
    writeFileSync(bare, `Dockerfile text working-tree-encoding=${encoding}\n`);
    const attributes = git('hash-object', '-w', '--no-filters', bare);
    git('update-index', '--add', '--cacheinfo', `100644,${attributes},.gitattributes`);
    git('commit', '--quiet', '-m', 'Encoded');
    const head = git('rev-parse', 'HEAD');
    git('push', '--quiet', '--force', join(root, 'project.git'), 'HEAD:refs/heads/encoded');
    git('reset', '--quiet', '--hard', 'main');
    const copy = await copyOf('encoded');
    await copy.checkOutMerge(await copy.head('main'), head);
    expect(readFileSync(join(copy.folder, 'Dockerfile'), 'utf8')).toBe(text);
  },
);

test.each([
  ...['-x', '--upload-pack=touch${IFS}ran', 'HEAD', '@', 'FETCH_HEAD', 'origin/main', 'refs/heads/main'],
  ...[
    'refs/merge-requests/1/head',
    'merge-requests/1/head',
    'main.1',
    'switchyard/requests/1',
    'a;b|c&d',
    'o\'b"x',
  ],
  ...[
    '$(touch${IFS}ran)',
    '`ran`',
    'ü\u202e',
    '%2e%2e%2fmain',
    `l${'o'.repeat(239)}ng`,
    'a'.repeat(40),
    '0123456',
  ],
])('a branch is itself and no other, whatever it is called: %s', async (name) => {
  const head = commit(name, { file: `of ${name}\n` });
  const other = git('commit-tree', '-m', 'other', `${git('rev-parse', 'main')}^{tree}`);
  const bare = join(root, 'project.git');
  // Tags that are called as the branch, and as its commit.
  for (const tag of [name, head]) git('push', '--quiet', '--force', bare, `${other}:refs/tags/${tag}`);
  try {
    const copy = await copyOf(name);
    expect(await copy.head(name)).toBe(head);
    expect(await copy.head('main')).toBe(git('rev-parse', 'main'));
    expect(await copy.commits(name, 1)).toEqual([head]);
    expect(await copy.text(name, 'file')).toBe(`of ${name}`);
    const merged = await copy.checkOutMerge(await copy.head('main'), head);
    expect(merged).toMatchObject({ tree: await copy.tree(head) });
    expect(readFileSync(join(copy.folder, 'file'), 'utf8')).toBe(`of ${name}\n`);
    expect(await copy.isAncestor(await copy.head('main'), head)).toBe(true);
    expect(heard.ours.every(({ path }) => path.startsWith('/project.git/'))).toBe(true);
  } finally {
    for (const ref of [`refs/heads/${name}`, `refs/tags/${name}`, `refs/tags/${head}`])
      execFileSync('git', ['-C', bare, 'update-ref', '-d', ref]);
  }
  expect(existsSync('ran')).toBe(false);
});
