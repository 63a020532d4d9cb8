import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { exitCode, Failure } from '../../clients/failure';
import { parseJson } from '../../text/json';
import { readSettings } from '../settings';
import { type Binding, readSealed, writeSealed } from '../state';

const commitId = z.string().regex(/^[0-9a-f]{40}$/);

/** One merge result that is being previewed. */
export const sessionSchema = z.strictObject({
  project: z.string().min(1),
  mergeRequest: z.number().int().min(1),
  sourceBranch: z.string().min(1),
  targetBranch: z.string().min(1),
  baseSha: commitId,
  headSha: commitId,
  treeSha: commitId,
  build: z.string().min(1),
  /** To be previewed, in the order of applying. */
  environments: z.array(z.string()),
});
export type Session = Readonly<Omit<z.infer<typeof sessionSchema>, 'environments'>> & {
  readonly environments: readonly string[];
};

/** What the trusted side found out before the preview: written by `switchyard redact`, never seen by its Pod. */
export const aboutSchema = z.strictObject({
  environment: z.string(),
  state: z.string().regex(/^[0-9a-f]{64}$/),
  /** Role of a cluster → its context. */
  clusters: z.record(z.string(), z.string()),
  /** Context → Kubernetes' list of nodes, or `unasked`: why it could not be asked. */
  nodes: z.record(z.string(), z.unknown()),
});
export type About = z.infer<typeof aboutSchema>;

/** Bytes of one file of a record that are read: enough for tens of thousands of resources. */
const LARGEST = 512 * 1024 * 1024;

const folderOf = (workspace: string): string => join(workspace, '.switchyard', 'preview');

/** Where things stand in a workspace. `given` goes into the preview Pod, `record` comes out of it. */
export const previewPaths = (workspace: string, environment: string) => {
  const folder = join(folderOf(workspace), environment);
  return {
    folder,
    about: join(folder, 'about.json'),
    basis: join(folder, 'basis'),
    given: join(folder, 'given'),
    record: join(folder, 'record'),
    events: join(folder, 'record', 'events.jsonl'),
    rules: join(folder, 'record', 'rules.json'),
    outcome: join(folder, 'record', 'exit-code'),
    log: join(folder, 'record', 'log'),
    leak: join(folder, 'leaked'),
    /** The whole note, attached to the build. */
    whole: join(workspace, `preview-${environment}.md`),
  };
};

export const sessionFile = (workspace: string): string => join(folderOf(workspace), 'session.json');
export const doneFile = (workspace: string): string => join(folderOf(workspace), 'done');

/** What a preview keeps is of one build, and of one environment where it says so. */
export const previewBinding = (environment?: string): Binding => ({
  build: readSettings(['BUILD_URL']).BUILD_URL,
  ...(environment === undefined ? {} : { environment }),
});

export const writeSession = (workspace: string, session: Session): void =>
  writeSealed(sessionFile(workspace), 'preview-session', previewBinding(), session);

export function readOurs<T>(file: string, schema: z.ZodType<T>, remedy: string): T {
  const parsed = existsSync(file) ? schema.safeParse(parseJson(readFileSync(file, 'utf8'))) : undefined;
  if (parsed?.success) return parsed.data;
  throw new Failure(exitCode.input, `${file}: is missing or not what was written there.`, remedy);
}

/** @throws Failure 2 when `preview-source` left none, 1 when it is not what this build wrote */
export const readSession = (workspace: string): Session =>
  readSealed(
    sessionFile(workspace),
    'preview-session',
    previewBinding(),
    sessionSchema,
    'Run `delivery preview-source` first, in the same folder.',
  );

/** @throws Failure (exit 2) when `switchyard redact` left none */
export const readAbout = (file: string): About =>
  readOurs(file, aboutSchema, 'Run `switchyard redact` for this environment first.');

/**
 * What a plan was compared on, for `switchyard up --basis`.
 * @throws Failure (exit 2) when `switchyard redact` left none
 */
export const readBasis = (file: string): string => {
  const basis = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (/^[0-9a-f]{64}$/.test(basis)) return basis;
  throw new Failure(
    exitCode.input,
    `${file}: is missing or not what was written there.`,
    'Run `switchyard redact` for this environment first.',
  );
};

/**
 * A file that foreign code wrote. It may be a link to a file of ours, endless, or become either while it is looked at: then
 * it counts as absent.
 * @param largest bytes that are read
 * @returns undefined when there is no plain file of a bearable size
 */
export function readUntrusted(file: string, largest = LARGEST): string | undefined {
  let opened: number;
  try {
    opened = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const about = fstatSync(opened);
    if (!about.isFile() || about.size > largest) return undefined;
    const { size } = about;
    const read = Buffer.alloc(size);
    // As long as it was: what grows meanwhile has no end.
    const length = size === 0 ? 0 : readSync(opened, read, 0, size, 0);
    return read.toString('utf8', 0, length);
  } finally {
    closeSync(opened);
  }
}
