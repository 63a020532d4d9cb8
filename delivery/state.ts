import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { exitCode, Failure } from '../clients/failure';
import { parseJson } from '../text/json';
import { type Certificate, canonical, certificateSchema } from './certificate';
import { repositoryOf } from './image';
import { readSettings } from './settings';

// What one command leaves for the next of the same build. It stands in a folder that no checkout and no stash reaches, and
// all the same nothing of it is believed that this build, for this module and merge request, did not seal itself.

/** Bytes of a state file: a certificate names a hundred failing tests at most. */
const LARGEST = 8 << 20;

/** What a state file was written for; another build's, module's or merge request's is refused. */
export type Binding = Readonly<Record<string, string | number>>;

const sealedSchema = z.strictObject({
  kind: z.string(),
  binding: z.record(z.string(), z.union([z.string(), z.number()])),
  value: z.unknown(),
  seal: z.string().regex(/^[0-9a-f]{64}$/),
});

/** HMAC-SHA256 under a key of its own: a signature in a note, which everybody reads, is never a seal. */
const sealOf = (about: Omit<z.infer<typeof sealedSchema>, 'seal'>, key: string): string =>
  createHmac('sha256', createHmac('sha256', key).update('switchyard/state').digest())
    .update(canonical(about))
    .digest('hex');

/** Folder of the state: that of the Pod, which only its commands reach, else one in the workspace. */
export const stateFolder = (workspace: string): string =>
  readSettings(['SWITCHYARD_STATE']).SWITCHYARD_STATE || join(workspace, '.switchyard', 'state');

const keyOf = (): string => readSettings(['SWITCHYARD_CERTIFICATE_KEY']).SWITCHYARD_CERTIFICATE_KEY;

/** Writes a value that only this build reads back. */
export function writeSealed(file: string, kind: string, binding: Binding, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const about = { kind, binding, value };
  const text = JSON.stringify({ ...about, seal: sealOf(about, keyOf()) });
  writeFileSync(`${file}.new`, `${text}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/**
 * Reads what {@link writeSealed} wrote.
 * @param remedy for a file that is missing
 * @throws Failure 2 when it is missing, 1 when it is not what this build wrote for this purpose
 */
export function readSealed<T>(
  file: string,
  kind: string,
  binding: Binding,
  schema: z.ZodType<T>,
  remedy: string,
): T {
  const refuse = (why: string): never => {
    throw new Failure(exitCode.red, `${file}: ${why}.`, 'Nothing of it is used: run the build again.');
  };
  const parsed = sealedSchema.safeParse(parseJson(readPlain(file, refuse, remedy)));
  if (!parsed.success) return refuse('is not what this build wrote');
  const { seal, ...about } = parsed.data;
  const expected = Buffer.from(sealOf(about, keyOf()), 'hex');
  if (!timingSafeEqual(Buffer.from(seal, 'hex'), expected))
    return refuse('is not what this build wrote: its seal does not hold');
  if (about.kind !== kind || canonical(about.binding) !== canonical(binding))
    return refuse('belongs to another build, module or merge request');
  const value = schema.safeParse(about.value);
  return value.success ? value.data : refuse(`is not understood (${value.error.issues[0]?.message})`);
}

function readPlain(file: string, refuse: (why: string) => never, remedy: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Failure(exitCode.input, `${file}: is missing.`, remedy);
    return refuse(`is not a plain file (${code})`);
  }
  try {
    const about = fstatSync(descriptor);
    if (!about.isFile() || about.size > LARGEST) return refuse('is not a plain file of a bearable size');
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** The certificate's place while its build runs. */
export const certificateFile = (workspace: string): string =>
  join(stateFolder(workspace), 'certificate.json');

interface Given {
  readonly module?: string;
  readonly mergeRequest?: string;
}

/** What this build is for, by its own job and hook and never by a file's word. */
function boundTo(given: Given): { module: string; project: string; mergeRequest: number; build: string } {
  const settings = readSettings(
    [
      'BUILD_URL',
      'SWITCHYARD_GITLAB_GROUP',
      'SWITCHYARD_GITLAB_PROJECTS',
      'SWITCHYARD_MODULE',
      'gitlabMergeRequestIid',
    ],
    process.env,
    { SWITCHYARD_MODULE: given.module, gitlabMergeRequestIid: given.mergeRequest },
  );
  const module = settings.SWITCHYARD_MODULE;
  return {
    module,
    project:
      settings.SWITCHYARD_GITLAB_PROJECTS.get(module) ?? `${settings.SWITCHYARD_GITLAB_GROUP}/${module}`,
    mergeRequest: settings.gitlabMergeRequestIid,
    build: settings.BUILD_URL,
  };
}

/**
 * Keeps the certificate for the next command of this build.
 * @throws Failure (exit 1) for a certificate of another build, module or merge request
 */
export function writeCertificate(workspace: string, certificate: Certificate, given: Given = {}): void {
  const binding = boundTo(given);
  const why = whyForeign(certificate, binding);
  if (why) throw new Failure(exitCode.red, `${certificateFile(workspace)}: ${why}.`);
  writeSealed(certificateFile(workspace), 'certificate', binding, certificate);
}

/**
 * The certificate as this build's last command left it, for this module and merge request.
 * @throws Failure 2 when it is missing, 1 when it is anything else
 */
export function readCertificate(workspace: string, given: Given = {}): Certificate {
  const file = certificateFile(workspace);
  const binding = boundTo(given);
  const certificate = readSealed(
    file,
    'certificate',
    binding,
    certificateSchema,
    'Run `delivery source` first, in the same folder.',
  );
  const why = whyForeign(certificate, binding);
  if (why) throw new Failure(exitCode.red, `${file}: ${why}.`, 'Run `delivery source` again.');
  return certificate;
}

function whyForeign(certificate: Certificate, binding: ReturnType<typeof boundTo>): string | undefined {
  const differs = (['module', 'project', 'mergeRequest', 'build'] as const).find(
    (name) => certificate[name] !== binding[name],
  );
  if (differs) return `its ${differs} is ${certificate[differs]}, and this build's is ${binding[differs]}`;
  if (!certificate.image) return undefined;
  const { REGISTRY } = readSettings(['REGISTRY']);
  return whyOtherImage(certificate.image.repository, REGISTRY, certificate.module);
}

/** Why an image is not the module's own, or undefined when it is: one repository of one registry, exactly. */
export function whyOtherImage(repository: string, registry: string, module: string): string | undefined {
  const own = repositoryOf(registry, module);
  return repository === own ? undefined : `its image is of ${repository}, and ${module}'s are of ${own}`;
}
