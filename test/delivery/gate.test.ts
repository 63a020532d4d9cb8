import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { exitCode, Failure } from '../../clients/failure';
import { RegistryAway } from '../../clients/registry';
import { CACHE_TAG, cacheTag, type Gate, openGate, replacedTag } from '../../delivery/gate';
import { readManifest } from '../../delivery/manifest';
import { tarOf } from '../support/tar';

const TYPE = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const CACHE_CONFIG = 'application/vnd.buildkit.cacheconfig.v0';
const TAG = 'mr-7-bbbbbbbb';
/** Bytes that an image may have unpacked. */
const MOST = 2 ** 20;
const TOKEN = 'the-password-of-this-build';

const digestOf = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const part = (bytes: Buffer | string, mediaType = LAYER) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});
/** An empty tar. */
const TAR = '\0'.repeat(1024);
/** Configuration of an image with one layer. */
const configOf = (config: object = {}, more: object = {}): string =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [digestOf(TAR)] },
    ...more,
  });
const IMAGE = configOf();
const manifest = (more: object = {}): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: TYPE,
    config: part(IMAGE, CONFIG),
    layers: [part(TAR)],
    ...more,
  });

/** The module's repository in a registry, in memory. */
function makeRepository() {
  const manifests = new Map<string, { mediaType: string; bytes: Buffer<ArrayBuffer> }>();
  const blobs = new Map<string, Buffer>();
  return {
    manifests,
    blobs,
    waitForLogin: async (): Promise<void> => undefined,
    resolve: async (_path: string, reference: string) => {
      const found = manifests.get(reference);
      return found && { ...found, digest: digestOf(found.bytes) };
    },
    manifest: async (_path: string, digest: string) => manifests.get(digest),
    hasBlob: async (_path: string, digest: string) => blobs.has(digest),
    blob: async (_path: string, digest: string): Promise<ReadableStream<Uint8Array>> => {
      const found = blobs.get(digest);
      if (!found) throw new Error('no such blob');
      return new Response(new Uint8Array(found)).body as ReadableStream<Uint8Array>;
    },
    async *tagged() {
      for (const [tag, found] of manifests)
        if (!tag.startsWith('sha256:')) yield { tag, digest: digestOf(found.bytes), ...found };
    },
    putFile: async (_path: string, digest: string, size: number, file: string) => {
      const bytes = readFileSync(file);
      // As Distribution does.
      if (digestOf(bytes) !== digest || bytes.length !== size) throw new Error('digest invalid');
      blobs.set(digest, bytes);
    },
    putManifest: async (
      _path: string,
      reference: string,
      given: { mediaType: string; bytes: Buffer<ArrayBuffer> },
    ) => {
      manifests.set(reference, { mediaType: given.mediaType, bytes: given.bytes });
    },
  };
}

let repository: ReturnType<typeof makeRepository>;
let gate: Gate;
const said: string[] = [];
const home = mkdtempSync(join(tmpdir(), 'gate-'));
const folder = join(home, 'handed');
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function open(most = { build: 4 * MOST, unreleased: 4 * MOST }): Promise<void> {
  gate = await openGate(
    {
      registry: repository,
      repository: 'modules/orders',
      token: TOKEN,
      imageTag: TAG,
      folder,
      most,
      imageBytes: MOST,
      say: (line) => said.push(line),
    },
    0,
  );
}
beforeEach(async () => {
  repository = makeRepository();
  await open();
});
afterEach(() => gate.close());

const login = (password: string) => `Basic ${Buffer.from(`build:${password}`).toString('base64')}`;
function ask(
  method: string,
  path: string,
  body?: Buffer<ArrayBuffer> | string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`http://127.0.0.1:${gate.port}/v2/${path}`, {
    method,
    // The gate does not read what it refused: a connection that both used again could be cut under the next request.
    headers: { authorization: login(TOKEN), connection: 'close', ...headers },
    body,
  });
}
const OWN = 'modules/orders';
async function upload(text: Buffer<ArrayBuffer> | string, digest = digestOf(text)): Promise<Response> {
  const begun = await ask('POST', `${OWN}/blobs/uploads/`);
  expect(begun.status).toBe(202);
  return ask('PUT', `${(begun.headers.get('location') ?? '').slice('/v2/'.length)}?digest=${digest}`, text);
}
const putManifest = (reference: string, text: string, type = TYPE): Promise<Response> =>
  ask('PUT', `${OWN}/manifests/${reference}`, text, { 'content-type': type });
const codeOf = async (response: Response): Promise<string> =>
  ((await response.json()) as { errors: { code: string }[] }).errors[0]?.code ?? '';

describe('a build', () => {
  test('that is made again leaves what it replaces under a tag, image and cache: no manifest without one is ever freed', async () => {
    const before = { mediaType: TYPE, bytes: Buffer.from(manifest({ annotations: { build: 'first' } })) };
    const cached = { mediaType: TYPE, bytes: Buffer.from(manifest({ annotations: { cache: 'first' } })) };
    repository.manifests.set(TAG, before);
    repository.manifests.set(cacheTag(TAG), cached);
    const config = JSON.stringify({ layers: [], records: [] });
    for (const text of [IMAGE, TAR, config]) await upload(text);
    await putManifest(TAG, manifest());
    await putManifest(cacheTag(TAG), manifest({ config: part(config, CACHE_CONFIG) }));
    const { digest } = await gate.publish();
    const at = (tag: string) => repository.manifests.get(tag)?.bytes.toString();
    expect(digestOf(at(TAG) ?? '')).toBe(digest);
    expect(at(replacedTag(TAG, digestOf(before.bytes)))).toBe(before.bytes.toString());
    expect(at(replacedTag(cacheTag(TAG), digestOf(cached.bytes)))).toBe(cached.bytes.toString());
    // The same once more replaces nothing.
    const count = repository.manifests.size;
    await gate.publish();
    expect(repository.manifests.size).toBe(count);
  });

  test('hands over one image, which is published by the digest that the gate computed', async () => {
    for (const text of [IMAGE, TAR]) expect((await upload(text)).status).toBe(201);
    expect((await putManifest(TAG, manifest())).status).toBe(201);
    // Nobody can pull it before somebody has looked at it.
    expect(repository.manifests.size).toBe(0);
    expect(await gate.publish()).toEqual({ digest: digestOf(manifest()) });
    expect(repository.manifests.get(TAG)?.bytes.toString()).toBe(manifest());
  });

  test('with attestations hands over an index of one image and its statements', async () => {
    for (const text of [IMAGE, TAR, 'sbom']) await upload(text);
    const statement = manifest({ layers: [part('sbom', 'application/vnd.in-toto+json')] });
    for (const text of [manifest(), statement]) {
      expect((await putManifest(digestOf(text), text)).status).toBe(201);
    }
    const unknown = { os: 'unknown', architecture: 'unknown' };
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [
        { ...part(manifest(), TYPE), platform: { os: 'linux', architecture: 'amd64' } },
        { ...part(statement, TYPE), platform: unknown },
      ],
    });
    expect((await putManifest(TAG, index, INDEX)).status).toBe(201);
    expect(await gate.publish()).toEqual({ digest: digestOf(index) });
    expect([...repository.manifests.keys()].sort()).toEqual(
      [digestOf(manifest()), digestOf(statement), TAG].sort(),
    );
  });

  test('writes a cache of its own, reads the one of main, and cannot change that', async () => {
    await gate.close();
    const known = '\0'.repeat(2048);
    repository.blobs.set(digestOf(known), Buffer.from(known));
    repository.blobs.set(digestOf('list'), Buffer.from('list'));
    const cache = manifest({ config: part('list', CACHE_CONFIG), layers: [part(known)] });
    repository.manifests.set(CACHE_TAG, { mediaType: TYPE, bytes: Buffer.from(cache) });
    await open();
    expect(await (await ask('GET', `${OWN}/manifests/${CACHE_TAG}`)).text()).toBe(cache);
    expect(await (await ask('GET', `${OWN}/blobs/${digestOf(known)}`)).text()).toBe(known);
    expect((await ask('HEAD', `${OWN}/blobs/${digestOf(known)}`)).status).toBe(200);
    const refused = await putManifest(CACHE_TAG, cache);
    expect([refused.status, await codeOf(refused)]).toEqual([403, 'DENIED']);
    // What the cache holds may be part of the image; it is not sent twice.
    await upload(IMAGE);
    expect((await putManifest(TAG, manifest({ layers: [part(known)] }))).status).toBe(201);
    expect((await putManifest(`${TAG}-cache`, cache)).status).toBe(201);
    const image = digestOf(manifest({ layers: [part(known)] }));
    expect(await gate.publish()).toEqual({ digest: image, cache: digestOf(cache) });
    expect(repository.manifests.get(`${TAG}-cache`)?.bytes.toString()).toBe(cache);
  });

  test('without an image, or with a cache in its place, is refused', async () => {
    await expect(gate.publish()).rejects.toThrow('handed over no image');
    // The build's own fault, whatever it sends.
    expect((await upload('config', digestOf('other'))).status).toBe(400);
    await expect(gate.publish()).rejects.toThrow('handed over no image');
    for (const text of ['list', TAR]) await upload(text);
    await putManifest(TAG, manifest({ config: part('list', CACHE_CONFIG) }));
    await expect(gate.publish()).rejects.toThrow('is a cache');
  });
});

/** Hands over an image and has it looked at. */
async function handOver({
  config = IMAGE,
  layers = [[TAR, LAYER]],
}: {
  config?: string;
  layers?: readonly (readonly [Buffer<ArrayBuffer> | string, string])[];
}): Promise<string> {
  for (const bytes of [config, ...layers.map(([layer]) => layer)]) {
    expect((await upload(bytes)).status).toBe(201);
  }
  const text = manifest({
    config: { ...part(config, CONFIG), size: Buffer.byteLength(config) },
    layers: layers.map(([layer, type]) => part(layer, type)),
  });
  expect((await putManifest(TAG, text)).status).toBe(201);
  return (await gate.publish()).digest;
}

describe('an image', () => {
  test('may say what images say', async () => {
    const config = {
      User: '0',
      Env: ['PATH=/bin'],
      Entrypoint: ['/app'],
      Cmd: null,
      Volumes: {},
      WorkingDir: '/',
      Labels: { volumes: 'none' },
      StopSignal: 'SIGRTMIN+3',
      ExposedPorts: { '80/tcp': {} },
      Healthcheck: { Test: ['NONE'] },
      OnBuild: ['RUN true'],
    };
    const more = {
      created: '2026-01-01T00:00:00Z',
      history: [{ created_by: 'VOLUME /none', empty_layer: true }],
    };
    await expect(handOver({ config: configOf(config, more) })).resolves.toMatch(/^sha256:/);
    await expect(handOver({ config: configOf({ Volumes: null, StopSignal: '9' }) })).resolves.toMatch(
      /^sha256:/,
    );
  });

  const VOLUMES = configOf({ Volumes: { '/flood': {} }, User: '0' });

  test('with a VOLUME, which lies outside of every limit of a Pod, is not published', async () => {
    const refused = expect(handOver({ config: VOLUMES })).rejects;
    await refused.toMatchObject({ code: exitCode.red });
    await expect(gate.publish()).rejects.toThrow(
      'the build handed over an image that declares VOLUME "/flood": a folder on the node\'s own disk, which no limit holds. Take VOLUME out of the Dockerfile; where its base brings it, end with `FROM scratch` and `COPY --from=<stage> / /`, and say ENV, WORKDIR, ENTRYPOINT and CMD again.',
    );
    expect([repository.manifests.size, repository.blobs.size]).toEqual([0, 0]);
  });

  test('with one is not published as part of an index either, nor with parts from the cache', async () => {
    await gate.close();
    repository.blobs.set(digestOf(VOLUMES), Buffer.from(VOLUMES));
    const cache = manifest({ config: part(VOLUMES, CACHE_CONFIG) });
    repository.blobs.set(digestOf(TAR), Buffer.from(TAR));
    repository.manifests.set(CACHE_TAG, { mediaType: TYPE, bytes: Buffer.from(cache) });
    await open();
    const image = manifest({ config: part(VOLUMES, CONFIG) });
    expect((await putManifest(digestOf(image), image)).status).toBe(201);
    const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [part(image, TYPE)] });
    expect((await putManifest(TAG, index, INDEX)).status).toBe(201);
    await expect(gate.publish()).rejects.toThrow('declares VOLUME "/flood"');
    expect([...repository.manifests.keys()]).toEqual([CACHE_TAG]);
  });

  const VOLUME = '{"/flood":{}}';
  test.each([
    [
      'that Go reads and JavaScript does not: other letters',
      IMAGE.replace('"config":{}', `"config":{"volumes":${VOLUME}}`),
    ],
    ['in letters that fold', IMAGE.replace('"config":{}', `"config":{"Volumeſ":${VOLUME}}`)],
    ['in another config', IMAGE.replace('"config":{}', `"Config":{"Volumes":${VOLUME}}`)],
    [
      'that a second, empty one hides',
      IMAGE.replace('"config":{}', `"config":{"Volumes":${VOLUME},"Volumes":{}}`),
    ],
    [
      'that a second config hides',
      IMAGE.replace('"config":{}', `"config":{"Volumes":${VOLUME}},"config":{}`),
    ],
    [
      'that an escaped name hides',
      IMAGE.replace('"config":{}', `"config":{"Volumes":${VOLUME},"\\u0056olumes":{}}`),
    ],
    ['that is a list', configOf({ Volumes: ['/flood'] })],
  ])('with a VOLUME %s, is not published', async (_what, config) => {
    expect(config).not.toBe(IMAGE);
    await expect(handOver({ config })).rejects.toThrow('a configuration that is none');
    expect(repository.manifests.size).toBe(0);
  });

  test.each(['SIGNOTHING', '0', '65', '9999', '-9', ' TERM', 'SIGRTMIN+99'])(
    'that asks to be stopped by %j, by which nothing can be stopped, is not published',
    async (StopSignal) => {
      await expect(handOver({ config: configOf({ StopSignal }) })).rejects.toThrow('declares STOPSIGNAL');
    },
  );

  test.each([
    ['that is no JSON', '{', 'a configuration that is none'],
    ['of another system', configOf({}, { os: 'windows' }), 'none (os:'],
    [
      'for other layers',
      configOf({}, { rootfs: { type: 'layers', diff_ids: [] } }),
      '1 layers, and a configuration for 0',
    ],
    ['that each node would read for long', configOf({ Env: ['x'.repeat(2 ** 20)] }), 'a configuration of 10'],
    [
      'with text that would be lines of a log',
      configOf({ Volumes: { '/\n\u202e<b>': {} } }),
      'VOLUME "/??<b>"',
    ],
  ])('with a configuration %s is not published', async (_what, config, why) => {
    await expect(handOver({ config })).rejects.toThrow(why);
  });

  test('whose layers unpack to more than it may have is not published, however small they are', async () => {
    const half = (name: string) => gzipSync(tarOf([{ name, data: Buffer.alloc(MOST / 2) }]));
    const gzipped = `${LAYER}+gzip`;
    await expect(handOver({ layers: [[half('one'), gzipped]] })).resolves.toMatch(/^sha256:/);
    const config = configOf({}, { rootfs: { type: 'layers', diff_ids: [digestOf('a'), digestOf('b')] } });
    const layers = [half('one'), half('two')].map((layer) => [layer, gzipped] as const);
    await expect(handOver({ config, layers })).rejects.toMatchObject({
      code: exitCode.red,
      message: expect.stringContaining(
        `has a layer ${digestOf(half('two'))} that brings it to more than 0.001 GiB unpacked. Make it smaller`,
      ),
    });
  });

  test('with a layer that is none is not published', async () => {
    await expect(handOver({ layers: [['layer', LAYER]] })).rejects.toThrow(
      `${digestOf('layer')} that ends too early`,
    );
  });

  describe('with a layer of the cache', () => {
    const known = '\0'.repeat(2048);
    beforeEach(async () => {
      await gate.close();
      repository.blobs.set(digestOf(known), Buffer.from(known));
      const cache = manifest({ config: part('list', CACHE_CONFIG), layers: [part(known)] });
      repository.manifests.set(CACHE_TAG, { mediaType: TYPE, bytes: Buffer.from(cache) });
      await open();
      await upload(IMAGE);
      expect((await putManifest(TAG, manifest({ layers: [part(known)] }))).status).toBe(201);
    });

    test('that the registry lost, or breaks off, is to be built again', async () => {
      repository.blobs.delete(digestOf(known));
      await expect(gate.publish()).rejects.toMatchObject({ code: exitCode.lost });
      repository.blobs.set(digestOf(known), Buffer.from(known));
      const { blob } = repository;
      repository.blob = async () =>
        new ReadableStream({ pull: (controller) => controller.error(new TypeError('terminated')) });
      await expect(gate.publish()).rejects.toBeInstanceOf(RegistryAway);
      repository.blob = blob;
      await expect(gate.publish()).resolves.toMatchObject({ digest: expect.stringMatching(/^sha256:/) });
    });

    test('that is another than its digest says is not published', async () => {
      repository.blobs.set(digestOf(known), Buffer.from(TAR));
      await expect(gate.publish()).rejects.toThrow('is something else');
      expect(repository.manifests.has(TAG)).toBe(false);
    });
  });
});

describe('a build that failed', () => {
  const red = new Failure(exitCode.red, 'the image build failed.');

  test('is red, whatever the gate refused it', async () => {
    expect((await ask('GET', `${OWN}/tags/list`)).status).toBe(405);
    expect(gate.blame(red)).toBe(red);
  });

  test('is to be made again where the registry had not done what it was asked for', async () => {
    await gate.close();
    const cache = manifest({ config: part('list', CACHE_CONFIG), layers: [part('known')] });
    repository.manifests.set(CACHE_TAG, { mediaType: TYPE, bytes: Buffer.from(cache) });
    await open();
    repository.blob = async () => {
      throw new RegistryAway('the registry did not answer', 'registry: it cannot be reached (ECONNREFUSED).');
    };
    expect((await ask('GET', `${OWN}/blobs/${digestOf('known')}`)).status).toBe(502);
    expect(gate.blame(red)).toMatchObject({
      code: exitCode.lost,
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

test('what a build asks for before the registry has answered, waits', async () => {
  await gate.close();
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  repository.waitForLogin = () => answered;
  await open();
  const first = ask('POST', `${OWN}/blobs/uploads/`);
  expect(await Promise.race([first, sleep(100, 'waits')])).toBe('waits');
  answer();
  expect((await first).status).toBe(202);
});

test('a registry that never answers is what its build ends with', async () => {
  await gate.close();
  repository.waitForLogin = () => Promise.reject(new Failure(exitCode.red, 'registry: no login.'));
  await open();
  await expect(gate.ready).rejects.toThrow('no login');
  expect((await ask('POST', `${OWN}/blobs/uploads/`)).status).toBe(502);
});

describe('whoever took over a build', () => {
  test.each([
    ['no password', {}],
    ['the password of another build', { authorization: login('another') }],
  ])('with %s is asked for it', async (_what, headers) => {
    const response = await fetch(`http://127.0.0.1:${gate.port}/v2/`, { headers });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic/);
  });

  test.each([
    ['GET', 'modules/billing/manifests/latest', 403],
    ['GET', 'modules/orders-evil/manifests/latest', 403],
    ['GET', 'modules/orders/../billing/manifests/latest', 403],
    ['GET', 'modules/orders%2f..%2fbilling/manifests/latest', 403],
    ['GET', 'modules/billing/blobs/uploads/', 403],
    ['POST', 'modules/billing/blobs/uploads/', 403],
    ['GET', '_catalog', 403],
    ['GET', `${OWN}/tags/list`, 405],
    ['DELETE', `${OWN}/manifests/${CACHE_TAG}`, 405],
    ['GET', `${OWN}/manifests/mr-6-aaaaaaaa`, 404],
    ['PUT', `${OWN}/blobs/uploads/99?digest=sha256:${'0'.repeat(64)}`, 404],
    ['PATCH', `${OWN}/blobs/uploads/1`, 405],
  ])('%s %s: %i', async (method, path, status) => {
    expect((await ask(method, path)).status).toBe(status);
  });

  test('sees nothing of another build of the module, not even that it is there', async () => {
    repository.blobs.set(digestOf('secret'), Buffer.from('secret'));
    repository.manifests.set('mr-6-aaaaaaaa', { mediaType: TYPE, bytes: Buffer.from(manifest()) });
    for (const method of ['GET', 'HEAD']) {
      expect((await ask(method, `${OWN}/blobs/${digestOf('secret')}`)).status).toBe(404);
      expect((await ask(method, `${OWN}/manifests/mr-6-aaaaaaaa`)).status).toBe(404);
    }
    // A manifest that names it would bring it into the own image.
    await upload(IMAGE);
    const named = await putManifest(TAG, manifest({ layers: [part('secret')] }));
    expect([named.status, await codeOf(named)]).toEqual([404, 'MANIFEST_BLOB_UNKNOWN']);
  });

  test('mounts no blob of another repository: the upload begins anew', async () => {
    const response = await ask(
      'POST',
      `${OWN}/blobs/uploads/?mount=${digestOf('secret')}&from=modules/billing`,
    );
    expect(response.status).toBe(202);
  });

  test('cannot upload under a digest of something else, nor without end', async () => {
    expect((await upload('config', digestOf('other'))).status).toBe(400);
    const begun = await ask('POST', `${OWN}/blobs/uploads/`);
    const path = (begun.headers.get('location') ?? '').slice('/v2/'.length);
    const body = new Response('x').body as ReadableStream;
    const endless = await fetch(`http://127.0.0.1:${gate.port}/v2/${path}?digest=${digestOf('x')}`, {
      method: 'PUT',
      headers: { authorization: login(TOKEN) },
      body,
      duplex: 'half',
    } as RequestInit);
    expect(endless.status).toBe(411);
  });
});

describe('a manifest', () => {
  const faultOf = (text: string, type = TYPE): string | undefined => {
    const read = readManifest(type, Buffer.from(text));
    return 'fault' in read ? read.fault : undefined;
  };

  test.each([
    ['with a layer from elsewhere', manifest({ layers: [{ ...part('x'), urls: ['http://evil'] }] })],
    [
      'with a foreign layer',
      manifest({ layers: [part('x', `${LAYER.replace('layer', 'layer.nondistributable')}`)] }),
    ],
    ['with a negative size', manifest({ layers: [{ ...part('x'), size: -1 }] })],
    ['with half a digest', manifest({ layers: [{ ...part('x'), digest: 'sha256:00' }] })],
    [
      'with statements among its layers',
      manifest({ layers: [part('x'), part('y', 'application/vnd.in-toto+json')] }),
    ],
    [
      'with layers that a second list hides',
      manifest().replace('"layers":', '"layers":[{"urls":["http://evil"]}],"layers":'),
    ],
    ['that names a subject', manifest({ subject: part('x', TYPE) })],
    ['of something else', manifest({ config: part('c', 'application/vnd.cncf.helm.config.v1+json') })],
    ['that says it is an index', manifest({ mediaType: INDEX })],
    ['that is no JSON', '{'],
    ['of the first kind', JSON.stringify({ schemaVersion: 1 })],
  ])('%s is none that a build makes', (_what, text) => {
    expect(faultOf(text)).toBeDefined();
  });

  test('of an index inside an index is none, nor one of a type that nobody knows', () => {
    const nested = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [part('x', INDEX)] });
    expect(faultOf(nested, INDEX)).toMatch(/holds a/);
    expect(faultOf(manifest(), 'text/html')).toBe('is a text/html');
    expect(faultOf(manifest())).toBeUndefined();
  });
});

test('a build that sends nonsense is to blame for its end, not the registry', async () => {
  const ended = new Error('the build ended');
  expect((await upload('config', digestOf('other'))).status).toBe(400);
  expect(gate.blame(ended)).toBe(ended);
});

describe('the room in the registry', () => {
  /** An image of this many bytes under a tag, in the repository. */
  const lies = (tag: string, name: string, size: number) => {
    const layer = { mediaType: LAYER, digest: digestOf(name), size };
    repository.blobs.set(digestOf(name), Buffer.from(name));
    repository.manifests.set(tag, { mediaType: TYPE, bytes: Buffer.from(manifest({ layers: [layer] })) });
  };
  /** For an image and 989 bytes. */
  const unreleased = 989 + IMAGE.length + TAR.length;
  beforeEach(async () => {
    await gate.close();
    await open({ build: MOST, unreleased });
  });
  const handOver = async (layer: string) => {
    for (const text of [IMAGE, layer]) expect((await upload(text)).status).toBe(201);
    expect((await putManifest(TAG, manifest({ layers: [part(layer)] }))).status).toBe(201);
  };
  const kept = () => [...repository.blobs.keys()].sort();

  test('nothing of a build comes there before it is published, nor what its image does not name', async () => {
    await handOver(TAR);
    await upload('flood');
    expect(kept()).toEqual([]);
    // It is read back from here.
    expect(await (await ask('GET', `${OWN}/blobs/${digestOf('flood')}`)).text()).toBe('flood');
    expect((await ask('HEAD', `${OWN}/blobs/${digestOf(TAR)}`)).status).toBe(200);
    await gate.publish();
    expect(kept()).toEqual([digestOf(IMAGE), digestOf(TAR)].sort());
  });

  test('a build that ends without an image leaves nothing, there or here', async () => {
    await upload('flood');
    expect(existsSync(folder)).toBe(true);
    await expect(gate.publish()).rejects.toThrow('handed over no image');
    await gate.close();
    expect([kept(), existsSync(folder)]).toEqual([[], false]);
  });

  test('a build hands over so much and no more; what was refused, or came twice, takes nothing of it', async () => {
    await gate.close();
    await open({ build: 20, unreleased: 1000 });
    expect((await upload('x'.repeat(12))).status).toBe(201);
    const refused = await upload('y'.repeat(9));
    expect([refused.status, await codeOf(refused)]).toEqual([413, 'SIZE_INVALID']);
    expect(said.at(-1)).toContain('registry.builds.each');
    expect((await upload('z'.repeat(8), digestOf('other'))).status).toBe(400);
    expect((await upload('z'.repeat(8))).status).toBe(201);
    await gate.close();
    await open({ build: 20, unreleased: 1000 });
    for (let time = 0; time < 3; time++) expect((await upload('x'.repeat(10))).status).toBe(201);
    expect((await upload('y'.repeat(10))).status).toBe(201);
    expect((await upload('z')).status).toBe(413);
  });

  test('what merge requests keep and do not release has an end, whatever their number', async () => {
    lies('mr-1-aaaaaaaa', 'one', 400);
    lies('mr-2-aaaaaaaa-cache', 'two', 400);
    lies('mr-2-aaaaaaaa-was-00000000', 'three', 195);
    const before = kept();
    await handOver(TAR);
    await expect(gate.publish()).rejects.toMatchObject({
      code: exitCode.red,
      message: expect.stringContaining('registry.builds.unreleased'),
    });
    expect(kept()).toEqual(before);
    expect(repository.manifests.has(TAG)).toBe(false);
  });

  test('what a release or the cache of main keeps takes none of it, nor what is there already', async () => {
    lies('mr-1-aaaaaaaa', 'one', 900);
    lies('release-aaaaaaaaaaaa', 'one', 900);
    lies('mr-2-aaaaaaaa', 'two', 900);
    lies(CACHE_TAG, 'two', 900);
    lies('mr-3-aaaaaaaa', TAR, TAR.length);
    await handOver(TAR);
    expect(await gate.publish()).toMatchObject({ digest: expect.stringMatching(/^sha256:/) });
  });

  test('an index is measured by what its images are made of', async () => {
    lies('sha256:inner', 'inner', 1200);
    const inner = repository.manifests.get('sha256:inner');
    if (!inner) throw new Error('it was put there');
    repository.manifests.delete('sha256:inner');
    repository.manifests.set(digestOf(inner.bytes), inner);
    const index = JSON.stringify({
      schemaVersion: 2,
      manifests: [{ mediaType: TYPE, digest: digestOf(inner.bytes), size: inner.bytes.length }],
    });
    repository.manifests.set('mr-1-aaaaaaaa', { mediaType: INDEX, bytes: Buffer.from(index) });
    await handOver(TAR);
    await expect(gate.publish()).rejects.toThrow('registry.builds.unreleased');
  });
});
