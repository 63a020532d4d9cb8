// Facts of GitLab: lib/api/issues.rb, app/models/issue.rb, app/policies/issue_policy.rb.

import { type Body, startTestGitLab, stopAll, type TestGitLab } from './support';

let gitlab: TestGitLab;
let project: Body;
let issues: string;

beforeAll(async () => {
  gitlab = await startTestGitLab();
  project = await gitlab.project('topology');
  issues = `/projects/${project.id}/issues`;
});
afterAll(stopAll);

const titles = async (query: string): Promise<string[]> =>
  (await gitlab.ok('GET', `${issues}?sort=asc&${query}`)).map(({ title }: { title: string }) => title);

describe('issues of a project', () => {
  it('are counted by project, found by state, label, author and words of the title or the description', async () => {
    const pia = await gitlab.user('pia', project.id, 30);
    const first = await gitlab.ok('POST', issues, { title: 'Drift in staging', labels: 'drift,ops' });
    const second = await gitlab.ok('POST', issues, { title: 'Plan', description: 'No drift' }, pia.token);
    expect([first.iid, second.iid]).toEqual([1, 2]);
    await gitlab.ok('PUT', `${issues}/2`, { state_event: 'close' });
    expect(await titles('state=opened')).toEqual(['Drift in staging']);
    expect(await titles('state=closed')).toEqual(['Plan']);
    expect(await titles('state=all')).toEqual(['Drift in staging', 'Plan']);
    expect(await titles('labels=drift,ops')).toEqual(['Drift in staging']);
    expect(await titles('labels=drift,other')).toEqual([]);
    expect(await titles(`author_id=${pia.id}`)).toEqual(['Plan']);
    expect(await titles('search=drift')).toEqual(['Drift in staging', 'Plan']);
    expect(await titles('search=drift&in=title')).toEqual(['Drift in staging']);
    const other = await gitlab.project('other');
    expect((await gitlab.ok('POST', `/projects/${other.id}/issues`, { title: 'Mine' })).iid).toBe(1);
  });

  it('are closed by somebody at some time, and are as open as before when they are reopened', async () => {
    const { iid } = await gitlab.ok('POST', issues, { title: 'Comes and goes' });
    const closed = await gitlab.ok('PUT', `${issues}/${iid}`, { state_event: 'close' });
    expect(closed).toMatchObject({ state: 'closed', closed_by: { username: 'root' } });
    const again = await gitlab.ok('PUT', `${issues}/${iid}`, { state_event: 'close', title: 'Went' });
    expect(again).toMatchObject({ closed_at: closed.closed_at, title: 'Went' });
    expect(await gitlab.ok('PUT', `${issues}/${iid}`, { state_event: 'reopen' })).toMatchObject({
      state: 'opened',
      closed_at: null,
      closed_by: null,
    });
  });

  it.each([
    ['no title', { description: 'x' }, 'title is missing'],
    ['an empty title', { title: ' ' }, 'title is empty'],
    ['what is not covered', { title: 'x', assignee_ids: [1] }, 'assignee_ids is not a parameter'],
    ['a confidential one', { title: 'x', confidential: true }, 'confidential does not have a valid value'],
  ])('400 for %s', async (_name, body, error) => {
    const answer = await gitlab.call('POST', issues, body);
    expect([answer.status, answer.body.error]).toEqual([400, expect.stringContaining(error)]);
  });

  it('400 for a state that no issue has, an edit of nothing, and texts that are too long', async () => {
    const { iid } = await gitlab.ok('POST', issues, { title: 'Strict' });
    expect((await gitlab.call('GET', `${issues}?state=merged`)).status).toBe(400);
    expect((await gitlab.call('PUT', `${issues}/${iid}`, {})).status).toBe(400);
    expect((await gitlab.call('PUT', `${issues}/${iid}`, { state_event: 'merge' })).status).toBe(400);
    const long = await gitlab.call('PUT', `${issues}/${iid}`, { description: 'x'.repeat(1_048_577) });
    expect([long.status, Object.keys(long.body.message)]).toEqual([400, ['description']]);
    expect((await gitlab.call('POST', issues, { title: 'x'.repeat(256) })).status).toBe(400);
    expect((await gitlab.call('POST', `${issues}/${iid}/notes`, { body: '' })).status).toBe(400);
  });

  it('a guest opens one with labels that are there and edits their own only; a reader writes nothing; a stranger sees none', async () => {
    const guest = await gitlab.user('gus', project.id, 10);
    await gitlab.ok('POST', `/projects/${project.id}/labels`, { name: 'seen', color: '#ffffff' });
    const own = await gitlab.ok('POST', issues, { title: 'Broken', labels: 'urgent,seen' }, guest.token);
    expect(own.labels).toEqual(['seen']);
    const relabelled = { title: 'Broken', labels: '' };
    expect((await gitlab.ok('PUT', `${issues}/${own.iid}`, relabelled, guest.token)).labels).toEqual([
      'seen',
    ]);
    expect((await gitlab.call('PUT', `${issues}/${own.iid}`, { title: 'Fixed' }, guest.token)).status).toBe(
      200,
    );
    expect((await gitlab.call('PUT', `${issues}/1`, { title: 'Fixed' }, guest.token)).status).toBe(403);
    const stranger = await gitlab.user('stan');
    expect((await gitlab.call('GET', issues, undefined, stranger.token)).status).toBe(404);
    const reader = await gitlab.ok('POST', `/projects/${project.id}/access_tokens`, {
      name: 'reader',
      scopes: ['read_api'],
      access_level: 40,
    });
    expect((await gitlab.call('GET', issues, undefined, reader.token)).status).toBe(200);
    expect((await gitlab.call('POST', issues, { title: 'x' }, reader.token)).status).toBe(403);
    expect((await gitlab.call('GET', issues, undefined, null)).status).toBe(401);
  });

  it('a project without issues has none', async () => {
    const without = await gitlab.project('without', { issues_access_level: 'disabled' });
    expect((await gitlab.call('GET', `/projects/${without.id}/issues`)).status).toBe(403);
    expect((await gitlab.call('POST', `/projects/${without.id}/issues`, { title: 'x' })).status).toBe(403);
  });
});
