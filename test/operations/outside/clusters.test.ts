import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterOf } from '../../../operations/outside/clusters';
import { gitlabOf } from '../../../operations/outside/gitlab';
import { modelOf } from '../../support/model';

const pod = { namespace: 'prod-orders', name: 'orders-1', container: 'orders' };
const which = { lines: 30, previous: true };
const folder = mkdtempSync(join(tmpdir(), 'switchyard-outside-'));
const before = process.env.KUBECONFIG;
let server: Server;
let statuses: number[] = [];
let asked = 0;

beforeAll(async () => {
  server = createServer((_request, response) => {
    asked += 1;
    const status = statuses.shift() ?? 200;
    response.writeHead(status, { 'content-type': status === 200 ? 'text/plain' : 'application/json' });
    response.end(status === 200 ? 'its last line' : '{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = join(folder, 'kubeconfig');
  writeFileSync(
    file,
    `clusters: [{ name: c, cluster: { server: "${url}", insecure-skip-tls-verify: true } }]
contexts: [{ name: one, context: { cluster: c, user: u } }]
users: [{ name: u, user: { token: t } }]
`,
  );
  process.env.KUBECONFIG = file;
});
afterAll(async () => {
  if (before === undefined) delete process.env.KUBECONFIG;
  else process.env.KUBECONFIG = before;
  rmSync(folder, { recursive: true, force: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  asked = 0;
});

const { settings } = modelOf({ clusters: 'ci: { context: one }, production: { context: one }' });

test('a log is asked for again when the API server is busy, and once when there is none', async () => {
  statuses = [503, 429];
  expect(await clusterOf(settings, 'production').log(pod, which)).toBe('its last line');
  expect(asked).toBe(3);
  statuses = [400];
  expect(await clusterOf(settings, 'production').log(pod, which)).toBeUndefined();
  statuses = [403];
  await expect(clusterOf(settings, 'production').log(pod, which)).rejects.toThrow('403');
  expect(asked).toBe(5);
});

describe('the environment’s GitLab', () => {
  let gitlab: Server;
  let answers: { status: number; next?: string }[];
  let heard: string[];
  let ask: ReturnType<typeof gitlabOf>;

  beforeAll(async () => {
    gitlab = createServer((request, response) => {
      heard.push(`${request.method} ${request.url}`);
      const { status, next } = answers.shift() ?? { status: 200 };
      response.writeHead(status, {
        'content-type': 'application/json',
        'retry-after': '0',
        ...(next ? { 'x-next-page': next } : {}),
      });
      response.end(status === 204 ? undefined : JSON.stringify([heard.length]));
    });
    await new Promise<void>((resolve) => gitlab.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(gitlab.address() as AddressInfo).port}`;
    ask = gitlabOf({ ...settings, gitlab: { ...settings.gitlab, url } }, 'token');
  });
  afterAll(async () => {
    gitlab.closeAllConnections();
    await new Promise((resolve) => gitlab.close(resolve));
  });
  beforeEach(() => {
    heard = [];
    answers = [];
  });

  test('is asked for one page of a list where one is enough, and else for all', async () => {
    answers = [{ status: 200, next: '2' }];
    expect(await ask.page('projects/1/repository/commits?per_page=1')).toEqual([1]);
    expect(heard).toHaveLength(1);
    heard = [];
    answers = [{ status: 200, next: '2' }];
    expect(await ask.get('projects/1/hooks')).toEqual([1, 2]);
  });
  test('carries out what it had too many requests for, and is not asked twice for what it may have done', async () => {
    answers = [{ status: 429 }, { status: 201 }];
    expect(await ask.post('projects/1/issues', { title: 'x' })).toEqual([2]);
    heard = [];
    answers = [{ status: 502 }];
    await expect(ask.post('projects/1/issues', { title: 'x' })).rejects.toThrow('GitLab answers 502 to POST');
    expect(heard).toHaveLength(1);
  });
  test('is asked again for what reads or removes', async () => {
    answers = [{ status: 502 }, { status: 204 }];
    await ask.remove('projects/1/hooks/2');
    answers = [{ status: 503 }, { status: 404 }];
    expect(await ask.get('projects/2')).toBeUndefined();
    expect(heard).toHaveLength(4);
  });
});
