import type { GitLab, MergeRequest, Note } from '../../clients/gitlab';
import type { Deployment } from '../../delivery/deploy';
import { isConcluded, type Progress, readNote, renderNote } from '../../delivery/note';
import { tellComing, tellNotComing, tellRolling } from '../../delivery/progress';
import { green, KEY, sha } from './certificates';

// How far a deploy is, in the merge request's note: over what it said before, and under what it says in the end.

const COMMIT = sha('e');
const BUILD = 'https://jenkins.test/job/orders/9/';
const PROJECT = 'switchyard/orders';
const coming = { project: PROJECT, environment: 'production', commit: COMMIT, branch: 'main' };
const deployment: Deployment = {
  module: 'orders',
  ...coming,
  mergeRequest: 7,
  image: `registry.test/modules/orders@sha256:${'d'.repeat(64)}`,
  by: 'merge',
};
const NOW = Date.parse('2026-12-01T10:03:20Z');

/** A GitLab with one merge request, whose notes are these. */
function gitlabWith(...notes: readonly (Note | string)[]) {
  const kept: Note[] = notes.map((note, index) =>
    typeof note === 'string' ? { id: index + 1, body: note, system: false, author: { id: 42 } } : note,
  );
  const asked: string[] = [];
  const gitlab = {
    time: NOW,
    ownId: async () => 42,
    notes: async (_project: string, _iid: number, wanted: (note: Note) => unknown) => kept.filter(wanted),
    mergeRequestsOf: async () =>
      [{ iid: 7, state: 'merged', target_branch: 'main', merge_commit_sha: COMMIT }] as MergeRequest[],
    editNote: async (_project: string, iid: number, id: number, body: string) => {
      asked.push(`edit ${iid} ${id}`);
      kept.splice(0, kept.length, ...kept.map((note) => (note.id === id ? { ...note, body } : note)));
    },
  };
  const then = () => kept.map(({ body }) => /^\| Then \| (.*) \|$/m.exec(body)?.[1]);
  return { context: { gitlab: gitlab as unknown as GitLab }, kept, asked, then };
}
const note = (progress: Progress): string => renderNote(green, progress, KEY);
const merged = note({ state: 'merged', commit: COMMIT });
const link = `([build](${BUILD}))`;

test('a rollout is told in the one note, with its Pods, since when it goes and of when this is', async () => {
  const { context, kept, asked, then } = gitlabWith(merged);
  const at = { begun: 0, at: 42_000 };
  await tellRolling(context, deployment, { step: 'pods', ready: 2, wanted: 4, ...at }, BUILD, KEY);
  expect(then()).toEqual([
    `merged as eeeeeeeeeeee; on its way to production: 2 of 4 Pods are ready (after 42 s) ${link}`,
  ]);
  expect(kept[0]?.body).toContain('| Times | this is of 2026-12-01 10:03:20 UTC |');
  expect(asked).toEqual(['edit 7 1']);
  // Whoever looks at it finds what it found before.
  expect(readNote(kept[0]?.body ?? '', KEY)).toEqual({ certificate: green });
  expect(isConcluded(kept[0]?.body ?? '', green.headSha)).toBe(true);
});

test('where what was before is rolled out again, it says so, and why; what a Pod said is text', async () => {
  const { context, then } = gitlabWith(merged);
  const undone = { ...deployment, undone: { why: 'it crashed | **@all**', serves: sha('a') } };
  await tellRolling(context, undone, { step: 'begun', begun: 0, at: 0 }, BUILD, KEY);
  const [row = ''] = then();
  expect(row).toMatch(
    /^merged as eeeeeeeeeeee; on its way to production and undone: it crashed .*; what was before is rolled out: what changes is applied /,
  );
  expect(row).not.toMatch(/[|*@]/);
});

test('one that waits is told over that it is merged, and over how far it was', async () => {
  const { context, then } = gitlabWith(merged);
  await tellComing(context, coming, { step: 'turn' }, BUILD, KEY);
  expect(then()).toEqual([
    `merged as eeeeeeeeeeee; on its way to production: it waits for its turn, since another deploy is under way ${link}`,
  ]);
  await tellComing(context, coming, { step: 'agent' }, BUILD, KEY);
  expect(then()).toEqual([
    `merged as eeeeeeeeeeee; on its way to production: it waits for the Pod that rolls it out ${link}`,
  ]);
  await tellNotComing(context, coming, KEY);
  expect(then()).toEqual(['merged as eeeeeeeeeeee']);
});

const over = { commit: COMMIT, environment: 'production', build: BUILD };
test.each<[string, string]>([
  ['deployed', note({ state: 'deployed', ...over })],
  ['undone', note({ state: 'undone', ...over, why: 'it crashed' })],
  ['failed', note({ state: 'rollout failed', ...over })],
  ['merged as another commit', note({ state: 'merged', commit: sha('f') })],
  ['not merged by the bot', note({ state: 'left', why: 'it is a draft' })],
])('a note of one that is %s stays as it is while a deploy waits', async (_what, body) => {
  const { context, kept, asked } = gitlabWith(body);
  await tellComing(context, coming, { step: 'turn' }, BUILD, KEY);
  await tellNotComing(context, coming, KEY);
  expect([asked, kept[0]?.body]).toEqual([[], body]);
});

test('what is none of ours, or was changed, is never written over; and none is made', async () => {
  const forged = merged.replace('"passed": 3', '"passed": 4');
  for (const notes of [
    [],
    [forged],
    [{ id: 1, body: merged, system: false, author: { id: 43 } }],
    ['**deployed**'],
  ]) {
    const { context, asked } = gitlabWith(...notes);
    await tellComing(context, coming, { step: 'turn' }, BUILD, KEY);
    await tellRolling(context, deployment, { step: 'begun', begun: 0, at: 0 }, BUILD, KEY);
    await tellNotComing(context, coming, KEY);
    expect(asked).toEqual([]);
  }
});
