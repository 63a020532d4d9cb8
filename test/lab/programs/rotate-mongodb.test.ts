// MongoDB's own shell and driver, and the catalog's commands as they stand, on the lab's FerretDB: no package registry has a
// MongoDB server. FerretDB knows users and passwords, and no roles.

import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { serviceContainer } from '../../../catalog/containers';
import { parseCatalog } from '../../../catalog/load';
import { Secrets } from '../../../components/shared/secrets';
import { cacheHome } from '../../../lab/steps';
import { toolPath } from '../../../lab/toolchain';
import { databaseHolder, type Holder, rotateBy } from '../../../operations/rotate';
import { databasesOf } from '../../../operations/rotate/plan';
import type { SecretSettings } from '../../../stacks/rotation';
import { root, testModel } from '../../support/model';
import { freePort } from '../../support/port';

jest.setTimeout(1_800_000);

const PURPOSE = 'service/shop/mongodb';
const SEED = 'a seed of this test alone, long enough to be one';
const catalog = parseCatalog({
  services: { 'mongodb.yaml': readFileSync(join(root, 'catalog/services/mongodb.yaml'), 'utf8') },
  modules: {
    'shop.yaml': 'description: sells\nowners: [ada]\nservices: [{ kind: mongodb, version: "7.0" }]\n',
  },
});
const model = testModel({ catalog, modules: catalog.modules });
const [database] = databasesOf(model, [PURPOSE]).databases;
const { mongodb } = catalog.services;
const use = catalog.modules[0]?.services[0];
if (!database?.usersOf || !mongodb?.backup || 'none' in mongodb.backup || !use)
  throw new Error('no mongodb whose users take turns');
const rotated = database;
const { usersOf, check = [] } = database;
const { dump, restore } = mongodb.backup;
/** Its container at the start. */
const containerWith = (password: string) =>
  serviceContainer(use, mongodb, 'mongo', {
    host: '127.0.0.1',
    user: usersOf(1)[0],
    password,
    database: 'shop',
  }).container;
const secretOf = (version: number): string =>
  new Secrets(SEED, 'test', { [PURPOSE]: version }).secret(PURPOSE);

/** What the test uses of the driver; https://mongodb.github.io/node-mongodb-native/ */
interface Collection {
  insertOne(document: object): Promise<unknown>;
  findOne(query: object): Promise<{ readonly n?: number } | null>;
  updateOne(query: object, change: object): Promise<{ readonly modifiedCount: number }>;
  deleteMany(query: object): Promise<unknown>;
  countDocuments(query: object): Promise<number>;
}
interface Client {
  connect(): Promise<Client>;
  db(name?: string): { collection(name: string): Collection };
  close(): Promise<void>;
}
interface Driver {
  readonly MongoClient: new (address: string, options: object) => Client;
}

/** A folder with mongosh and the driver that it brings, made once per lock file and kept in the cache. */
async function shellPackages(): Promise<string> {
  const files = ['package.json', 'package-lock.json'].map((name) => join(__dirname, 'mongosh', name));
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  const made = join(cacheHome(), 'test', `mongosh-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(join(made, 'node_modules'))) return made;
  mkdirSync(dirname(made), { recursive: true });
  const scratch = mkdtempSync(`${made}-`);
  try {
    for (const file of files) copyFileSync(file, join(scratch, file.slice(dirname(file).length + 1)));
    const options = ['--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund'];
    await promisify(execFile)('npm', ['ci', ...options], { cwd: scratch });
    rmSync(made, { recursive: true, force: true });
    renameSync(scratch, made);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return made;
}

let folder: string;
let packages: string;
let driver: Driver;
const place = (...parts: string[]): string => join(folder, ...parts);

/** A server in its container: the catalog's command, below the entry point of the lab's image. */
class Server {
  readonly port: number;
  private child: ReturnType<typeof spawn> | undefined;
  private readonly log: Buffer[] = [];

  constructor(
    port: number,
    private readonly data: string,
  ) {
    this.port = port;
    mkdirSync(place(data));
    const bin = place(data, 'bin');
    mkdirSync(bin);
    copyFileSync(join(root, 'lab/images/ferretdb/entrypoint.sh'), join(bin, 'docker-entrypoint.sh'));
    writeFileSync(
      join(bin, 'ferretdb'),
      `#!/bin/sh\nexec ${toolPath('ferretdb')} -listen 127.0.0.1:${port} -data ${place(data, 'files')} "$@"\n`,
    );
    mkdirSync(place(data, 'files'));
    for (const name of ['docker-entrypoint.sh', 'ferretdb']) chmodSync(join(bin, name), 0o755);
  }

  /** A text of the catalog, with its paths and its port in the test's place. */
  here(words: string): string {
    return words
      .replaceAll('/run/switchyard', place('run'))
      .replaceAll('127.0.0.1:27017', `127.0.0.1:${this.port}`)
      .replaceAll(/exec (mongodump|mongorestore) /g, `exec $1 --port ${this.port} `);
  }

  /** Variables of the container, at its start. */
  env(password: string): Record<string, string> {
    const own = containerWith(password).env.flatMap((entry) =>
      'value' in entry ? [[entry.name, entry.value]] : [],
    );
    const path = [place(this.data, 'bin'), place('bin'), join(packages, 'node_modules/.bin')];
    return {
      ...Object.fromEntries(own),
      PATH: [...path, dirname(process.execPath), process.env.PATH].join(':'),
      HOME: place('home'),
      // A shell whose input is a socket, as Node has its pipes, takes itself for a remote login's and reads a person's files.
      SHLVL: '1',
    };
  }

  async start(password: string): Promise<void> {
    // Kubernetes reads `$$` as `$`.
    const words = (containerWith(password).command ?? []).map((word) =>
      this.here(word.replaceAll('$$', '$')),
    );
    const [command = '', ...args] = words;
    this.child = spawn(command, args, { env: this.env(password), stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (part: Buffer) => this.log.push(part));
    for (let left = 600; left > 0; left -= 1) {
      if (this.child.exitCode !== null) break;
      const socket = connect(this.port, '127.0.0.1');
      const open = await new Promise((resolve) => {
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      });
      socket.destroy();
      if (open) return;
      await sleep(100);
    }
    throw new Error(`FerretDB does not listen:\n${Buffer.concat(this.log)}`);
  }

  async stop(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    const over = once(child, 'exit');
    child.kill('SIGTERM');
    await over;
  }

  /**
   * Runs a command in the container, as PodExec does.
   * @param cut ends the command by SIGKILL after so many milliseconds
   */
  async exec(argv: readonly string[], input?: Readable, cut?: number): Promise<Buffer> {
    const [command = '', ...args] = argv.map((word) => this.here(word));
    const child = spawn(command, args, {
      env: this.env(secretOf(1)),
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    child.stdin.on('error', () => undefined);
    if (input) input.pipe(child.stdin);
    else child.stdin.end();
    const kill = (): void => {
      // All that it started; when it has ended just now there is nobody to kill.
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    const killed = cut === undefined ? undefined : setTimeout(kill, cut);
    const over = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [out, said, code] = await Promise.all([buffer(child.stdout), text(child.stderr), over]);
    clearTimeout(killed);
    if (code !== 0) throw new Error(`${argv[0]} ended with ${code}: ${said}${out}`);
    return out;
  }
}

const optionsOf = (user: string, password: string) => ({
  auth: { username: user, password },
  authSource: 'admin',
  directConnection: true,
  serverSelectionTimeoutMS: 60_000,
});
const clientOf = (server: Server, user: string, password: string): Client =>
  new driver.MongoClient(`mongodb://127.0.0.1:${server.port}/shop`, optionsOf(user, password));

/** Whether a server lets this user in with this password. */
async function letsIn(server: Server, user: string, password: string): Promise<boolean> {
  const client = clientOf(server, user, password);
  try {
    await client.connect();
    await client.db('shop').collection('orders').findOne({});
    return true;
  } catch (error) {
    // AuthenticationFailed
    if ((error as { code?: number }).code === 18) return false;
    throw error;
  } finally {
    await client.close();
  }
}

/** A Pod of the module: it writes and reads all the time, over connections that stay and over one that logs in each time. */
class ModulePod {
  readonly failed: string[] = [];
  asked = 0;
  private going = true;
  private readonly over: Promise<unknown>;
  private readonly standing: Client;

  constructor(
    private readonly server: Server,
    readonly version: number,
    private readonly credentials: readonly [user: string, password: string],
  ) {
    this.standing = clientOf(server, ...credentials);
    this.over = Promise.all([this.keep(() => this.stay()), this.keep(() => this.logIn())]);
  }

  private async keep(ask: () => Promise<void>): Promise<void> {
    while (this.going) {
      try {
        await ask();
        this.asked += 1;
      } catch (error) {
        this.failed.push(String(error));
      }
      await sleep(100);
    }
  }

  private async request(client: Client): Promise<void> {
    const orders = client.db('shop').collection('orders');
    const n = Math.random();
    await orders.insertOne({ n, of: this.version });
    const { modifiedCount } = await orders.updateOne({ n }, { $set: { paid: true } });
    const found = await orders.findOne({ n, paid: true });
    if (modifiedCount !== 1 || found?.n !== n) throw new Error(`wrote ${n}, and read ${found?.n}`);
  }

  private stay(): Promise<void> {
    return this.request(this.standing);
  }

  private async logIn(): Promise<void> {
    const client = clientOf(this.server, ...this.credentials);
    try {
      await this.request(await client.connect());
    } finally {
      await client.close();
    }
  }

  /** When it has answered in both ways. */
  async ready(): Promise<this> {
    while (this.asked < 4 && this.failed.length === 0) await sleep(50);
    return this;
  }

  async stop(): Promise<void> {
    if (!this.going) return;
    this.going = false;
    await this.over;
    await this.standing.close();
  }
}

/** Where a rotation is ended: after a step, or in the middle of a command of the database. */
type Kill = 'record' | 'admit' | 'apply' | 'retire' | 'in admit' | 'in retire';

/** An environment with one database, a module that uses it, and a stack file. */
class World {
  file: SecretSettings = { versions: {}, rotating: [] };
  pod: ModulePod | undefined;
  readonly gone: ModulePod[] = [];
  /** Milliseconds that the newest command took. */
  took = 3_000;
  private shown: Promise<void> = Promise.resolve();

  constructor(readonly server: Server) {}

  /** The Secret as the kubelet shows it in the database's Pod: before the first rotation without a user. */
  private show(password: string, user?: string): void {
    for (const [name, value] of Object.entries({ password, user })) {
      if (value === undefined) continue;
      writeFileSync(place('run', `..${name}`), value);
      renameSync(place('run', `..${name}`), place('run', name));
    }
  }

  async begin(): Promise<void> {
    this.show(secretOf(1));
    await this.server.start(secretOf(1));
    await this.rollOut(1);
  }

  /** The next Pod comes before the last one goes. */
  private async rollOut(version: number): Promise<void> {
    if (this.pod?.version === version) return;
    const next = await new ModulePod(this.server, version, [usersOf(version)[0], secretOf(version)]).ready();
    await this.pod?.stop();
    if (this.pod) this.gone.push(this.pod);
    this.pod = next;
  }

  /** `switchyard up`: Pods start anew at once, and files of a Secret follow when the kubelet gets to it. */
  private async apply(): Promise<void> {
    const version = this.file.versions[PURPOSE] ?? 1;
    await this.rollOut(version);
    this.shown = this.shown
      .then(() => sleep(2_000))
      .then(() => this.show(secretOf(version), usersOf(version)[0]));
  }

  /** One run of the command. */
  async rotate(kill?: Kill): Promise<void> {
    const step = async <T>(name: Kill, work: () => Promise<T>): Promise<T> => {
      const done = await work();
      if (kill === name) throw new Error('killed');
      return done;
    };
    let cut: number | undefined;
    const holder = databaseHolder(rotated, {
      run: async (_place, argv) => (await this.server.exec(argv)).toString('utf8'),
      write: async (_place, argv, input) => {
        const begun = Date.now();
        const run = this.server.exec(argv, input as Readable, cut);
        if (cut !== undefined) {
          // Where it was quicker, it is killed right behind it.
          await run.catch(() => undefined);
          throw new Error('killed');
        }
        await run;
        this.took = Date.now() - begun;
      },
    });
    const inside = async (name: 'admit' | 'retire', work: () => Promise<void>): Promise<void> => {
      // Somewhere in the middle: wherever it is, what comes next has to do.
      cut = kill === `in ${name}` ? this.took * 0.7 : undefined;
      try {
        await step(name, work);
      } finally {
        cut = undefined;
      }
    };
    expect(await holder.unable?.()).toBeUndefined();
    const wrapped: Holder = {
      ...holder,
      admit: (secret, version) => inside('admit', () => holder.admit(secret, version)),
      retire: (secret, version) => inside('retire', () => holder.retire(secret, version)),
    };
    await rotateBy([wrapped], this.file, [PURPOSE], {
      record: (secrets) => {
        this.file = secrets;
        if (kill === 'record') throw new Error('killed');
      },
      secretOf: (_purpose, { versions }) => secretOf(versions[PURPOSE] ?? 1),
      apply: () => step('apply', () => this.apply()),
      note: () => undefined,
    });
  }

  get failed(): string[] {
    return [...this.gone, ...(this.pod ? [this.pod] : [])].flatMap(({ failed }) => failed);
  }

  async end(): Promise<void> {
    await this.shown;
    await this.pod?.stop();
    await this.server.stop();
  }
}

let world: World;
let empty: Server | undefined;

beforeAll(async () => {
  packages = await shellPackages();
  driver = createRequire(join(packages, 'package.json'))('mongodb') as Driver;
  folder = mkdtempSync(join(tmpdir(), 'switchyard-mongodb-'));
  for (const name of ['run', 'home', 'bin']) mkdirSync(place(name));
  for (const name of ['mongodump', 'mongorestore']) {
    writeFileSync(place('bin', name), `#!/bin/sh\nexec ${toolPath(name)} "$@"\n`);
    chmodSync(place('bin', name), 0o755);
  }
  world = new World(new Server(await freePort(), 'first'));
  await world.begin();
});

afterAll(async () => {
  await world?.end();
  await empty?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Versions whose password opens the database, by user. */
async function opens(server: Server, versions: readonly number[]): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const user of usersOf(1)) {
    found[user] = [];
    for (const version of versions)
      if (await letsIn(server, user, secretOf(version))) found[user]?.push(version);
  }
  return found;
}

test('it is asked for a login before anything was rotated, and opens with the password of its start alone', async () => {
  expect(await opens(world.server, [1, 2])).toEqual({ shop: [1], shop_2: [] });
});

// To version 2 the second user is made, to version 3 the first one is changed.
test.each<[number, readonly Kill[]]>([
  [2, ['record', 'in admit', 'admit', 'apply', 'in retire', 'retire']],
  [3, ['in admit', 'apply', 'in retire']],
])(
  'version %d: killed after steps and in commands (%j), it goes on where it was, and no request fails meanwhile',
  async (version, kills) => {
    const asked = world.pod?.asked ?? 0;
    for (const kill of kills) {
      await expect(world.rotate(kill)).rejects.toThrow('killed');
      expect(world.file).toEqual({ versions: { [PURPOSE]: version }, rotating: [PURPOSE] });
      // Until it is over whoever has not started anew is let in as well.
      if (kill === 'admit')
        expect(await opens(world.server, [version - 1, version])).toEqual({
          [usersOf(version)[0]]: [version],
          [usersOf(version)[1]]: [version - 1],
        });
    }
    await world.rotate();
    expect(world.file).toEqual({ versions: { [PURPOSE]: version }, rotating: [] });
    expect(world.failed).toEqual([]);
    expect(world.pod?.version).toBe(version);
    expect((world.pod?.asked ?? 0) + (world.gone.at(-1)?.asked ?? 0)).toBeGreaterThan(asked + 20);
    // Both names open with the new password, and nothing opens with an older one.
    const versions = Array.from({ length: version }, (_, index) => index + 1);
    expect(await opens(world.server, versions)).toEqual({ shop: [version], shop_2: [version] });
  },
);

test('a client that keeps an old password fails, so that the load would have told', async () => {
  const late = await new ModulePod(world.server, 2, [usersOf(2)[0], secretOf(2)]).ready();
  await late.stop();
  expect(late.failed.join('\n')).toMatch(/Authentication/i);
});

test('at an even version it is dumped and restored in place, starts again, and an empty volume gets the user in use', async () => {
  await world.rotate();
  const version = world.file.versions[PURPOSE] ?? 1;
  expect(version % 2).toBe(0);
  const [user] = usersOf(version);
  const versions = Array.from({ length: version }, (_, index) => index + 1);
  expect(world.failed).toEqual([]);
  // A restore takes away what was written since.
  await world.pod?.stop();
  const client = clientOf(world.server, user, secretOf(version));
  const kept = client.db('shop').collection('orders');
  await kept.insertOne({ n: 1 });
  const dumped = await world.server.exec(dump);
  await kept.deleteMany({ n: 1 });
  await world.server.exec(restore, Readable.from([dumped]));
  expect(await kept.countDocuments({ n: 1 })).toBe(1);
  await client.close();

  await world.server.stop();
  // Its variables are those of the start, as its Pod has them.
  await world.server.start(secretOf(version));
  expect(await opens(world.server, versions)).toEqual({ shop: [version], shop_2: [version] });

  empty = new Server(await freePort(), 'empty');
  await empty.start(secretOf(version));
  expect(await opens(empty, versions)).toEqual({ shop: [], shop_2: [version] });
});

test('an image without the shell, and one that knows no second user yet, are told before anything is written', async () => {
  const without = join(folder, 'without');
  mkdirSync(without);
  const [command = '', ...args] = check.map((word) => world.server.here(word));
  const ask = async (env: Record<string, string>): Promise<string> =>
    (await promisify(execFile)(command, args, { env })).stdout.trim();
  const full = world.server.env(secretOf(1));
  expect(await ask({ ...full, PATH: '/usr/bin:/bin' })).toBe('its image has no mongosh');
  const { MODULE_USER: _user, ...unnamed } = full;
  expect(await ask(unnamed)).toBe('it knows no second user yet: bring the environment up first');
  expect(await ask(full)).toBe('');
});
