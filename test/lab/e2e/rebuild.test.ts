import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GITLAB_URL } from '../../../lab/gitlab';
import { EXAMPLES, type Example, productionVersion, travel, versionOf } from '../../../lab/journey';
import { BACKUP_BUCKET, STATE_BUCKET } from '../../../lab/machine/addresses';
import { labHome, openLog } from '../../../lab/steps';
import {
  ENVIRONMENT,
  JENKINS_URL,
  labEnvironment,
  REPOSITORY,
  rootToken,
  switchyard,
} from '../../../lab/topology';
import { nightly, scaled } from '../../support/scale';
import { kubectl, runJob, servedImage, wholeLab } from './running';

// Disasters for real on a running lab: everything but the backups burns, and comes back.
jest.setTimeout(1_500_000);

/** Releases that the ledger holds before the disaster: those of the lab's own main job, and as many as are missing. */
const RELEASES = scaled({ usual: 3, all: 10 });
const work = mkdtempSync(join(tmpdir(), 'switchyard-rebuild-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly printed: string;
  readonly said: string;
}

/** A command of the product, as a person runs it. */
function command(args: string[], environment: Record<string, string> = {}): Ended {
  const [program, all] = switchyard(args);
  const { status, stdout, stderr } = spawnSync(program, all, {
    cwd: REPOSITORY,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, ...labEnvironment(), ...environment },
  });
  return { code: status, printed: stdout, said: `${stdout}${stderr}` };
}

const inService = (module: string, service: string, script: string): string =>
  kubectl('-n', `prod-${module}`, 'exec', `${service}-0`, '-c', service, '--', 'sh', '-c', script).trim();
const mysql = (sql: string) =>
  inService(
    'orders',
    'mysql',
    `MYSQL_PWD="$MYSQL_ROOT_PASSWORD" mysql -uroot -N "$MYSQL_DATABASE" -e '${sql}'`,
  );
const postgres = (sql: string) =>
  inService('billing', 'postgresql', `psql -U postgres -At -d "$POSTGRES_DB" -c '${sql}'`);
const redis = (words: string) =>
  inService('orders', 'redis', `REDISCLI_AUTH="$SWITCHYARD_SERVICE_PASSWORD" redis-cli ${words}`);
/** By the module's own client: the lab's MongoDB has no shell. */
const mongo = (python: string): string =>
  kubectl(
    ...['-n', 'prod-orders', 'exec', 'deployment/orders', '-c', 'module', '--', 'python3', '-c'],
    `import hashlib, os, pymongo
server = pymongo.MongoClient(
    os.environ["MONGODB_HOST"], int(os.environ["MONGODB_PORT"]),
    username=os.environ["MONGODB_USER"], password=os.environ["MONGODB_PASSWORD"],
    authSource=os.environ["MONGODB_AUTH_SOURCE"])
drill = server[os.environ["MONGODB_DATABASE"]]["drill"]
${python}`,
  ).trim();

const ROWS = 200;
function fillDatabases(): void {
  const values = Array.from({ length: ROWS }, (_, id) => `(${id}, md5(concat(${id}, "x")))`).join(',');
  mysql(
    `create table if not exists drill (id int primary key, mark char(32)); replace into drill values ${values}`,
  );
  postgres(
    `create table if not exists drill as select id, md5(id::text) as mark from generate_series(1, ${ROWS}) id`,
  );
  redis('set drill kept');
  mongo(`drill.drop()
drill.insert_many([{"_id": id, "mark": hashlib.md5(str(id).encode()).hexdigest()} for id in range(${ROWS})])`);
}
const rows = () => ({
  mysql: mysql('select count(*), md5(group_concat(mark order by id)) from drill'),
  postgres: postgres('select count(*), md5(string_agg(mark, chr(44) order by id)) from drill'),
  redis: redis('get drill'),
  mongo: mongo(`marks = [one["mark"] for one in drill.find().sort("_id", 1)]
print(len(marks), hashlib.md5(",".join(marks).encode()).hexdigest())`),
});

const served = (): Record<string, string> =>
  Object.fromEntries(Object.keys(EXAMPLES).map((module) => [module, servedImage(module)]));

const namespaces = (): string =>
  kubectl('get', 'namespaces', '-l', 'app.kubernetes.io/part-of=switchyard', '-o', 'name');

async function gitlab<T>(path: string): Promise<T> {
  const ask = () => fetch(`${GITLAB_URL}/api/v4/${path}`, { headers: { 'PRIVATE-TOKEN': rootToken() } });
  // Commands block this process longer than GitLab keeps a connection open: the first one may be dead.
  const response = await ask().catch(ask);
  return (await response.json()) as T;
}

interface Release {
  readonly id: string;
  readonly title: string;
}

/** Commits of the ledger that put a release of one of the lab's modules into production, newest first. */
async function releases(): Promise<Release[]> {
  const commits = await gitlab<Release[]>(
    'projects/switchyard%2Frelease-ledger/repository/commits?per_page=100',
  );
  const ofModule = new RegExp(`^${ENVIRONMENT}: (${Object.keys(EXAMPLES).join('|')}) `);
  return commits.filter(({ title }) => ofModule.test(title));
}

/** Releases of one module, one after the other. The last of several has the version that the checkout has. */
async function release(module: Example, count: number): Promise<void> {
  const log = openLog(`test-rebuild-${module}`);
  for (let number = 1; number <= count; number++) {
    const own = versionOf(module);
    const version = number > 1 && number === count ? own : `9.${Date.now() % 100_000}.${number}`;
    const change = (checkout: string) => writeFileSync(join(checkout, 'VERSION'), `${version}\n`);
    await travel(log, `release-${version}`, `${module} ${version}`, change, version, module);
  }
}

/** What differs from what is declared: nothing, after a rebuild. */
const changes = (): unknown => {
  const { code, printed } = command(['preview', ENVIRONMENT, '--without-images', '--json']);
  expect(code).toBe(0);
  return (JSON.parse(printed) as { changes: unknown }).changes;
};

const backUp = (): Promise<string> => runJob('backup', 'backup', 300);

const burn = (): void => {
  execFileSync('npm', ['run', 'lab:disaster'], { cwd: REPOSITORY, stdio: 'ignore' });
};

let filled: ReturnType<typeof rows>;
let images: Record<string, string>;

test(`a drill: all burns after ${RELEASES} releases; rows, repositories, digests and builds are back`, async () => {
  fillDatabases();
  // The one with three services takes longest: it gets none of what does not divide by three.
  const modules = (Object.keys(EXAMPLES) as Example[]).reverse();
  const missing = RELEASES - (await releases()).length;
  // All modules at once: their deploys wait for each other, their builds and tests do not.
  await Promise.all(
    modules.map((module, index) =>
      release(module, Math.max(0, Math.ceil((missing - index) / modules.length))),
    ),
  );
  const ledger = await releases();
  expect(ledger.length).toBeGreaterThanOrEqual(RELEASES);
  filled = rows();
  images = served();
  const out = join(work, 'drill');
  const { code, said } = command([
    'drill',
    ENVIRONMENT,
    ...['--disaster', 'npm run lab:disaster', '--out', out, '--canary', 'billing', '--yes'],
  ]);
  expect({ code, said: code === 0 ? '' : said.slice(-3000) }).toEqual({ code: 0, said: '' });
  const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'));
  console.log(readFileSync(join(out, 'report.md'), 'utf8'));
  expect(report.faults).toEqual([]);
  expect(report.lost).toEqual([]);
  expect(report.compared.repositories).toBeGreaterThanOrEqual(5);
  expect(report.compared.images).toBe(3);
  // Of orders three, of billing two, of mailer one.
  expect(report.compared.databases).toBe(6);
  expect(report.compared.builds).toBeGreaterThanOrEqual(3);
  // How long it took is in the report above; that depends on the machine and on what runs beside it.
  expect(report.rtoSeconds).toBeGreaterThan(0);
  expect(readFileSync(join(out, 'report.svg'), 'utf8')).toMatch(/^<svg /);
  expect(rows()).toEqual(filled);
  // The canary released billing anew.
  expect((await releases()).slice(1)).toEqual(ledger.map((one) => expect.objectContaining({ id: one.id })));
  expect({ ...served(), billing: '' }).toEqual({ ...images, billing: '' });
});

test('hooks point at Jenkins, and a preview finds nothing to change', async () => {
  for (const module of Object.keys(EXAMPLES)) {
    const hooks = await gitlab<{ url: string }[]>(`projects/switchyard%2F${module}/hooks`);
    expect(hooks.map(({ url }) => url)).toEqual([`${JENKINS_URL}/project/switchyard/${module}`]);
  }
  expect(changes()).toEqual({});
});

test('over something alive nothing is done', () => {
  const { code, said } = command(['rebuild', ENVIRONMENT, '--from', 'latest', '--yes']);
  expect(code).toBe(2);
  expect(said).toMatch(/Something lives in gitlab .* and in ci .* and in production .*Nothing was done/);
});

test('a plan tells what would be done and changes nothing', () => {
  const before = namespaces();
  const { code, said } = command([
    'rebuild',
    ENVIRONMENT,
    '--from',
    'latest',
    '--plan',
    '--over',
    'gitlab',
    'cluster',
  ]);
  expect(code).toBe(0);
  expect(said).toMatch(/LIVES AND IS WRITTEN OVER: gitlab, ci, production/);
  expect(said).toMatch(/databases +\d+ item\(s\), [\d.]+ MiB, newest/);
  expect(namespaces()).toBe(before);
  expect(rows()).toEqual(filled);
});

test('a wrong key is refused before anything else', () => {
  const seed = 'another seed that is long enough to be taken for one';
  const { code, said } = command(['rebuild', ENVIRONMENT, '--from', 'latest', '--yes'], {
    SWITCHYARD_SEED: seed,
  });
  expect(code).toBe(2);
  expect(said).toMatch(/does not open with this key.*Nothing was restored/s);
  expect(said).not.toContain('Something lives');
});

test('one flipped byte is refused before anything else', () => {
  const copy = join(work, 'copy');
  cpSync(join(labHome(), 'backup-store', BACKUP_BUCKET, 'switchyard', ENVIRONMENT), copy, {
    recursive: true,
  });
  const packs = readdirSync(join(copy, 'data'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(copy, 'data', name))
    .filter((path) => statSync(path).isFile());
  const pack = packs.sort((a, b) => statSync(b).size - statSync(a).size)[0] ?? '';
  const bytes = readFileSync(pack);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  rmSync(pack);
  writeFileSync(pack, bytes);
  const { code, said } = command(['rebuild', ENVIRONMENT, '--from', 'latest', '--repository', copy, '--yes']);
  expect(code).toBe(1);
  expect(said).toMatch(/is damaged.*Nothing was restored/s);
  expect(said).not.toContain('Something lives');
});

/** Kills a rebuild when it says something, and says the same command again. @returns how that ended */
async function killedAt(said: RegExp, args: string[]): Promise<Ended> {
  const [program, all] = switchyard(args);
  const child = spawn(program, all, {
    cwd: REPOSITORY,
    env: { ...process.env, ...labEnvironment() },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  await new Promise<void>((killed) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (said.test(text) && child.pid) process.kill(-child.pid, 'SIGKILL');
    });
    child.on('close', () => killed());
  });
  expect(child.signalCode).toBe('SIGKILL');
  expect(existsSync(join(labHome(), 'pulumi', 'switchyard', 'rebuilds', `${ENVIRONMENT}.json`))).toBe(true);
  return command(args);
}

test('where only the state is lost, it is made from what lives, nothing twice; killed, it goes on where it stopped', async () => {
  const before = namespaces();
  rmSync(join(labHome(), 's3', STATE_BUCKET, '.pulumi'), { recursive: true, force: true });
  const args = ['rebuild', ENVIRONMENT, '--from', 'latest', '--keep', 'gitlab', 'cluster', '--no-canary'];
  const { code, said } = await killedAt(/^repositories …/m, [...args, '--yes']);
  expect({ code, said: code === 0 ? '' : said.slice(-3000) }).toEqual({ code: 0, said: '' });
  expect(said).toMatch(/foundation: done before/);
  expect(namespaces()).toBe(before);
  expect(rows()).toEqual(filled);
  expect(changes()).toEqual({});
});

nightly('after all burnt, too, while data goes back: nothing goes back twice', async () => {
  await backUp();
  const before = rows();
  const released = served();
  burn();
  const args = ['rebuild', ENVIRONMENT, '--from', 'latest', '--canary', 'mailer', '--yes'];
  // The foundation stands, and some of the data is in.
  const { code, said } = await killedAt(/repositories \S+: restored/, args);
  expect({ code, said: code === 0 ? '' : said.slice(-3000) }).toEqual({ code: 0, said: '' });
  expect(said).toMatch(/foundation: done before/);
  expect(rows()).toEqual(before);
  expect({ ...served(), mailer: '' }).toEqual({ ...released, mailer: '' });
  expect(served().mailer).toMatch(/@sha256:[0-9a-f]{64}$/);
  expect(changes()).toEqual({});
});

test('and what was rebuilt is a whole lab again, whose modules answer in their versions', async () => {
  // The disaster took the lab's own records too: this goes through its steps anew.
  await wholeLab();
  for (const module of Object.keys(EXAMPLES) as Example[]) {
    expect(await productionVersion(module)).toBe(versionOf(module));
  }
});
