import {
  type Drift,
  decide,
  describe as describeIssue,
  type Found,
  fingerprint,
  keepIssue,
} from '../../../delivery/drift/issue';
import { closeUnseen, keepUnseen } from '../../../delivery/drift/unseen';
import type { PodWords } from '../../../delivery/pod-words';
import { makeWorld, type World } from '../world';

const MARKER = '<!-- switchyard:drift:test -->';
const BUILD = 'https://jenkins.test/job/switchyard/job/topology-drift/7/';
const field = { path: 'spec.replicas', declared: '2', live: '5' };

const resource = (name: string, more: object = {}) => ({
  urn: `urn:pulumi:test::switchyard::x::${name}`,
  gone: false,
  fields: [field],
  ...more,
});

function found(resources: Drift['resources'], more: Partial<Found> = {}): Found {
  const drift = { environment: 'test', checkedAt: '2026-11-24T03:47:00.000Z', resources };
  const rows = resources.map(({ urn }) => `| ${urn} | 2 | 5 |`);
  return {
    drift,
    note: [MARKER, '### Drift of test', '', ...rows, ''].join('\n'),
    build: BUILD,
    artifact: 'drift-test.md',
    ...more,
  };
}

describe('what becomes of the issue', () => {
  const one = found([resource('a')]);
  const two = found([resource('a'), resource('b')]);
  const told = describeIssue(one);

  test('the first drift opens it, with the note and the build', () => {
    expect(decide(undefined, one)).toEqual({ do: 'open', description: told });
    expect(told.startsWith(`${MARKER}\n### Drift of test`)).toBe(true);
    expect(told).toContain(`[this look](${BUILD})`);
  });

  test('the same drift leaves it as it is, another one edits it', () => {
    expect(decide({ state: 'opened', description: told }, one)).toEqual({ do: 'nothing' });
    expect(decide({ state: 'opened', description: told }, two)).toMatchObject({ do: 'edit' });
    expect(decide({ state: 'opened', description: 'somebody wrote all over it' }, one)).toMatchObject({
      do: 'edit',
      description: told,
    });
  });

  test('no drift closes an open one with a word, and needs none where there is none or a closed one', () => {
    expect(decide({ state: 'opened', description: told }, found([]))).toEqual({
      do: 'close',
      word: expect.stringContaining('No drift any more at 2026-11-24T03:47:00.000Z'),
    });
    expect(decide({ state: 'closed', description: told }, found([]))).toEqual({ do: 'nothing' });
    expect(decide(undefined, found([]))).toEqual({ do: 'nothing' });
  });

  test('drift that comes back reopens a closed one, also when it is the same and a person closed it', () => {
    expect(decide({ state: 'closed', description: told }, two)).toMatchObject({ do: 'reopen' });
    expect(decide({ state: 'closed', description: told }, one)).toMatchObject({
      do: 'reopen',
      description: told,
    });
  });
});

describe('the same drift', () => {
  const of = (...resources: Drift['resources']) => fingerprint(found(resources).drift);

  test('is the same at another time, in another order, by whomever', () => {
    const later = { ...found([resource('a')]).drift, checkedAt: '2026-11-25T03:47:00.000Z' };
    expect(fingerprint(later)).toBe(of(resource('a')));
    expect(of(resource('b'), resource('a'))).toBe(of(resource('a'), resource('b')));
    const by = { who: 'someone, last active', at: '2026-11-24T00:00:00Z' };
    expect(of(resource('a', { by, fields: [{ ...field, by }] }))).toBe(of(resource('a')));
  });

  test('is another with another value, field, resource, or when a thing is gone', () => {
    const others = [
      of(resource('a', { fields: [{ ...field, live: '6' }] })),
      of(resource('a', { fields: [{ ...field, path: 'spec.other' }] })),
      of(resource('b')),
      of(resource('a', { gone: true, fields: [] })),
      of(),
    ];
    expect(new Set([of(resource('a')), ...others]).size).toBe(6);
  });
});

test('a note that is too long ends with a whole line and says where the rest is', () => {
  const many = found(Array.from({ length: 200 }, (_, index) => resource(`r${index}`)));
  const text = describeIssue(many, 3000);
  expect(text.length).toBeLessThanOrEqual(3000);
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  expect(rows.length).toBeGreaterThan(20);
  for (const row of rows) expect(row).toMatch(/^\| urn.* \| 2 \| 5 \|$/);
  expect(text).toContain(`More does not fit here: [drift-test.md](${BUILD}artifact/drift-test.md)`);
  // Whole or cut, it is known again.
  expect(decide({ state: 'opened', description: text }, many)).toEqual({ do: 'nothing' });
});

describe('in GitLab', () => {
  let world: World;
  const project = 'switchyard/orders';
  beforeAll(async () => {
    world = await makeWorld();
  });
  afterAll(() => world.close());

  interface Shown {
    iid: number;
    state: string;
    title: string;
    description: string;
    labels: string[];
  }
  const issues = async (): Promise<Shown[]> =>
    (await world.api(
      'GET',
      `/projects/${encodeURIComponent(project)}/issues?sort=asc`,
    )) as unknown as Shown[];
  const words = async (iid: number) =>
    (
      (await world.api('GET', `/projects/${encodeURIComponent(project)}/issues/${iid}/notes`)) as unknown as {
        body: string;
      }[]
    ).map(({ body }) => body);
  const keep = (...resources: Drift['resources']) =>
    keepIssue(world.context.gitlab, project, found(resources));

  test('an issue that a person opened beforehand hides no drift, whatever it says', async () => {
    const other = 'switchyard/release-ledger';
    const drift = found([resource('hidden')]);
    const path = `/projects/${encodeURIComponent(other)}/issues`;
    const body = { title: 'Drift in test', description: describeIssue(drift), labels: 'switchyard-drift' };
    await world.api('POST', path, body);
    expect(await keepIssue(world.context.gitlab, other, drift)).toEqual({ did: 'open', iid: 2 });
    expect(await keepIssue(world.context.gitlab, other, drift)).toEqual({ did: 'nothing', iid: 2 });
  });

  test('one issue lives through opening, the same again, an edit, closing and coming back', async () => {
    expect(await keep()).toEqual({ did: 'nothing' });
    expect(await issues()).toEqual([]);
    expect(await keep(resource('a'))).toEqual({ did: 'open', iid: 1 });
    const [first] = await issues();
    expect(first).toMatchObject({ title: 'Drift in test', state: 'opened', labels: ['switchyard-drift'] });
    expect(await keep(resource('a'))).toEqual({ did: 'nothing', iid: 1 });
    expect(await issues()).toEqual([first]);
    expect(await keep(resource('a'), resource('b'))).toEqual({ did: 'edit', iid: 1 });
    expect(await keep()).toEqual({ did: 'close', iid: 1 });
    expect(await words(1)).toEqual([expect.stringContaining('No drift any more')]);
    expect(await keep()).toEqual({ did: 'nothing', iid: 1 });
    expect(await keep(resource('b'))).toEqual({ did: 'reopen', iid: 1 });
    const [last, ...others] = await issues();
    expect(others).toEqual([]);
    expect(last).toMatchObject({ state: 'opened', description: expect.stringContaining('::b |') });
    expect(last?.description).not.toContain('::a |');
    expect(await words(1)).toHaveLength(1);
  });

  test("another environment's issue and one without the label are left alone", async () => {
    const other = `/projects/${encodeURIComponent(project)}/issues`;
    await world.api('POST', other, {
      title: 'Drift in staging',
      description: '<!-- switchyard:drift:staging -->',
      labels: 'switchyard-drift',
    });
    await world.api('POST', other, { title: 'Drift in test', description: MARKER });
    expect(await keep()).toEqual({ did: 'close', iid: 1 });
    expect((await issues()).map(({ state }) => state)).toEqual(['closed', 'opened', 'opened']);
  });

  test('an environment that could not be looked at has an issue of its own, until it is looked at again', async () => {
    const unseen = (start?: PodWords) =>
      keepUnseen(world.context.gitlab, project, { environment: 'test', build: BUILD, start });
    const start = {
      why: 'no agent started within 15 minutes (FailedScheduling)',
      pods: [{ name: 'drift-1', events: ['FailedScheduling: @all <!-- x'], log: [] }],
    };
    const before = (await issues()).length;
    const { did, iid } = await unseen(start);
    expect(did).toBe('open');
    const shown = async () => (await issues()).find((one) => one.iid === iid);
    expect(await shown()).toMatchObject({ state: 'opened', title: 'Drift of test cannot be looked for' });
    expect((await shown())?.description).toContain(
      '- <code>FailedScheduling&#58; &#64;<span></span>all &#60;&#33;<span></span>-- x</code>',
    );
    expect(await unseen()).toEqual({ did: 'edit', iid });
    expect((await shown())?.description).not.toContain('FailedScheduling');
    // The one about drift is another one.
    await keep(resource('z'));
    expect((await shown())?.description).toContain('could not be looked at');
    for (const _ of [1, 2])
      await closeUnseen(world.context.gitlab, project, { environment: 'test', build: BUILD });
    expect(await shown()).toMatchObject({ state: 'closed' });
    expect(await words(iid)).toEqual([`It was looked at again ([look](${BUILD})).`]);
    expect(await unseen(start)).toEqual({ did: 'reopen', iid });
    expect((await issues()).length).toBeLessThanOrEqual(before + 2);
  });
});
