import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterOf } from '../../../operations/outside/clients';
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
