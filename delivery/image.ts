import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Module } from '../catalog/load';
import { type Certificate, parseJson } from './certificate';
import { exitCode, Failure } from './failure';

export interface ImagePlan {
  readonly module: Module;
  readonly certificate: Certificate;
  /** `host[:port][/prefix]`. */
  readonly registry: string;
  readonly plainHttp: boolean;
  /** SBOM and provenance attestations; they need the scanner image within reach of buildkitd. */
  readonly attestations: boolean;
  /** Checkout of the merge result. */
  readonly context: string;
  readonly metadataFile: string;
}

export const repositoryOf = (registry: string, module: string): string => `${registry}/modules/${module}`;

export const imageTag = (certificate: Certificate): string =>
  `mr-${certificate.mergeRequest}-${certificate.headSha.slice(0, 8)}`;

/** buildctl writes its attribute lists as CSV: a value with a comma or quote has to be quoted. */
const attribute = (key: string, value: string): string =>
  /[",\n]/.test(value) ? `"${`${key}=${value}`.replace(/"/g, '""')}"` : `${key}=${value}`;

/** Arguments of `buildctl`: the same certificate and declaration give the same build. */
export function buildctlArguments(plan: ImagePlan): string[] {
  const { module, certificate } = plan;
  const repository = repositoryOf(plan.registry, module.name);
  const insecure = plan.plainHttp ? ['registry.insecure=true'] : [];
  const cache = attribute('ref', `${repository}:buildcache`);
  const buildArguments: Record<string, string> = {
    ...module.image.args,
    SOURCE_DATE_EPOCH: String(certificate.commitEpoch),
  };
  return [
    'build',
    '--progress=plain',
    '--frontend=dockerfile.v0',
    `--local=context=${plan.context}`,
    `--local=dockerfile=${dirname(join(plan.context, module.image.dockerfile))}`,
    `--opt=filename=${module.image.dockerfile.split('/').at(-1)}`,
    ...Object.keys(buildArguments)
      .sort()
      .map((name) => `--opt=build-arg:${name}=${buildArguments[name]}`),
    `--opt=label:org.opencontainers.image.revision=${certificate.headSha}`,
    `--opt=label:dev.switchyard.module=${module.name}`,
    `--opt=label:dev.switchyard.tree=${certificate.treeSha ?? ''}`,
    ...(plan.attestations
      ? ['--opt=attest:sbom=', '--opt=attest:provenance=mode=max']
      : ['--opt=attest:provenance=disabled=true']),
    `--output=${['type=image', attribute('name', `${repository}:${imageTag(certificate)}`), 'push=true', 'rewrite-timestamp=true', ...insecure].join(',')}`,
    `--metadata-file=${plan.metadataFile}`,
    `--import-cache=${['type=registry', cache, ...insecure].join(',')}`,
    `--export-cache=${['type=registry', cache, 'mode=max', 'image-manifest=true', 'oci-mediatypes=true', ...insecure].join(',')}`,
  ];
}

const metadataSchema = z.looseObject({
  'containerimage.digest': z.string().regex(/^sha256:[0-9a-f]{64}$/),
});

/** The digest that the registry took, from buildctl's metadata file. */
export function digestOf(metadata: string): string {
  const parsed = metadataSchema.safeParse(parseJson(metadata));
  if (parsed.success) return parsed.data['containerimage.digest'];
  throw new Failure(
    exitCode.red,
    'buildctl: its metadata file names no image digest.',
    'Check that buildkitd pushes to REGISTRY.',
  );
}

/** Builds and pushes; buildctl's own output goes to the build log. Only the tail of what it needs is inherited. */
export async function buildImage(plan: Omit<ImagePlan, 'metadataFile'>): Promise<Certificate> {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-build-'));
  const metadataFile = join(folder, 'metadata.json');
  try {
    await runBuildctl(buildctlArguments({ ...plan, metadataFile }));
    return {
      ...plan.certificate,
      image: {
        repository: repositoryOf(plan.registry, plan.module.name),
        tag: imageTag(plan.certificate),
        digest: digestOf(readFileSync(metadataFile, 'utf8')),
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runBuildctl(args: readonly string[]): Promise<void> {
  const { GITLAB_TOKEN: _token, SWITCHYARD_CERTIFICATE_KEY: _key, ...environment } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn('buildctl', args, { env: environment, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Failure(
          exitCode.input,
          `buildctl cannot be started (${error.code ?? error.message}).`,
          'Put BuildKit’s buildctl on PATH.',
        ),
      ),
    );
    child.on('close', (code) =>
      code === 0
        ? resolve()
        : reject(
            new Failure(
              exitCode.red,
              `the image build failed (buildctl ended with ${code}).`,
              'See its output above.',
            ),
          ),
    );
  });
}
