import { FIRST_LABEL } from '../../../catalog/status';
import { ago } from '../../../operations/cli/ago';
import type { Outcome } from '../../../operations/cli/outcome';
import { EXIT } from '../../../operations/cli/refusal';
import { queueShown, readQueues } from '../../../operations/queue';
import { queueOutcome } from '../../../operations/queue/tell';
import { red, sha } from '../../delivery/certificates';
import { gitlabOf, PROJECT, queued, request, type Scene } from '../../delivery/queue/asked';
import { modelOf, soon } from '../../support/model';

// `switchyard queue`: what a person sees of it, by their own token.

const MODEL = modelOf({
  gitlab: `botTokenExpires: "${soon}", projects: { shop: { existing: "${PROJECT}" } }`,
});

const facts = (scene: Scene) => readQueues(MODEL, gitlabOf({ asker: 7, ...scene }).gitlab);
const look = async (scene: Scene) => queueOutcome(await facts(scene));
const status = (description: string, more = {}) => ({
  id: 1,
  status: 'running',
  name: 'switchyard',
  ref: 'b',
  target_url: 'https://jenkins.test/job/1/',
  description,
  created_at: '1970-01-01T01:00:00.000Z',
  ...more,
});

const rows = ({ document }: Outcome) =>
  (document.modules as { requests: Record<string, unknown>[] }[]).flatMap(({ requests }) => requests);

it('has in their order those that queue, with what each is tested with, then those that do not', async () => {
  const people = (username: string) => ({ author: { username } });
  const outcome = await look({
    open: [
      request(5, { title: 'Draft: later', draft: true }),
      request(2, { title: 'second', ...people('bob') }),
      request(1, { title: 'first \u001b[31m', ...people('ann') }),
      request(3, { title: 'hot', labels: [FIRST_LABEL] }),
    ],
    certificates: [queued(1, { baseSha: sha('b') }), queued(2, {}, red), queued(3, { baseSha: sha('b') })],
    labelled: ['+cleo'],
  });
  expect(rows(outcome)).toMatchObject([
    {
      place: 1,
      mergeRequest: 3,
      state: 'testing',
      with: [],
      first: 'cleo',
      since: '1970-01-01T00:00:03.000Z',
    },
    { place: 2, mergeRequest: 1, state: 'testing', with: [3], author: 'ann' },
    { place: 3, mergeRequest: 2, with: [3, 1], author: 'bob' },
    { mergeRequest: 5, state: 'held', why: 'it is a draft' },
  ]);
  expect(outcome.exitCode).toBeUndefined();
  const text = outcome.lines.join('\n');
  expect(text).toContain('3 in the queue; 4 tested side by side, 8 at most');
  expect(text).toMatch(/^ {2}1 +!3 +83 min +- +put first by cleo; to be tested/m);
  // What its author wrote moves no cursor.
  expect(text).not.toContain('\u001b');
});

it('says what a build says now, and not what one said when it came to wait', async () => {
  const scene = { open: [request(1)], certificates: [queued(1, { baseSha: sha('b') })] };
  const says = async (statuses: Scene['statuses']) => rows(await look({ ...scene, statuses }))[0]?.says;
  expect(await says([status('testing the merge result with main, !4')])).toBe(
    'testing the merge result with main, !4',
  );
  expect(await says([status('in the queue: place 3 of 3; passed')])).toMatch(/^to be tested/);
  expect(await says([status('red', { status: 'failed' })])).toMatch(/^to be tested/);
});

it('is no queue where people merge, and what cannot be read hides nothing else', async () => {
  const { gitlab } = gitlabOf({ asker: 7 });
  const broken = {
    ...gitlab,
    openMergeRequests: () => Promise.reject(new Error('GitLab answered 403.\nmore')),
  };
  const outcome = queueOutcome(await readQueues(MODEL, broken));
  expect(outcome).toMatchObject({ exitCode: EXIT.unread, document: { modules: [] } });
  expect(outcome.lines.join('\n')).toContain('GitLab answered 403.');
  expect(outcome.lines.join('\n')).not.toContain('more');
  const idle = { environment: 'lab', at: '2026-01-01T00:00:00.000Z', problems: [], modules: [] };
  const why = 'no reconciler runs beside a Jenkins that was there before (jenkins.existing)';
  expect(queueOutcome({ ...idle, without: [{ module: 'orders', why }] }).lines).toEqual([
    'no merge request is open in lab',
    `no queue is kept for orders (docs/gate.md): ${why}`,
  ]);
});

it('a watch tells all of it again when anything of it changed', () => {
  const { changes, screen } = queueShown('lab');
  const outcome = (...lines: string[]): Outcome => ({ document: {}, lines });
  expect(changes(outcome('one', 'two'))).toEqual(['one\ntwo\n']);
  expect(changes(outcome('one', 'two'))).toEqual([]);
  expect(changes(outcome('one'))).toEqual(['one\n']);
  expect(screen(outcome('one', 'two'), { columns: 80, rows: 24 })).toEqual(['one', 'two']);
});

it('times are told in the largest unit that fits', () => {
  const now = '2026-01-10T00:00:00.000Z';
  expect(
    [
      '2026-01-10T00:00:30.000Z',
      '2026-01-09T23:58:00.000Z',
      '2026-01-09T20:00:00.000Z',
      '2026-01-01T00:00:00.000Z',
    ].map((since) => ago(since, now)),
  ).toEqual(['0 min', '2 min', '4 h', '9 d']);
});
