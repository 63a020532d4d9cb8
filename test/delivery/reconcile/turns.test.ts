import type { MergeRequest } from '../../../clients/gitlab';
import type { Certificate } from '../../../delivery/certificate';
import { renderNote } from '../../../delivery/note';
import { Parents, type Step, stepsOf } from '../../../delivery/queue/names';
import type { Seen } from '../../../delivery/queue/read';
import { decide, type OpenRequest } from '../../../delivery/reconcile/decide';
import { dueIn } from '../../../delivery/reconcile/turns';
import { green, KEY, sha } from '../certificates';

const FIRST = sha('0');
const head = (iid: number): string => sha(String(iid));

/** A merge request that was tested on main and on others. */
const on = (iid: number, main: string, before: readonly number[] = [], isGreen = true) => ({
  iid,
  isGreen,
  certificate: {
    ...green,
    mergeRequest: iid,
    headSha: head(iid),
    baseSha: before.length > 0 ? sha('9') : main,
    ...(before.length > 0
      ? { ahead: { onto: main, requests: before.map((one) => ({ mergeRequest: one, headSha: head(one) })) } }
      : {}),
  } satisfies Certificate,
});

function seen(
  main: string,
  tested: readonly ReturnType<typeof on>[],
  more: Partial<Seen['target']> = {},
): Seen {
  return {
    target: { project: 'p', commit: main, ends: [], most: 8, taken: 0, ...more },
    requests: tested.map(({ iid, isGreen, certificate }) => ({
      project: 'p',
      iid,
      head: certificate.headSha,
      merging: false,
      ready: { since: iid },
      needs: [],
      results: [{ tree: certificate.treeSha ?? '', green: isGreen, why: 'red' }],
      tests: [],
    })),
    certificates: new Map(tested.map(({ iid, certificate }) => [iid, certificate])),
    found: new Map(),
    merged: [],
  };
}
const due = (world: Seen, steps: readonly Step[] = []) =>
  [...dueIn(world, steps, 0)].map(([iid, what]) => `${what.split(' ').slice(0, -2).join(' ')} ${iid}`);

test('the first is merged by its result on main, and those behind are tested on it', () => {
  const world = seen(FIRST, [on(1, FIRST), on(2, FIRST), on(3, FIRST, [1, 2])]);
  expect(due(world)).toEqual(['merge 1', 'test 2']);
  // Without the first, the second's own result on main holds.
  expect(due(seen(FIRST, [on(1, FIRST, [], false), on(2, FIRST)]))).toEqual(['take out 1', 'merge 2']);
});

test('a result holds after those before it were merged, and not after anything else', () => {
  const one = sha('a');
  const two = sha('b');
  const steps = [
    { commit: two, brought: head(2), parent: one },
    { commit: one, brought: head(1), parent: FIRST },
  ];
  const behind = [on(3, FIRST, [1, 2]), on(4, FIRST, [1, 2, 3])];
  expect(due(seen(two, behind), steps)).toEqual(['merge 3']);
  expect(due(seen(two, [on(3, one, [2]), on(4, one, [2, 3])]), steps)).toEqual(['merge 3']);
  // Another was merged in place of the second, or somebody pushed.
  expect(due(seen(sha('c'), behind), [])).toEqual(['test 3', 'test 4']);
});

test('nothing is started beyond the window and the Pods that are free', () => {
  const many = [1, 2, 3, 4, 5, 6].map((iid) => on(iid, sha('d')));
  expect(due(seen(FIRST, many))).toHaveLength(4);
  expect(due(seen(FIRST, many, { taken: 7 }))).toEqual(['test 1']);
});

test('main is followed back by the merge requests that brought it, as far as they are known', async () => {
  const merged = (iid: number, commit: string): MergeRequest => ({
    id: iid,
    iid,
    state: 'merged',
    draft: false,
    sha: head(iid),
    title: 't',
    source_branch: 'b',
    target_branch: 'main',
    source_project_id: 1,
    target_project_id: 1,
    merge_commit_sha: commit,
  });
  const parents: Record<string, string> = { [sha('b')]: sha('a'), [sha('a')]: FIRST };
  const cameBy = async (request: MergeRequest, at: string) => {
    const parent = parents[at];
    return parent === undefined ? undefined : { brought: request.sha ?? '', parent };
  };
  const both = [merged(1, sha('a')), merged(2, sha('b'))];
  const brought = async (bases: readonly string[]) =>
    (await stepsOf(sha('b'), both, cameBy, bases)).map((step) => step.brought);
  expect(await brought([FIRST])).toEqual([head(2), head(1)]);
  // No further than anybody's result needs.
  expect(await brought([sha('b'), sha('a')])).toEqual([head(2)]);
  expect(await brought([sha('b')])).toEqual([]);
  expect(await stepsOf(sha('f'), [merged(1, sha('a'))], cameBy, [FIRST])).toEqual([]);
});

describe('what the bot rebased for its merge', () => {
  /** Main after the first of them, and what its note says. */
  const world = (more: Partial<MergeRequest>, certificate: Partial<Certificate>, isBot = true) => {
    const body = renderNote(
      { ...green, mergeRequest: 1, headSha: sha('b'), baseSha: FIRST, rebasedFrom: head(1), ...certificate },
      { state: 'merged', commit: sha('b') },
      KEY,
    );
    const asked: string[] = [];
    const parents = new Parents({
      notes: async (_project, iid, wanted) => {
        asked.push(`notes ${iid}`);
        const note = { id: 1, body, system: false, author: { id: 9 } };
        return (await wanted(note)) ? [note] : [];
      },
      isBot: async () => isBot,
      commit: async (_project, id) => {
        asked.push(`commit ${id}`);
        return { id, title: '', message: '', author_name: '', author_email: '', parent_ids: [FIRST] };
      },
    });
    const request: MergeRequest = {
      id: 1,
      iid: 1,
      state: 'merged',
      draft: false,
      sha: sha('b'),
      title: 't',
      source_branch: 'b',
      target_branch: 'main',
      source_project_id: 1,
      target_project_id: 1,
      ...more,
    };
    const behind = seen(request.merge_commit_sha ?? sha('b'), [on(2, FIRST, [1])]);
    return { parents, asked, behind: { ...behind, merged: [request] } };
  };
  const dueBehind = async ({ parents, behind }: ReturnType<typeof world>) =>
    due(behind, await parents.of('p', behind));

  it('by a fast-forward or with a merge commit: the results of those behind hold', async () => {
    expect(await dueBehind(world({}, {}))).toEqual(['merge 2']);
    const withCommit = world({ merge_commit_sha: sha('c') }, {});
    expect(await dueBehind(withCommit)).toEqual(['merge 2']);
    // Nothing is asked for a second time.
    const asked = withCommit.asked.length;
    expect(await dueBehind(withCommit)).toEqual(['merge 2']);
    expect(withCommit.asked).toHaveLength(asked);
  });

  it('is not known by a note of a person, of another head, or of a head that was not on main', async () => {
    expect(await dueBehind(world({}, {}, false))).toEqual(['test 2']);
    expect(await dueBehind(world({}, { headSha: sha('d') }))).toEqual(['test 2']);
    const ahead = { onto: FIRST, requests: [{ mergeRequest: 7, headSha: head(7) }] };
    expect(await dueBehind(world({}, { ahead }))).toEqual(['test 2']);
  });
});

describe('what stands in the queue without a build', () => {
  const item = (
    more: Partial<OpenRequest>,
    state: 'running' | 'failed' | 'canceled' = 'running',
    queues = true,
  ) =>
    decide({
      kind: 'merge request',
      age: 1e9,
      live: false,
      brokeOff: 5,
      merges: true,
      retargeted: false,
      green: 0,
      queue: true,
      posted: { state, age: 1e9, build: 'over', queues },
      ...more,
    });

  it('is asked about, started when it is due, and else looked at again soon; never settled, and never given up', () => {
    expect(item({})).toEqual({ do: 'ask' });
    expect(item({ queued: 'waits' })).toEqual({ do: 'wait', ms: 3000 });
    expect(item({ queued: 'due' })).toMatchObject({ do: 'start', end: false });
    expect(item({ queued: 'due' }, 'running', false)).toMatchObject({ do: 'start', end: true });
    for (const state of ['failed', 'canceled'] as const) {
      expect(item({ queued: 'due' }, state, false)).toMatchObject({ do: 'start', end: false });
      expect(item({ queued: 'waits' }, state, false)).toEqual({ do: 'wait', ms: 3000 });
    }
  });

  it('is left alone while a build of it goes on, and what does not queue is as ever', () => {
    expect(item({ live: true, queued: 'due' })).toEqual({ do: 'watch' });
    expect(item({ queued: 'no' }, 'failed', false)).toEqual({ do: 'settle' });
    expect(item({ queued: 'no' }, 'running', false)).toMatchObject({ do: 'give up' });
    expect(item({ queue: false }, 'failed', false)).toEqual({ do: 'settle' });
  });
});
