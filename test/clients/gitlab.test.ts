import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { dependsOn } from '../../catalog/depends-on';
import { GitLab } from '../../clients/gitlab';
import { GitLabError, isUnheard } from '../../clients/gitlab-api';
import type { Clock, Policy } from '../../clients/retry';

// The named requests of GitLab, driven by a server that answers as a GitLab does which is busy, away or cut off.

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: Record<string, unknown>;
}

let server: Server;
let url: string;
let asked: Asked[];
let pauses: number[];
/** Gets the number of the request, from 1. */
let answer: (response: ServerResponse, count: number, request: IncomingMessage) => void;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    asked.push({
      method: request.method ?? '',
      path: (request.url ?? '').replace('/api/v4', ''),
      body: text ? JSON.parse(text) : {},
    });
    answer(response, asked.length, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  asked = [];
  pauses = [];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

let now = Date.parse('2026-11-30T00:00:00Z');
const clock: Clock = {
  now: () => now,
  sleep: async (ms) => {
    pauses.push(ms);
    now += ms;
  },
  random: () => 0,
};
const gitlab = (policy: Partial<Policy> = {}) => new GitLab({ url, token: 'token', clock, policy });
const json = (response: ServerResponse, status: number, body: unknown, headers: object = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};
/** The first answers are these, then the last one. */
const inTurn =
  (...answers: ((response: ServerResponse) => void)[]): typeof answer =>
  (response, count) =>
    answers[Math.min(count, answers.length) - 1]?.(response);
const failing =
  (status: number, message = '', headers: object = {}) =>
  (response: ServerResponse): void =>
    json(response, status, { message }, headers);
const me = (response: ServerResponse): void => json(response, 200, { id: 5 });
const cut = (response: ServerResponse): void => {
  response.socket?.destroy();
};
const rejected = async (promise: Promise<unknown>): Promise<GitLabError> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof GitLabError) return error;
    throw error;
  }
  throw new Error('expected an error of GitLab');
};

describe('a read', () => {
  test.each<[string, (response: ServerResponse) => void]>([
    ['500', failing(500)],
    ['502', failing(502)],
    ['503', failing(503)],
    ['504', failing(504)],
    ['429', failing(429)],
    ['a cut', cut],
    [
      'half a body',
      (response) => {
        response.writeHead(200, { 'content-length': '99' }).write('{"id"');
        setTimeout(() => response.socket?.destroy(), 5);
      },
    ],
  ])('that meets %s is tried again', async (_what, then) => {
    answer = inTurn(then, then, me);
    expect(await gitlab().ownId()).toBe(5);
    expect(asked.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET']);
  });

  test.each([400, 401, 403, 404, 409, 422])('that is refused with %i is not', async (status) => {
    answer = inTurn(failing(status, 'no'));
    expect(await rejected(gitlab().ownId())).toMatchObject({ status, detail: 'no' });
    expect(asked).toHaveLength(1);
  });

  test('waits as long as GitLab asks, and no longer than it is worth', async () => {
    answer = inTurn(failing(429, '', { 'retry-after': '7' }), me);
    expect(await gitlab().ownId()).toBe(5);
    expect(pauses).toEqual([7000]);
    answer = inTurn(failing(503, '', { 'retry-after': new Date(now + 9000).toUTCString() }));
    asked = [];
    pauses = [];
    expect(await rejected(gitlab({ totalMs: 8000 }).ownId())).toMatchObject({ status: 503 });
    expect([asked.length, pauses]).toEqual([1, []]);
  });

  test('of a list takes every page, 100 rows each; a page that fails is asked for again', async () => {
    const note = (id: number) => ({ id, body: 'x', author: { id: 1 } });
    let away = true;
    answer = (response, _count, request) => {
      const page = new URL(request.url ?? '', url).searchParams.get('page') ?? '1';
      if (page === '2' && away) {
        away = false;
        failing(502)(response);
      } else {
        json(response, 200, [note(Number(page))], { 'x-next-page': { 1: '2', 2: '3' }[page] ?? '' });
      }
    };
    expect((await gitlab().notes('switchyard/orders', 3, () => true)).map(({ id }) => id)).toEqual([1, 2, 3]);
    const base =
      '/projects/switchyard%2Forders/merge_requests/3/notes?sort=asc&order_by=created_at&per_page=100';
    expect(asked.map(({ path }) => path)).toEqual([
      base,
      `${base}&page=2`,
      `${base}&page=2`,
      `${base}&page=3`,
    ]);
  });
});

// What authors write into their own merge request is read for all modules by one process of little memory.
describe('of what people write', () => {
  const MOST = 8 << 20;
  /** As many characters as GitLab takes, as it writes them. */
  const longest = '\\u003c'.repeat(1 << 20);
  const row = (iid: number, description: string): string =>
    `{"id":1,"iid":${iid},"state":"opened","sha":"${'b'.repeat(40)}","title":"x","description":"${description}","source_branch":"x","target_branch":"main","source_project_id":1,"target_project_id":1}`;
  /** A list of rows, each page as GitLab gives it. */
  const paged =
    (rows: readonly string[]): typeof answer =>
    (response, _count, { url: path }) => {
      const query = new URL(path ?? '', url).searchParams;
      const [page, size] = [Number(query.get('page') ?? 1), Number(query.get('per_page'))];
      const next = page * size < rows.length ? String(page + 1) : '';
      const body = `[${rows.slice((page - 1) * size, page * size).join(',')}]`;
      response.writeHead(200, { 'x-next-page': next }).end(body);
    };
  const sizes = () => [...new Set(asked.map(({ path }) => /per_page=(\d+)/.exec(path)?.[1]))];

  test('no list is too large to be read, and of a description no more is kept than it may depend on', async () => {
    const rest = `${'x'.repeat(1 << 20)}\ndepends-on: !7\r\n  Depends-On: shop/a!8`;
    answer = paged([1, 2].map((iid) => row(iid, iid === 2 ? JSON.stringify(rest).slice(1, -1) : 'short')));
    const [one, two] = await gitlab().openMergeRequests('switchyard/orders', 'main');
    expect(sizes()).toEqual(['100']);
    expect(one?.description).toBe('short');
    expect(two?.description?.length).toBeLessThan(20_000);
    const where = { gitlabUrl: url, project: 'shop/b', projects: ['shop/a'] };
    expect(dependsOn(two?.description ?? '', where)).toEqual(dependsOn(rest, where));

    asked = [];
    answer = paged([1, 2].map((iid) => row(iid, longest)));
    const all = await gitlab().openMergeRequests('switchyard/orders', 'main');
    expect(all.map(({ iid }) => iid)).toEqual([1, 2]);
    expect(sizes()).toEqual(['100', '10', '1']);

    answer = paged(Array.from({ length: 120 }, (_, index) => row(index, 'short')));
    expect(await gitlab().mergedOfLate('switchyard/orders', 'main')).toHaveLength(20);
  });

  test('a description says that it depends on the same, however much stands around it', () => {
    const line = fc.constantFrom('Depends-On: !3', ' depends-on: a/b!4', 'Depends-On: x', 'text', '', '\r');
    const filler = fc.integer({ min: 0, max: 3 }).map((times) => 'f'.repeat(times * 8000));
    const where = { gitlabUrl: url, project: 'a/c', projects: ['a/b'] };
    return fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(line, filler), { maxLength: 60 }), async (lines) => {
        const whole = lines.join('\n');
        answer = (response) => response.end(row(1, JSON.stringify(whole).slice(1, -1)));
        const { description } = await gitlab().mergeRequest('a/c', 1);
        const [is, was] = [dependsOn(description ?? '', where), dependsOn(whole, where)];
        expect([is.needs, is.faults.length]).toEqual([was.needs, was.faults.length]);
      }),
      { numRuns: 100 },
    );
  });

  test.each([
    ['committers', true, false, 1],
    ['commits', false, true, 20],
  ])(
    'of more %s than are read nobody says who they are, and the queue goes on',
    async (_what, committers, commits, most) => {
      const mergeRequest = {
        author: { id: 'gid://gitlab/User/1' },
        committers: { nodes: [], pageInfo: { hasNextPage: committers } },
        commits: { nodes: [], pageInfo: { hasNextPage: commits, endCursor: 'x' } },
      };
      answer = (response) => json(response, 200, { data: { project: { mergeRequest } } });
      expect(await gitlab().people('a/b', 1)).toBeUndefined();
      expect(asked).toHaveLength(most);
    },
  );

  test('notes of others are dropped page by page', async () => {
    const note = (id: number, author: number): string =>
      `{"id":${id},"body":"${longest}","author":{"id":${author}}}`;
    answer = paged([note(1, 6), note(2, 5)]);
    const kept = await gitlab().notes('switchyard/orders', 3, ({ author }) => author.id === 5);
    expect(kept.map(({ id }) => id)).toEqual([2]);
    expect(sizes()).toEqual(['100', '10', '1']);
  });

  test('an answer without an end is left, and not asked for again', async () => {
    let sent = 0;
    answer = (response) => {
      const more = (): void => {
        sent += 1 << 16;
        if (!response.destroyed) response.write('x'.repeat(1 << 16), () => setImmediate(more));
      };
      more();
    };
    await expect(gitlab().ownId()).rejects.toThrow(
      'GitLab: GET /user answered with more than 8388608 bytes.',
    );
    expect(asked).toHaveLength(1);
    expect(sent).toBeLessThan(4 * MOST);
  });
});

describe('a status', () => {
  const status = { state: 'running' as const, ref: 'feature', description: 'testing' };
  const sha = 'b'.repeat(40);
  const post = (more: object = {}) => gitlab().setStatus('switchyard/orders', sha, { ...status, ...more });
  const taken = (response: ServerResponse): void => json(response, 201, {});

  test.each([409, 502, 429])('that meets %i is posted again: twice changes nothing', async (code) => {
    answer = inTurn(failing(code), taken);
    await post();
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual(
      Array(2).fill(`POST /projects/switchyard%2Forders/statuses/${sha}`),
    );
  });

  // GitLab's database takes neither (PostgreSQL's text; half a pair is no UTF-8), and a status that is refused never ends.
  test('says nothing that GitLab cannot keep: no half of a pair, and no NUL', async () => {
    answer = taken;
    await post({ description: `${'x'.repeat(254)}😀` });
    await post({ description: 'a\0b\ud800c\nd' });
    expect(asked.map(({ body }) => body.description)).toEqual([`${'x'.repeat(254)}😀`, 'a b\ufffdc d']);
  });

  test('that is what it is to become already is well; anything else that is refused is told', async () => {
    answer = inTurn(failing(400, 'Cannot transition status via :run from :running'));
    await post();
    answer = inTurn(failing(400, 'name is too long'));
    expect(await rejected(post())).toMatchObject({ status: 400, detail: 'name is too long' });
    expect(asked).toHaveLength(2);
  });

  test('leads to its build by at most 255 characters, and has as many of its words', async () => {
    answer = inTurn(taken);
    const address = `http://jenkins.example/${'x'.repeat(255 - 'http://jenkins.example/'.length)}`;
    await post({ targetUrl: address, description: 'd'.repeat(300) });
    await post({ targetUrl: `${address}x` });
    expect(asked[0]?.body).toMatchObject({ target_url: address, description: 'd'.repeat(255) });
    expect(asked[1]?.body).toEqual({
      state: 'running',
      ref: 'feature',
      name: 'switchyard',
      description: 'testing',
    });
  });
});

describe('what a second time would do twice', () => {
  test.each([502, 503, 500, 0])('is sent once, whatever becomes of it (%i)', async (status) => {
    answer = inTurn(status === 0 ? cut : failing(status));
    for (const send of [
      () => gitlab().createNote('switchyard/orders', 3, 'x'),
      () => gitlab().merge('switchyard/orders', 3, 'b'.repeat(40)),
      () => gitlab().rebase('switchyard/orders', 3),
      () => gitlab().openIssue('switchyard/orders', { title: 't', description: 'd', labels: 'l' }),
      () => gitlab().commitFile('switchyard/orders', { branch: 'main', path: 'a', text: 'b', message: 'm' }),
    ]) {
      asked = [];
      const error = await rejected(send());
      expect([error.status, isUnheard(error), asked.length]).toEqual([status, true, 1]);
    }
  });

  test('is sent again where GitLab took nothing of it: too many requests', async () => {
    answer = inTurn(failing(429, '', { 'retry-after': '2' }), (response) => json(response, 201, {}));
    await gitlab().createNote('switchyard/orders', 3, 'x');
    expect([asked.length, pauses]).toEqual([2, [2000]]);
  });

  test('is sent again where it changes nothing more: what a note or an issue is to say', async () => {
    for (const edit of [
      () => gitlab().editNote('switchyard/orders', 3, 9, 'x'),
      () => gitlab().editIssue('switchyard/orders', 3, { description: 'x' }),
    ]) {
      asked = [];
      answer = inTurn(failing(502), cut, (response) => json(response, 200, {}));
      await edit();
      expect(asked.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'PUT']);
    }
  });
});

test('GitLab’s clock is that of its last answer', async () => {
  const client = gitlab();
  expect(client.time).toBe(now);
  answer = inTurn((response) => json(response, 200, { id: 5 }, { date: 'Mon, 30 Nov 2026 10:00:00 GMT' }));
  await client.ownId();
  expect(client.time).toBe(Date.parse('2026-11-30T10:00:00Z'));
});

test('an answer of something else than GitLab is told as such', async () => {
  answer = inTurn((response) => response.writeHead(200).end('<html>login</html>'));
  await expect(gitlab().ownId()).rejects.toThrow(/the answer of \/user is not understood/);
});

// The last one: what was given up may still come in afterwards.
test('a read that gets no answer in time ends, and is tried again', async () => {
  answer = (response, count) => (count > 1 ? me(response) : undefined);
  expect(await gitlab({ attemptMs: 2000 }).ownId()).toBe(5);
  expect(asked).toHaveLength(2);
  answer = () => undefined;
  const error = await rejected(gitlab({ attemptMs: 60, attempts: 2 }).ownId());
  expect(error.status).toBe(0);
  expect(error.message).toMatch(/cannot be reached \(.*timeout.*\)/);
  expect(isUnheard(error)).toBe(true);
});
