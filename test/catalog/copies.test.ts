import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { serviceContainer } from '../../catalog/containers';
import { loadCatalog } from '../../catalog/load';
import { root } from '../support/model';

// How HDFS and Elasticsearch are copied and restored: the catalog's own commands, against what their interfaces say. The
// programs themselves are asked by night, in test/lab/e2e/services.test.ts.

// Each restore is some thirty processes.
jest.setTimeout(180_000);

const { services } = loadCatalog(join(root, 'catalog'));
const servers: Server[] = [];
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-copies-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => unknown) {
  const server = createServer((request, response) => {
    Promise.resolve(answer(request, response)).catch((error: Error) =>
      response.writeHead(500).end(error.message),
    );
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** The service's script at a place of the test's, with other words in place of some. */
function script(kind: string, port: number, words: Readonly<Record<string, string>>): string {
  const service = services[kind];
  if (!service) throw new Error(`no ${kind}`);
  const { annotations } = serviceContainer(
    { name: kind, kind, version: Object.keys(service.versions)[0] ?? '', storage: '1Gi' },
    { ...service, port },
    kind,
    { host: '127.0.0.1', user: 'shop', password: 'first-1', database: 'shop' },
  );
  const index = Object.keys(service.files).sort().indexOf('/opt/switchyard/copy.sh');
  let source = annotations[`switchyard.dev/${kind}-file-${index}`] ?? '';
  for (const [from, to] of Object.entries(words)) source = source.replaceAll(from, to);
  const path = join(folder, 'copy.sh');
  writeFileSync(path, source);
  return path;
}

async function run(
  path: string,
  what: 'dump' | 'restore',
  input: Buffer = Buffer.alloc(0),
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; out: Buffer; said: string }> {
  // A shell whose input is a socket, as Node has its pipes, takes itself for a remote login's and reads a person's files.
  const child = spawn('bash', [path, what], {
    env: { PATH: process.env.PATH ?? '', SHLVL: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined).end(input);
  const over = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, said, code] = await Promise.all([buffer(child.stdout), text(child.stderr), over]);
  return { code, out, said: said.trim() };
}

describe('HDFS', () => {
  interface Node {
    type: 'FILE' | 'DIRECTORY' | 'SYMLINK';
    bytes: Buffer;
    permission: string;
    owner: string;
    group: string;
    modificationTime: number;
  }
  const directory = (owner = 'hadoop', permission = '755'): Node => ({
    ...{ type: 'DIRECTORY', bytes: Buffer.alloc(0), permission, owner },
    ...{ group: 'supergroup', modificationTime: 1 },
  });
  const file = (bytes: string | Buffer, owner = 'shop', permission = '644'): Node => ({
    ...{ type: 'FILE', bytes: Buffer.from(bytes), permission, owner },
    ...{ group: 'users', modificationTime: 1795957378670 },
  });

  /**
   * WebHDFS as apache/hadoop has it: hadoop-hdfs/src/site/markdown/WebHDFS.md, the order and the lines of a list
   * (NamenodeWebHdfsMethods.java, `getListingStream`), and a data node's own part (datanode/web/webhdfs/WebHdfsHandler.java).
   */
  class Hadoop {
    tree = new Map<string, Node>([['/', directory()]]);
    snapshots = new Map<string, Map<string, Node>>();
    allowed = false;
    /** Bytes that are missing in what the data node gives. */
    short = 0;
    onSnapshot: () => void = () => undefined;

    private status(name: string, node: Node): string {
      const { type, permission, owner, group, modificationTime, bytes } = node;
      const plain = {
        ...{ accessTime: 0, blockSize: type === 'FILE' ? 134217728 : 0, childrenNum: 0, fileId: 1, group },
        ...{ length: bytes.length, modificationTime, owner, pathSuffix: name, permission },
        ...{ replication: type === 'FILE' ? 1 : 0, storagePolicy: 0, type },
      };
      return JSON.stringify(plain);
    }

    private at(path: string): { tree: Map<string, Node>; path: string } {
      const [, name, rest] = /^\/\.snapshot\/([^/]+)(\/.*)?$/.exec(path) ?? [];
      return name === undefined
        ? { tree: this.tree, path }
        : { tree: this.snapshots.get(name) ?? new Map(), path: rest ?? '/' };
    }

    private change(path: string, query: URLSearchParams): boolean {
      const node = this.tree.get(path);
      const given = (name: string) => query.get(name) ?? '';
      switch (given('op')) {
        case 'ALLOWSNAPSHOT':
        case 'DISALLOWSNAPSHOT':
          this.allowed = given('op') === 'ALLOWSNAPSHOT';
          return this.snapshots.size === 0;
        case 'CREATESNAPSHOT':
          if (!this.allowed || this.snapshots.has(given('snapshotname'))) return false;
          this.snapshots.set(
            given('snapshotname'),
            new Map([...this.tree].map(([name, one]) => [name, { ...one }])),
          );
          this.onSnapshot();
          return true;
        case 'DELETESNAPSHOT':
          return this.snapshots.delete(given('snapshotname'));
        case 'MKDIRS':
          if (!node) this.tree.set(path, directory());
          return (node?.type ?? 'DIRECTORY') === 'DIRECTORY';
      }
      if (!node) return false;
      if (given('op') === 'SETOWNER') Object.assign(node, { owner: given('owner'), group: given('group') });
      else if (given('op') === 'SETPERMISSION') node.permission = given('permission');
      else if (given('op') === 'SETTIMES') node.modificationTime = Number(given('modificationtime'));
      else return false;
      return true;
    }

    name(request: IncomingMessage, response: ServerResponse): unknown {
      const url = new URL(request.url ?? '', 'http://node');
      const asked = decodeURIComponent(url.pathname.slice('/webhdfs/v1'.length));
      const op = url.searchParams.get('op');
      if (request.method !== 'GET')
        return response.writeHead(this.change(asked, url.searchParams) ? 200 : 403).end('{}');
      const { tree, path } = this.at(asked);
      const node = tree.get(path);
      if (!node) return response.writeHead(404).end('{}');
      if (op === 'GETFILESTATUS') return response.end(`{"FileStatus":${this.status('', node)}}`);
      if (op !== 'LISTSTATUS') return response.writeHead(400).end('{}');
      const inside = path === '/' ? '/' : `${path}/`;
      const listed = [...tree]
        .filter(([one]) => one !== '/' && one.startsWith(inside) && !one.slice(inside.length).includes('/'))
        .sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
        .map(([one, inner]) => this.status(one.slice(inside.length), inner));
      return response.end(`{"FileStatuses":{"FileStatus":[\n${listed.join(',\n')}\n]}}\n`);
    }

    async data(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
      const url = new URL(request.url ?? '', 'http://node');
      const { tree, path } = this.at(decodeURIComponent(url.pathname.slice('/webhdfs/v1'.length)));
      const query = url.searchParams;
      if (query.get('namenoderpcaddress') !== '127.0.0.1:8020') return response.writeHead(400).end();
      if (request.method === 'PUT') {
        const bytes = await buffer(request);
        tree.set(path, { ...file(bytes, query.get('user.name') ?? ''), modificationTime: 2 });
        return response.writeHead(201).end();
      }
      const asked = Number(query.get('length'));
      const bytes = tree.get(path)?.bytes.subarray(0, Math.max(0, asked - this.short));
      return response.writeHead(200, { 'content-length': bytes?.length ?? 0 }).end(bytes);
    }
  }

  async function hadoop(): Promise<{ node: Hadoop; copy: string }> {
    const node = new Hadoop();
    const name = await serve((request, response) => node.name(request, response));
    const data = await serve((request, response) => node.data(request, response));
    const copy = script('hdfs', 8020, {
      '127.0.0.1:9870': `127.0.0.1:${name}`,
      '127.0.0.1:9864': `127.0.0.1:${data}`,
      '/tmp/': `${folder}/`,
    });
    return { node, copy };
  }

  const written: readonly (readonly [string, Node])[] = [
    ['/user', directory()],
    ['/user/shop', directory('shop', '1770')],
    ['/user/shop/a b', directory('shop')],
    ['/user/shop/a b/empty', file('')],
    ['/user/shop/a b/"owner":"x"', file('in quotes\n')],
    ['/user/shop/50% + more & so?on#x;y\\z', file(Buffer.from([0, 10, 13, 255]), 'eve smith')],
    ['/user/shop/large', file(Buffer.alloc(300_000, 'FILE 1 /x 644 a b 1 1 1\n'))],
    ['/user/shop/漢字*[a]', file('no line end', 'ödön', '600')],
  ];

  test('what was there at one moment comes back as it was, whatever its names and bytes', async () => {
    const { node, copy } = await hadoop();
    for (const [path, one] of written) node.tree.set(path, one);
    const before = new Map([...node.tree].map(([path, one]) => [path, { ...one }]));
    node.onSnapshot = () => node.tree.set('/user/shop/later', file('written while it was copied'));
    const dumped = await run(copy, 'dump');
    expect(dumped).toMatchObject({ code: 0, said: '' });
    expect(dumped.out.toString('latin1')).toContain(
      'FILE 4 /user/shop/50%25%20%2B%20more%20%26%20so%3Fon%23x%3By%5Cz ',
    );
    expect(dumped.out.toString('latin1')).toMatch(/END 9\n$/);
    // Nothing of the copy is left in HDFS.
    expect([node.snapshots.size, node.allowed]).toEqual([0, false]);

    const fresh = await hadoop();
    fresh.node.tree.set('/user', directory());
    fresh.node.tree.set('/user/shop/large', file('another one'));
    expect(await run(fresh.copy, 'restore', dumped.out)).toMatchObject({ code: 0, said: '' });
    const times = (tree: Map<string, Node>) =>
      [...tree].map(([path, one]) => [path, one.type === 'FILE' ? one : { ...one, modificationTime: 0 }]);
    expect(times(fresh.node.tree).sort()).toEqual(times(before).sort());
    // The same again, for a drill to compare.
    node.tree.delete('/user/shop/later');
    node.onSnapshot = () => undefined;
    const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(hash((await run(copy, 'dump')).out)).toBe(hash(dumped.out));
  });

  test('a copy that would not be whole fails, and leaves no snapshot', async () => {
    const { node, copy } = await hadoop();
    node.tree.set('/file', file('some bytes'));
    node.short = 1;
    expect(await run(copy, 'dump')).toMatchObject({ code: 1, said: '/file: 9 of 10 bytes came' });
    expect([node.snapshots.size, node.allowed]).toEqual([0, false]);
    node.short = 0;
    node.tree.set('/link', { ...file(''), type: 'SYMLINK' });
    expect(await run(copy, 'dump')).toMatchObject({
      code: 1,
      said: '/link is a SYMLINK, which is not copied',
    });
    // What one that was killed left behind is in nobody's way.
    node.tree.delete('/link');
    node.allowed = true;
    node.snapshots.set('switchyard-backup', new Map());
    expect(await run(copy, 'dump')).toMatchObject({ code: 0, said: '' });
  });

  test('a restore of less than a whole copy is told', async () => {
    const { node, copy } = await hadoop();
    node.tree.set('/large', file(Buffer.alloc(300_000, 'x\n')));
    node.tree.set('/z', directory());
    const { out } = await run(copy, 'dump');
    for (const length of [out.length - 6, out.length - 100_000, 60, 25]) {
      const told = await run(copy, 'restore', out.subarray(0, length));
      expect(told).toMatchObject({
        code: 1,
        said: expect.stringMatching(/^the copy breaks off after \d entries$/),
      });
    }
    expect(await run(copy, 'restore')).toMatchObject({ code: 1, said: 'this is no copy of HDFS' });
    expect(
      await run(copy, 'restore', Buffer.concat([out.subarray(0, -6), Buffer.from('END 12\n')])),
    ).toMatchObject({
      code: 1,
      said: '3 of 12 entries came',
    });
  });
});

describe('Elasticsearch', () => {
  /**
   * Snapshots as elastic/elasticsearch has them: rest-api-spec `snapshot.*`, repositories/fs/FsRepository.java (files below
   * the place of the repository), RestoreService.java (an open index of the same name stands in the way).
   */
  class Search {
    password = 'second-2';
    indices = new Map<string, string>();
    state = 'SUCCESS';
    place: string | undefined;
    asked: string[] = [];

    async answer(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
      const [, login = ''] = /^Basic (.*)$/.exec(request.headers.authorization ?? '') ?? [];
      const sent = await text(request);
      const body = sent === '' ? {} : (JSON.parse(sent) as Record<string, unknown>);
      if (Buffer.from(login, 'base64').toString() !== `elastic_2:${this.password}`)
        return response.writeHead(401).end('{}');
      const { pathname } = new URL(request.url ?? '', 'http://node');
      const asked = `${request.method} ${pathname}`;
      this.asked.push(asked);
      const ok = (said: object) => response.end(JSON.stringify(said));
      const held = () => join(this.place ?? '', 'indices');
      if (asked === 'DELETE /_snapshot/switchyard') {
        if (!this.place) return response.writeHead(404).end('{}');
        this.place = undefined;
        return ok({ acknowledged: true });
      }
      if (asked === 'PUT /_snapshot/switchyard') {
        this.place = (body.settings as { location: string }).location;
        mkdirSync(this.place, { recursive: true });
        return ok({ acknowledged: true });
      }
      if (pathname.startsWith('/_snapshot/switchyard/copy')) {
        if (!this.place) return response.writeHead(404).end('{}');
        if (request.method === 'GET') {
          const names = Object.keys(JSON.parse(readFileSync(held(), 'utf8')));
          return ok({
            snapshots: [{ snapshot: 'copy', indices: names, data_streams: [], state: 'SUCCESS' }],
          });
        }
        // Accounts stay what they are.
        expect(body).toEqual({ indices: '*', include_global_state: true, feature_states: ['none'] });
        if (request.method === 'PUT') {
          mkdirSync(join(this.place, 'deep', 'er'), { recursive: true });
          writeFileSync(held(), JSON.stringify(Object.fromEntries(this.indices)));
          writeFileSync(join(this.place, 'deep', 'er', '__bytes'), Buffer.from([0, 10, 13, 255]));
          return ok({ snapshot: { snapshot: 'copy', state: this.state } });
        }
        const back = Object.entries(JSON.parse(readFileSync(held(), 'utf8')) as Record<string, string>);
        expect(readFileSync(join(this.place, 'deep', 'er', '__bytes'))).toEqual(
          Buffer.from([0, 10, 13, 255]),
        );
        if (back.some(([name]) => this.indices.has(name))) return response.writeHead(500).end('{}');
        for (const [name, documents] of back) this.indices.set(name, documents);
        return ok({ snapshot: { shards: { total: back.length, failed: 0 } } });
      }
      if (request.method === 'DELETE') {
        this.indices.delete(pathname.slice(1));
        return ok({ acknowledged: true });
      }
      return response.writeHead(404).end('{}');
    }
  }

  async function search() {
    const node = new Search();
    const port = await serve((request, response) => node.answer(request, response));
    mkdirSync(join(folder, 'run'), { recursive: true });
    writeFileSync(join(folder, 'run', 'password'), 'second-2');
    writeFileSync(join(folder, 'run', 'user'), 'elastic_2');
    const copy = script('elasticsearch', port, {
      '/tmp/': `${folder}/`,
      '/run/switchyard': join(folder, 'run'),
    });
    const place = join(folder, 'data', 'backup');
    const env = { ES_SETTING_PATH_REPO: place };
    return {
      node,
      place,
      dump: () => run(copy, 'dump', undefined, env),
      restore: (copied: Buffer) => run(copy, 'restore', copied, env),
    };
  }

  test('its indices come back as they were, and others stay', async () => {
    const { node, place, dump, restore } = await search();
    node.indices.set('letters', 'one').set('parcels', 'two');
    const dumped = await dump();
    expect(dumped).toMatchObject({ code: 0, said: '' });
    expect(dumped.out.toString('latin1')).toMatch(
      /^switchyard-elasticsearch 1\n4 deep\/er\/__bytes\n\0\n\r\xff\d+ indices\n.*END 2\n$/s,
    );
    expect([node.place, existsSync(place)]).toEqual([undefined, false]);
    node.indices.set('letters', 'changed').delete('parcels');
    node.indices.set('later', 'three');
    expect(await restore(dumped.out)).toMatchObject({ code: 0, said: '' });
    expect(Object.fromEntries(node.indices)).toEqual({ later: 'three', letters: 'one', parcels: 'two' });
    expect([node.place, existsSync(place)]).toEqual([undefined, false]);
  });

  test('a copy of less than everything fails, and nothing of it stays', async () => {
    const { node, place, dump } = await search();
    node.state = 'PARTIAL';
    expect(await dump()).toMatchObject({ code: 1, said: expect.stringContaining('"state":"PARTIAL"') });
    expect([node.place, existsSync(place)]).toEqual([undefined, false]);
    node.password = 'third-3';
    const told = await dump();
    expect(told).toMatchObject({ code: 1, said: expect.stringContaining('401') });
    expect(told.said).not.toContain('second-2');
  });

  test('a restore of less than a whole copy is told before anything was deleted', async () => {
    const { node, place, dump, restore } = await search();
    node.indices.set('letters', 'one');
    const { out } = await dump();
    node.indices.set('letters', 'two');
    for (const length of [out.length - 2, out.length - 6, 60, 30]) {
      expect(await restore(out.subarray(0, length))).toMatchObject({
        code: 1,
        said: expect.stringMatching(/^the copy breaks off after \d files$/),
      });
    }
    expect(await restore(Buffer.from('another dump\n'))).toMatchObject({
      code: 1,
      said: 'this is no copy of Elasticsearch',
    });
    expect(node.indices.get('letters')).toBe('two');
    expect([node.place, existsSync(place)]).toEqual([undefined, false]);
  });
});
