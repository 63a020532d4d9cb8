import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parseLedger, type Release, serialiseLedger } from '../../catalog/ledger';
import { exitCode, Failure } from '../../clients/failure';
import { gitEnvironment } from '../../clients/git';
import { GitLabError } from '../../clients/gitlab-api';
import { Registry } from '../../clients/registry';
import type { Certificate } from '../../delivery/certificate';
import {
  type Deployment,
  deploy,
  openMerged,
  recordRelease,
  reportRollout,
  reportUnstarted,
} from '../../delivery/deploy';
import { readNote } from '../../delivery/note';
import { listReleases, rollBack } from '../../delivery/releases';
import { undo } from '../../delivery/undo';
import { merge, putNote, report, takeSource, testedBefore } from '../../delivery/verify';
import { KEY } from './certificates';
import { ended } from './ended';
import { LEDGER, makeRegistry, makeWorld, PROJECT, ROOT_TOKEN, replaced, type World } from './world';

const BUILD = 'http://jenkins.example/job/switchyard/job/orders/1/';
const DECLARED = '0'.repeat(64);
/** What the builds of these tests leave for the next ones. */
const CACHE = '{"cache":1}';
const CACHED = 'application/vnd.oci.image.manifest.v1+json';
const passed = { total: 2, passed: 2, failed: 0, skipped: 0, failing: [] };
const failed = {
  total: 2,
  passed: 1,
  failed: 1,
  skipped: 0,
  failing: [{ name: 'Orders.Stock is kept', message: '3 != 2' }],
};

let world: World;
let registry: Awaited<ReturnType<typeof makeRegistry>>;
let digest: string;
let cache: string;
let counter = 0;

beforeAll(async () => {
  world = await makeWorld();
  registry = await makeRegistry();
  digest = registry.put('modules/orders', '{"schemaVersion":2}', 'application/vnd.oci.image.index.v1+json');
  cache = registry.put('modules/orders', CACHE, CACHED);
});
afterAll(async () => {
  await world?.close();
  await registry?.close();
});

/** GitLab takes its time, and its jobs are short here. */
const PATIENCE = Array<number>(100).fill(50);

const folder = (): string => join(world.folder, `work-${counter++}`);

/** `source`, then what `build` and `verdict` add. */
async function tested(
  iid: number,
  tests: Certificate['tests'],
  work = folder(),
  policy: 'automatic' | 'reviewed' = 'automatic',
): Promise<Certificate> {
  const certificate = await takeSource(world.context, {
    module: 'orders',
    project: PROJECT,
    mergeRequest: iid,
    build: BUILD,
    policy,
    declared: DECLARED,
    folder: work,
  });
  return {
    ...certificate,
    image: { repository: `${registry.host}/modules/orders`, tag: 'mr', digest, cache },
    tests,
  };
}
const mergeNow = (certificate: Certificate) =>
  merge(world.context, certificate, 'automatic', KEY, folder(), PATIENCE);
const deployNow = (
  commit: string,
  {
    context = world.context,
    ...more
  }: { rollback?: boolean; migrates?: boolean; context?: World['context'] } = {},
): Promise<Deployment> =>
  deploy(
    context,
    new Registry({ host: registry.host, plainHttp: true, credentials: registry.credentials }),
    registry.host,
    {
      module: 'orders',
      project: PROJECT,
      ledgerProject: LEDGER,
      environment: 'production',
      commit,
      branch: 'main',
      build: BUILD,
      rollback: false,
      migrates: false,
      folder: folder(),
      key: KEY,
      ...more,
    },
  );
const ledgerNow = async () => {
  const file = await world.context.gitlab.file(LEDGER, 'production.yaml', 'main');
  return parseLedger(file?.text ?? '', 'production.yaml').modules.orders;
};
/** A merge request that touches one file of its own, all the way into main. */
async function merged(name: string): Promise<{ certificate: Certificate; commit: string; iid: number }> {
  await world.push(name, { [`${name}.txt`]: 'x\n' }, 'origin/main');
  const iid = await world.open(name);
  const certificate = await tested(iid, passed);
  await report(world.context, certificate, KEY);
  return { certificate, commit: await mergeNow(certificate), iid };
}

describe('a merge request whose tests pass', () => {
  let certificate: Certificate;
  let iid: number;
  let commit: string;

  it('is tested as the merge result, under a running status on its head', async () => {
    const head = await world.push('feature', { 'a.txt': '1\n2\n3\n4\n' }, 'origin/main');
    const base = await world.push('main', { 'b.txt': '2\n' }, 'origin/main');
    iid = await world.open('feature');
    const work = folder();
    certificate = await tested(iid, passed, work);
    expect(certificate).toMatchObject({
      baseSha: base,
      headSha: head,
      sourceBranch: 'feature',
      targetBranch: 'main',
    });
    // Neither branch holds both.
    expect(readFileSync(join(work, 'a.txt'), 'utf8')).toBe('1\n2\n3\n4\n');
    expect(readFileSync(join(work, 'b.txt'), 'utf8')).toBe('2\n');
    expect(await world.statuses(head)).toMatchObject([
      { status: 'running', ref: 'feature', name: 'switchyard' },
    ]);
  });

  it('knows by `git describe` how far it is from the last tag', async () => {
    await world.git('fetch', '--quiet', 'origin');
    const clone = join(world.folder, 'clone');
    const env = gitEnvironment({ url: `${world.url}/${PROJECT}.git`, token: ROOT_TOKEN });
    const git = async (cwd: string, ...args: string[]) =>
      (await promisify(execFile)('git', args, { cwd, env })).stdout.trim();
    await git(clone, 'tag', '--annotate', '--message=x', 'v1.2.3', 'origin/main');
    await git(clone, 'push', '--quiet', 'origin', 'v1.2.3');
    const work = folder();
    await tested(iid, passed, work);
    expect(await git(work, 'describe')).toMatch(/^v1\.2\.3-2-g[0-9a-f]+$/);
  });

  it('keeps the token out of the checkout', () => {
    const config = readFileSync(join(world.folder, `work-${counter - 1}`, '.git', 'config'), 'utf8');
    expect(config).not.toContain(world.context.token);
    expect(config).not.toMatch(/extraHeader|@127/i);
  });

  it('gets one status and one note, however often it is reported', async () => {
    expect(await report(world.context, certificate, KEY)).toBe(true);
    expect(await report(world.context, certificate, KEY)).toBe(true);
    const notes = await world.notes(iid);
    expect(notes).toHaveLength(1);
    expect(readNote(notes[0]?.body ?? '', KEY)).toEqual({ certificate });
    expect((await world.statuses(certificate.headSha)).at(-1)).toMatchObject({
      status: 'success',
      description: '2 tests passed',
    });
  });

  it('is merged, and main has exactly the tested tree', async () => {
    commit = await mergeNow(certificate);
    expect(await world.context.gitlab.branchHead(PROJECT, 'main')).toBe(commit);
    expect((await world.context.gitlab.mergeRequest(PROJECT, iid)).state).toBe('merged');
    expect((await world.notes(iid))[0]?.body).toContain(`merged as ${commit.slice(0, 12)}`);
  });

  it('is deployed by the tested digest: promoted, in the ledger, running', async () => {
    // What its build left for the next ones nobody reads before this.
    const later = { type: CACHED, bytes: Buffer.from('{"cache":"of a build that came later"}') };
    registry.manifests.set('modules/orders:mr-cache', later);
    // No agent started for its rollout: then the ledger says nothing of it.
    const start = {
      why: 'no agent started within 15 minutes (FailedMount)',
      pods: [{ name: 'orders-3', events: ['FailedMount: no such Secret'], log: [] }],
    };
    const pushed = { project: PROJECT, environment: 'production', commit, branch: 'main' };
    await reportUnstarted(world.context, { ...pushed, build: BUILD, key: KEY }, start);
    expect((await world.statuses(commit)).at(-1)).toMatchObject({
      status: 'failed',
      description: `not deployed to production: ${start.why}`,
    });
    expect((await world.notes(iid))[0]?.body).toContain('FailedMount: no such Secret');

    const deployment = await deployNow(commit);
    // Under its tag stands by then what another build of the same head left: of another target branch, say.
    expect(registry.manifests.get('modules/orders:buildcache')).toEqual({
      type: CACHED,
      bytes: Buffer.from(CACHE),
    });
    expect(registry.manifests.get(`modules/orders:release-${commit.slice(0, 12)}`)).toEqual(
      registry.manifests.get(`modules/orders:${digest}`),
    );
    expect(await ledgerNow()).toEqual({
      image: `${registry.host}/modules/orders@${digest}`,
      commit,
      mergeRequest: iid,
      build: BUILD,
    });
    expect((await world.statuses(commit)).at(-1)).toMatchObject({ status: 'running', ref: 'main' });

    // One that was there to cut the state did not; then somebody starts the build again.
    await reportRollout(world.context, deployment, false, BUILD, KEY, start);
    expect((await world.statuses(commit)).at(-1)).toMatchObject({
      status: 'failed',
      description: `the rollout of orders ${commit.slice(0, 12)} to production failed: ${start.why}`,
    });
    expect((await world.notes(iid))[0]?.body).toContain('FailedMount: no such Secret');
    await reportRollout(world.context, deployment, true, BUILD, KEY);
    expect((await world.statuses(commit)).at(-1)).toMatchObject({
      status: 'success',
      description: `orders ${commit.slice(0, 12)} runs in production`,
    });
    const notes = await world.notes(iid);
    expect(notes).toHaveLength(1);
    expect(notes[0]?.body).toContain('deployed to production');
    expect(readNote(notes[0]?.body ?? '', KEY)).toEqual({ certificate });
  });

  it('deployed a second time, changes nothing in the ledger', async () => {
    const before = await world.context.gitlab.file(LEDGER, 'production.yaml', 'main');
    await deployNow(commit);
    expect(await world.context.gitlab.file(LEDGER, 'production.yaml', 'main')).toEqual(before);
  });

  it('is not tested again once it is merged', async () => {
    expect(await ended(tested(iid, passed))).toMatchObject({ code: exitCode.nothing });
  });
});

describe('a merge request whose tests fail', () => {
  it('stays open with a failed status and a note that names the failing test; main stays', async () => {
    await world.push('broken', { 'broken.txt': 'x\n' }, 'origin/main');
    const iid = await world.open('broken');
    const main = await world.context.gitlab.branchHead(PROJECT, 'main');
    const certificate = await tested(iid, failed);
    expect(await report(world.context, certificate, KEY)).toBe(false);
    expect((await world.statuses(certificate.headSha)).at(-1)).toMatchObject({
      status: 'failed',
      description: '1 of 2 tests failed: Orders.Stock is kept',
    });
    expect((await world.notes(iid))[0]?.body).toMatch(
      /\| Orders\.Stock is kept \| 3 &#33;<span><\/span>= 2 \|/,
    );

    expect(await ended(mergeNow(certificate))).toMatchObject({ code: exitCode.red });
    expect((await world.context.gitlab.mergeRequest(PROJECT, iid)).state).toBe('opened');
    expect(await world.context.gitlab.branchHead(PROJECT, 'main')).toBe(main);
  });
});

describe('a merge request whose test Pod does not start for the infrastructure', () => {
  const start = { why: 'container mysql waits (ImagePullBackOff)', infrastructure: true as const, pods: [] };

  it('is tried again where a reconciler runs, with a word in the note, and red in the end or where none does', async () => {
    await world.push('unlucky', { 'unlucky.txt': 'x\n' }, 'origin/main');
    const iid = await world.open('unlucky');
    const { tests: _tests, ...built } = await tested(iid, passed);
    const certificate = { ...built, start };
    const running = () =>
      world.context.gitlab.setStatus(PROJECT, certificate.headSha, {
        state: 'running',
        ref: 'unlucky',
        description: 'testing',
      });
    const status = async () => (await world.statuses(certificate.headSha)).at(-1);
    for (let times = 1; times < 6; times++) {
      expect(await ended(report(world.context, certificate, KEY, true))).toMatchObject({
        code: exitCode.brokeOff,
      });
      expect(await status()).toMatchObject({
        status: 'canceled',
        description: 'broke off: the test Pod did not start: container mysql waits (ImagePullBackOff)',
      });
      const [note] = await world.notes(iid);
      expect(note?.body).toContain('**Switchyard: not tested yet**');
      expect(note?.body).toContain(`| Again | by itself (${times} of 6 times so far)`);
      await running();
    }
    expect(await report(world.context, certificate, KEY, true)).toBe(false);
    expect(await status()).toMatchObject({ status: 'failed' });
    await running();
    expect(await report(world.context, certificate, KEY)).toBe(false);
    expect((await world.notes(iid))[0]?.body).toContain('**Switchyard: failed**');
  });

  it('is red at once where it is what is tested that does not start', async () => {
    await world.push('crashes', { 'crashes.txt': 'x\n' }, 'origin/main');
    const { tests: _tests, ...built } = await tested(await world.open('crashes'), passed);
    const own = { why: 'container app ended (Error, exit code 1)', pods: [] };
    expect(await report(world.context, { ...built, start: own }, KEY, true)).toBe(false);
    expect((await world.statuses(built.headSha)).at(-1)).toMatchObject({ status: 'failed' });
  });
});

describe('a merge request in conflict', () => {
  it('is reported with the files, and has no tree to test', async () => {
    await world.push('conflict', { 'a.txt': 'mine\n' }, 'origin/main');
    await world.push('main', { 'a.txt': 'theirs\n' }, 'origin/main');
    const iid = await world.open('conflict');
    const certificate = await takeSource(world.context, {
      module: 'orders',
      project: PROJECT,
      mergeRequest: iid,
      build: BUILD,
      policy: 'automatic',
      declared: DECLARED,
      folder: folder(),
    });
    expect(certificate.conflicts).toEqual(['a.txt']);
    expect(certificate.treeSha).toBeUndefined();
    expect(await report(world.context, certificate, KEY)).toBe(false);
    expect((await world.statuses(certificate.headSha)).at(-1)?.description).toBe(
      'conflicts with main in a.txt',
    );
  });
});

describe('a merge request that needs what its repository does not hold', () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 12345\n`;

  it('is red with the paths: a submodule is an empty folder, a file of Git LFS a pointer', async () => {
    await world.push(
      'elsewhere',
      {
        '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n',
        'data/model.bin': pointer,
        // Committed as it is, before the attribute.
        'data/small.bin': 'its own contents\n',
        'docs/what-a-pointer-is.txt': pointer,
      },
      'origin/main',
    );
    await world.git('fetch', '--quiet', 'origin');
    await world.git('checkout', '--quiet', '-B', 'elsewhere', 'origin/elsewhere');
    await world.git('update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},libs/shared`);
    await world.git('commit', '--quiet', '-m', 'A submodule');
    await world.git('push', '--quiet', 'origin', 'HEAD:refs/heads/elsewhere');
    const head = await world.git('rev-parse', 'HEAD');
    const iid = await world.open('elsewhere');
    const failure = await ended(tested(iid, passed));
    expect(failure).toMatchObject({ code: exitCode.nothing });
    const what = `!${iid} needs what its repository does not hold (submodules libs/shared; Git LFS data/model.bin).`;
    expect(failure.message).toContain(what);
    expect((await world.statuses(head)).at(-1)).toMatchObject({
      status: 'failed',
      description: expect.stringContaining(what),
    });
  });
});

describe('what moves while the tests run', () => {
  it('the target branch: not merged, status pending again, and the next round is merged', async () => {
    await world.push('stale', { 'stale.txt': 'x\n' }, 'origin/main');
    const iid = await world.open('stale');
    const first = await tested(iid, passed);
    await report(world.context, first, KEY);
    const moved = await world.push('main', { 'b.txt': '3\n' }, 'origin/main');
    expect(await ended(mergeNow(first))).toMatchObject({ code: exitCode.again });
    expect((await world.statuses(first.headSha)).at(-1)).toMatchObject({
      status: 'pending',
      description: `to be tested again: main moved to ${moved.slice(0, 12)}`,
    });

    const second = await tested(iid, passed);
    expect(second.baseSha).toBe(moved);
    await report(world.context, second, KEY);
    await mergeNow(second);
    expect((await world.context.gitlab.mergeRequest(PROJECT, iid)).state).toBe('merged');
  });

  it('the target branch, but to what merging makes the same tree of: merged as it was tested', async () => {
    await world.push('same', { 'same.txt': 'x\n' }, 'origin/main');
    const iid = await world.open('same');
    const certificate = await tested(iid, passed);
    await report(world.context, certificate, KEY);
    await world.push('main', { 'passing.txt': 'x\n' }, 'origin/main');
    const moved = await world.push('main', { 'passing.txt': undefined });
    expect(moved).not.toBe(certificate.baseSha);
    const commit = await mergeNow(certificate);
    expect(await world.context.gitlab.branchHead(PROJECT, 'main')).toBe(commit);
    expect((await world.notes(iid)).at(-1)?.body).toContain(`merged as ${commit.slice(0, 12)}`);
    await world.git('fetch', '--quiet', 'origin');
    expect(await world.git('rev-parse', `${commit}^1`)).toBe(moved);
    expect(await world.git('rev-parse', `${commit}^{tree}`)).toBe(certificate.treeSha);
    expect((await deployNow(commit)).commit).toBe(commit);
  });

  it('the target branch, to what it conflicts with: not merged, and the next round says so', async () => {
    await world.push('torn', { 'torn.txt': 'ours\n' }, 'origin/main');
    const iid = await world.open('torn');
    const first = await tested(iid, passed);
    await report(world.context, first, KEY);
    await world.push('main', { 'torn.txt': 'theirs\n' }, 'origin/main');
    expect(await ended(mergeNow(first))).toMatchObject({ code: exitCode.again });
    expect((await tested(iid, passed)).conflicts).toEqual(['torn.txt']);
  });

  it('the source branch: GitLab refuses the old sha, and the newer commit is left to its own build', async () => {
    await world.push('moving', { 'moving.txt': 'x\n' }, 'origin/main');
    const iid = await world.open('moving');
    const certificate = await tested(iid, passed);
    await report(world.context, certificate, KEY);
    const main = await world.context.gitlab.branchHead(PROJECT, 'main');
    const newer = await world.push('moving', { 'moving.txt': 'y\n' });
    // A client that still believes the old head, as in the instant between asking and merging.
    await expect(world.context.gitlab.merge(PROJECT, iid, certificate.headSha)).rejects.toMatchObject({
      status: expect.any(Number),
    });
    expect(await ended(mergeNow(certificate))).toMatchObject({
      code: exitCode.nothing,
      message: expect.stringContaining('newer commit'),
    });
    expect((await world.context.gitlab.mergeRequest(PROJECT, iid)).sha).toBe(newer);
    expect(await world.context.gitlab.branchHead(PROJECT, 'main')).toBe(main);
  });
});

describe('what is left to people', () => {
  it('a draft, and a module that merges by hand, are not merged but say so in the note', async () => {
    await world.push('draft', { 'draft.txt': 'x\n' }, 'origin/main');
    const iid = await world.open('draft', { title: 'Draft: not yet' });
    const certificate = await tested(iid, passed);
    await report(world.context, certificate, KEY);
    expect(await ended(mergeNow(certificate))).toMatchObject({ code: exitCode.nothing });
    expect((await world.notes(iid))[0]?.body).toContain('is a draft');
    expect((await world.context.gitlab.mergeRequest(PROJECT, iid)).state).toBe('opened');

    await world.push('manual', { 'manual.txt': 'x\n' }, 'origin/main');
    const other = await world.open('manual');
    const green: Certificate = { ...(await tested(other, passed)), policy: 'manual' };
    await report(world.context, green, KEY);
    expect(await ended(merge(world.context, green, 'manual', KEY, folder(), []))).toMatchObject({
      code: exitCode.nothing,
    });
    expect((await world.context.gitlab.mergeRequest(PROJECT, other)).state).toBe('opened');
  });
});

it('a certificate of a project with another number merges nothing, and writes nothing there', async () => {
  await world.push('renamed', { 'renamed.txt': 'x\n' }, 'origin/main');
  const iid = await world.open('renamed');
  const certificate = { ...(await tested(iid, passed)), projectId: 4711 };
  const failure = await ended(mergeNow(certificate));
  expect(failure).toMatchObject({ code: exitCode.red });
  expect(failure.message).toContain('of project 4711, and this is');
  expect((await world.context.gitlab.mergeRequest(PROJECT, iid)).state).toBe('opened');
  expect(await world.notes(iid)).toEqual([]);
});

describe('a push to main that nobody tested', () => {
  it('is refused with a failed status and the remedy; ledger and registry stay', async () => {
    const before = await ledgerNow();
    const cacheBefore = registry.manifests.get('modules/orders:buildcache');
    const commit = await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
    const failure = await ended(deployNow(commit));
    expect(failure).toMatchObject({ code: exitCode.red });
    expect(failure.message).toMatch(/no merged merge request brought this commit.*through a merge request/);
    expect((await world.statuses(commit)).at(-1)).toMatchObject({ status: 'failed' });
    expect(await ledgerNow()).toEqual(before);
    expect(registry.manifests.has(`modules/orders:release-${commit.slice(0, 12)}`)).toBe(false);
    expect(registry.manifests.get('modules/orders:buildcache')).toEqual(cacheBefore);
  });

  it('is refused when it was merged by hand without a certificate', async () => {
    const head = await world.push('byhand', { 'byhand.txt': 'x\n' }, 'origin/main');
    const iid = await world.open('byhand');
    await world.context.gitlab.setStatus(PROJECT, head, {
      state: 'success',
      ref: 'byhand',
      description: 'forged',
    });
    const commit = await world.mergeByHand(iid, head);
    expect((await ended(deployNow(commit))).message).toContain('its merge request has no certificate');
  });

  it.each([
    [
      'changed',
      (body: string) => body.replace('"failed": 0', '"failed": 00').replace('"passed": 2', '"passed": 9'),
      'cannot be read',
    ],
    [
      'changed and still JSON',
      (body: string) => body.replace('"passed": 2', '"passed": 9'),
      'the signature does not hold',
    ],
  ])('is refused when its certificate was %s', async (name, change, why) => {
    const { commit, iid } = await merged(`tampered-${name.length}`);
    const note = (await world.notes(iid))[0];
    await world.context.gitlab.editNote(PROJECT, iid, note?.id ?? 0, change(note?.body ?? ''));
    expect((await ended(deployNow(commit))).message).toContain(why);
  });

  it('is refused when the certificate is a true one of another merge request', async () => {
    const one = await merged('other-one');
    const two = await merged('other-two');
    const theirs = (await world.notes(one.iid))[0]?.body ?? '';
    const note = (await world.notes(two.iid))[0];
    await world.context.gitlab.editNote(PROJECT, two.iid, note?.id ?? 0, theirs);
    expect((await ended(deployNow(two.commit))).message).toContain(`belongs to ${PROJECT}!${one.iid}`);
  });

  it.each([
    ["another module's image", (own: string) => own.replace('/modules/orders', '/modules/billing')],
    ['an image below its own repository', (own: string) => `${own}/extra`],
    ['an image of a repository whose name begins like its own', (own: string) => `${own}-2`],
    ['an image of another registry', (own: string) => own.replace(/^[^/]+/, 'registry.example:5000')],
  ])('is refused when its certificate, signed as it is, names %s', async (name, other) => {
    const { certificate, commit } = await merged(`image-${name.length}`);
    const repository = other(certificate.image?.repository ?? '');
    const forged = { ...certificate, image: { ...certificate.image, repository } } as Certificate;
    await putNote(world.context, forged, { state: 'tested' }, KEY);
    const before = await ledgerNow();
    expect((await ended(deployNow(commit))).message).toContain(
      `its image is of ${repository}, and orders's are of ${registry.host}/modules/orders`,
    );
    expect(await ledgerNow()).toEqual(before);
  });

  it('is refused when its certificate is of an older head, or of a project with another number', async () => {
    const { certificate, commit } = await merged('stale-note');
    await putNote(world.context, { ...certificate, headSha: certificate.baseSha }, { state: 'tested' }, KEY);
    expect((await ended(deployNow(commit))).message).toContain('was merged');
    await putNote(world.context, { ...certificate, projectId: 4711 }, { state: 'tested' }, KEY);
    expect((await ended(deployNow(commit))).message).toContain('the certificate belongs to');
    await putNote(world.context, certificate, { state: 'tested' }, KEY);
    expect((await deployNow(commit)).commit).toBe(commit);
  });

  it('counts no certificate that someone else wrote, though its signature holds', async () => {
    const head = await world.push('copied', { 'copied.txt': 'x\n' }, 'origin/main');
    const iid = await world.open('copied');
    const certificate = await tested(iid, passed);
    await putNote(world.context, certificate, { state: 'tested' }, KEY);
    const note = (await world.notes(iid))[0];
    await world.api(
      'DELETE',
      `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${iid}/notes/${note?.id}`,
    );
    await world.api('POST', `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${iid}/notes`, {
      body: note?.body,
    });
    await world.context.gitlab.setStatus(PROJECT, head, {
      state: 'success',
      ref: 'copied',
      description: 'x',
    });
    const commit = await world.mergeByHand(iid, head);
    expect((await ended(deployNow(commit))).message).toContain('has no certificate');
  });
});

describe('the ledger', () => {
  it('never goes back to an older commit by itself, and does when told to', async () => {
    const older = await merged('older');
    const newer = await merged('newer');
    await deployNow(newer.commit);
    expect(await ended(deployNow(older.commit))).toMatchObject({ code: exitCode.nothing });
    expect((await world.statuses(older.commit)).at(-1)).toMatchObject({ status: 'canceled' });
    expect((await ledgerNow())?.commit).toBe(newer.commit);
    await deployNow(older.commit, { rollback: true });
    expect((await ledgerNow())?.commit).toBe(older.commit);
  });

  it('says of a module that migrates its data that a release does, and of none that is told to go back', async () => {
    const older = await merged('before-migration');
    const newer = await merged('with-migration');
    await deployNow(newer.commit, { migrates: true });
    expect(await ledgerNow()).toMatchObject({ commit: newer.commit, migrate: true });
    await deployNow(older.commit, { migrates: true, rollback: true });
    expect((await ledgerNow())?.commit).toBe(older.commit);
    expect(await ledgerNow()).not.toHaveProperty('migrate');
  });

  it('loses nothing when deployers meet', async () => {
    const release = (module: string): Release => ({
      image: `${registry.host}/modules/${module}@${digest}`,
      commit: 'a'.repeat(40),
      mergeRequest: 1,
      build: BUILD,
    });
    const modules = ['billing', 'invoices', 'search', 'stock'];
    await Promise.all(
      modules.map((module) =>
        recordRelease(
          world.context,
          { module, ledgerProject: LEDGER, environment: 'race' },
          release(module),
          async () => ({ do: 'write' }),
          (attempt) => 5 * attempt * Math.random(),
          20,
        ),
      ),
    );
    const file = await world.context.gitlab.file(LEDGER, 'race.yaml', 'main');
    expect(file?.text).toBe(
      serialiseLedger({ modules: Object.fromEntries(modules.map((name) => [name, release(name)])) }),
    );
  });

  it('with a broken file is refused with file and line, and not overwritten', async () => {
    await world.context.gitlab.commitFile(LEDGER, {
      branch: 'main',
      path: 'broken.yaml',
      text: 'modules:\n  orders: latest\n',
      message: 'by hand',
    });
    const record = recordRelease(
      world.context,
      { module: 'orders', ledgerProject: LEDGER, environment: 'broken' },
      { image: `x@${digest}`, commit: 'a'.repeat(40), mergeRequest: 1, build: BUILD },
      async () => ({ do: 'write' }),
    );
    await expect(record).rejects.toThrow(/broken\.yaml:2/);
    expect((await world.context.gitlab.file(LEDGER, 'broken.yaml', 'main'))?.text).toContain('latest');
  });
});

describe('a release that is taken back', () => {
  const place = { ledgerProject: LEDGER, environment: 'production', module: 'orders' };

  it('undone: the ledger says why, its author has the Pod’s words, and a second build brings it to its end', async () => {
    const good = await merged('holds');
    await reportRollout(world.context, await deployNow(good.commit), true, BUILD, KEY);
    const bad = await merged('holds-not');
    const why = 'it did not get ready by its deadline (Error, exit code 7)';
    const pods = [{ name: 'orders-1', events: ['BackOff: restarting'], log: [`it has ${ROOT_TOKEN}`] }];
    await undo(world.context, LEDGER, await deployNow(bad.commit), BUILD, { why, pods });
    expect((await ledgerNow())?.commit).toBe(good.commit);

    // The first one was killed before it said anything.
    const again = await deployNow(bad.commit);
    expect(again.undone).toEqual({ why, serves: good.commit });
    await reportRollout(world.context, again, true, BUILD, KEY);
    expect((await world.statuses(bad.commit)).at(-1)).toMatchObject({
      status: 'failed',
      description: `${bad.commit.slice(0, 12)} is undone in production: ${why}; ${good.commit.slice(0, 12)} runs`,
    });
    const notes = await world.notes(bad.iid);
    expect(notes).toHaveLength(2);
    expect(notes[0]?.body).toContain('rolled out to production and undone');
    expect(notes[1]?.body).toMatch(/@root: orders [0-9a-f]{12} was rolled out to production and is undone/);
    expect(notes[1]?.body).toContain('BackOff: restarting');
    expect(notes[1]?.body).not.toContain(ROOT_TOKEN);
    const [first] = await listReleases(world.context.gitlab, place, 'orders');
    expect(first).toMatchObject({ commit: bad.commit, state: 'undone', why, by: 'root' });
  });

  it('by a person’s revert: the build of what ran leaves it so, and a rollback to it puts it there again', async () => {
    const ran = await merged('ran');
    const before = await world.context.gitlab.file(LEDGER, 'production.yaml', 'main');
    await reportRollout(world.context, await deployNow(ran.commit), true, BUILD, KEY);
    const now = await world.context.gitlab.file(LEDGER, 'production.yaml', 'main');
    await world.context.gitlab.commitFile(LEDGER, {
      branch: 'main',
      path: 'production.yaml',
      text: before?.text ?? '',
      message: 'Revert by hand',
      lastCommit: now?.lastCommit,
    });
    const reverted = await ledgerNow();
    expect(await ended(deployNow(ran.commit))).toMatchObject({
      code: exitCode.nothing,
      message: expect.stringContaining('it ran already'),
    });
    expect(await ledgerNow()).toEqual(reverted);
    const to = ran.commit.slice(0, 8);
    await rollBack(world.context.gitlab, { ...place, to, hold: true });
    expect(await ledgerNow()).toMatchObject({ commit: ran.commit, hold: true });
    const next = await merged('after-hold');
    expect((await ended(deployNow(next.commit))).message).toContain('is held');
    await rollBack(world.context.gitlab, { ...place, hold: false, to });
    expect((await deployNow(next.commit)).commit).toBe(next.commit);
  });
});

it('leaves its work only where it was told to', () => {
  expect(existsSync(join(process.cwd(), '.switchyard'))).toBe(false);
});

/** The bot's GitLab with some answers of its own. */
const withGitLab = (changes: object) => replaced(world.context, changes);

describe('merge: reviewed', () => {
  const base = `/projects/${encodeURIComponent(PROJECT)}`;
  const people = new Map<string, { id: number; token: string }>();
  const as = async (name: string, method: string, path: string, body?: unknown): Promise<Response> =>
    fetch(`${world.url}/api/v4${path}`, {
      method,
      headers: { 'private-token': people.get(name)?.token ?? '', 'content-type': 'application/json' },
      body: method === 'GET' ? undefined : JSON.stringify(body ?? {}),
    });
  /** A commit by the API, as the web editor makes it: pushed, written and committed by that person. */
  const commit = async (name: string, branch: string, file: string): Promise<string> => {
    const there = await as('ann', 'GET', `${base}/repository/branches/${branch}`);
    const answer = await as(name, 'POST', `${base}/repository/commits`, {
      branch,
      ...(there.status === 200 ? {} : { start_branch: 'main' }),
      commit_message: `Add ${file}`,
      actions: [{ action: 'create', file_path: file, content: 'x\n' }],
    });
    const text = await answer.text();
    expect([answer.status, text]).toEqual([201, expect.any(String)]);
    return (JSON.parse(text) as { id: string }).id;
  };
  const open = async (name: string, branch: string): Promise<number> => {
    const answer = await as(name, 'POST', `${base}/merge_requests`, {
      source_branch: branch,
      target_branch: 'main',
      title: branch,
    });
    expect(answer.status).toBe(201);
    return ((await answer.json()) as { iid: number }).iid;
  };
  const approve = async (name: string, iid: number, what = 'approve'): Promise<void> => {
    expect((await as(name, 'POST', `${base}/merge_requests/${iid}/${what}`)).status).toBe(201);
  };
  const review = (certificate: Certificate) =>
    merge(world.context, certificate, 'reviewed', KEY, folder(), PATIENCE);
  const green = async (iid: number): Promise<Certificate> => {
    const certificate = await tested(iid, passed, folder(), 'reviewed');
    expect(await report(world.context, certificate, KEY)).toBe(true);
    return certificate;
  };
  const earlier = (iid: number, more: object = {}) =>
    testedBefore(
      world.context,
      {
        module: 'orders',
        project: PROJECT,
        mergeRequest: iid,
        policy: 'reviewed',
        declared: DECLARED,
        ...more,
      },
      KEY,
      registry.host,
    );

  beforeAll(async () => {
    const project = await world.api('GET', base);
    for (const [name, level] of [
      ['ann', 30],
      ['ben', 30],
      ['eve', 20],
    ] as const) {
      const email = `${name}@example.com`;
      const user = await world.api('POST', '/users', {
        username: name,
        name,
        email,
        force_random_password: true,
      });
      const { token } = await world.api('POST', `/users/${user.id}/personal_access_tokens`, {
        name: 'test',
        scopes: ['api'],
      });
      await world.api('POST', `/projects/${project.id}/members`, { user_id: user.id, access_level: level });
      people.set(name, { id: user.id, token });
    }
  });

  it('waits, says for what, keeps the status from turning green; an approval by someone else merges what was tested', async () => {
    const head = await commit('ann', 'reviewed', 'reviewed.txt');
    const iid = await open('ann', 'reviewed');
    expect(await earlier(iid)).toBeUndefined();
    const certificate = await green(iid);
    const waiting = await ended(review(certificate));
    expect(waiting.code).toBe(exitCode.nothing);
    expect(waiting.message).toContain('it waits for an approval');
    expect((await world.notes(iid))[0]?.body).toContain('not merged: it waits for an approval');
    expect((await world.statuses(head)).at(-1)).toMatchObject({
      status: 'pending',
      description: 'testing the merge result with main; then it waits for an approval',
    });
    // The author's own, which GitLab's Free tier takes.
    await approve('ann', iid);
    expect((await ended(review(certificate))).message).toContain('ann pushed it');
    // Root may merge anything, and by hand the button waits as well.
    const byHand = world.api('PUT', `${base}/merge_requests/${iid}/merge`, { sha: head });
    await expect(byHand).rejects.toThrow('405');

    await approve('ben', iid);
    expect(await earlier(iid)).toEqual(certificate);
    expect(await earlier(iid, { declared: '1'.repeat(64) })).toBeUndefined();
    expect(await earlier(iid, { policy: 'automatic' })).toBeUndefined();
    expect(await earlier(iid, { project: LEDGER }).catch(() => undefined)).toBeUndefined();
    const merged = await review(certificate);
    expect(await world.context.gitlab.branchHead(PROJECT, 'main')).toBe(merged);
    expect((await world.statuses(head)).at(-1)).toMatchObject({
      status: 'success',
      description: '2 tests passed, and approved',
    });
    expect(await earlier(iid)).toBeUndefined();
  });

  it('an approval of an older commit does not count until it is given anew', async () => {
    await commit('ann', 'outdated', 'outdated.txt');
    const iid = await open('ann', 'outdated');
    await approve('ben', iid);
    await commit('ann', 'outdated', 'outdated-newer.txt');
    const certificate = await green(iid);
    const failure = await ended(review(certificate));
    expect(failure.code).toBe(exitCode.nothing);
    expect(failure.message).toContain('ben approved an older commit: revoke it and approve again');
    await approve('ben', iid, 'unapprove');
    await approve('ben', iid);
    await review(certificate);
  });

  it('whoever pushed, wrote or opened it does not count, nor who may not push, nor a token’s bot', async () => {
    await commit('ann', 'shared', 'shared.txt');
    await commit('ben', 'shared', 'shared-too.txt');
    const iid = await open('ann', 'shared');
    const certificate = await green(iid);
    await approve('ben', iid);
    expect((await ended(review(certificate))).message).toContain('ben pushed it');
    const project = await world.api('GET', base);
    const bot = await world.api('POST', `/projects/${project.id}/access_tokens`, {
      name: 'mine',
      scopes: ['api'],
      access_level: 40,
      expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10),
    });
    people.set('bot', { id: 0, token: bot.token });
    await approve('bot', iid);
    expect((await ended(review(certificate))).message).toContain('is no person who may push');
    expect((await as('eve', 'POST', `${base}/merge_requests/${iid}/approve`)).status).toBe(401);
    await approve('bot', iid, 'unapprove');
    // Root opened nothing, wrote nothing and pushed nothing here.
    await world.api('POST', `${base}/merge_requests/${iid}/approve`);
    await review(certificate);
  });

  it('a commit that nobody can be named for is not merged: pushed with too many branches at once', async () => {
    const { gitlab } = world.context;
    const head = await commit('ann', 'many', 'many.txt');
    const iid = await open('ben', 'many');
    const certificate = await green(iid);
    const context = withGitLab({
      pushes: async (...asked: Parameters<typeof gitlab.pushes>) =>
        (await gitlab.pushes(...asked)).filter(({ push_data: push }) => push?.commit_to !== head),
    });
    await world.api('POST', `${base}/merge_requests/${iid}/approve`);
    const refused = await ended(merge(context, certificate, 'reviewed', KEY, folder(), PATIENCE));
    expect(refused.message).toContain('GitLab does not say who pushed');
    await review(certificate);
  });
});

describe('whatever happens in between', () => {
  it('a status that was posted as running ends: a force-push took the commit away', async () => {
    const old = await world.push('forced', { 'forced.txt': '1\n' }, 'origin/main');
    const iid = await world.open('forced');
    const before = await world.context.gitlab.mergeRequest(PROJECT, iid);
    await world.api('DELETE', `/projects/${encodeURIComponent(PROJECT)}/repository/branches/forced`);
    await world.push('forced', { 'forced.txt': '2\n' }, 'origin/main');
    const context = withGitLab({ mergeRequest: async () => ({ ...before, state: 'opened', sha: old }) });
    const source = { module: 'orders', project: PROJECT, mergeRequest: iid, build: BUILD, folder: folder() };
    const failure = await ended(takeSource(context, { ...source, policy: 'automatic', declared: DECLARED }));
    expect(failure.code).toBe(exitCode.nothing);
    expect((await world.statuses(old)).map(({ status }) => status)).toEqual(['canceled']);
  });

  it('a note that GitLab took without saying so is not written twice; one it refuses leaves no green status', async () => {
    const head = await world.push('noted', { 'noted.txt': '1\n' }, 'origin/main');
    const iid = await world.open('noted');
    const certificate = await tested(iid, passed);
    const { gitlab } = world.context;
    const cut = new GitLabError(502, '', 'GitLab: POST notes answered 502.');
    const refuses = withGitLab({ createNote: () => Promise.reject(cut) });
    await expect(report(refuses, certificate, KEY)).rejects.toThrow('502');
    expect((await world.statuses(head)).at(-1)).toMatchObject({
      status: 'failed',
      description: expect.stringContaining('the certificate could not be written'),
    });
    const takes = withGitLab({
      createNote: async (...note: Parameters<typeof gitlab.createNote>) => {
        await gitlab.createNote(...note);
        throw cut;
      },
    });
    expect(await report(takes, certificate, KEY)).toBe(true);
    expect(await world.notes(iid)).toHaveLength(1);
    expect((await world.statuses(head)).at(-1)).toMatchObject({ status: 'success' });
  });

  it('a merge waits while GitLab checks, and says what GitLab said when it stays so', async () => {
    await world.push('waits', { 'waits.txt': '1\n' }, 'origin/main');
    const iid = await world.open('waits');
    const certificate = await tested(iid, passed);
    await report(world.context, certificate, KEY);
    const { gitlab } = world.context;
    let refusals = 0;
    const checking = (times: number) =>
      withGitLab({
        mergeRequest: async (...of: Parameters<typeof gitlab.mergeRequest>) => ({
          ...(await gitlab.mergeRequest(...of)),
          detailed_merge_status: 'checking',
        }),
        merge: async (...what: Parameters<typeof gitlab.merge>) => {
          refusals += 1;
          if (refusals <= times)
            throw new GitLabError(422, 'Branch cannot be merged', 'GitLab: PUT merge answered 422.');
          return gitlab.merge(...what);
        },
      });
    const failure = await ended(merge(checking(9), certificate, 'automatic', KEY, folder(), [1, 1]));
    expect(failure.code).toBe(exitCode.nothing);
    expect(failure.message).toContain('GitLab still says "checking" (422)');
    expect((await world.notes(iid))[0]?.body).toContain('checking');
    refusals = 0;
    const commit = await merge(checking(2), certificate, 'automatic', KEY, folder(), PATIENCE);
    expect(commit).toMatch(/^[0-9a-f]{40}$/);
  });

  it('a merge that meets a conflict with something else at once is tried again, and one that was done is known', async () => {
    const { gitlab } = world.context;
    const answering = (...answers: (readonly [status: number, done: boolean])[]) =>
      withGitLab({
        merge: async (...what: Parameters<typeof gitlab.merge>) => {
          const [status, done] = answers.shift() ?? [];
          if (status === undefined || done) {
            const made = await gitlab.merge(...what);
            if (status === undefined) return made;
          }
          throw new GitLabError(status, '409 Conflict', `GitLab: PUT merge answered ${status}.`);
        },
      });
    const mergeable = async (name: string) => {
      await world.push(name, { [`${name}.txt`]: '1\n' }, 'origin/main');
      const certificate = await tested(await world.open(name), passed);
      await report(world.context, certificate, KEY);
      return certificate;
    };
    const merged = async (name: string, ...answers: Parameters<typeof answering>) =>
      merge(answering(...answers), await mergeable(name), 'automatic', KEY, folder(), PATIENCE.slice(0, 20));
    expect(await merged('at-once', [409, false], [406, false])).toMatch(/^[0-9a-f]{40}$/);
    expect(await merged('done', [409, true])).toMatch(/^[0-9a-f]{40}$/);
    expect(await merged('refused', [422, true])).toMatch(/^[0-9a-f]{40}$/);
    const failure = await ended(
      merged('for-long', ...Array<readonly [number, boolean]>(100).fill([409, false])),
    );
    expect([failure.code, failure.message]).toEqual([
      exitCode.nothing,
      expect.stringContaining('GitLab still refuses it (409: 409 Conflict)'),
    ]);
  });

  it.each([
    ['push', 'job: { script: make }\n'],
    [
      'merge_request_event',
      'workflow: { rules: [{ if: $CI_PIPELINE_SOURCE == "merge_request_event" }] }\njob: { script: make }\n',
    ],
  ])(
    'a .gitlab-ci.yml that has GitLab judge a pipeline of the %s: green and not merged, and the note names it',
    async (source, text) => {
      const head = await world.push(`ci-${source}`, { '.gitlab-ci.yml': text }, 'origin/main');
      const iid = await world.open(`ci-${source}`);
      const certificate = await tested(iid, passed);
      await report(world.context, certificate, KEY);
      expect((await world.statuses(head)).at(-1)).toMatchObject({ name: 'switchyard', status: 'success' });
      const failure = await ended(
        merge(world.context, certificate, 'automatic', KEY, folder(), Array<number>(10).fill(50)),
      );
      expect(failure.code).toBe(exitCode.nothing);
      const { head_pipeline, state } = await world.context.gitlab.mergeRequest(PROJECT, iid);
      expect([state, head_pipeline?.source]).toEqual(['opened', source]);
      const named = `of its pipeline ${head_pipeline?.id} ("${source}"), which a .gitlab-ci.yml made`;
      expect(failure.message).toContain(named);
      const notes = (await world.notes(iid)).map(({ body }) => body.replaceAll('&#95;', '_'));
      expect(notes).toEqual([expect.stringContaining(named)]);
    },
  );

  it('a file where GitLab must find none is refused before anything is built', async () => {
    const file = '.switchyard/gitlab-ci.yml';
    const head = await world.push('ours', { [file]: 'job: { script: make }\n' }, 'origin/main');
    const failure = await ended(tested(await world.open('ours'), passed));
    expect(failure.code).toBe(exitCode.nothing);
    expect(failure.message).toContain(`brings ${file}, where GitLab must find nothing`);
    expect((await world.statuses(head)).at(-1)).toMatchObject({
      status: 'failed',
      description: expect.stringContaining(`brings ${file}`),
    });
  });

  it.each(['ff', 'rebase_merge'])(
    'what a project that merges by %s wants rebased is told before a build, or rebased by the bot',
    async (method) => {
      const project = `/projects/${encodeURIComponent(PROJECT)}`;
      const head = await world.push(`older-${method}`, { [`older-${method}.txt`]: '1\n' }, 'origin/main');
      const base = await world.push('main', { 'b.txt': `newer, ${method}\n` }, 'origin/main');
      const iid = await world.open(`older-${method}`);
      const source = {
        module: 'orders',
        project: PROJECT,
        mergeRequest: iid,
        build: BUILD,
        declared: DECLARED,
      };
      const take = (rebase: boolean) =>
        takeSource(world.context, { ...source, policy: 'automatic', rebase, folder: folder() });
      await world.api('PUT', project, { merge_method: method });
      try {
        expect(await ended(take(false))).toMatchObject({
          code: exitCode.nothing,
          message: expect.stringContaining(`!${iid} needs a rebase onto main`),
        });
        expect((await world.statuses(head)).at(-1)).toMatchObject({ status: 'failed' });
        expect(await ended(take(true))).toMatchObject({ code: exitCode.nothing });
        expect((await world.statuses(head)).at(-1)).toMatchObject({
          status: 'canceled',
          description: expect.stringContaining('is being rebased'),
        });
        for (let now = head; now === head; await sleep(20))
          now = (await world.context.gitlab.mergeRequest(PROJECT, iid)).sha ?? '';
        expect(await take(true)).toMatchObject({ baseSha: base, mergeRequest: iid });
      } finally {
        await world.api('PUT', project, { merge_method: 'merge' });
      }
    },
  );

  it.each(['ff', 'rebase_merge'])(
    'a project that merges by %s since its tests: what needs a rebase is left with these words',
    async (method) => {
      const project = `/projects/${encodeURIComponent(PROJECT)}`;
      const branch = `since-${method}`;
      await world.push(branch, { [`${branch}.txt`]: '1\n' }, 'origin/main');
      await world.push('main', { 'b.txt': `since, ${method}\n` }, 'origin/main');
      const iid = await world.open(branch);
      const certificate = await tested(iid, passed);
      await report(world.context, certificate, KEY);
      await world.api('PUT', project, { merge_method: method });
      try {
        const failure = await ended(mergeNow(certificate));
        const why = 'it needs a rebase onto main; the new commit has its own build';
        expect(failure).toMatchObject({ code: exitCode.nothing, message: `not merged: ${why}.` });
        expect((await world.notes(iid))[0]?.body).toContain('it needs a rebase onto main');
        expect((await world.context.gitlab.mergeRequest(PROJECT, iid)).state).toBe('opened');
      } finally {
        await world.api('PUT', project, { merge_method: 'merge' });
      }
    },
  );

  it('a deploy waits while GitLab has its merge request locked, and not for one of another branch', async () => {
    const { commit } = await merged('locked');
    const { gitlab } = world.context;
    let asked = 0;
    const locked = (more: object) =>
      withGitLab({
        mergeRequestsOf: async (...of: Parameters<typeof gitlab.mergeRequestsOf>) => {
          const found = await gitlab.mergeRequestsOf(...of);
          asked += 1;
          return asked > 2 ? found : found.map((one) => ({ ...one, state: 'locked', ...more }));
        },
      });
    const where = { project: PROJECT, commit, branch: 'main' };
    const refuse = (why: string): never => {
      throw new Failure(exitCode.red, why);
    };
    const open = (more: object, patience: readonly number[]) => {
      asked = 0;
      return openMerged(locked(more), { ...where, folder: folder() }, refuse, patience);
    };
    expect((await open({}, [1, 1, 1])).found.state).toBe('merged');
    expect(asked).toBe(3);
    const why = 'no merged merge request brought this commit';
    expect((await ended(open({ target_branch: 'other' }, [1, 1, 1]))).message).toBe(why);
    expect(asked).toBe(1);
    expect((await ended(open({}, [1]))).message).toBe(why);
    asked = 0;
    expect(await deployNow(commit, { context: locked({}) })).toMatchObject({ commit });
    expect(asked).toBe(3);
  });

  it('a merge whose answer is cut off is found: still locked, or not begun at all', async () => {
    const { gitlab } = world.context;
    for (const begun of [true, false]) {
      const branch = `cut-${begun}`;
      await world.push(branch, { [`${branch}.txt`]: '1\n' }, 'origin/main');
      const certificate = await tested(await world.open(branch), passed);
      await report(world.context, certificate, KEY);
      let cuts = 0;
      const cut = withGitLab({
        merge: async (...what: Parameters<typeof gitlab.merge>) => {
          if (cuts++ > 0) return gitlab.merge(...what);
          let heard = '';
          if (begun) {
            const merging = gitlab.merge(...what).catch((error: Error) => {
              heard = error.message;
            });
            while (!heard && (await gitlab.mergeRequest(what[0], what[1])).state === 'opened') await sleep(5);
            void merging;
            if (heard) cuts = 0;
          }
          throw new GitLabError(502, '', 'GitLab: PUT merge answered 502.');
        },
      });
      const commit = await merge(cut, certificate, 'automatic', KEY, folder(), PATIENCE);
      expect(await gitlab.branchHead(PROJECT, 'main')).toBe(commit);
      // One that was begun is not begun again; any other is, until GitLab has judged.
      expect([begun, cuts === 1]).toEqual([begun, begun]);
    }
  });
});

it('a cut after the ledger was written is a success', async () => {
  const { gitlab } = world.context;
  const next: Release = {
    image: `registry.test/modules/cut@sha256:${'c'.repeat(64)}`,
    commit: 'd'.repeat(40),
    mergeRequest: 1,
    build: BUILD,
  };
  let commits = 0;
  const context = withGitLab({
    commitFile: async (...change: Parameters<typeof gitlab.commitFile>) => {
      commits += 1;
      await gitlab.commitFile(...change);
      throw new GitLabError(0, 'socket hang up', 'GitLab: cannot be reached.');
    },
  });
  const target = { module: 'cut', ledgerProject: LEDGER, environment: 'cuts' };
  const decide = async (current: Release | undefined) =>
    current ? ({ do: 'keep' } as const) : ({ do: 'write' } as const);
  expect(await recordRelease(context, target, next, decide, () => 1)).toBe(true);
  expect(commits).toBe(1);
});
