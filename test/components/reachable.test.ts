import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { untilReachable } from '../../components/shared/reachable';

test('any status is an answer', async () => {
  const server = createServer((_request, response) => response.writeHead(401).end('no'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await expect(untilReachable(`http://127.0.0.1:${port}/v2/`)).resolves.toBeUndefined();
  server.close();
});

test('silence is an error that names the address and the reason', async () => {
  await expect(untilReachable('http://127.0.0.1:1/v2/', 0)).rejects.toThrow(
    /^http:\/\/127\.0\.0\.1:1\/v2\/ does not answer \(.+\)\. Check that this machine reaches it/,
  );
});

test('what an ingress says for a registry that is not there yet is no answer', async () => {
  let asked = 0;
  const server = createServer((_request, response) => response.writeHead(++asked < 3 ? 503 : 401).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/`;
  await expect(untilReachable(url, 0)).rejects.toThrow(`${url} does not answer (it answers 503).`);
  await untilReachable(url);
  expect(asked).toBe(3);
  server.close();
});
