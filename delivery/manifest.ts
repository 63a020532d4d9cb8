import { z } from 'zod';
import { parseOnce } from './once';

/** What a manifest may weigh, in bytes: what Distribution takes. */
export const MANIFEST_BYTES = 4 << 20;

const IMAGE_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const CONFIG_TYPES = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];
/** BuildKit's list of what its cache knows. */
const CACHE_CONFIG = 'application/vnd.buildkit.cacheconfig.v0';
/** No `foreign` and no `nondistributable` ones: their bytes lie elsewhere. */
const LAYER =
  /^application\/vnd\.(oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.diff\.tar(\.gzip|\.zstd)?|in-toto\+json)$/;

export const DIGEST = /^sha256:[0-9a-f]{64}$/;

// Strict: `urls` would have whoever pulls fetch a layer from somewhere else.
const descriptor = z.strictObject({
  mediaType: z.string(),
  digest: z.string().regex(DIGEST),
  size: z.number().int().min(0),
  annotations: z.record(z.string(), z.string()).optional(),
});
const imageSchema = z.strictObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: descriptor,
  layers: z.array(descriptor).max(500),
  annotations: z.record(z.string(), z.string()).optional(),
});
const platform = z.strictObject({ architecture: z.string(), os: z.string(), variant: z.string().optional() });
const indexSchema = z.strictObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  manifests: z
    .array(z.strictObject({ ...descriptor.shape, platform: platform.optional() }))
    .min(1)
    .max(20),
  annotations: z.record(z.string(), z.string()).optional(),
});

export interface Content {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

/** What a build hands over. */
export type Built =
  | {
      readonly kind: 'image' | 'cache' | 'statement';
      /** The configuration, then the layers. */
      readonly blobs: readonly Content[];
    }
  | {
      readonly kind: 'index';
      readonly images: readonly Content[];
      readonly statements: readonly Content[];
    };

/**
 * Reads a manifest that somebody else wrote.
 * @returns the parts that it names, or why it is none that a build makes
 */
export function readManifest(mediaType: string, bytes: Buffer): Built | { readonly fault: string } {
  if (bytes.length > MANIFEST_BYTES) return { fault: `has ${bytes.length} bytes` };
  const value = parseOnce(bytes.toString('utf8'));
  if (INDEX_TYPES.includes(mediaType)) {
    const { data, error } = indexSchema.safeParse(value);
    if (!data) return { fault: faultOf(error) };
    if (data.mediaType && data.mediaType !== mediaType) return { fault: 'says that it is something else' };
    const other = data.manifests.find((part) => !IMAGE_TYPES.includes(part.mediaType));
    if (other) return { fault: `holds a ${other.mediaType}` };
    // Attestations are of no platform, so that nothing runs them.
    const isStatement = (part: (typeof data.manifests)[number]): boolean =>
      part.platform?.os === 'unknown' && part.platform.architecture === 'unknown';
    return {
      kind: 'index',
      images: data.manifests.filter((part) => !isStatement(part)),
      statements: data.manifests.filter(isStatement),
    };
  }
  if (!IMAGE_TYPES.includes(mediaType)) return { fault: `is a ${mediaType}` };
  const { data, error } = imageSchema.safeParse(value);
  if (!data) return { fault: faultOf(error) };
  if (data.mediaType && data.mediaType !== mediaType) return { fault: 'says that it is something else' };
  const cache = data.config.mediaType === CACHE_CONFIG;
  if (!cache && !CONFIG_TYPES.includes(data.config.mediaType)) {
    return { fault: `is a manifest of ${data.config.mediaType}` };
  }
  const layer = data.layers.find(({ mediaType: type }) => !LAYER.test(type));
  if (layer) return { fault: `has a layer of type ${layer.mediaType}` };
  const said = data.layers.filter(({ mediaType: type }) => type.endsWith('in-toto+json'));
  const statement = said.length > 0 && said.length === data.layers.length;
  if (said.length > 0 && !statement && !cache) return { fault: 'mixes layers and statements' };
  return {
    kind: cache ? 'cache' : statement ? 'statement' : 'image',
    blobs: [data.config, ...data.layers],
  };
}

function faultOf(error: z.ZodError): string {
  const issue = error.issues[0];
  return `is not a manifest (${issue?.path.join('.') || 'the whole'}: ${issue?.message})`;
}
