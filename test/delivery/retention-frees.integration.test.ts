import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCode } from '../../clients/failure';
import { PATIENT, Registry } from '../../clients/registry';
import { cacheTag, openGate } from '../../delivery/gate';
import { collectRegistry } from '../../delivery/registry-gc';
import { type RealRegistry, startRegistry } from '../support/registry';
import { tarOf } from '../support/tar';

// What retention leaves on the disk of a real Distribution: builds by the gate, the job's own decisions, and the
// collector that the registry's Pod runs.

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const MEGABYTE = 2 ** 20;
const REPOSITORY = 'modules/shop';
const TAG = 'mr-1-0123abcd';
const RELEASED = 'mr-2-0123abcd';
const NOW = 2_000_000_000;

let folder: string;
let server: RealRegistry;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'retention-'));
  server = await startRegistry(folder);
});
afterEach(() => {
  server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const digestOf = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Bytes below a folder; none where it was never made. */
const sizeOf = (path: string): number =>
  !existsSync(path)
    ? 0
    : statSync(path).isDirectory()
      ? readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
      : statSync(path).size;

/** Bytes that what is not released may take. */
let unreleased = 100 * MEGABYTE;
let builds = 0;

/**
 * A build with a layer of a megabyte and a cache of another, and beside the image a statement where `attested`.
 * @param meanwhile what happens when all is handed over and nothing published
 * @param sent what happens when the registry has the blobs, and no manifest yet
 */
async function build(
  tag: string,
  attested = false,
  meanwhile = async () => {},
  sent = async () => {},
): Promise<string> {
  const registry = new Registry({
    host: server.host,
    plainHttp: true,
    policy: { ...PATIENT, capMs: 500 },
  });
  const putManifest = registry.putManifest.bind(registry);
  registry.putManifest = async (...given) => {
    await sent();
    sent = async () => {};
    return putManifest(...given);
  };
  const gate = await openGate(
    {
      registry,
      repository: REPOSITORY,
      token: 'token',
      imageTag: tag,
      folder: join(folder, `handed-${builds++}`),
      most: { build: 3 * MEGABYTE, unreleased },
      imageBytes: 2 ** 30,
      say: () => undefined,
    },
    0,
  );
  const authorization = `Basic ${Buffer.from('build:token').toString('base64')}`;
  const ask = async (
    method: string,
    path: string,
    body?: Uint8Array<ArrayBuffer> | string,
    type?: string,
  ) => {
    const answer = await fetch(`http://127.0.0.1:${gate.port}/v2/${path}`, {
      method,
      body,
      headers: { authorization, ...(type ? { 'content-type': type } : {}) },
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  const blob = async (bytes: Buffer<ArrayBuffer>, mediaType: string) => {
    const begun = await ask('POST', `${REPOSITORY}/blobs/uploads/`);
    const location = (begun.headers.get('location') ?? '').slice('/v2/'.length);
    await ask('PUT', `${location}?digest=${digestOf(bytes)}`, bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const put = async (reference: string, manifest: object, mediaType = MANIFEST) => {
    const text = JSON.stringify({ schemaVersion: 2, mediaType, ...manifest });
    await ask('PUT', `${REPOSITORY}/manifests/${reference || digestOf(text)}`, text, mediaType);
    return { mediaType, digest: digestOf(text), size: text.length };
  };
  const layer = () =>
    blob(tarOf([{ data: randomBytes(MEGABYTE) }]), 'application/vnd.oci.image.layer.v1.tar');
  try {
    const rootfs = { type: 'layers', diff_ids: [digestOf('layer')] };
    const text = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs });
    const config = await blob(Buffer.from(text), 'application/vnd.oci.image.config.v1+json');
    const image = await put(attested ? '' : tag, { config, layers: [await layer()] });
    if (attested) {
      const statement = await put('', {
        config,
        layers: [await blob(randomBytes(64), 'application/vnd.in-toto+json')],
      });
      const platform = (os: string) => ({ platform: { os, architecture: os === 'linux' ? 'amd64' : os } });
      const manifests = [
        { ...image, ...platform('linux') },
        { ...statement, ...platform('unknown') },
      ];
      await put(tag, { manifests }, INDEX);
    }
    const list = await blob(
      Buffer.from(JSON.stringify({ layers: [], records: [] })),
      'application/vnd.buildkit.cacheconfig.v0',
    );
    await put(cacheTag(tag), { config: list, layers: [await layer()] });
    await meanwhile();
    return (await gate.publish()).digest;
  } finally {
    await gate.close();
  }
}

/** The job, in a time when all merge requests have long ended. */
async function clean(named: readonly string[]): Promise<void> {
  const long = new Date((NOW - 100 * 86_400) * 1000).toISOString();
  await collectRegistry({
    registry: server.registry,
    gitlab: { mergeRequest: async () => ({ state: 'merged', merged_at: long }) as never },
    cluster: {
      list: async () => [{ name: 'registry-1' } as never],
      remove: async () => true,
      createConfigMap: async () => undefined,
    },
    projectOf: (module) => `switchyard/${module}`,
    ledgers: async () => ({ named: new Set(named) }),
    namespace: 'registry',
    days: 30,
    now: NOW,
    dryRun: false,
    say: () => undefined,
  });
}

/**
 * What is missing of an image or an index: manifests, and blobs, each of which is read from the disk.
 * @returns undefined where the manifest itself is not there
 */
async function missingOf(digest: string): Promise<string[] | undefined> {
  const found = await server.registry.resolve(REPOSITORY, digest);
  if (!found) return undefined;
  interface Part {
    readonly digest: string;
  }
  const {
    manifests = [],
    layers = [],
    config,
  } = JSON.parse(found.bytes.toString()) as { manifests?: Part[]; layers?: Part[]; config?: Part };
  const missing: string[] = [];
  for (const part of manifests) missing.push(...((await missingOf(part.digest)) ?? [part.digest]));
  for (const part of [...layers, ...(config ? [config] : [])]) {
    const held = await fetch(`http://${server.host}/v2/${REPOSITORY}/blobs/${part.digest}`);
    const bytes = Buffer.from(await held.arrayBuffer());
    if (!held.ok || digestOf(bytes) !== part.digest) missing.push(part.digest);
  }
  return missing;
}

test('five builds of one tag with their caches, and an index of two, leave what one release needs', async () => {
  for (let round = 0; round < 5; round++) await build(TAG);
  await build('mr-3-0123abcd', true);
  const released = await build(RELEASED, true);
  expect(sizeOf(server.data)).toBeGreaterThan(13.9 * MEGABYTE);
  await clean([released]);
  server.collect();
  // Its layer; its cache went with its merge request.
  expect(sizeOf(server.data)).toBeLessThan(1.1 * MEGABYTE);
  expect(await missingOf(released)).toEqual([]);
});

test('what builds push while the job runs, and what a ledger names meanwhile, is whole afterwards', async () => {
  const first = await build(TAG, true);
  const cleaning = clean([first]);
  const pushed = await Promise.all([build('mr-4-0123abcd', true), build(TAG, true)]);
  await cleaning;
  // The registry's Pod collects before it serves.
  server.collect();
  for (const digest of [first, ...pushed]) {
    // A build whose merge request ended long ago may go; one that is there is there whole, to its last layer.
    const missing = await missingOf(digest);
    if (digest === first || missing) expect([digest, missing]).toEqual([digest, []]);
  }
});

test.each([[false], [true]])(
  'a build of which the collector took the blobs is to be made again, and then whole (attested: %s)',
  async (attested) => {
    const collected = async () => {
      server.stop();
      server.collect();
      server.start();
    };
    const lost = build(TAG, attested, undefined, collected);
    await expect(lost).rejects.toMatchObject({ code: exitCode.lost });
    const digest = await build(TAG, attested);
    expect((await server.registry.resolve(REPOSITORY, TAG))?.digest).toBe(digest);
  },
);

test('a build waits for a registry that is away, from the first blob to the last manifest', async () => {
  server.stop();
  setTimeout(() => server.start(), 1500);
  const digest = await build(TAG, false, async () => {
    server.stop();
    setTimeout(() => server.start(), 1500);
  });
  expect((await server.registry.resolve(REPOSITORY, TAG))?.digest).toBe(digest);
});

test('a build waits for a registry that goes away between its blobs', async () => {
  const digest = await build(TAG, false, async () => {
    server.stop();
    setTimeout(() => server.start(), 1500);
  });
  expect(await missingOf(digest)).toEqual([]);
});

test('a build that fails leaves nothing on the disk, and those that pass no more than they may', async () => {
  const before = sizeOf(server.data);
  for (let round = 0; round < 5; round++) {
    const failed = build(`mr-${round + 1}-0123abcd`, false, () => Promise.reject(new Error('it ended')));
    await expect(failed).rejects.toThrow('it ended');
  }
  expect(sizeOf(server.data)).toBe(before);
  unreleased = 5 * MEGABYTE;
  try {
    const ends: string[] = [];
    for (let round = 0; round < 5; round++) {
      const ended = build(`mr-${round + 1}-0123abcd`).then(
        () => 'published',
        ({ message }: Error) => (message.includes('registry.builds.unreleased') ? 'refused' : message),
      );
      ends.push(await ended);
    }
    expect(ends).toEqual(['published', 'published', 'refused', 'refused', 'refused']);
    expect(sizeOf(server.data) - before).toBeLessThan(4.1 * MEGABYTE);
  } finally {
    unreleased = 100 * MEGABYTE;
  }
});
