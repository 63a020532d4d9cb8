import { FIRST_LABEL, MERGE_LABEL } from '../../../catalog/status';
import type { CommitStatus, MergeRequest } from '../../../clients/gitlab';
import type { Certificate } from '../../../delivery/certificate';
import { inOrder } from '../../../delivery/queue/order';
import { type Proof, readWorld } from '../../../delivery/queue/read';
import { askTurns } from '../../../delivery/reconcile/turns';
import { BROKE_OFF, brokeOff } from '../../../delivery/status';
import { green, red, sha } from '../certificates';
import { gitlabOf, PROJECT, PROOF, queued, request, type Scene } from './asked';

// What GitLab says becomes the world of a queue: GitLab's answers in memory.

const look = (
  scene: Scene,
  more: { proof?: Proof; own?: number; asPerson?: boolean; start?: number } = { proof: PROOF },
) =>
  readWorld(gitlabOf(scene).gitlab, {
    gitlabUrl: 'https://gitlab.example.com',
    project: PROJECT,
    projects: ['switchyard/billing', 'a/b'],
    branch: 'main',
    most: 8,
    ...more,
  });

test('who put one first is asked of GitLab for those that queue with the label, and for nobody else', async () => {
  const open = [request(1, { labels: ['other'] }), request(2, { labels: [FIRST_LABEL] }), request(3)];
  const certificates = [queued(1), queued(2)];
  const firsts = async (labelled: readonly string[]) =>
    (await look({ open, certificates, labelled })).requests.map(({ first }) => first);
  expect(await firsts(['+ann', '-ann', '+bob', '-ann'])).toEqual([undefined, 'bob', undefined]);
  // GitLab keeps no user that is gone, and a name that is none could be a line of a note.
  expect(await firsts([])).toEqual([undefined, 'somebody', undefined]);
  expect(await firsts(['+a b\n|'])).toEqual([undefined, 'somebody', undefined]);
  const { gitlab, calls } = gitlabOf({
    open: [request(1), request(3, { labels: [FIRST_LABEL] })],
    certificates: [queued(1)],
  });
  const where = { gitlabUrl: 'https://g', project: PROJECT, branch: 'main', most: 8, proof: PROOF };
  await readWorld(gitlab, where);
  expect(calls).not.toContain('labels');
});

test('a person reads the notes that a bot wrote, as hints, and is no bot', async () => {
  const scene = { open: [request(1), request(2)], certificates: [queued(1)], asker: 7 };
  const ready = async (more: Parameters<typeof look>[1]) =>
    (await look(scene, more)).requests.map((one) => 'since' in one.ready);
  expect(await ready({ asPerson: true })).toEqual([true, false]);
  expect(await ready({})).toEqual([false, false]);
});

test('merge requests are read before the branch’s head, and those that GitLab merges now are among them', async () => {
  const locked = request(2, { state: 'locked' });
  const { gitlab, calls } = gitlabOf({
    open: [request(1)],
    locked: [locked],
    certificates: [queued(1), queued(2)],
  });
  const where = { gitlabUrl: 'https://g', project: PROJECT, branch: 'main', most: 8, proof: PROOF };
  const { requests } = await readWorld(gitlab, where);
  expect(requests).toMatchObject([
    { iid: 1, merging: false, ready: { since: 1000 }, results: [{ tree: green.treeSha, green: true }] },
    { iid: 2, merging: true, ready: { since: 2000 } },
  ]);
  expect(calls.indexOf('locked')).toBeGreaterThan(calls.indexOf('open'));
  expect(calls.at(-1)).toBe('head');
});

test.each<[string, MergeRequest, Certificate | undefined, string]>([
  ['a draft', request(1, { draft: true }), queued(1), 'is a draft'],
  ['a fork', request(1, { source_project_id: 2 }), queued(1), 'from a fork'],
  ['no verdict', request(1), undefined, 'no verdict'],
  ['a newer head', request(1, { sha: sha('f') }), queued(1), 'no verdict yet'],
  ['another target', request(1, { target_branch: 'next' }), queued(1), 'another target branch'],
  ['another project', request(1), queued(1, { projectId: 2 }), 'another merge request'],
  ['red before it queued', request(1), queued(1, { gate: undefined }, red), 'tests failed'],
  ['taken out', request(1), queued(1, { gate: { since: 1, out: 2 } }), 'taken out'],
  ['another policy', request(1), queued(1, { policy: 'reviewed' }), 'merge policy is automatic'],
  ['another declaration', request(1), queued(1, { declared: '1'.repeat(64) }), 'declares another'],
  [
    'another image',
    request(1),
    queued(1, {
      image: { repository: 'r.example/modules/orders', tag: 't', digest: `sha256:${'d'.repeat(64)}` },
    }),
    'its image is of',
  ],
])('%s does not queue', async (_what, found, certificate, why) => {
  const { requests } = await look({ open: [found], certificates: certificate ? [certificate] : [] });
  expect(requests).toMatchObject([{ ready: { why: expect.stringContaining(why) }, results: [] }]);
});

test('what is red on top of others queues on, with its reason', async () => {
  const { requests } = await look({ open: [request(1)], certificates: [queued(1, {}, red)] });
  expect(requests).toMatchObject([
    { ready: { since: 1000 }, results: [{ green: false, why: expect.stringContaining('Stock is kept') }] },
  ]);
});

test('what was left to people queues for its own build only', async () => {
  const scene = { open: [request(1)], certificates: [queued(1)], left: 1 };
  expect((await look(scene)).requests[0]?.ready).toEqual({ why: 'it is left to people' });
  expect((await look(scene, { proof: PROOF, own: 1 })).requests[0]?.ready).toEqual({ since: 1000 });
});

test('an approval that comes late does not overtake: the later time of the two counts', async () => {
  const proof = { ...PROOF, policy: 'reviewed' as const };
  const scene = { open: [request(1)], certificates: [queued(1, { policy: 'reviewed' })] };
  expect((await look(scene, { proof })).requests[0]?.ready).toMatchObject({
    why: expect.stringContaining('waits for an approval'),
  });
  const approved = { ...scene, approvedAt: '1970-01-01T00:01:00.000Z' };
  expect((await look(approved, { proof })).requests[0]?.ready).toEqual({ since: 60_000 });
});

test('what people merge queues by the label of one who may merge, since that was set, and by nothing else', async () => {
  const proof = { ...PROOF, policy: 'manual' as const };
  const certificates = [queued(1, { policy: 'manual' })];
  const ready = async (labels: readonly string[], more: Scene = {}) =>
    (await look({ open: [request(1, { labels: [...labels] })], certificates, ...more }, { proof }))
      .requests[0]?.ready;
  const letInAt = '1970-01-01T00:01:00.000Z';
  expect(await ready([], { letInAt })).toMatchObject({
    why: expect.stringContaining('leaves the merge to people'),
  });
  expect(await ready([MERGE_LABEL], { letInAt })).toEqual({ since: 60_000 });
  expect(await ready([MERGE_LABEL], { letInAt, mayMerge: false })).toMatchObject({
    why: expect.stringContaining('is no person who may merge'),
  });
  expect(await ready([MERGE_LABEL])).toMatchObject({ why: expect.stringContaining('does not say who set') });
});

test('dependencies: open, merged, closed, elsewhere and not there; each is asked for once', async () => {
  const description = (text: string) => ({ description: text });
  const { gitlab, calls } = gitlabOf({
    open: [
      request(1, description('Depends-On: !2\nDepends-On: !3\nDepends-On: !4\nDepends-On: !5')),
      request(2, description('Depends-On: !3')),
      request(7, description('Depends-On: nothing')),
    ],
    others: [
      request(3, { state: 'merged' }),
      request(4, { state: 'closed' }),
      request(5, { target_branch: 'next' }),
    ],
    certificates: [queued(1), queued(2), queued(7)],
  });
  const where = { gitlabUrl: 'https://g', project: PROJECT, branch: 'main', most: 8, proof: PROOF };
  const { requests } = await readWorld(gitlab, where);
  expect(requests[0]?.needs.map(({ state }) => state)).toEqual(['open', 'merged', 'closed', 'foreign']);
  expect(requests[1]?.needs.map(({ state }) => state)).toEqual(['merged']);
  expect(requests[2]?.ready).toMatchObject({ why: expect.stringContaining('is no merge request') });
  expect(calls.filter((call) => call === `find ${PROJECT}!3`)).toHaveLength(1);
});

describe('a dependency of another project', () => {
  const BILLING = 'switchyard/billing';
  const needs = (text: string) => ({
    description: text
      .split(', ')
      .map((one) => `Depends-On: ${one}`)
      .join('\n'),
  });
  const scene = (other: MergeRequest | undefined, more: Scene = {}): Scene => ({
    open: [request(1, needs(`${BILLING}!2`))],
    certificates: [queued(1)],
    ...(other ? { elsewhere: { [`${BILLING}!2`]: other } } : {}),
    ...more,
  });
  const first = async (of: Scene) => (await look(of)).requests[0];

  it.each(['opened', 'locked'])('is waited for by name while it is %s', async (state) => {
    const other = request(2, { state: state as 'opened' });
    expect((await first(scene(other)))?.ready).toEqual({
      why: `it waits for ${BILLING}!2, which is not merged yet`,
    });
  });

  it('is none any more when it is merged', async () => {
    expect(await first(scene(request(2, { state: 'merged' })))).toMatchObject({
      ready: { since: 1000 },
      needs: [{ project: BILLING, iid: 2, state: 'merged' }],
    });
  });

  it.each([
    ['closed', request(2, { state: 'closed' }), 'closed', `it depends on ${BILLING}!2, which is closed`],
    ['not there', undefined, 'foreign', `it depends on ${BILLING}!2, which is none that queues here`],
  ])('is told when it is %s', async (_how, other, state, why) => {
    const seen = await first(scene(other));
    expect(seen).toMatchObject({ needs: [{ state }] });
    expect(inOrder(seen ? [seen] : []).held.map((one) => one.why)).toEqual([why]);
  });

  it('holds those behind it in its own project, with the whole reason', async () => {
    const open = [request(1, needs(`${BILLING}!2`)), request(3, needs('!1'))];
    const { requests } = await look({ ...scene(request(2)), open, certificates: [queued(1), queued(3)] });
    expect(inOrder(requests).held.map(({ why }) => why)).toEqual([
      `it waits for ${BILLING}!2, which is not merged yet`,
      `it waits for ${PROJECT}!1, which does not queue (it waits for ${BILLING}!2, which is not merged yet)`,
    ]);
  });

  it.each<[string, Record<string, MergeRequest>, string]>([
    [
      'at once',
      { [`${BILLING}!2`]: request(2, needs(`${PROJECT}!1`)) },
      `${PROJECT}!1 → ${BILLING}!2 → ${PROJECT}!1`,
    ],
    [
      'through a third project, and with another name of ours',
      {
        [`${BILLING}!2`]: request(2, needs('!9, a/b!4')),
        'a/b!4': request(4, needs('https://gitlab.example.com/Switchyard/Orders/-/merge_requests/1')),
      },
      `${PROJECT}!1 → ${BILLING}!2 → a/b!4 → ${PROJECT}!1`,
    ],
  ])('that leads back %s is told as a circle', async (_how, elsewhere, way) => {
    expect((await first(scene(undefined, { elsewhere })))?.ready).toEqual({
      why: `it depends on itself: ${way}`,
    });
  });

  it('that leads back through another one of ours is told to both', async () => {
    const open = [request(1, needs(`${BILLING}!2`)), request(3, needs('!1'))];
    const elsewhere = { [`${BILLING}!2`]: request(2, needs(`${PROJECT}!3`)) };
    const { requests } = await look({ open, elsewhere, certificates: [queued(1), queued(3)] });
    expect(inOrder(requests).held.map(({ why }) => why)).toEqual([
      `it depends on itself: ${PROJECT}!1 → ${BILLING}!2 → ${PROJECT}!3 → ${PROJECT}!1`,
      expect.stringContaining(`it waits for ${PROJECT}!1, which does not queue (it depends on itself`),
    ]);
  });

  it('that goes round elsewhere, or was merged on the way, is no circle of this one', async () => {
    const round = {
      [`${BILLING}!2`]: request(2, needs('!4')),
      [`${BILLING}!4`]: request(4, needs('!2')),
    };
    const merged = {
      [`${BILLING}!2`]: request(2, needs('!4')),
      [`${BILLING}!4`]: request(4, { ...needs(`${PROJECT}!1`), state: 'merged' }),
    };
    for (const elsewhere of [round, merged])
      expect((await first(scene(undefined, { elsewhere })))?.ready).toEqual({
        why: `it waits for ${BILLING}!2, which is not merged yet`,
      });
  });

  it('is asked for once, however many depend on it, and not followed for ever', async () => {
    const chain = Object.fromEntries(
      Array.from({ length: 60 }, (_, at) => [`${BILLING}!${at + 2}`, request(at + 2, needs(`!${at + 3}`))]),
    );
    const open = [request(1, needs(`${BILLING}!2`)), request(3, needs(`${BILLING}!2`))];
    const { gitlab, calls } = gitlabOf({ open, elsewhere: chain, certificates: [queued(1), queued(3)] });
    const projects = [PROJECT, BILLING];
    const where = {
      gitlabUrl: 'https://g',
      project: PROJECT,
      projects,
      branch: 'main',
      most: 8,
      proof: PROOF,
    };
    await readWorld(gitlab, where);
    const found = calls.filter((call) => call.startsWith('find '));
    expect(new Set(found).size).toBe(found.length);
    expect(found.length).toBeLessThanOrEqual(21);
  });
});

test('of other projects than the topology’s GitLab is not asked: nobody learns by the bot what is there', async () => {
  const asked = async (projects: readonly string[]) => {
    const open = [request(1, { description: 'Depends-On: other/project!5' })];
    const { gitlab, calls } = gitlabOf({ open, certificates: [queued(1)] });
    const where = {
      gitlabUrl: 'https://g',
      project: PROJECT,
      branch: 'main',
      most: 8,
      proof: PROOF,
      projects,
    };
    const { requests } = await readWorld(gitlab, where);
    return { ready: requests[0]?.ready, found: calls.filter((call) => call.startsWith('find ')) };
  };
  expect(await asked([PROJECT])).toEqual({
    ready: { why: 'Depends-On: other/project!5 is of no project of this topology' },
    found: [],
  });
  expect((await asked(['Other/Project'])).found).toEqual(['find Other/Project!5']);
});

test('the ends make the window, in the order of time, and a head that nobody’s merge brought was pushed', async () => {
  const at = (iid: number, time: string, commit: string) =>
    request(iid, { state: 'merged', merged_at: time, merge_commit_sha: commit });
  const scene = {
    open: [request(3)],
    merged: [at(1, '1970-01-01T00:00:01Z', sha('e')), at(2, '1970-01-01T00:00:03Z', sha('f'))],
    certificates: [queued(3, { gate: { since: 1, out: 2000 } })],
  };
  expect((await look(scene)).target).toMatchObject({
    ends: ['merged', 'taken out', 'merged'],
    pushed: true,
  });
  const brought = { ...scene, merged: [at(1, '1970-01-01T00:00:01Z', sha('a'))] };
  expect((await look(brought)).target.pushed).toBe(false);
});

describe('test Pods that first tests have or wait for', () => {
  const posted = (state: string, description: string, created_at = '1970-01-01T01:00:00Z') => [
    { id: 1, status: state, name: 'switchyard', ref: 'b', target_url: null, description, created_at },
  ];
  const testing = posted('running', 'testing the merge result with main');
  const taken = async (scene: Scene, more: Parameters<typeof look>[1] = { proof: PROOF }) =>
    (await look(scene, more)).target.taken;

  it('are those of the heads without a verdict whose status runs, or waits for a build, by whoever asks', async () => {
    const open = [1, 2, 3, 4, 5, 6].map((iid) => request(iid));
    const statuses = {
      // It queues, and is tested in its turn.
      1: testing,
      2: testing,
      3: posted('pending', 'testing the merge result with main; then it waits for an approval'),
      4: posted(
        'pending',
        'waits for its build, which the reconciler started: its hook did not start a build',
      ),
      5: posted('canceled', `${BROKE_OFF}the test Pod was lost`),
      6: [],
    };
    const scene = { open, statuses, certificates: [queued(1)] };
    expect(await taken(scene)).toBe(3);
    expect(await taken(scene, {})).toBe(3);
    expect(await taken({ ...scene, asker: 7 }, { asPerson: true })).toBe(3);
  });

  it.each<[string, Scene]>([
    ['a draft', { open: [request(1, { draft: true })] }],
    ['a fork', { open: [request(1, { source_project_id: 2 })] }],
    ['one that was tested', { open: [request(1)], certificates: [queued(1, { gate: undefined }, red)] }],
    [
      'one that is held in the queue',
      { open: [request(1)], certificates: [queued(1, { policy: 'reviewed' })] },
    ],
  ])('are none of %s', async (_what, scene) => {
    expect(await taken({ ...scene, statuses: testing })).toBe(0);
  });

  it('are none where the status says that it queues, and none of a status that no build posts any more', async () => {
    const open = [request(1)];
    expect(await taken({ open, statuses: posted('running', 'in the queue: place 2 of 3') })).toBe(0);
    const old = posted('running', 'testing', '1969-12-31T20:00:00Z');
    expect(await taken({ open, statuses: old })).toBe(0);
  });

  it('are counted again where the note is of an older head, of another target branch, or of tests that came to no end', async () => {
    const { tests: _tests, ...untested } = green;
    for (const certificate of [
      queued(1, { headSha: sha('f') }),
      queued(1, { targetBranch: 'next' }),
      queued(1, { gate: undefined }, untested),
    ])
      expect(await taken({ open: [request(1)], statuses: testing, certificates: [certificate] })).toBe(1);
  });

  it('leave the queue of a build and that of the reconciler the same number', async () => {
    const open = [1, 2, 3, 4].map((iid) => request(iid));
    const scene: Scene = {
      open,
      statuses: { 3: testing, 4: testing },
      certificates: [queued(1, { baseSha: sha('e') }), queued(2, { baseSha: sha('e') })],
    };
    const { gitlab } = gitlabOf(scene);
    const ask = askTurns(gitlab, 'https://gitlab.example.com');
    const due = async (most: number) => [...(await ask({ project: PROJECT, branch: 'main', most })).keys()];
    expect(await due(4)).toEqual([1, 2]);
    expect(await due(3)).toEqual([1]);
  });
});

test('tests in a row that broke off are counted from the statuses, whatever words they went on with', () => {
  let id = 0;
  const status = (state: string, description: string): CommitStatus => ({
    id: ++id,
    status: state,
    name: 'switchyard',
    ref: 'b',
    target_url: null,
    description,
    created_at: '2026-11-28T10:00:00Z',
    finished_at: `2026-11-28T10:00:0${id}Z`,
  });
  const broke = () => status('canceled', `${BROKE_OFF}x`);
  expect(brokeOff([])).toBeUndefined();
  expect(brokeOff([broke(), status('failed', 'y')])).toBeUndefined();
  const row = [
    broke(),
    status('success', 'y'),
    broke(),
    status('canceled', 'goes on: z'),
    broke(),
    status('running', 'z'),
  ];
  expect(brokeOff(row)).toEqual({ times: 2, at: Date.parse('2026-11-28T10:00:07Z') });
});
