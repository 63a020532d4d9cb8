import { z } from 'zod';
import type { Registry } from '../clients/registry';
import { parseJson } from '../text/json';
import { requestOfTag } from './retention';

const part = z.looseObject({ digest: z.string(), size: z.number() });
const partsSchema = z.looseObject({
  config: part.optional(),
  layers: z.array(part).default([]),
  manifests: z.array(part).default([]),
});

/** Blobs that a manifest names, or the manifests of its index. */
async function blobsOf(
  registry: Pick<Registry, 'manifest'>,
  repository: string,
  bytes: Buffer,
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const { data } = partsSchema.safeParse(parseJson(bytes.toString('utf8')));
  if (!data) return found;
  const { config, layers, manifests } = data;
  for (const { digest, size } of [...(config ? [config] : []), ...layers]) found.set(digest, size);
  for (const { digest } of manifests) {
    const inner = await registry.manifest(repository, digest);
    if (!inner) continue;
    for (const [blob, size] of await blobsOf(registry, repository, inner.bytes)) found.set(blob, size);
  }
  return found;
}

/**
 * Blobs of a module's repository that only its merge requests keep, and their bytes. What a release, main's cache or any
 * other tag names as well is no part of it.
 */
export async function unreleasedBlobs(
  registry: Pick<Registry, 'tagged' | 'manifest'>,
  repository: string,
): Promise<Map<string, number>> {
  const images = new Map<string, { released: boolean; readonly blobs: ReadonlyMap<string, number> }>();
  for await (const { tag, digest, bytes } of registry.tagged(repository)) {
    const image = images.get(digest) ?? {
      released: false,
      blobs: await blobsOf(registry, repository, bytes),
    };
    image.released ||= requestOfTag(tag) === undefined;
    images.set(digest, image);
  }
  const unreleased = new Map<string, number>();
  for (const { blobs } of images.values()) for (const [blob, size] of blobs) unreleased.set(blob, size);
  for (const { released, blobs } of images.values())
    if (released) for (const blob of blobs.keys()) unreleased.delete(blob);
  return unreleased;
}
