import { CANARY_FILE, sendCanary } from '../../../operations/rebuild/canary';
import { testModel } from '../../support/model';

const { settings } = testModel();
const HEAD = 'a'.repeat(40);
const MERGED = 'b'.repeat(40);

/** A GitLab that goes on by one state each time it is asked for the merge request. */
function gitlabWith(states: readonly string[], statuses: Readonly<Record<string, string>>, file = false) {
  const posts: [string, unknown][] = [];
  let asked = 0;
  const get = async (path: string): Promise<unknown> => {
    if (path.includes('/repository/files/')) return file ? { file_path: CANARY_FILE } : undefined;
    const sha = /commits\/(\w+)\/statuses/.exec(path)?.[1];
    if (sha) {
      const status = statuses[sha];
      return [
        { name: 'another', status: 'failed' },
        ...(status ? [{ name: 'switchyard', status, description: 'because' }] : []),
      ];
    }
    const state = states[Math.min(asked++, states.length - 1)];
    return { iid: 7, state, sha: HEAD, merge_commit_sha: state === 'merged' ? MERGED : null };
  };
  const post = async (path: string, body: Readonly<Record<string, unknown>>): Promise<unknown> => {
    posts.push([path, body]);
    return path.endsWith('merge_requests') ? { iid: 7, state: 'opened', sha: HEAD } : { id: HEAD };
  };
  return { posts, get, post };
}
const send = (gitlab: ReturnType<typeof gitlabWith>, patienceMs = 60_000) =>
  sendCanary({
    settings,
    gitlab,
    module: 'shop',
    name: 'rebuild-1',
    note: () => undefined,
    pauseMs: 1,
    patienceMs,
  });

test('a canary is a small commit and a merge request, and ends when its release is green', async () => {
  const gitlab = gitlabWith(['opened', 'merged'], { [MERGED]: 'success' });
  expect(await send(gitlab)).toBe(MERGED);
  expect(gitlab.posts).toEqual([
    [
      'projects/switchyard%2Fshop/repository/commits',
      {
        branch: 'rebuild-1',
        start_branch: 'main',
        commit_message: 'Canary rebuild-1',
        actions: [{ action: 'create', file_path: CANARY_FILE, content: 'rebuild-1\n' }],
      },
    ],
    [
      'projects/switchyard%2Fshop/merge_requests',
      {
        source_branch: 'rebuild-1',
        target_branch: 'main',
        title: 'Canary rebuild-1',
        remove_source_branch: true,
      },
    ],
  ]);
});

test('the file of an earlier canary is changed, not made again', async () => {
  const gitlab = gitlabWith(['merged'], { [MERGED]: 'success' }, true);
  await send(gitlab);
  expect(gitlab.posts[0]?.[1]).toMatchObject({ actions: [{ action: 'update' }] });
});

test('red tests, a red release, and one that never comes each end it with where it stopped', async () => {
  await expect(send(gitlabWith(['opened'], { [HEAD]: 'failed' }))).rejects.toThrow(
    'canary of shop: failed on aaaaaaaa (because)',
  );
  await expect(send(gitlabWith(['merged'], { [MERGED]: 'failed' }))).rejects.toThrow(
    'canary of shop: failed on bbbbbbbb (because)',
  );
  await expect(send(gitlabWith(['closed'], {}))).rejects.toThrow('!7 was closed');
  // What broke off is tried again, and waited for.
  for (const status of ['running', 'canceled'])
    await expect(send(gitlabWith(['merged'], { [MERGED]: status }), 200)).rejects.toThrow(
      /the release of bbbbbbbb did not come; look at its builds in https:\/\/jenkins\.test/,
    );
});
