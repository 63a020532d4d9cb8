import { z } from 'zod';

/** Label that carries the hash of everything an image was made from. */
export const CONTENT_LABEL = 'dev.switchyard.lab/content';

const manifestSchema = z.looseObject({ config: z.looseObject({ digest: z.string() }) });
const configSchema = z.looseObject({
  config: z.looseObject({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
});

/**
 * The content hash of an image in a plain-http registry.
 * @returns undefined when the registry does not answer, has no such tag, or the image carries no hash
 */
export async function contentInMirror(
  mirror: string,
  name: string,
  tag: string,
): Promise<string | undefined> {
  const get = async (path: string, accept: string): Promise<unknown> => {
    const response = await fetch(`http://${mirror}/v2/${name}/${path}`, {
      headers: { accept },
      signal: AbortSignal.timeout(10_000),
    });
    return response.ok ? response.json() : undefined;
  };
  try {
    const accept =
      'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json';
    const manifest = manifestSchema.safeParse(await get(`manifests/${tag}`, accept));
    if (!manifest.success) return undefined;
    const config = configSchema.safeParse(await get(`blobs/${manifest.data.config.digest}`, '*/*'));
    return config.success ? config.data.config?.Labels?.[CONTENT_LABEL] : undefined;
  } catch {
    return undefined;
  }
}
