import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { KubeConfig } from '@kubernetes/client-node';
import { PodExec } from '../../../clients/pod-exec';
import {
  type Database,
  databaseItems,
  databasePlace,
  restoreDatabase,
} from '../../../delivery/backup/kinds/databases';
import { jenkinsItems, jenkinsPlace, restoreJenkinsHome } from '../../../delivery/backup/kinds/jenkins';
import { backUp } from '../../../delivery/backup/run';
import type { Snapshot } from '../../../delivery/backup/snapshots';
import { ended, Pods } from './pods';
import { broken, Folders, streamOf, vault } from './support';

const folders = new Folders();
const root = folders.new('exec');
const place = databasePlace({}, 'orders', 'mysql');
let pods: Pods;
let config: KubeConfig;
let exec: PodExec;

beforeEach(async () => {
  pods = new Pods();
  config = await pods.config(() => import('@kubernetes/client-node'));
  exec = new PodExec(config, { baseMs: 1, capMs: 1 });
});
afterEach(() => pods.close());
afterAll(() => folders.remove());

const shell = (script: string, ...args: string[]): string[] => ['sh', '-c', script, ...args];

test('a dump of many megabytes arrives whole, asked of the right container by argv', async () => {
  const file = join(root, 'large');
  const bytes = randomBytes(20_000_000);
  writeFileSync(file, bytes);
  expect((await buffer(exec.read(place, ['cat', file]))).equals(bytes)).toBe(true);
  expect(pods.asked).toEqual([
    {
      path: '/api/v1/namespaces/prod-orders/pods/mysql-0/exec',
      argv: ['cat', file],
      authorization: 'Bearer token-of-the-account',
    },
  ]);
});

test('a dump that ends badly breaks the stream, though bytes came, and says why', async () => {
  const reading = buffer(exec.read(place, shell('echo half; echo "Access denied for user" >&2; exit 2')));
  await expect(reading).rejects.toThrow(
    'exec: sh in prod-orders/mysql-0 (mysql) ended with 2 (Access denied for user).',
  );
});

test('what a command quotes of a secret is hidden before its words are cut: no half of it is left', async () => {
  const secret = 'the-password-of-a-database';
  const refuse = shell(`printf '%0290d%s' 0 "$0" >&2; exit 1`, secret);
  const refused = exec.write(place, refuse, streamOf('x'), [secret]);
  await expect(refused).rejects.toThrow(`(${'0'.repeat(290)}[hidden])`);
});

test('a repository’s fault that quotes a secret is hidden before it is cut', async () => {
  const secret = 'the-password-of-a-repository';
  const bin = join(root, 'bin');
  mkdirSync(bin);
  writeFileSync(
    join(bin, 'restic'),
    `#!/bin/sh\nprintf 'Fatal: %0290d%s' 0 "$RESTIC_PASSWORD" >&2; exit 1\n`,
    { mode: 0o755 },
  );
  const PATH = `${bin}:${process.env.PATH}`;
  const refused = vault('/nowhere', root, { env: { PATH, RESTIC_PASSWORD: secret } }).holdings();
  await expect(refused).rejects.toThrow('[hidden]');
  await expect(refused).rejects.not.toThrow(/the-pass/);
});

test('why a command ended is told whole, though a character came in two frames', async () => {
  pods.behaviour = (socket) => {
    const [begin, end] = [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1)];
    socket.send(Buffer.concat([Buffer.from([2]), Buffer.from('refus'), begin]));
    socket.send(Buffer.concat([Buffer.from([2]), end]));
    socket.send(Buffer.concat([Buffer.from([3]), Buffer.from(JSON.stringify(ended(1)))]));
    return true;
  };
  await expect(exec.run(place, ['dump'])).rejects.toThrow('ended with 1 (refusé)');
});

test('a connection that is lost before the command ended breaks the stream', async () => {
  pods.behaviour = (socket) => {
    socket.send(Buffer.from([1, 104, 105]));
    socket.terminate();
    return true;
  };
  await expect(buffer(exec.read(place, ['dump']))).rejects.toThrow('lost its connection before it ended');
});

test('a cluster that does not answer is one clear line', async () => {
  pods.close();
  await expect(buffer(exec.read(place, ['dump']))).rejects.toThrow(
    /^exec: dump in prod-orders\/mysql-0 \(mysql\) could not be started \(.*\)\. Check that/,
  );
});

test('an API server that is busy for a moment is asked again: for a Pod, and to begin a command', async () => {
  pods.refusals = [503, 429];
  await exec.ready(place);
  expect(pods.requests).toBe(3);
  pods.refusals = [503, 502];
  expect(await exec.run(place, ['echo', 'said'])).toBe('said\n');
  pods.refusals = [503];
  const file = join(root, 'written');
  await exec.write(place, shell('cat > "$0"', file), streamOf('whole'));
  expect(readFileSync(file, 'utf8')).toBe('whole');
  expect(pods.asked).toHaveLength(2);
});

test('what it refuses is asked once', async () => {
  pods.refusals = [403, 403];
  await expect(exec.run(place, ['dump'])).rejects.toThrow(
    /\(Unexpected server response: 403\)\. Check that the service/,
  );
  expect(pods.requests).toBe(1);
  await expect(exec.ready(place)).rejects.toThrow('cannot be read (403). Check that the service account');
  expect(pods.requests).toBe(2);
});

test('one that never answers is waited for no longer than the policy says; a restore is begun once', async () => {
  pods.silent = true;
  exec = new PodExec(config, { attempts: 2, attemptMs: 100, baseMs: 1, capMs: 1 });
  await expect(exec.ready(place)).rejects.toThrow('cannot be read (the cluster did not answer within 0.1 s)');
  expect(pods.requests).toBe(2);
  await expect(exec.run(place, ['dump'])).rejects.toThrow(
    'could not be started (Opening handshake has timed out)',
  );
  expect(pods.requests).toBe(4);
  await expect(exec.write(place, ['restore'], streamOf('x'))).rejects.toThrow('handshake has timed out');
  expect(pods.requests).toBe(5);
});

test('a restore gets every byte and its end; a stream that breaks, or a command that ends badly, is a fault', async () => {
  const bytes = randomBytes(5_000_000);
  const file = join(root, 'restored');
  await exec.write(place, shell('cat > "$0.part" && mv "$0.part" "$0"', file), streamOf(bytes));
  expect(readFileSync(file).equals(bytes)).toBe(true);

  await expect(exec.write(place, ['cat'], broken('the backup is damaged'))).rejects.toThrow(
    'the backup is damaged',
  );

  await expect(exec.write(place, shell('cat > /dev/null; exit 3'), streamOf('x'))).rejects.toThrow(
    'ended with 3',
  );
});

test('a cluster that cannot be told where the input ends is refused', async () => {
  pods.protocol = 'v4.channel.k8s.io';
  pods.behaviour = () => true;
  await expect(exec.write(place, ['cat'], streamOf('x'))).rejects.toThrow('Kubernetes 1.30 or newer');
});

test('a restart waits until the container has started anew and is ready; its lost connection is no fault', async () => {
  pods.behaviour = (socket) => {
    pods.status = { ready: true, restartCount: 0 };
    setTimeout(() => {
      pods.status = { ready: false, restartCount: 1 };
      socket.terminate();
    }, 100);
    setTimeout(() => {
      pods.status = { ready: true, restartCount: 1 };
    }, 1500);
    return true;
  };
  const begun = Date.now();
  await exec.restart(place, ['redis-cli', 'shutdown', 'nosave']);
  expect(Date.now() - begun).toBeGreaterThan(1400);

  pods.behaviour = (socket) => {
    socket.send(Buffer.concat([Buffer.from([3]), Buffer.from(JSON.stringify(ended(1)))]));
    return true;
  };
  await expect(exec.restart(place, ['redis-cli'])).rejects.toThrow('ended with 1');

  pods.behaviour = (socket) => {
    socket.terminate();
    return true;
  };
  await expect(exec.restart(place, ['redis-cli'], 100)).rejects.toThrow('is not ready again after 0 s');
});

test('databases and Jenkins’ home travel through the backup: argv as the catalog says, restart only where it is', async () => {
  const data = join(root, 'data');
  writeFileSync(data, 'rows');
  const home = join(root, 'home');
  for (const folder of ['jobs/orders/builds/1', 'secrets', 'caches/git', 'workspace/orders'])
    mkdirSync(join(home, folder), { recursive: true });
  writeFileSync(join(home, 'jobs/orders/builds/1/log'), 'built');
  writeFileSync(join(home, 'secrets/master.key'), 'key');
  writeFileSync(join(home, 'caches/git/pack'), 'pack');
  const database = (restart?: string[]): Database => ({
    module: 'orders',
    service: 'mysql',
    place,
    backup: { dump: ['cat', data], restore: shell('cat > "$0"', `${data}.restored`), restart },
  });
  const vaulted = vault(join(root, 'repository'), root);
  const outcomes = await backUp({
    restic: vaulted,
    say: () => undefined,
    sources: [
      { kind: 'databases', whole: true, items: async () => databaseItems(exec, [database()]) },
      { kind: 'jenkins', whole: true, items: async () => jenkinsItems(exec, jenkinsPlace({}), home) },
    ],
  });
  expect(outcomes.map(({ kind, item, result }) => `${kind} ${item} ${result}`)).toEqual([
    'databases orders/mysql stored',
    'jenkins home stored',
  ]);
  const [dump, tar] = (await vaulted.holdings()).snapshots as [Snapshot, Snapshot];

  const restarted = jest.spyOn(exec, 'restart').mockResolvedValue();
  await restoreDatabase(vaulted, dump, exec, database());
  expect(readFileSync(`${data}.restored`, 'utf8')).toBe('rows');
  expect(restarted).not.toHaveBeenCalled();
  await restoreDatabase(vaulted, dump, exec, database(['end-it']));
  expect(restarted).toHaveBeenCalledWith(place, ['end-it']);
  await expect(restoreDatabase(vaulted, dump, exec, { ...database(), module: 'shop' })).rejects.toThrow(
    'orders/mysql is not restored into shop/mysql',
  );

  const back = join(root, 'back');
  mkdirSync(back);
  pods.status = { ready: true, restartCount: 0 };
  const helper = { namespace: 'ci', pod: 'restore-0', container: 'restore' };
  await restoreJenkinsHome(vaulted, tar, exec, helper, back);
  expect(readFileSync(join(back, 'jobs/orders/builds/1/log'), 'utf8')).toBe('built');
  expect(readFileSync(join(back, 'secrets/master.key'), 'utf8')).toBe('key');
  expect(() => readFileSync(join(back, 'caches/git/pack'))).toThrow('ENOENT');
  expect(() => readFileSync(join(back, 'workspace'))).toThrow('ENOENT');
});
