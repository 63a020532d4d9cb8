import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCode } from '../../../clients/failure';
import { GitLabError } from '../../../clients/gitlab-api';
import {
  type ApplyRequest,
  cancelPreview,
  compareRecord,
  findPlans,
  finishApply,
  finishPreview,
  postApply,
  reportPreview,
  startApply,
  startPreview,
} from '../../../delivery/preview/flow';
import { readPlan } from '../../../delivery/preview/plan';
import { previewPaths, type Session } from '../../../delivery/preview/session';
import { ended } from '../ended';
import { makeWorld, PROJECT, replaced, type World } from '../world';
import { KEY } from './fixtures';

const BUILD = 'http://jenkins.example/job/switchyard/job/topology/1/';
const covered = [
  { name: 'staging', stacks: ['staging'], modules: undefined },
  { name: 'production', stacks: ['production'], modules: ['orders'] },
];
const stackFiles = { 'stacks/Pulumi.staging.yaml': 'a: 1\n', 'stacks/Pulumi.production.yaml': 'a: 1\n' };

let world: World;
let counter = 0;
beforeAll(async () => {
  world = await makeWorld();
  await world.push('main', stackFiles);
});
afterAll(() => world?.close());

const workspace = (): string => join(world.folder, `preview-${counter++}`);

const start = (
  iid: number,
  folder: string,
  context = world.context,
  handOver?: (session: Session) => Promise<void>,
): Promise<Session> =>
  startPreview(
    context,
    { project: PROJECT, mergeRequest: iid, build: BUILD, folder: join(folder, 'source'), covered },
    handOver,
  );

const withGitLab = (changes: object) => replaced(world.context, changes);

const event = (op: string, name: string, type = 'kubernetes:core/v1:ConfigMap') =>
  JSON.stringify({
    resourcePreEvent: {
      metadata: { op, type, urn: `urn:pulumi:staging::switchyard::${type}::${name}`, diffs: ['data'] },
    },
  });
const done = JSON.stringify({ summaryEvent: {} });

/** What `withhold` and the Pod leave of one environment. */
function leave(
  folder: string,
  environment: string,
  lines: readonly string[],
  more: { code?: string; state?: string } = {},
) {
  const paths = previewPaths(folder, environment);
  mkdirSync(paths.record, { recursive: true });
  const about = {
    environment,
    state: (more.state ?? 'a').repeat(64),
    clusters: { ci: 'one', production: 'one' },
    nodes: {},
  };
  writeFileSync(paths.about, JSON.stringify(about));
  writeFileSync(paths.events, lines.join('\n'));
  writeFileSync(paths.outcome, more.code ?? '0');
  return paths;
}

const latest = async (commit: string): Promise<Record<string, string>> =>
  Object.fromEntries((await world.statuses(commit)).map(({ name, status }) => [name, status]));

async function opened(
  files: Record<string, string | undefined>,
): Promise<{ iid: number; head: string; branch: string }> {
  const branch = `preview-${counter++}`;
  const head = await world.push(branch, files, 'origin/main');
  return { iid: await world.open(branch), head, branch };
}

describe('a preview of a merge request', () => {
  it('posts a status per affected environment before any work, and none for the others', async () => {
    const { iid, head } = await opened({ 'stacks/Pulumi.staging.yaml': 'a: 2\n' });
    const session = await start(iid, workspace());
    expect(session.environments).toEqual(['staging']);
    expect(session.headSha).toBe(head);
    expect(await latest(head)).toEqual({
      'switchyard/preview': 'running',
      'switchyard/preview/staging': 'pending',
    });
  });

  it('ends green where no environment is affected, so that the merge is not blocked', async () => {
    const { iid, head } = await opened({ 'docs/x.md': 'x' });
    const session = await start(iid, workspace());
    expect(session.environments).toEqual([]);
    expect(await finishPreview(world.context, session, {})).toBe(true);
    expect(await latest(head)).toEqual({ 'switchyard/preview': 'success' });
  });

  it('writes one note an environment and edits it in place; an equal one is left alone; others’ notes are not touched', async () => {
    const { iid, head } = await opened({ 'catalog/modules/orders.yaml': 'x: 1\n' });
    const project = encodeURIComponent(PROJECT);
    await world.api('POST', `/projects/${project}/merge_requests/${iid}/notes`, {
      body: '<!-- switchyard:preview:staging -->\nby somebody else',
    });
    const folder = workspace();
    const session = await start(iid, folder);
    for (const environment of session.environments)
      leave(folder, environment, [event('create', 'one'), done]);
    for (const environment of session.environments)
      await reportPreview(world.context, folder, session, environment, KEY);
    const first = await world.notes(iid);
    expect(first).toHaveLength(3);
    leave(folder, 'staging', [event('delete', 'one'), done]);
    await reportPreview(world.context, folder, session, 'staging', KEY);
    await reportPreview(world.context, folder, session, 'production', KEY);
    const second = await world.notes(iid);
    expect(second.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
    expect(second[0]?.body).toContain('by somebody else');
    expect(second[1]?.body).toContain('1 to delete');
    expect(second[1]?.body).not.toContain('1 to create');
    expect(second[2]?.body).toBe(first[2]?.body);
    expect(await finishPreview(world.context, session, { staging: true, production: true })).toBe(true);
    expect(await latest(head)).toEqual({
      'switchyard/preview': 'success',
      'switchyard/preview/staging': 'success',
      'switchyard/preview/production': 'success',
    });
    expect(readFileSync(previewPaths(folder, 'staging').whole, 'utf8')).toContain('1 to delete');
  });

  it.each([
    [
      'the engine fails',
      [JSON.stringify({ diagnosticEvent: { severity: 'error', message: 'no' } }), done],
      '1',
      'no',
    ],
    ['the catalog has a fault', [], '2', 'stacks/x.yaml is no stack'],
    ['the Pod dies', [event('create', 'one')], '137', 'the program ended with exit code 137'],
    ['the events break off', [event('create', 'one')], '0', 'did not come to its end'],
  ])('blocks the merge where %s', async (_why, lines, code, said) => {
    const { iid, head } = await opened({ 'stacks/Pulumi.staging.yaml': `a: ${counter + 10}\n` });
    const folder = workspace();
    const session = await start(iid, folder);
    const paths = leave(folder, 'staging', lines, { code });
    writeFileSync(paths.log, `Created stack 'staging'\nstacks/x.yaml is no stack\n`);
    expect(await reportPreview(world.context, folder, session, 'staging', KEY)).toBe(false);
    expect(await finishPreview(world.context, session, { staging: false })).toBe(false);
    expect(await latest(head)).toEqual({
      'switchyard/preview': 'failed',
      'switchyard/preview/staging': 'failed',
    });
    expect((await world.notes(iid))[0]?.body).toContain(said);
    await world.api('PUT', `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${iid}`, {
      state_event: 'close',
    });
  });

  it('blocks the merge where a rule is broken, and where the list of rules cannot be read', async () => {
    const { iid } = await opened({ 'stacks/Pulumi.staging.yaml': 'a: 30\n' });
    const folder = workspace();
    const session = await start(iid, folder);
    const paths = leave(folder, 'staging', [done]);
    writeFileSync(
      paths.rules,
      JSON.stringify([{ id: 'digests', where: 'shop', what: 'a tag', remedy: 'Pin it.' }]),
    );
    expect(await reportPreview(world.context, folder, session, 'staging', KEY)).toBe(false);
    expect((await world.notes(iid))[0]?.body).toContain('| digests | shop | a tag | Pin it. |');
    writeFileSync(paths.rules, '[{"id": 1}]');
    expect(await reportPreview(world.context, folder, session, 'staging', KEY)).toBe(false);
    writeFileSync(paths.rules, '[]');
    expect(await reportPreview(world.context, folder, session, 'staging', KEY)).toBe(true);
  });

  it('never reads through a link that the Pod left, and says when a secret was found', async () => {
    const { iid } = await opened({ 'stacks/Pulumi.staging.yaml': 'a: 40\n' });
    const folder = workspace();
    const session = await start(iid, folder);
    const paths = leave(folder, 'staging', [done]);
    writeFileSync(join(folder, 'ours'), '[{"id":"x","where":"x","what":"text of ours","remedy":"x"}]');
    symlinkSync(join(folder, 'ours'), paths.rules);
    expect(await reportPreview(world.context, folder, session, 'staging', KEY)).toBe(true);
    expect((await world.notes(iid))[0]?.body).not.toContain('text of ours');
    writeFileSync(paths.leak, '1\n');
    expect(await reportPreview(world.context, folder, session, 'staging', KEY)).toBe(false);
    expect((await world.notes(iid))[0]?.body).toContain('must be rotated');
  });

  it('is cancelled by a newer commit, writes no note, and its statuses do not stay open', async () => {
    const { iid, head, branch } = await opened({ 'stacks/Pulumi.staging.yaml': 'a: 50\n' });
    const folder = workspace();
    const session = await start(iid, folder);
    leave(folder, 'staging', [done]);
    await world.push(branch, { 'stacks/Pulumi.staging.yaml': 'a: 51\n' });
    const failure = await ended(reportPreview(world.context, folder, session, 'staging', KEY));
    expect(failure.code).toBe(exitCode.nothing);
    expect(failure.message).toContain('a newer commit');
    expect(await world.notes(iid)).toEqual([]);
    await cancelPreview(world.context, session, 'a newer commit has its own preview');
    expect(await latest(head)).toEqual({
      'switchyard/preview': 'canceled',
      'switchyard/preview/staging': 'canceled',
    });
  });

  it('names its target from its beginning to its end, whatever that is, in its note as well', async () => {
    const said = async (commit: string) =>
      (await world.statuses(commit))
        .filter(({ name }) => name === 'switchyard/preview')
        .map(({ description }) => description);
    const { iid, head } = await opened({ 'stacks/Pulumi.staging.yaml': 'a: 52\n' });
    const folder = workspace();
    const session = await start(iid, folder);
    expect(await said(head)).toEqual(['into main: previewing the merge result']);
    leave(folder, 'staging', [done]);
    await reportPreview(world.context, folder, session, 'staging', KEY);
    expect((await world.notes(iid))[0]?.body).toContain(
      `${head.slice(0, 12)} into main at ${session.baseSha.slice(0, 12)}, on the recorded state`,
    );
    await finishPreview(world.context, session, { staging: true });
    expect(await said(head)).toEqual(['into main: previewed: staging']);

    const removing = await opened({ 'stacks/Pulumi.staging.yaml': undefined });
    await ended(start(removing.iid, workspace()));
    expect(await said(removing.head)).toEqual([expect.stringMatching(/^into main: removes the stack file/)]);

    const docs = await opened({ 'docs/target.md': 'x' });
    const unaffecting = await start(docs.iid, workspace());
    await cancelPreview(world.context, unaffecting, 'the preview is cancelled');
    expect(await said(docs.head)).toEqual(['into main: the preview is cancelled']);
  });

  it('with another target ends what was said of an environment that it does not affect', async () => {
    const branch = `target-${counter++}`;
    await world.push(branch, { 'stacks/Pulumi.production.yaml': 'a: 70\n' }, 'origin/main');
    const { iid, head } = await opened({ 'stacks/Pulumi.staging.yaml': 'a: 71\n' });
    const project = encodeURIComponent(PROJECT);
    const retarget = (target_branch: string) =>
      world.api('PUT', `/projects/${project}/merge_requests/${iid}`, { target_branch });
    const covering = (name: string) => [{ name, stacks: ['staging'], modules: undefined }];
    const preview = (covered: Parameters<typeof startPreview>[1]['covered']) =>
      startPreview(world.context, {
        project: PROJECT,
        mergeRequest: iid,
        build: BUILD,
        folder: join(workspace(), 'source'),
        covered,
      });
    await retarget(branch);
    const first = await preview(covering('staging'));
    await finishPreview(world.context, first, {});
    expect(await latest(head)).toMatchObject({ 'switchyard/preview/staging': 'failed' });
    await retarget('main');
    const second = await preview([{ name: 'staging', stacks: ['production'], modules: [] }]);
    expect(second).toMatchObject({ targetBranch: 'main', environments: [] });
    await finishPreview(world.context, second, {});
    expect(await latest(head)).toEqual({
      'switchyard/preview': 'success',
      'switchyard/preview/staging': 'success',
    });
  });

  it('is refused where it removes the stack file of an environment', async () => {
    const { iid, head } = await opened({ 'stacks/Pulumi.staging.yaml': undefined });
    const failure = await ended(start(iid, workspace()));
    expect(failure.code).toBe(exitCode.red);
    expect(failure.message).toContain('removes the stack file of staging');
    expect(await latest(head)).toEqual({ 'switchyard/preview': 'failed' });
  });

  it('fits into GitLab’s note however much changes, with the whole beside it', async () => {
    const { iid } = await opened({ 'stacks/Pulumi.staging.yaml': 'a: 60\n' });
    const folder = workspace();
    const session = await start(iid, folder);
    const many = Array.from({ length: 6000 }, (_, index) => event('create', `${index}-${'<x>|'.repeat(40)}`));
    leave(folder, 'staging', [...many, done]);
    expect(await reportPreview(world.context, folder, session, 'staging', KEY)).toBe(true);
    expect((await world.notes(iid))[0]?.body).toMatch(/more do not fit into a note/);
    expect(readFileSync(previewPaths(folder, 'staging').whole, 'utf8').length).toBeGreaterThan(1_000_000);
  });
});

test('a preview whose Pod did not start is red, and its note says why; nothing is applied by that', async () => {
  const { iid, head } = await opened({ 'stacks/Pulumi.staging.yaml': 'a: 61\n' });
  const session = await start(iid, workspace());
  const words = {
    why: 'no agent started within 15 minutes (ErrImagePull)',
    pods: [{ name: 'preview-1', events: ['Failed: ![x](http://evil)'], log: [] }],
  };
  expect(await finishPreview(world.context, session, {}, words)).toBe(false);
  const statuses = await world.statuses(head);
  expect(statuses.filter(({ name }) => name === 'switchyard/preview/staging').at(-1)).toMatchObject({
    status: 'failed',
    description: `the preview broke off: ${words.why}`,
  });
  const [note] = (await world.notes(iid)).filter(({ body }) => body.includes('switchyard:preview:staging'));
  expect(note?.body).toContain(
    '- <code>Failed&#58; &#33;<span></span>&#91;<span></span>x&#93;(http&#58;<span></span>//evil)</code>',
  );
  expect(readPlan(note?.body ?? '', KEY)).toBeUndefined();
});

describe('whatever happens in between, no status of a preview stays open', () => {
  const setStatus = (...given: Parameters<World['context']['gitlab']['setStatus']>) =>
    world.context.gitlab.setStatus(...given);
  type Posted = Parameters<typeof setStatus>;

  it('a force-push took the commit away', async () => {
    const { iid, head, branch } = await opened({ 'stacks/Pulumi.staging.yaml': `a: ${counter + 500}\n` });
    const context = withGitLab({
      setStatus: async (...given: Posted) => {
        await setStatus(...given);
        if (given[2].state !== 'running') return;
        await world.api('DELETE', `/projects/${encodeURIComponent(PROJECT)}/repository/branches/${branch}`);
        await world.push(branch, { 'docs/other.md': 'x\n' }, 'origin/main');
      },
    });
    expect(await ended(start(iid, workspace(), context))).toMatchObject({ code: exitCode.nothing });
    expect(await world.statuses(head)).toMatchObject([
      { status: 'canceled', description: expect.stringContaining('the newer commit has its own') },
    ]);
  });

  it('one of its first statuses could not be posted, or what its Pods are given not be packed', async () => {
    for (const breaks of ['a status', 'the hand-over']) {
      const { iid, head } = await opened({ 'catalog/modules/orders.yaml': `x: ${counter + 500}\n` });
      const away = (...given: Posted) =>
        breaks === 'a status' && given[2].state === 'pending' && given[2].name?.endsWith('/production')
          ? Promise.reject(new GitLabError(502, '', 'GitLab: POST statuses answered 502.'))
          : setStatus(...given);
      const full = () => Promise.reject(new Error('no space left on device'));
      const failure = start(iid, workspace(), withGitLab({ setStatus: away }), full);
      await expect(failure).rejects.toThrow(breaks === 'a status' ? '502' : 'no space left');
      expect(await latest(head)).toEqual({
        'switchyard/preview': 'failed',
        'switchyard/preview/staging': 'failed',
        'switchyard/preview/production': 'failed',
      });
    }
  });

  it('GitLab took its note without saying so, or takes none: the status is posted all the same', async () => {
    const { iid, head } = await opened({ 'stacks/Pulumi.staging.yaml': `a: ${counter + 500}\n` });
    const folder = workspace();
    const session = await start(iid, folder);
    leave(folder, 'staging', [done]);
    const { gitlab } = world.context;
    const cut = new GitLabError(502, '', 'GitLab: POST notes answered 502.');
    const never = withGitLab({ createNote: () => Promise.reject(cut) });
    expect(await reportPreview(never, folder, session, 'staging', KEY)).toBe(false);
    expect((await world.statuses(head)).at(-1)).toMatchObject({
      name: 'switchyard/preview/staging',
      status: 'failed',
      description: 'no change, but the note with the plan could not be written; preview again',
    });
    expect(world.said.at(-1)).toContain('POST notes answered 502');
    const words = { why: 'no agent started within 15 minutes', pods: [] };
    await expect(finishPreview(never, session, {}, words)).rejects.toThrow('502');
    expect(await latest(head)).toEqual({
      'switchyard/preview': 'failed',
      'switchyard/preview/staging': 'failed',
    });
    const unheard = withGitLab({
      createNote: async (...given: Parameters<typeof gitlab.createNote>) => {
        await gitlab.createNote(...given);
        throw cut;
      },
    });
    expect(await reportPreview(unheard, folder, session, 'staging', KEY)).toBe(true);
    expect(await world.notes(iid)).toHaveLength(1);
    expect(await latest(head)).toMatchObject({ 'switchyard/preview/staging': 'success' });
  });

  it('one status that cannot be posted keeps no other from being posted', async () => {
    const { iid, head } = await opened({ 'catalog/modules/orders.yaml': `x: ${counter + 500}\n` });
    const session = await start(iid, workspace());
    const context = withGitLab({
      setStatus: (...given: Posted) =>
        given[2].name?.endsWith('/staging')
          ? Promise.reject(new GitLabError(502, '', 'GitLab: POST statuses answered 502.'))
          : setStatus(...given),
    });
    await expect(cancelPreview(context, session, 'a newer commit')).rejects.toThrow('502');
    expect(await latest(head)).toEqual({
      'switchyard/preview': 'canceled',
      'switchyard/preview/staging': 'pending',
      'switchyard/preview/production': 'canceled',
    });
    await expect(finishPreview(context, session, {})).rejects.toThrow('502');
    expect(await latest(head)).toMatchObject({
      'switchyard/preview': 'failed',
      'switchyard/preview/production': 'failed',
    });
  });
});

describe('applying what was merged', () => {
  async function merged(files: Record<string, string>, between?: () => Promise<unknown>) {
    const { iid, head } = await opened(files);
    const folder = workspace();
    const session = await start(iid, folder);
    for (const environment of session.environments) {
      leave(folder, environment, [event('create', 'one'), done]);
      await reportPreview(world.context, folder, session, environment, KEY);
    }
    await finishPreview(
      world.context,
      session,
      Object.fromEntries(session.environments.map((name) => [name, true])),
    );
    await between?.();
    const request: ApplyRequest = {
      project: PROJECT,
      commit: await world.mergeByHand(iid, head),
      before: session.baseSha,
      branch: 'main',
      build: BUILD,
      folder: join(workspace(), 'source'),
      covered,
      key: KEY,
    };
    return { request, session, folder, iid };
  }

  it('takes the environments in order, each with the plan that reviewers saw, on the checked-out commit', async () => {
    const { request, iid } = await merged({ 'catalog/modules/orders.yaml': `x: ${counter + 100}\n` });
    const { plans, mergeRequest } = await findPlans(world.context, request);
    expect(mergeRequest).toBe(iid);
    expect(plans.map(({ environment }) => environment)).toEqual(['staging', 'production']);
    expect(existsSync(join(request.folder, 'catalog', 'modules', 'orders.yaml'))).toBe(true);
  });

  it('finds nothing to apply in the first commit of the project, and that is no fault', async () => {
    const { request } = await merged({ 'stacks/Pulumi.staging.yaml': 'a: 150\n' });
    const failure = await ended(findPlans(world.context, { ...request, before: '0'.repeat(40) }));
    expect(failure).toMatchObject({ code: 4, message: 'nothing to apply: main begins with this push.' });
  });

  it('applies the same plan, also on a state that moved without consequence; another is refused with what differs', async () => {
    const { request } = await merged({ 'stacks/Pulumi.staging.yaml': 'a: 200\n' });
    const [seen, ...others] = (await findPlans(world.context, request)).plans;
    expect(others).toEqual([]);
    if (!seen) throw new Error('no plan');
    const folder = workspace();
    leave(folder, 'staging', [event('create', 'one'), done], { state: 'b' });
    expect(compareRecord(folder, seen)).toEqual({ same: true });
    leave(folder, 'staging', [event('create', 'one'), event('delete', 'two'), done], { state: 'b' });
    expect(compareRecord(folder, seen)).toEqual({
      same: false,
      why: 'live state moved since the preview; it would now also delete kubernetes:core/v1:ConfigMap::two: data',
    });
    leave(folder, 'staging', [event('create', 'one')]);
    expect(compareRecord(folder, seen)).toMatchObject({
      same: false,
      why: expect.stringContaining('its end'),
    });
  });

  it.each([
    ['stopped', {}, { production: 'canceled' }, 'not applied: staging, which comes before it, was not'],
    ['undefined', {}, { staging: 'failed', production: 'canceled' }, 'applying broke off; see the log'],
    ['applied', { production: 'applied' }, {}, undefined],
  ] as const)('leaves no status open where the first is %s', async (first, more, statuses, said) => {
    const commit = await world.push(`finish-${counter++}`, { 'x.md': `${counter}\n` }, 'origin/main');
    const request = { project: PROJECT, commit, branch: 'main', build: BUILD };
    const outcomes = { ...(first === 'undefined' ? {} : { staging: first }), ...more };
    const stopped = await finishApply(world.context, request, ['staging', 'production'], outcomes);
    expect(stopped).toBe(first === 'applied' ? undefined : 'staging');
    expect(await latest(commit)).toEqual(
      Object.fromEntries([
        ...Object.entries(statuses).map(([name, state]) => [`switchyard/apply/${name}`, state]),
        ['switchyard/apply', first === 'applied' ? 'success' : 'failed'],
      ]),
    );
    const descriptions = (await world.statuses(commit)).map(({ description }) => description);
    if (said) expect(descriptions).toContain(said);
  });

  it('ends what it said of the environments where what its Pods are given cannot be packed', async () => {
    const { request } = await merged({ 'stacks/Pulumi.staging.yaml': `a: ${counter + 500}\n` });
    const full = () => Promise.reject(new Error('no space left on device'));
    await expect(startApply(world.context, request, full)).rejects.toThrow('no space left');
    const statuses = await world.statuses(request.commit);
    expect(
      statuses.map(({ name, status, description }) => `${name} ${status}: ${description}`).sort(),
    ).toEqual([
      'switchyard/apply failed: not applied: no space left on device',
      'switchyard/apply/staging failed: not applied: no space left on device',
    ]);
    const other = { ...request, key: `${KEY}2` };
    await expect(startApply(world.context, other, full)).rejects.toThrow('no valid preview of staging');
    expect(await latest(request.commit)).toMatchObject({
      'switchyard/apply': 'failed',
      'switchyard/apply/staging': 'failed',
      'switchyard/apply/production': 'failed',
    });
  });

  it('an environment whose end could not be told when it was applied is told in the end', async () => {
    const commit = await world.push(`finish-${counter++}`, { 'x.md': `${counter}\n` }, 'origin/main');
    const request = { project: PROJECT, commit, branch: 'main', build: BUILD };
    for (const environment of ['staging', 'production'])
      await postApply(world.context, request, environment, 'running', 'applying what was previewed');
    await finishApply(world.context, request, ['staging', 'production'], {
      staging: 'applied',
      production: 'stopped',
    });
    expect(await latest(commit)).toEqual({
      'switchyard/apply': 'failed',
      'switchyard/apply/staging': 'success',
      'switchyard/apply/production': 'failed',
    });
  });

  it('is refused where the branch moved between preview and merge, since nobody saw that tree', async () => {
    const { request } = await merged({ 'stacks/Pulumi.staging.yaml': 'a: 300\n' }, () =>
      world.push('main', { 'catalog/services/x.yaml': `${counter}\n` }, 'origin/main'),
    );
    const failure = await ended(findPlans(world.context, request));
    expect(failure.message).toContain('main moved between preview and merge');
  });

  it('is refused where the key does not fit the note, and for a commit that no merge request brought', async () => {
    const { request } = await merged({ 'stacks/Pulumi.staging.yaml': 'a: 400\n' });
    const other = { ...request, key: `${KEY}2` };
    expect((await ended(findPlans(world.context, other))).message).toContain(
      'has no valid preview of staging',
    );
    const pushed = await world.push('main', { 'stacks/Pulumi.staging.yaml': 'a: 401\n' }, 'origin/main');
    const failure = await ended(findPlans(world.context, { ...request, commit: pushed }));
    expect(failure.message).toContain('no merged merge request brought this commit');
  });
});
