import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { proxyConfig } from '../../../components/autoscaling/proxy';
import { ask, type RealProxy, startProxy } from '../../support/haproxy';

// Against Debian's real HAProxy. The module is a server of Node's that does what each test says.

let folder: string;
let backend: Server;
let modulePort: number;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let proxy: RealProxy;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-proxy-'));
  answer = (_, response) => response.end('served');
  backend = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  modulePort = (backend.address() as AddressInfo).port;
  proxy = await startProxy(folder, modulePort, 2);
});
afterEach(async () => {
  await proxy.stop();
  backend.closeAllConnections();
  backend.close();
  rmSync(folder, { recursive: true, force: true });
});

const REQUESTS = 'haproxy_frontend_http_requests_total';

test('the configuration is taken without a warning', () => {
  const file = join(folder, 'other.cfg');
  for (const concurrency of [1, 100_000]) {
    writeFileSync(
      file,
      proxyConfig({ port: 18080, metricsPort: 18404, modulePort: 8080, concurrency, stopSeconds: 3600 }),
    );
    // -dW: a warning is an error.
    execFileSync('haproxy', ['-c', '-dW', '-f', file], { stdio: 'pipe' });
  }
});

test('requests are counted, and probes are not, which ask the module itself', async () => {
  for (let index = 0; index < 5; index++) expect((await ask(proxy.port, '/')).body).toBe('served');
  await ask(modulePort, '/readyz');
  await ask(proxy.metricsPort, '/ready');
  expect(await proxy.metric(REQUESTS, 'requests')).toBe(5);
});

test('the module knows who asked, and what another proxy said of that stays', async () => {
  answer = (request, response) => response.end(String(request.headers['x-forwarded-for']));
  expect((await ask(proxy.port, '/')).body).toBe('127.0.0.1');
  expect((await ask(proxy.port, '/', { headers: { 'X-Forwarded-For': '10.9.8.7' } })).body).toBe('10.9.8.7');
});

test('what is too much at once waits a second, then is told to come again, and is counted too', async () => {
  answer = (_, response) => setTimeout(() => response.end('served'), 2500);
  const begun = Date.now();
  const times: number[] = [];
  const answers = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const one = await ask(proxy.port, '/');
      if (one.status === 503) times.push(Date.now() - begun);
      return one;
    }),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 503, 503, 503]);
  for (const { headers, status } of answers)
    expect(headers['retry-after']).toBe(status === 503 ? '1' : undefined);
  for (const time of times) expect(time).toBeGreaterThanOrEqual(950);
  expect(await proxy.metric(REQUESTS, 'requests')).toBe(5);
});

test('what waits for less than a second is served', async () => {
  answer = (_, response) => setTimeout(() => response.end('served'), 300);
  const answers = await Promise.all(Array.from({ length: 4 }, () => ask(proxy.port, '/')));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});

test('a request on a connection that the module closes is sent again only where it changes nothing', async () => {
  let asked = 0;
  answer = (request, response) => {
    if (asked++ === 0) request.socket.destroy();
    else response.end('served');
  };
  expect((await ask(proxy.port, '/')).body).toBe('served');
  expect(asked).toBe(2);
  asked = 0;
  expect((await ask(proxy.port, '/', { method: 'POST' })).status).toBe(502);
  expect(asked).toBe(1);
});

test('a module that is away is 503 with Retry-After', async () => {
  backend.close();
  const { status, headers } = await ask(proxy.port, '/');
  expect([status, headers['retry-after']]).toEqual([503, '1']);
});

test('told to stop it finishes what it has, takes nothing new, lets idle connections go, and ends', async () => {
  const idle = connect(proxy.port, '127.0.0.1');
  idle.write('GET / HTTP/1.1\r\nHost: module\r\n\r\n');
  expect(String(await once(idle, 'data').then(([data]) => data))).toContain('served');
  idle.resume();
  const closed = once(idle, 'close');
  answer = (_, response) => setTimeout(() => response.end('served'), 1500);
  const slow = ask(proxy.port, '/', { headers: { Connection: 'keep-alive' } });
  await sleep(300);
  const ended = proxy.drain();
  await closed;
  await expect(ask(proxy.port, '/')).rejects.toThrow();
  const { body, headers } = await slow;
  expect([body, headers.connection]).toEqual(['served', 'close']);
  await ended;
});
