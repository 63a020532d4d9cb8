import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GitLabApi, NO_JSON } from '../../clients/gitlab-api';

interface Answer {
  readonly status: number;
  readonly next?: string;
  readonly to?: string;
  readonly body?: string;
}

let server: Server;
let url: string;
let answers: Answer[];
let heard: string[];

beforeAll(async () => {
  server = createServer((request, response) => {
    heard.push(`${request.method} ${request.url}`);
    const { status, next, to, body } = answers.shift() ?? { status: 200 };
    response.writeHead(status, {
      'content-type': 'application/json',
      'retry-after': '0',
      ...(next === undefined ? {} : { 'x-next-page': next }),
      ...(to === undefined ? {} : { location: to }),
    });
    response.end(status === 204 ? undefined : (body ?? JSON.stringify([heard.length])));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  heard = [];
  answers = [];
});

const policy = { attempts: 4, baseMs: 1, capMs: 1 };
const api = () => new GitLabApi({ url: `${url}/`, token: 'token', policy });

test('one page of a list is read where one is enough, and else all, whatever the path asks for besides', async () => {
  answers = [{ status: 200, next: '2' }];
  expect(await api().page('projects/1/repository/commits?per_page=1')).toEqual([1]);
  expect(heard).toEqual(['GET /api/v4/projects/1/repository/commits?per_page=1']);
  heard = [];
  answers = [
    { status: 200, next: '2' },
    { status: 200, next: '' },
  ];
  expect(await api().get('projects/1/hooks')).toEqual([1, 2]);
  expect(heard).toEqual(['GET /api/v4/projects/1/hooks', 'GET /api/v4/projects/1/hooks?page=2']);
  heard = [];
  answers = [{ status: 200, next: '3' }];
  expect(await api().get('projects/1/labels?per_page=100')).toEqual([1, 2]);
  expect(heard[1]).toBe('GET /api/v4/projects/1/labels?per_page=100&page=3');
});

test('a list whose next page is none is a fault; what is no list comes as it is', async () => {
  answers = [{ status: 200, next: '2' }, { status: 404 }];
  await expect(api().get('projects/1/hooks')).rejects.toThrow('page 2 of projects/1/hooks is not a list');
  answers = [{ status: 200, body: '{"id":7}' }];
  expect(await api().get('groups/1')).toEqual({ id: 7 });
});

test('what is not there is undefined, whoever asks, and removing it is no fault', async () => {
  answers = [404, 404, 404, 404].map((status) => ({ status }));
  expect(await api().get('projects/2')).toBeUndefined();
  expect(await api().page('projects/2')).toBeUndefined();
  expect(await api().text('projects/2/repository/files/a/raw')).toBeUndefined();
  await api().remove('projects/1/hooks/2');
  expect(heard).toHaveLength(4);
});

test('a file comes as it is, without being taken for JSON', async () => {
  answers = [{ status: 200, body: 'modules: {}\n' }];
  expect(await api().text('projects/1/repository/files/lab.yaml/raw?ref=main')).toBe('modules: {}\n');
});

test('what had too many requests is carried out, and what may have been done is not asked for twice', async () => {
  answers = [{ status: 429 }, { status: 201 }];
  expect(await api().post('projects/1/issues', { title: 'x' })).toEqual([2]);
  heard = [];
  answers = [{ status: 502, body: '{"message":"away"}' }];
  await expect(api().post('projects/1/issues', { title: 'x' })).rejects.toThrow(
    'GitLab: POST /projects/1/issues answered 502 (away).',
  );
  expect(heard).toHaveLength(1);
});

test('what reads or removes is asked again', async () => {
  answers = [{ status: 502 }, { status: 204 }];
  await api().remove('projects/1/hooks/2');
  answers = [{ status: 503 }, { status: 404 }];
  expect(await api().get('projects/2')).toBeUndefined();
  expect(heard).toHaveLength(4);
});

test('an answer that sends on is followed within GitLab, as of what was renamed, unless the caller says otherwise', async () => {
  answers = [{ status: 301, to: '/api/v4/projects/1' }];
  expect(await api().get('projects/old%2Fshop')).toEqual([2]);
  heard = [];
  answers = [{ status: 301, to: '/api/v4/projects/1' }];
  const strict = new GitLabApi({ url, token: 'token', policy: { attempts: 1 } }, 'error');
  await expect(strict.get('projects/old%2Fshop')).rejects.toMatchObject({ status: 0 });
  expect(heard).toEqual(['GET /api/v4/projects/old%2Fshop']);
});

test('what answers with no JSON is told as no GitLab, and its address with it', async () => {
  answers = [{ status: 200, body: '<html>' }];
  const fault = await api()
    .get('projects/1')
    .catch((error: unknown) => error);
  expect(fault).toMatchObject({
    status: NO_JSON,
    message: `GitLab: what answers at ${url}/ is no GitLab: GET /projects/1 gives no JSON. Check the address, and what stands between.`,
  });
});

test('a token that may not is told what it lacks, and stands in no fault', async () => {
  answers = [{ status: 403, body: '{"message":"403 Forbidden"}' }];
  const fault: unknown = await new GitLabApi({ url, token: 'glpat-a-secret', policy })
    .get('projects/1')
    .catch((error: unknown) => error);
  expect(String(fault)).toContain('answered 403 (403 Forbidden). Check that GITLAB_TOKEN is valid');
  expect(JSON.stringify(fault)).not.toContain('glpat');
});
