import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry, RegistryAway } from '../../clients/registry';
import { openRegistry } from '../../delivery/open-registry';

// A registry that notes what it is asked for, and has one repository below a path and one beside it.
let server: Server;
let asked: string[];
let host: string;

const MANIFEST = JSON.stringify({ schemaVersion: 2 });

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const lists: Record<string, object> = {
      '/v2/_catalog?n=1000': {
        repositories: ['modules/shop', 'team/ci/modules/shop', 'team/cider/modules/shop'],
      },
      '/v2/team/ci/modules/shop/tags/list?n=1000': { tags: ['one'] },
      '/v2/modules/shop/tags/list?n=1000': { tags: ['one'] },
    };
    const list = lists[request.url ?? ''];
    response.statusCode = request.method === 'PUT' ? 201 : request.method === 'DELETE' ? 202 : 200;
    response.end(list ? JSON.stringify(list) : MANIFEST);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  asked = [];
});

const registryAt = (path: string) => openRegistry({ REGISTRY: `${host}${path}`, REGISTRY_PLAIN_HTTP: true });

test('with a path, repositories are asked for and named below it', async () => {
  const registry = registryAt('/team/ci');
  expect(await registry.repositories()).toEqual(['modules/shop']);
  const [image] = await registry.images('modules/shop');
  await registry.tag('modules/shop', String(image?.digest), 'release');
  await registry.remove('modules/shop', String(image?.digest));
  expect(asked.slice(1).map((line) => line.split('/modules/')[0])).toEqual([
    'GET /v2/team/ci',
    'GET /v2/team/ci',
    'GET /v2/team/ci',
    'PUT /v2/team/ci',
    'DELETE /v2/team/ci',
  ]);
});

test('without one they stand at the root, and all are listed', async () => {
  const registry = registryAt('');
  expect(await registry.repositories()).toEqual([
    'modules/shop',
    'team/ci/modules/shop',
    'team/cider/modules/shop',
  ]);
  await registry.images('modules/shop');
  expect(asked.slice(1)).toEqual([
    'GET /v2/modules/shop/tags/list?n=1000',
    'GET /v2/modules/shop/manifests/one',
  ]);
});

test('a registry that is away is told from one that refuses', async () => {
  const statuses = [503, 429, 500, 404, 403];
  const away = createServer((_request, response) => {
    response.statusCode = statuses[0] ?? 200;
    response.end();
  });
  await new Promise<void>((resolve) => away.listen(0, '127.0.0.1', resolve));
  const at = `127.0.0.1:${(away.address() as AddressInfo).port}`;
  const registry = new Registry({ host: at, plainHttp: true, policy: { attempts: 1 } });
  const push = () =>
    registry
      .putManifest('modules/shop', 'x', { mediaType: 'x', bytes: Buffer.from('{}') })
      .catch((error: Error) => error);
  const told: (string | undefined)[] = [];
  for (; statuses.length > 0; statuses.shift()) {
    const error = await push();
    told.push(error instanceof RegistryAway ? error.why : undefined);
  }
  expect(told).toEqual([
    'the registry answered 503',
    'the registry answered 429',
    'the registry answered 500',
    undefined,
    undefined,
  ]);
  await new Promise((resolve) => away.close(resolve));
  const error = await push();
  expect(error instanceof RegistryAway && error.why).toBe('the registry did not answer');
});

test('it is sent on to a storage for blobs alone, and neither that nor whoever it names gets the login', async () => {
  const heard: (string | undefined)[] = [];
  const storage = createServer((request, response) => {
    heard.push(request.headers.authorization);
    const { port } = storage.address() as AddressInfo;
    // A challenge of its own: whoever answers it gives away the login.
    const realm = `http://127.0.0.1:${port}/token`;
    if (request.url?.endsWith('/closed'))
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end();
    else response.end(request.url?.endsWith('/token') ? '{"token":"taken"}' : 'bytes');
  });
  await new Promise<void>((resolve) => storage.listen(0, '127.0.0.1', resolve));
  const sends = createServer((request, response) => {
    const { port } = storage.address() as AddressInfo;
    response.writeHead(307, { location: `http://127.0.0.1:${port}${request.url}` }).end();
  });
  await new Promise<void>((resolve) => sends.listen(0, '127.0.0.1', resolve));
  const registry = new Registry({
    host: `127.0.0.1:${(sends.address() as AddressInfo).port}`,
    plainHttp: true,
    credentials: Buffer.from('push:secret').toString('base64'),
    policy: { attempts: 1 },
  });
  try {
    expect(await new Response(await registry.blob('modules/shop', 'sha256:1')).text()).toBe('bytes');
    await expect(registry.blob('modules/shop', 'closed')).rejects.toThrow('answered 401');
    for (const asking of [registry.resolve('modules/shop', 'one'), registry.repositories()])
      await expect(asking).rejects.toThrow(/sends on to http:\/\/127\.0\.0\.1:\d+, where nobody asks/);
    expect(heard).toEqual([undefined, undefined]);
  } finally {
    for (const one of [storage, sends]) {
      one.closeAllConnections();
      one.close();
    }
  }
});
