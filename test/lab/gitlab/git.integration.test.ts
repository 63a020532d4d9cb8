// Facts of GitLab: lib/gitlab/git_access.rb, lib/gitlab/checks/branch_check.rb and tag_check.rb (with their words),
// app/models/protected_branch.rb. Driven by git itself.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Body, git, ROOT_TOKEN, startTestGitLab, stopAll, type TestGitLab } from './support';

let gitlab: TestGitLab;
let project: Body;
let scratch: string;
let clone: string;
let developer: { id: number; token: string };

beforeAll(async () => {
  gitlab = await startTestGitLab();
  project = await gitlab.project('code');
  developer = await gitlab.user('developer', project.id, 30);
  scratch = mkdtempSync(join(tmpdir(), 'gitlab-git-'));
  clone = join(scratch, 'clone');
  await git(scratch, 'clone', '-q', gitlab.remote('switchyard/code', developer.token), clone);
});
afterAll(async () => {
  await stopAll();
  rmSync(scratch, { recursive: true, force: true });
});

async function commit(name: string): Promise<string> {
  writeFileSync(join(clone, name), `${name}\n`);
  await git(clone, 'add', name);
  await git(clone, 'commit', '-qm', `Add ${name}`);
  return (await git(clone, 'rev-parse', 'HEAD')).output.trim();
}

const lsRemote = (remote: string) => git(scratch, 'ls-remote', remote);

describe('who may fetch', () => {
  it('anyone with a token of a member, under any user name; nobody without', async () => {
    expect((await lsRemote(gitlab.remote('switchyard/code', developer.token, 'anything'))).code).toBe(0);
    expect((await lsRemote(`${gitlab.url}/switchyard/code.git`)).output).toMatch(
      /could not read Username|Authentication failed/,
    );
    expect((await lsRemote(gitlab.remote('switchyard/code', 'glpat-wrong'))).output).toContain(
      'Authentication failed',
    );
  });

  it('not a stranger, who cannot tell it from a project that is not there', async () => {
    const stranger = await gitlab.user('stranger');
    const answers = await Promise.all(
      ['code', 'nothing'].map((name) => lsRemote(gitlab.remote(`switchyard/${name}`, stranger.token))),
    );
    expect(answers.map(({ code }) => code)).toEqual([128, 128]);
    for (const { output } of answers) expect(output).toContain('not found');
  });

  it('a deploy token reads its own project and cannot push; scopes of tokens count', async () => {
    const token = await gitlab.ok('POST', `/projects/${project.id}/deploy_tokens`, {
      name: 'd',
      scopes: ['read_repository'],
    });
    const remote = gitlab.remote('switchyard/code', token.token, encodeURIComponent(token.username));
    expect((await lsRemote(remote)).code).toBe(0);
    expect((await git(clone, 'push', remote, 'HEAD:refs/heads/by-deploy-token')).output).toContain('403');
    const reader = await gitlab.ok('POST', `/projects/${project.id}/access_tokens`, {
      name: 'r',
      scopes: ['read_repository'],
      access_level: 40,
    });
    expect((await lsRemote(gitlab.remote('switchyard/code', reader.token))).code).toBe(0);
    expect(
      (await git(clone, 'push', gitlab.remote('switchyard/code', reader.token), 'HEAD:refs/heads/by-reader'))
        .output,
    ).toContain('403');
  });
});

describe('who may push what', () => {
  it('a developer to a new branch, which the API then shows', async () => {
    const sha = await commit('one');
    expect((await git(clone, 'push', '-q', 'origin', 'HEAD:refs/heads/topic/one')).code).toBe(0);
    expect(
      (await gitlab.ok('GET', `/projects/${project.id}/repository/branches/topic%2Fone`)).commit.id,
    ).toBe(sha);
  });

  it("a developer not to protected main, with GitLab's words, and nothing changes", async () => {
    await commit('two');
    const before = await gitlab.ok('GET', `/projects/${project.id}/repository/branches/main`);
    const { code, output } = await git(clone, 'push', 'origin', 'HEAD:main', 'HEAD:refs/heads/with-it');
    expect(code).toBe(1);
    expect(output).toContain(
      'GitLab: You are not allowed to push code to protected branches on this project.',
    );
    expect(output).toContain('pre-receive hook declined');
    expect(await gitlab.ok('GET', `/projects/${project.id}/repository/branches/main`)).toEqual(before);
    expect((await gitlab.call('GET', `/projects/${project.id}/repository/branches/with-it`)).status).toBe(
      404,
    );
  });

  it('a maintainer to main, but no force-push until the rule allows it, and never its deletion', async () => {
    const root = gitlab.remote('switchyard/code', ROOT_TOKEN);
    expect((await git(clone, 'push', '-q', root, 'HEAD:main')).code).toBe(0);
    expect((await git(clone, 'push', '-f', root, 'HEAD~1:main')).output).toContain(
      'You are not allowed to force push code to a protected branch on this project.',
    );
    await gitlab.ok('PATCH', `/projects/${project.id}/protected_branches/main`, { allow_force_push: true });
    expect((await git(clone, 'push', '-qf', root, 'HEAD~1:main')).code).toBe(0);
    expect((await git(clone, 'push', root, ':main')).output).toContain(
      'The default branch of a project cannot be deleted.',
    );
  });

  it('wildcards protect too, and a rule for one user lets that user through', async () => {
    await gitlab.ok('POST', `/projects/${project.id}/protected_branches`, {
      name: 'release/*',
      push_access_level: 0,
    });
    expect((await git(clone, 'push', 'origin', 'HEAD:refs/heads/release/1')).output).toContain(
      'protected branches',
    );
    expect(
      (await git(clone, 'push', gitlab.remote('switchyard/code', ROOT_TOKEN), 'HEAD:refs/heads/release/1'))
        .output,
    ).toContain('protected branches');
    await gitlab.ok('PATCH', `/projects/${project.id}/protected_branches/release%2F*`, {
      allowed_to_push: [{ user_id: developer.id }],
    });
    expect((await git(clone, 'push', '-q', 'origin', 'HEAD:refs/heads/release/1')).code).toBe(0);
    expect((await git(clone, 'push', 'origin', ':refs/heads/release/1')).output).toContain(
      'not allowed to delete protected branches',
    );
  });

  it('protected tags only by who may create them, and never moved', async () => {
    await gitlab.ok('POST', `/projects/${project.id}/protected_tags`, { name: 'v*' });
    expect((await git(clone, 'push', 'origin', 'HEAD:refs/tags/v1')).output).toContain(
      'You are not allowed to create this tag as it is protected.',
    );
    const root = gitlab.remote('switchyard/code', ROOT_TOKEN);
    expect((await git(clone, 'push', '-q', root, 'HEAD:refs/tags/v1')).code).toBe(0);
    expect((await git(clone, 'push', '-f', root, 'HEAD~1:refs/tags/v1')).output).toContain(
      'Protected tags cannot be updated.',
    );
  });

  it('no one to other refs, to the merge request refs, or to an archived project', async () => {
    const root = gitlab.remote('switchyard/code', ROOT_TOKEN);
    expect((await git(clone, 'push', root, 'HEAD:refs/notes/x')).output).toContain(
      'only branches and tags can be pushed',
    );
    expect((await git(clone, 'push', root, 'HEAD:refs/merge-requests/1/head')).code).toBe(1);
    await gitlab.ok('POST', `/projects/${project.id}/archive`);
    expect((await git(clone, 'push', root, 'HEAD:refs/heads/late')).output).toContain('403');
    await gitlab.ok('POST', `/projects/${project.id}/unarchive`);
  });

  it('the first push makes the default branch and protects it', async () => {
    const empty = await gitlab.project('empty', { initialize_with_readme: false });
    expect(empty.empty_repo).toBe(true);
    expect(
      (await git(clone, 'push', '-q', gitlab.remote('switchyard/empty', ROOT_TOKEN), 'HEAD:refs/heads/trunk'))
        .code,
    ).toBe(0);
    expect(await gitlab.ok('GET', `/projects/${empty.id}`)).toMatchObject({
      default_branch: 'trunk',
      empty_repo: false,
    });
    expect(await gitlab.ok('GET', `/projects/${empty.id}/protected_branches`)).toMatchObject([
      { name: 'trunk' },
    ]);
  });
});
