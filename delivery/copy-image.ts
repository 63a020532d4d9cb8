import type { Registry } from '../clients/registry';
import { describeImage } from './backup/kinds/registry';

/**
 * Copies an image, or an index with all of its parts, from one registry into another, under its digest and a tag. What is there
 * already is not sent again; the image itself comes last, so that one which is there is there as a whole.
 * @param repository below the path of each
 * @throws Failure 1 where it is gone, or the other one refuses it
 */
export async function copyImage(
  from: Pick<Registry, 'manifest' | 'blob'>,
  to: Pick<Registry, 'manifest' | 'hasBlob' | 'putBlob' | 'putManifest'>,
  { repository, digest, tag }: { readonly repository: string; readonly digest: string; readonly tag: string },
): Promise<'copied' | 'unchanged'> {
  if (await to.manifest(repository, digest)) return 'unchanged';
  const { manifests, blobs } = await describeImage(from, repository, digest);
  for (const blob of blobs.values())
    if (!(await to.hasBlob(repository, blob.digest)))
      await to.putBlob(repository, blob.digest, blob.size, await from.blob(repository, blob.digest));
  // Parts before what is made of them: a registry takes no manifest whose parts it lacks.
  for (const [name, manifest] of [...manifests].reverse())
    await to.putManifest(repository, name === digest ? tag : name, manifest);
  return 'copied';
}
