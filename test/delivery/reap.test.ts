import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import type { Kind, Metadata } from '../../clients/kubernetes-in-pod';
import { Cluster } from '../../clients/kubernetes-in-pod';
import { decideReap, reap, reapSelector } from '../../delivery/reap';

const NOW = 1_800_000_000;
const ours = (expires: string) => ({
  'app.kubernetes.io/managed-by': 'switchyard',
  'switchyard.dev/purpose': 'test',
  'switchyard.dev/expires': expires,
});

const CREATED = new Date((NOW - 90) * 1000).toISOString();

test('what is past its end goes, to the second: by the clock, or counted from when it was made', () => {
  expect(decideReap(ours(String(NOW)), CREATED, NOW)).toEqual({ remove: true });
  expect(decideReap(ours(String(NOW + 1)), CREATED, NOW)).toEqual({ remove: false, why: 'still alive' });
  expect(decideReap(ours('90s'), CREATED, NOW)).toEqual({ remove: true });
  expect(decideReap(ours('91s'), CREATED, NOW)).toEqual({ remove: false, why: 'still alive' });
});

test('what `up` made, and what anyone else made, is never ours, whatever its end says', () => {
  const others: Record<string, string>[] = [
    { ...ours('1'), 'app.kubernetes.io/managed-by': 'pulumi' },
    { ...ours('1'), 'switchyard.dev/purpose': 'production' },
    { 'switchyard.dev/expires': '1' },
    {},
  ];
  for (const labels of others)
    expect(decideReap(labels, CREATED, NOW)).toEqual({ remove: false, why: 'not ours' });
});

test('an end that is no time removes nothing', () => {
  fc.assert(
    fc.property(
      fc.string().filter((text) => !/^[1-9]\d*s?$/.test(text)),
      (text) => {
        expect(decideReap(ours(text), CREATED, NOW)).toEqual({ remove: false, why: 'no time' });
      },
    ),
  );
});

const metadata = (namespace: string, name: string, labels: Record<string, string>): Metadata => ({
  namespace,
  name,
  labels,
  uid: `uid-${name}`,
  resourceVersion: '7',
  creationTimestamp: CREATED,
});

test('one namespace that cannot be read keeps no other from being cleaned, and the run fails', async () => {
  const removed: string[] = [];
  const said: string[] = [];
  const cluster = {
    list: async (kind: Kind, namespace: string) => {
      if (namespace === 'test-a') throw new Error('forbidden');
      return kind === 'pods'
        ? [metadata(namespace, 'old', ours('1')), metadata(namespace, 'young', ours(String(NOW + 9)))]
        : [];
    },
    remove: async (kind: Kind, { name }: Metadata) => {
      removed.push(`${kind}/${name}`);
      return true;
    },
  };
  await expect(reap(cluster, ['test-a', 'test-b'], NOW, (line) => said.push(line))).rejects.toThrow(
    'forbidden',
  );
  expect(removed).toEqual(['pods/old']);
  expect(said).toContain('removed: pods test-b/old, past its end since 1');
});

test('against an API server: asks for metadata only, page by page, and deletes exactly what it read', async () => {
  const requests: { method?: string; url?: string; accept?: string; authorization?: string; body: string }[] =
    [];
  const read = async (request: IncomingMessage): Promise<string> => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    return text;
  };
  const server = createServer(async (request, response) => {
    const { method, url = '', headers } = request;
    requests.push({
      method,
      url,
      accept: headers.accept,
      authorization: headers.authorization,
      body: await read(request),
    });
    if (method === 'DELETE') {
      response.writeHead(url.endsWith('/changed') ? 409 : 200).end('{}');
      return;
    }
    const first = !url.includes('continue=');
    const items = url.includes('/pods?')
      ? [{ metadata: metadata('test-shop', first ? 'old' : 'changed', ours('1')) }]
      : // As the API server answers when asked for metadata alone.
        null;
    response
      .writeHead(200)
      .end(JSON.stringify({ metadata: first && items ? { continue: 'more' } : {}, items }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const reaped = await reap(new Cluster({ url, token: 'account' }), ['test-shop'], NOW, () => undefined);
    expect(reaped).toEqual([{ kind: 'pods', namespace: 'test-shop', name: 'old' }]);
  } finally {
    server.close();
  }
  const lists = requests.filter(({ method }) => method === 'GET');
  expect(lists.map(({ url = '' }) => url.split('?')[0])).toEqual([
    '/api/v1/namespaces/test-shop/pods',
    '/api/v1/namespaces/test-shop/pods',
    '/api/v1/namespaces/test-shop/persistentvolumeclaims',
  ]);
  for (const { accept, url = '', authorization } of lists) {
    expect(accept).toBe('application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1');
    expect(authorization).toBe('Bearer account');
    expect(new URLSearchParams(url.split('?')[1]).get('labelSelector')).toBe(reapSelector);
  }
  expect(
    requests.filter(({ method }) => method === 'DELETE').map(({ url, body }) => [url, JSON.parse(body)]),
  ).toEqual(
    ['old', 'changed'].map((name) => [
      `/api/v1/namespaces/test-shop/pods/${name}`,
      {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { uid: `uid-${name}`, resourceVersion: '7' },
      },
    ]),
  );
});
