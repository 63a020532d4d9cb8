// Facts of GitLab: app/controllers/repositories/lfs_api_controller.rb, lfs_storage_controller.rb, lfs_locks_api_controller.rb,
// app/controllers/concerns/lfs_request.rb, lib/gitlab/lfs_token.rb, lib/gitlab/checks/lfs_check.rb, changes_access.rb,
// lib/gitlab/gitaly_client/blob_service.rb; of the protocol: docs/api/batch.md, basic-transfers.md of git-lfs. Driven by
// git-lfs itself, and by plain requests.

import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Body, git, ROOT_TOKEN, startTestGitLab, stopAll, type TestGitLab } from './support';

let gitlab: TestGitLab;
let project: Body;
let scratch: string;
let clone: string;
const people: Record<string, { id: number; token: string }> = {};

const MEDIA = 'application/vnd.git-lfs+json';
const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const pointer = (oid: string, size: number): string =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;
const basic = (token: string, user = 'oauth2'): string =>
  `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`;

beforeAll(async () => {
  gitlab = await startTestGitLab();
  project = await gitlab.project('assets');
  people.developer = await gitlab.user('developer', project.id, 30);
  people.reporter = await gitlab.user('reporter', project.id, 20);
  people.stranger = await gitlab.user('stranger');
  scratch = mkdtempSync(join(tmpdir(), 'gitlab-lfs-'));
  clone = join(scratch, 'clone');
  await git(scratch, 'clone', '-q', gitlab.remote('switchyard/assets', people.developer.token), clone);
});
afterAll(async () => {
  await stopAll();
  rmSync(scratch, { recursive: true, force: true });
});

async function batch(body: unknown, token?: string, path = 'switchyard/assets', type = MEDIA) {
  const response = await fetch(`${gitlab.url}/${path}.git/info/lfs/objects/batch`, {
    method: 'POST',
    headers: { accept: MEDIA, 'content-type': type, ...(token ? { authorization: basic(token) } : {}) },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
}
const download = (...oids: string[]) => ({
  operation: 'download',
  objects: oids.map((oid) => ({ oid, size: 1 })),
});

async function upload(bytes: Buffer, oid = sha(bytes), size = bytes.length): Promise<number> {
  const asked = await batch({ operation: 'upload', objects: [{ oid, size }] }, people.developer?.token);
  const { href, header } = asked.body.objects[0].actions.upload;
  const { 'Transfer-Encoding': _, ...headers } = header;
  return (await fetch(href, { method: 'PUT', headers, body: new Uint8Array(bytes) })).status;
}

describe('git-lfs itself', () => {
  const bytes = randomBytes(300_000);

  it('pushes what a commit names before the commit, and a clone has it', async () => {
    expect((await git(clone, 'lfs', 'install', '--local')).code).toBe(0);
    await git(clone, 'lfs', 'track', '*.bin');
    writeFileSync(join(clone, 'model.bin'), bytes);
    await git(clone, 'add', '--all');
    await git(clone, 'commit', '-qm', 'A model');
    expect((await git(clone, 'show', 'HEAD:model.bin')).output).toBe(pointer(sha(bytes), bytes.length));
    // GitLab refuses the commit without the object: that it came says that both did.
    expect((await git(clone, 'push', 'origin', 'HEAD:refs/heads/model')).code).toBe(0);
    const other = join(scratch, 'other');
    const remote = gitlab.remote('switchyard/assets', people.reporter?.token ?? '');
    await git(scratch, '-c', 'filter.lfs.required=false', 'clone', '-q', '-b', 'model', remote, other);
    await git(other, 'lfs', 'install', '--local');
    expect((await git(other, 'lfs', 'pull')).code).toBe(0);
    expect(readFileSync(join(other, 'model.bin')).equals(bytes)).toBe(true);
  });
});

describe('the batch API', () => {
  const bytes = Buffer.from('what an object holds');

  it('says where to put what is not there, and then nothing more', async () => {
    const objects = [{ oid: sha(bytes), size: bytes.length }];
    const asked = await batch({ operation: 'upload', objects }, people.developer?.token);
    const place = `${gitlab.url}/switchyard/assets.git/gitlab-lfs/objects/${sha(bytes)}`;
    expect(asked).toEqual({
      status: 200,
      body: {
        objects: [
          {
            ...objects[0],
            actions: {
              upload: {
                href: `${place}/${bytes.length}`,
                header: {
                  Authorization: expect.stringMatching(/^Basic /),
                  'Content-Type': 'application/octet-stream',
                  'Transfer-Encoding': 'chunked',
                },
              },
            },
          },
        ],
      },
    });
    expect(await upload(bytes)).toBe(200);
    expect((await batch({ operation: 'upload', objects }, people.developer?.token)).body).toEqual({
      objects,
    });
    const { objects: found } = (await batch(download(sha(bytes), 'a'.repeat(64)), people.reporter?.token))
      .body;
    expect(found[0].actions.download.href).toBe(place);
    // A token of GitLab's own, and not the one that was asked with.
    expect(found[0].actions.download.header.Authorization).not.toBe(basic(people.reporter?.token ?? ''));
    const got = await fetch(place, { headers: found[0].actions.download.header });
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);
    expect(found[1]).toEqual({
      oid: 'a'.repeat(64),
      size: 1,
      error: {
        code: 404,
        message: "Object does not exist on the server or you don't have permissions to access it",
      },
    });
  });

  it('takes nothing that is not what it is called, nor of that size', async () => {
    const other = Buffer.from('something else');
    expect(await upload(other, sha(Buffer.from('x')))).toBe(400);
    expect(await upload(other, sha(other), 3)).toBe(400);
    const { objects } = (await batch(download(sha(other)), people.developer?.token)).body;
    expect(objects[0].error.code).toBe(404);
  });

  it('is for who may fetch, and for uploads who may push; a token of one project opens no other', async () => {
    const wanted = download(sha(bytes));
    expect((await batch(wanted)).status).toBe(401);
    expect((await batch(wanted, 'glpat-wrong')).status).toBe(401);
    expect((await batch(wanted, people.stranger?.token)).status).toBe(404);
    expect((await batch({ ...wanted, operation: 'upload' }, people.reporter?.token)).status).toBe(403);
    expect((await batch({ operation: 'download', objects: [] }, people.developer?.token)).status).toBe(404);
    expect((await batch(wanted, people.developer?.token, undefined, 'text/plain')).status).toBe(403);
    await gitlab.project('other', { visibility: 'internal' });
    const { objects } = (await batch(wanted, people.developer?.token)).body;
    const { href, header } = objects[0].actions.download;
    const elsewhere = href.replace('/assets.git/', '/other.git/');
    expect((await fetch(elsewhere, { headers: header })).status).toBe(404);
    expect(
      (await fetch(href, { headers: { Authorization: header.Authorization.slice(0, -8) } })).status,
    ).toBe(401);
  });

  it('is not there where Git LFS is off', async () => {
    const off = await gitlab.project('off', { lfs_enabled: false });
    expect(off.lfs_enabled).toBe(false);
    expect((await batch(download(sha(bytes)), ROOT_TOKEN, 'switchyard/off')).status).toBe(404);
  });
});

describe('a push of a pointer without its object', () => {
  async function point(oid: string, size: number): Promise<void> {
    await git(clone, 'checkout', '-q', '--detach', 'origin/main');
    writeFileSync(join(clone, 'a.txt'), pointer(oid, size));
    await git(clone, 'add', 'a.txt');
    await git(clone, 'commit', '-qm', 'A pointer');
  }
  const REFUSED =
    'GitLab: LFS objects are missing. Ensure LFS is properly set up or try a manual "git lfs push --all".';

  it('is refused whole, until the object is there', async () => {
    const bytes = Buffer.from('that comes later');
    await point(sha(bytes), bytes.length);
    const push = () =>
      git(clone, 'push', '--no-verify', 'origin', 'HEAD:refs/heads/late', 'HEAD:refs/heads/later');
    const { code, output } = await push();
    expect(code).toBe(1);
    expect(output).toContain(REFUSED);
    expect((await gitlab.call('GET', `/projects/${project.id}/repository/branches/later`)).status).toBe(404);
    expect(await upload(bytes)).toBe(200);
    expect((await push()).code).toBe(0);
  });

  it('is refused for its ref first; where Git LFS is off, and what only looks like a pointer, is taken', async () => {
    await point('b'.repeat(64), 5);
    const main = await git(clone, 'push', '--no-verify', 'origin', 'HEAD:refs/heads/main');
    expect(main.output).toContain('not allowed to push code to protected branches');
    const off = gitlab.remote('switchyard/off', ROOT_TOKEN);
    expect((await git(clone, 'push', '-q', '--no-verify', off, 'HEAD:refs/heads/pointer')).code).toBe(0);
    await git(clone, 'checkout', '-q', '--detach', 'origin/main');
    writeFileSync(join(clone, 'b.txt'), `A pointer:\n${pointer('c'.repeat(64), 5)}`);
    writeFileSync(join(clone, 'c.txt'), `${pointer('d'.repeat(64), 5)}${'x'.repeat(100)}\n`);
    await git(clone, 'add', '--all');
    await git(clone, 'commit', '-qm', 'No pointers');
    expect((await git(clone, 'push', '-q', '--no-verify', 'origin', 'HEAD:refs/heads/none')).code).toBe(0);
  });
});
