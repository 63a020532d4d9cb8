import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Registry } from '../../../clients/registry';
import { imageItems, imageOf, restoreImage } from '../../../delivery/backup/kinds/registry';
import { backUp } from '../../../delivery/backup/run';
import type { Snapshot } from '../../../delivery/backup/snapshots';
import { type RealRegistry, startRegistry as startRealRegistry } from '../../support/registry';
import { Folders, vault } from './support';

jest.setTimeout(120_000);

const folders = new Folders();
const servers: RealRegistry[] = [];
afterAll(() => {
  for (const server of servers) server.stop();
  folders.remove();
});

const startRegistry = async (): Promise<Registry> => {
  const server = await startRealRegistry(folders.new('registry'));
  servers.push(server);
  return server.registry;
};

const sha = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const stream = (bytes: Buffer): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const SHOP = 'modules/shop';

async function push(registry: Registry, layers: readonly Buffer[], tag?: string): Promise<string> {
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', made: layers.length }));
  for (const blob of [config, ...layers]) await registry.putBlob(SHOP, sha(blob), blob.length, stream(blob));
  const about = (blob: Buffer, mediaType: string) => ({ mediaType, digest: sha(blob), size: blob.length });
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: about(config, 'application/vnd.oci.image.config.v1+json'),
      layers: layers.map((layer) => about(layer, 'application/vnd.oci.image.layer.v1.tar+gzip')),
    }),
  );
  for (const reference of [sha(bytes), ...(tag ? [tag] : [])])
    await registry.putManifest(SHOP, reference, { mediaType: MANIFEST, bytes });
  return sha(bytes);
}

async function pushIndex(registry: Registry, part: string): Promise<string> {
  const found = await registry.manifest(SHOP, part);
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [{ mediaType: MANIFEST, digest: part, size: found?.bytes.length }],
    }),
  );
  for (const reference of [sha(bytes), 'mr-1-00000000', 'release-000000000000'])
    await registry.putManifest(SHOP, reference, { mediaType: INDEX, bytes });
  return sha(bytes);
}

test('images come back from a real registry under the same digests and tags, an index with its parts', async () => {
  const from = await startRegistry();
  // Restic cuts where the bytes say, into pieces of up to 8 MiB: one at either end of the layer may be another.
  const base = randomBytes(48_000_000);
  const top = randomBytes(1000);
  const part = await push(from, [base, top]);
  const index = await pushIndex(from, part);
  const second = await push(from, [base, randomBytes(1000)], 'release-111111111111');
  const items = [`${SHOP}@${index}`, `${SHOP}@${second}`];

  const root = folders.new('vault');
  const restic = vault(join(root, 'repository'), root);
  const asked: string[] = [];
  const watched: Parameters<typeof imageItems>[0] = {
    manifest: (path, digest) => {
      asked.push(digest);
      return from.manifest(path, digest);
    },
    blob: (path, digest) => from.blob(path, digest),
    images: (path) => from.images(path),
  };
  const run = async (...references: string[]) =>
    await backUp({
      restic,
      say: () => undefined,
      sources: [{ kind: 'registry', whole: true, items: async () => imageItems(watched, references) }],
    });
  const gone = `${SHOP}@sha256:${'0'.repeat(64)}`;
  const outcomes = await run(...items, gone);
  expect(outcomes.map(({ item, result }) => [item, result])).toEqual(
    [...items, gone].sort().map((item) => [item, item === gone ? 'failed' : 'stored']),
  );
  expect(outcomes.find(({ item }) => item === gone)?.why).toContain('is gone, though a ledger names it');
  // Images of one module share most of their layers: the second costs little.
  expect(
    Math.min(...outcomes.flatMap(({ result, added }) => (result === 'stored' ? added : []))),
  ).toBeLessThan(base.length / 2);

  asked.length = 0;
  expect((await run(...items)).map(({ result }) => result)).toEqual(['unchanged', 'unchanged']);
  expect(asked).toEqual([]);

  const to = await startRegistry();
  const { snapshots } = await restic.holdings();
  for (const snapshot of snapshots) expect(await restoreImage(restic, snapshot, to)).toBe('restored');
  for (const snapshot of snapshots) expect(await restoreImage(restic, snapshot, to)).toBe('unchanged');
  const byDigest = (a: { digest: string }, b: { digest: string }) => (a.digest < b.digest ? -1 : 1);
  expect((await to.images(SHOP)).sort(byDigest)).toEqual((await from.images(SHOP)).sort(byDigest));
  expect((await to.manifest(SHOP, index))?.mediaType).toBe(INDEX);
  expect((await to.manifest(SHOP, part))?.bytes).toEqual((await from.manifest(SHOP, part))?.bytes);
  const layer = Buffer.from(await new Response(await to.blob(SHOP, sha(base))).arrayBuffer());
  expect(layer.equals(base)).toBe(true);
});

test('a blob that is not what its digest says is not stored', async () => {
  const from = await startRegistry();
  const digest = await push(from, [Buffer.from('layer'.repeat(100))]);
  const lying: Parameters<typeof imageItems>[0] = {
    manifest: (path, of) => from.manifest(path, of),
    images: async () => [],
    blob: async (path, of) => {
      const bytes = Buffer.from(await new Response(await from.blob(path, of)).arrayBuffer());
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      return stream(bytes);
    },
  };
  const [item] = imageItems(lying, [`${SHOP}@${digest}`]);
  const source = await item?.open();
  if (!source) throw new Error('nothing to read');
  await expect(buffer(source.stream)).rejects.toThrow('is something else');
});

test('an item names repository and digest, or is refused', () => {
  const snapshot: Pick<Snapshot, 'item'> = { item: `modules/a@sha256:${'a'.repeat(64)}` };
  expect(imageOf(snapshot.item)).toEqual({ repository: 'modules/a', digest: `sha256:${'a'.repeat(64)}` });
  expect(() => imageOf('modules/a:latest')).toThrow('is not <repository>@<digest>');
});
