import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mirrorConfig, mirrorPushConfig } from '../../../lab/cluster/config';
import { mirrorDaemon, mirrorPushDaemon } from '../../../lab/cluster/daemons';
import { MIRROR, MIRROR_PUSH } from '../../../lab/machine/addresses';
import { freePort } from '../../support/port';

/** Both registries of the lab's mirror, of Debian's package, on loopback: who may change what every build starts from. */

const TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

let folder: string;
let reads: string;
let pushes: string;
const servers: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lab-mirror-'));
  const serve = async (name: string, config: object): Promise<string> => {
    const address = `127.0.0.1:${await freePort()}`;
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify({ ...config, http: { addr: address } }));
    servers.push(spawn('docker-registry', ['serve', file], { stdio: 'ignore' }));
    for (let attempt = 0; attempt < 100; attempt++) {
      if (await fetch(`http://${address}/v2/`).catch(() => undefined)) return address;
      await sleep(100);
    }
    throw new Error(`the registry ${name} does not answer`);
  };
  reads = await serve('mirror', mirrorConfig(join(folder, 'data')));
  pushes = await serve('mirror-push', mirrorPushConfig(join(folder, 'data')));
});
afterAll(() => {
  for (const server of servers) server.kill();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (host: string, method: string, path: string, body?: string): Promise<Response> =>
  fetch(`http://${host}/v2/${path}`, { method, body, headers: { 'content-type': TYPE, accept: TYPE } });

async function upload(text: string): Promise<void> {
  const begun = await ask(pushes, 'POST', 'python/blobs/uploads/');
  const location = new URL(begun.headers.get('location') ?? '', begun.url);
  location.searchParams.set('digest', digestOf(text));
  expect((await fetch(location, { method: 'PUT', body: text })).status).toBe(201);
}

/** A manifest whose parts are in the repository: with a blank more it is another one that a registry would take. */
const image = (blanks = 0): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: TYPE,
    config: {
      mediaType: 'application/vnd.docker.container.image.v1+json',
      digest: digestOf('{}'),
      size: 2,
    },
    layers: [
      {
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        digest: digestOf('layer'),
        size: 5,
      },
    ],
  }) + ' '.repeat(blanks);

async function tagged(): Promise<string> {
  const found = await ask(reads, 'GET', 'python/manifests/3.11');
  return digestOf(await found.text());
}

test('what the lab pushes is read at once, and once more when it was replaced', async () => {
  for (const text of ['{}', 'layer']) await upload(text);
  for (const blanks of [0, 1]) {
    expect((await ask(pushes, 'PUT', 'python/manifests/3.11', image(blanks))).status).toBe(201);
    expect(await tagged()).toBe(digestOf(image(blanks)));
    expect(await (await ask(reads, 'GET', `python/blobs/${digestOf('layer')}`)).text()).toBe('layer');
  }
});

test('whoever reaches it from Pods and nodes changes nothing of it', async () => {
  const before = await tagged();
  const digest = digestOf('layer');
  const begun = await ask(pushes, 'POST', 'python/blobs/uploads/');
  const { pathname, search } = new URL(begun.headers.get('location') ?? '', begun.url);
  const location = (pathname + search).slice('/v2/'.length);
  const tries: [string, string, string?][] = [
    ['POST', 'python/blobs/uploads/'],
    ['POST', `evil/blobs/uploads/?mount=${digest}&from=python`],
    // One that the lab itself began.
    ['PATCH', location, 'evil'],
    ['PUT', `${location}&digest=${digestOf('evil')}`, 'evil'],
    ['DELETE', location],
    ['PUT', 'python/manifests/3.11', image(2)],
    ['PUT', `python/manifests/${digestOf(image(2))}`, image(2)],
    ['DELETE', `python/manifests/${before}`],
    ['DELETE', `python/blobs/${digest}`],
  ];
  for (const [method, path, body] of tries) {
    const { status } = await ask(reads, method, path, body);
    // It knows no upload that another registry began.
    expect([method, path, status]).toEqual([method, path, path.startsWith(location) ? 404 : 405]);
  }
  expect(await tagged()).toBe(before);
  expect((await ask(reads, 'HEAD', `python/blobs/${digest}`)).status).toBe(200);
});

test('no push deletes: what was pushed stays', async () => {
  expect((await ask(pushes, 'DELETE', `python/manifests/${await tagged()}`)).status).toBe(405);
});

test('the lab pushes where no Pod has a way: on the loopback of the host, of which the machine has its own', () => {
  const [host = '', port] = MIRROR_PUSH.split(':');
  expect(isIPv4(host) && host.startsWith('127.')).toBe(true);
  // Else a Pod that found it shut would prove nothing.
  expect(port).not.toBe(MIRROR.split(':')[1]);
  const home = process.env.SWITCHYARD_LAB_HOME;
  process.env.SWITCHYARD_LAB_HOME = folder;
  try {
    expect([mirrorDaemon().network, mirrorPushDaemon().network]).toEqual(['lab', 'host']);
  } finally {
    if (home === undefined) delete process.env.SWITCHYARD_LAB_HOME;
    else process.env.SWITCHYARD_LAB_HOME = home;
  }
  expect(mirrorConfig('/data')).toMatchObject({ http: { addr: MIRROR } });
  expect(mirrorPushConfig('/data')).toMatchObject({ http: { addr: MIRROR_PUSH } });
});
