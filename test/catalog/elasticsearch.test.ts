import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { serviceContainer } from '../../catalog/containers';
import { loadCatalog } from '../../catalog/load';
import { root } from '../support/model';

// The commands of the catalog against what Elasticsearch's sources say, which 8.19.5 itself was seen to answer (by hand, with
// the lab's plug-in); `services` has them run in its container, by night.

const found = loadCatalog(join(root, 'catalog')).services.elasticsearch;
if (!found?.rotate) throw new Error('no elasticsearch that rotates');
const service = found;
const rotate = found.rotate;

const account = z.strictObject({ password: z.string().min(6), roles: z.tuple([z.literal('superuser')]) });
const password = account.pick({ password: true });

/**
 * Accounts as elastic/elasticsearch has them, x-pack/plugin/security/…/authc/esnative/ReservedRealm.java and its REST
 * actions: "elastic" has the password of the start until another one was stored, takes a password and nothing else, and
 * is made by nobody; a user is made by POST /_security/user/<name> with a password and roles, each password of at least
 * six characters.
 */
class Security {
  readonly stored = new Map<string, string>();
  constructor(public bootstrap: string) {}

  lets(name: string, given: string): boolean {
    return (this.stored.get(name) ?? (name === 'elastic' ? this.bootstrap : undefined)) === given;
  }

  answer(method: string, path: string, login: string, body: unknown): number {
    const [name = '', given = ''] = login.split(':');
    if (!this.lets(name, given)) return 401;
    if (method === 'GET')
      return path === '/_security/_authenticate' || path === '/_cluster/health' ? 200 : 404;
    const [, user, change] = /^\/_security\/user\/([^/]+)(\/_password)?$/.exec(path) ?? [];
    if (user === undefined) return 404;
    if (change && user !== 'elastic' && !this.stored.has(user)) return 400;
    if (!change && user === 'elastic') return 400;
    const made = (change ? password : account).safeParse(body);
    if (!made.success) return 400;
    this.stored.set(user, made.data.password);
    return 200;
  }
}

let security: Security;
let server: Server;
let folder: string;
let env: Record<string, string>;
const place = (path: string): string => join(folder, path);

/** A text of the catalog, with its paths in the test's folder. */
const here = (words: string): string =>
  words.replaceAll('/opt/switchyard', place('opt')).replaceAll('/run/switchyard', place('run'));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-elasticsearch-'));
  server = createServer(async (request, response) => {
    const [, login = ''] = /^Basic (.*)$/.exec(request.headers.authorization ?? '') ?? [];
    const sent = await text(request);
    const { pathname } = new URL(request.url ?? '', 'http://node');
    const json = request.headers['content-type'] === 'application/json' ? JSON.parse(sent) : undefined;
    const decoded = Buffer.from(login, 'base64').toString();
    response.writeHead(security.answer(request.method ?? '', pathname, decoded, json)).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  mkdirSync(place('opt'));
  const use = { name: 'search', kind: 'elasticsearch', version: '8.19', storage: '1Gi' };
  const access = { host: '127.0.0.1', user: 'shop', password: 'first-1', database: 'shop' };
  const { annotations } = serviceContainer(use, { ...service, port }, 'elasticsearch', access);
  for (const [index, path] of Object.keys(service.files).sort().entries()) {
    writeFileSync(here(path), here(annotations[`switchyard.dev/search-file-${index}`] ?? ''));
    chmodSync(here(path), 0o555);
  }
});
beforeEach(() => {
  rmSync(place('run'), { recursive: true, force: true });
  security = new Security('first-1');
  // A shell whose input is a socket, as Node has its pipes, takes itself for a remote login's and reads a person's files.
  env = { PATH: process.env.PATH ?? '', SHLVL: '1', ELASTIC_PASSWORD: 'first-1' };
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

/** @returns exit code and errors */
async function run(argv: readonly string[], input = ''): Promise<string> {
  const [command = '', ...args] = argv.map(here);
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  const over = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, said, code] = await Promise.all([text(child.stdout), text(child.stderr), over]);
  return `${code}${out}${said}`;
}

/** What the kubelet shows of the Secret. */
function mounted(now: string, user?: string): void {
  mkdirSync(place('run'), { recursive: true });
  writeFileSync(place('run/password'), now);
  if (user) writeFileSync(place('run/user'), user);
}

const probe = (): Promise<string> => run('exec' in service.probe ? service.probe.exec : []);

test('the probe asks as the user in use, with the password that is mounted or that of the start', async () => {
  expect(await probe()).toBe('0');
  mounted('first-1');
  expect(await probe()).toBe('0');
  mounted('second-2');
  expect(await probe()).toBe('22');
  security.stored.set('elastic_2', 'second-2');
  mounted('second-2', 'elastic_2');
  expect(await probe()).toBe('0');
});

test('both passwords open from one step to the other, each step may be done twice, then the new one only', async () => {
  mounted('first-1');
  const admit = (next: string, former: string, secret: string) =>
    run([...rotate.admit, next, former], secret);
  const retire = (next: string, former: string, secret: string) =>
    run([...rotate.retire, next, former], secret);
  for (let twice = 0; twice < 2; twice++) expect(await admit('elastic_2', 'elastic', 'second-2')).toBe('0');
  // A restart gives "elastic" no other password: it was put down.
  security.bootstrap = 'second-2';
  expect(security.lets('elastic', 'first-1')).toBe(true);
  expect(security.lets('elastic_2', 'second-2')).toBe(true);
  expect(await probe()).toBe('0');

  mounted('second-2', 'elastic_2');
  expect(await probe()).toBe('0');
  // Killed after it was mounted: the first step comes once more.
  expect(await admit('elastic_2', 'elastic', 'second-2')).toBe('0');
  for (let twice = 0; twice < 2; twice++) expect(await retire('elastic_2', 'elastic', 'second-2')).toBe('0');
  expect(security.lets('elastic', 'first-1')).toBe(false);
  expect(await admit('elastic_2', 'elastic', 'second-2')).toBe('0');

  expect(await admit('elastic', 'elastic_2', 'third-3')).toBe('0');
  expect(Object.fromEntries(security.stored)).toEqual({ elastic: 'third-3', elastic_2: 'second-2' });
  mounted('third-3', 'elastic');
  expect(await retire('elastic', 'elastic_2', 'third-3')).toBe('0');
  expect(Object.fromEntries(security.stored)).toEqual({ elastic: 'third-3', elastic_2: 'third-3' });
});

test('a node that lets nobody in is told by the exit code, and no password is in what it says', async () => {
  mounted('not-it-1');
  const said = await run([...rotate.admit, 'elastic_2', 'elastic'], 'second-2');
  expect(said).toMatch(/^22.*401/);
  expect(said).not.toMatch(/not-it-1|second-2/);
  expect(security.stored.size).toBe(0);
});

test('a volume without accounts gets the user whose turn it is', async () => {
  const start = service.files['/opt/switchyard/start.sh'] ?? '';
  const [making = ''] = /^if \[ -s [\s\S]*?^fi$/m.exec(start) ?? [];
  mounted('second-2', 'elastic_2');
  security.bootstrap = 'second-2';
  env.ELASTIC_PASSWORD = 'second-2';
  expect(await run(['bash', '-euc', `${making.replace('sleep 2', 'sleep 0.1')}\nwait`])).toBe('0');
  expect(Object.fromEntries(security.stored)).toEqual({ elastic_2: 'second-2' });
  // It is there: nothing is written, nothing is made in the other case.
  security.stored.set('elastic', 'kept-it');
  expect(await run(['bash', '-euc', `${making}\nwait`])).toBe('0');
  expect(security.stored.get('elastic')).toBe('kept-it');
});
