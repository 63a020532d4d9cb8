import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract, type Pack, pack } from 'tar-stream';
import { z } from 'zod';
import { exitCode, Failure } from '../../../clients/failure';
import type { Manifest, Registry } from '../../../clients/registry';
import { parseJson } from '../../../text/json';
import type { Restic } from '../restic';
import type { BackupItem } from '../run';
import type { Snapshot } from '../snapshots';

const descriptor = z.looseObject({
  mediaType: z.string().optional(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.number().int().min(0),
  urls: z.array(z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
const manifestSchema = z.looseObject({
  mediaType: z.string().optional(),
  manifests: z.array(descriptor).optional(),
  config: descriptor.optional(),
  layers: z.array(descriptor).optional(),
});
type Descriptor = z.infer<typeof descriptor>;

/** https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
const LAYOUT = 'oci-layout';
const INDEX = 'index.json';
const TAG = 'org.opencontainers.image.ref.name';
const blobFile = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

const itemPattern = /^([^@\s]+)@(sha256:[0-9a-f]{64})$/;

/** `{repository, digest}` of a `registry` item. */
export function imageOf(item: string): { readonly repository: string; readonly digest: string } {
  const [, repository, digest] = itemPattern.exec(item) ?? [];
  if (repository && digest) return { repository, digest };
  throw new Failure(exitCode.input, `registry: "${item}" is not <repository>@<digest>.`);
}

type Read = Pick<Registry, 'manifest' | 'blob' | 'images'>;

function parse({ bytes }: Manifest, what: string): z.infer<typeof manifestSchema> {
  const parsed = manifestSchema.safeParse(parseJson(bytes.toString('utf8')));
  if (parsed.success) return parsed.data;
  throw new Failure(exitCode.red, `registry: the manifest ${what} is not understood.`);
}

interface Image {
  /** Parents before their parts. */
  readonly manifests: ReadonlyMap<string, Manifest>;
  readonly blobs: ReadonlyMap<string, Descriptor>;
}

/** All that an image is made of, by digest. @throws Failure 1 for what is gone */
export async function describeImage(
  registry: Pick<Registry, 'manifest'>,
  repository: string,
  root: string,
): Promise<Image> {
  const manifests = new Map<string, Manifest>();
  const blobs = new Map<string, Descriptor>();
  const waiting = [root];
  for (let digest = waiting.shift(); digest !== undefined; digest = waiting.shift()) {
    if (manifests.has(digest)) continue;
    const manifest = await registry.manifest(repository, digest);
    if (!manifest) {
      throw new Failure(
        exitCode.red,
        `registry: ${repository}@${digest} is gone, though a ledger names it.`,
        'Restore it from an older backup, or release the module anew.',
      );
    }
    manifests.set(digest, manifest);
    const { manifests: parts = [], config, layers = [] } = parse(manifest, digest);
    waiting.push(...parts.map((part) => part.digest));
    // What is to be fetched from elsewhere was never in the registry.
    for (const blob of [...(config ? [config] : []), ...layers.filter(({ urls }) => !urls?.length)]) {
      blobs.set(blob.digest, blob);
    }
  }
  return { manifests, blobs };
}

const header = (name: string, size: number) => ({ name, size, mode: 0o644, mtime: new Date(0) });

function addBytes(tar: Pack, name: string, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) =>
    tar.entry(header(name, bytes.length), bytes, (error) => (error ? reject(error) : resolve())),
  );
}

async function addBlob(tar: Pack, registry: Read, repository: string, { digest, size }: Descriptor) {
  const sum = createHash('sha256');
  const body = Readable.fromWeb(await registry.blob(repository, digest));
  await new Promise<void>((resolve, reject) => {
    const entry = tar.entry(header(blobFile(digest), size), (error) => (error ? reject(error) : resolve()));
    body.on('data', (chunk: Buffer) => sum.update(chunk));
    body.on('error', reject);
    tar.once('close', () => reject(new Error('the tar was given up')));
    body.pipe(entry);
  });
  if (`sha256:${sum.digest('hex')}` !== digest) {
    throw new Failure(exitCode.red, `registry: blob ${digest} of ${repository} is something else.`);
  }
}

async function fill(tar: Pack, registry: Read, repository: string, digest: string, tags: readonly string[]) {
  const { manifests, blobs } = await describeImage(registry, repository, digest);
  const root = manifests.get(digest);
  const about = { mediaType: root?.mediaType, digest, size: root?.bytes.length };
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: tags.length > 0 ? tags.map((tag) => ({ ...about, annotations: { [TAG]: tag } })) : [about],
  };
  await addBytes(tar, LAYOUT, Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  await addBytes(tar, INDEX, Buffer.from(JSON.stringify(index)));
  // Manifests first: whoever reads the stream knows then which blobs are none.
  for (const [name, { bytes }] of manifests) await addBytes(tar, blobFile(name), bytes);
  for (const blob of blobs.values()) await addBlob(tar, registry, repository, blob);
  tar.finalize();
}

/**
 * Images that ledgers name, one OCI layout (tar) each. One that was stored once is never read again.
 * @param references `<repository>@<digest>`, e.g. `modules/orders@sha256:…`
 */
export function imageItems(registry: Read, references: readonly string[]): BackupItem[] {
  // Asked once a repository, and only when one of its images is new.
  const listed = new Map<string, ReturnType<Read['images']>>();
  const tagsOf = async (repository: string, digest: string): Promise<readonly string[]> => {
    const images = listed.get(repository) ?? registry.images(repository);
    listed.set(repository, images);
    return (await images).find((image) => image.digest === digest)?.tags ?? [];
  };
  return [...new Set(references)].sort().map((item) => {
    const { repository, digest } = imageOf(item);
    return {
      kind: 'registry',
      item,
      content: async () => digest,
      open: async () => {
        const tags = await tagsOf(repository, digest);
        const tar = pack();
        fill(tar, registry, repository, digest, tags).catch((error: Error) => tar.destroy(error));
        // tar-stream's own streams are not Node's: this one breaks and ends as the others do.
        return { stream: Readable.from(tar, { objectMode: false }) };
      },
    };
  });
}

type Write = Pick<Registry, 'manifest' | 'hasBlob' | 'putBlob' | 'putManifest'>;

/** Pushes an image under its digest and the tags it had; every blob is proved by the registry. */
export async function restoreImage(
  restic: Pick<Restic, 'read'>,
  snapshot: Snapshot,
  registry: Write,
): Promise<'restored' | 'unchanged'> {
  const { repository, digest } = imageOf(snapshot.item);
  if (await registry.manifest(repository, digest)) return 'unchanged';
  const manifests = new Map<string, Manifest>();
  const types = new Map<string, string>([[digest, '']]);
  const tags: string[] = [];
  const tar = extract();
  const source = restic.read(snapshot);
  source.on('error', (error) => tar.destroy(error));
  source.pipe(tar);
  for await (const entry of tar) {
    const { name, size = 0 } = entry.header;
    const own = name.replace(/^blobs\/sha256\//, 'sha256:');
    if (name === INDEX) {
      for (const root of manifestSchema.parse(parseJson((await buffer(entry)).toString('utf8'))).manifests ??
        []) {
        types.set(root.digest, root.mediaType ?? '');
        const tag = root.annotations?.[TAG];
        if (tag) tags.push(tag);
      }
    } else if (own === name) entry.resume();
    else if (types.has(own)) {
      const bytes = Buffer.from(await buffer(entry));
      const mediaType = types.get(own) || 'application/vnd.oci.image.manifest.v1+json';
      manifests.set(own, { bytes, mediaType });
      for (const part of parse({ bytes, mediaType }, own).manifests ?? [])
        types.set(part.digest, part.mediaType ?? '');
    } else if (await registry.hasBlob(repository, own)) entry.resume();
    else await registry.putBlob(repository, own, size, webStream(entry));
  }
  // Parts before what is made of them: a registry takes no manifest whose parts it lacks.
  const root = manifests.get(digest);
  if (!root) throw new Failure(exitCode.red, `registry: the backup of ${snapshot.item} holds no such image.`);
  for (const [name, manifest] of [...manifests].reverse()) {
    if (name !== digest) await registry.putManifest(repository, name, manifest);
  }
  // By its tags first: once the digest is there, nobody would come back for them.
  for (const tag of tags) await registry.putManifest(repository, tag, root);
  await registry.putManifest(repository, digest, root);
  return 'restored';
}

/** A tar entry as fetch takes it. */
function webStream(entry: AsyncIterable<unknown>): ReadableStream<Uint8Array> {
  const chunks = entry[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else if (value instanceof Uint8Array) controller.enqueue(value);
    },
  });
}
