import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anonymousPushes } from '../../../operations/outside/anonymous';
import { parseStack } from '../../../stacks/load';
import { stackText, stackWith } from '../../support/model';
import { type RealRegistry, startRegistry } from '../../support/registry';

/** A real registry that asks nobody for a login, and one in memory that answers as it is told. */

let folder: string;
let open: RealRegistry;
let server: Server;
let closed: string;
let asked: string[] = [];
let answer: [number, Record<string, string>] = [401, {}];
/** What is answered before that. */
let first: number[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'anonymous-'));
  open = await startRegistry(folder);
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? 'without a login'}`);
    const busy = first.shift();
    if (busy === undefined) response.writeHead(...answer).end();
    else response.writeHead(busy).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closed = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  open.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  asked = [];
  first = [];
  answer = [401, { 'www-authenticate': 'Basic realm="r"' }];
});

const settingsOf = (text: string) => parseStack(text, 'stacks/Pulumi.test.yaml', 'test');
const mirrored = (mirror: string, more = '') =>
  settingsOf(
    `${stackText}  switchyard:images: { mirror: "${mirror}", mirrorInsecure: true, replace: { ${more} } }\n`,
  );
const EXISTING =
  'existing: { path: team, pull: { user: reader, passwordFrom: PULLS }, push: { user: writer, passwordFrom: PUSHES } }';

test('a mirror that takes a push without a login is refused, and keeps nothing of the question', async () => {
  const [problem, ...others] = await anonymousPushes(mirrored(open.host));
  expect(others).toEqual([]);
  expect(problem).toEqual({
    file: 'stacks/Pulumi.test.yaml',
    key: 'config.images.mirror',
    what: `${open.host} takes pushes without a login, and every build reaches it: a merge request nobody approved could replace what all modules start from.`,
    remedy: 'Have it refuse whoever pushes without a login.',
  });
  expect(await open.registry.repositories()).toEqual([]);
  answer = [202, { location: '/v2/x/blobs/uploads/1?_state=s' }];
  expect(await anonymousPushes(mirrored(closed))).toHaveLength(1);
  // An upload that was taken is given up.
  expect(asked).toEqual([
    'POST /v2/jenkins/jenkins/blobs/uploads/ without a login',
    'DELETE /v2/x/blobs/uploads/1?_state=s without a login',
  ]);
});

test('it is asked of a repository that images come from', async () => {
  const replaced = mirrored(closed, 'jenkins: "other.test/jenkins:1", inboundAgent: "agents/inbound:7"');
  expect(await anonymousPushes(replaced)).toEqual([]);
  expect(asked).toEqual(['POST /v2/agents/inbound/blobs/uploads/ without a login']);
});

test.each([[401], [403], [404], [405], [500]])('a mirror that answers %i takes none', async (status) => {
  answer = [status, {}];
  expect(await anonymousPushes(mirrored(closed))).toEqual([]);
  // A fault of the mirror's own is asked about again.
  expect(asked).toHaveLength(status === 500 ? 4 : 1);
});

test('no upload is given up anywhere else, whatever the answer says', async () => {
  answer = [202, { location: `http://${open.host}/v2/x/blobs/uploads/1` }];
  expect(await anonymousPushes(mirrored(closed))).toHaveLength(1);
  expect(asked).toHaveLength(1);
});

test('one that is busy is asked again: that says nothing of who may push', async () => {
  first = [503, 429];
  answer = [202, { location: `http://${closed}/v2/uploads/1` }];
  expect(await anonymousPushes(mirrored(closed))).toHaveLength(1);
  expect(asked.filter((one) => one.startsWith('POST '))).toHaveLength(3);
});

test('one that does not answer here says nothing: nodes and builds reach it', async () => {
  expect(await anonymousPushes(mirrored('127.0.0.1:1'))).toEqual([]);
});

test('a registry that stands already is asked as well, ours is not: it asks everybody for a login', async () => {
  answer = [202, { location: '/v2/x/blobs/uploads/1' }];
  const existing = stackWith({ registry: EXISTING }).replace(
    '"registry.test:5000"',
    `"${closed}", scheme: http`,
  );
  expect(await anonymousPushes(settingsOf(existing))).toMatchObject([{ key: 'config.registry.address' }]);
  expect(asked[0]).toBe('POST /v2/team/switchyard/delivery/blobs/uploads/ without a login');
  asked = [];
  const own = stackText.replace('"registry.test:5000"', `"${closed}", scheme: http`);
  expect(await anonymousPushes(settingsOf(own))).toEqual([]);
  expect(asked).toEqual([]);
});
