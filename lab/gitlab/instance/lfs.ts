import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { ApiError } from './errors';
import { authenticateGit, type Caller, hasGitScope, mayRead } from './git-http';
import type { Instance } from './instance';
import { LEVEL, type Project } from './model';

const LFS_PATH =
  /^\/(.+?)\.git\/(?:info\/lfs\/(objects\/batch|objects|locks\/verify)|gitlab-lfs\/objects\/([0-9a-f]{64})(?:\/([0-9]+))?)$/;
const MEDIA_TYPE = 'application/vnd.git-lfs+json';
/** How long a token of GitLab's own for one user's objects holds (`LfsToken::DEFAULT_EXPIRE_TIME`). */
const TOKEN_MS = 7_200_000;

const pathOf = (url: string): string => new URL(url, 'http://host').pathname;

/** Whether the request is for Git LFS: its batch API, or an object. */
export const isLfsRequest = (url: string): boolean => !url.startsWith('/api/') && LFS_PATH.test(pathOf(url));

const objectFile = (app: Instance, oid: string): string => join(app.dataDir, 'lfs-objects', oid);

interface Wanted {
  readonly oid: string;
  readonly size: number;
}

/** Git LFS as GitLab serves it: `app/controllers/repositories/lfs_*_controller.rb`, `app/controllers/concerns/lfs_request.rb`. */
export async function serveLfs(
  app: Instance,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, rawPath = '', api, oid = '', size] = LFS_PATH.exec(pathOf(request.url ?? '/')) ?? [];
  const answer = (status: number, body: unknown, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { 'Content-Type': MEDIA_TYPE, ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
    request.resume();
  };
  const said = (status: number, message: string): void =>
    answer(status, { message, documentation_url: `${app.externalUrl}/help` });
  const notFound = (): void => said(404, 'Not found.');

  let caller: Caller | undefined;
  try {
    caller = authenticateGit(app, request.headers.authorization);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  const project = app.findProject(decodeURIComponent(rawPath));
  if (!caller && project?.settings.visibility !== 'public') {
    return answer(401, 'HTTP Basic: Access denied.', {
      'Content-Type': 'text/plain; charset=utf-8',
      'WWW-Authenticate': 'Basic realm="GitLab"',
    });
  }
  const json = /^application\/(vnd\.git-lfs\+)?json\b/.test(request.headers['content-type'] ?? '');
  const body =
    api && json ? (JSON.parse((await text(request)) || '{}') as Record<string, unknown>) : undefined;
  const uploads =
    api === undefined ? size !== undefined : body?.operation === 'upload' || api === 'locks/verify';
  const downloads = api === undefined ? size === undefined : body?.operation === 'download';

  const readable = project && mayRead(app, caller, project) && (!caller || hasGitScope(caller, false));
  if (!project?.settings.lfs_enabled || !readable) return notFound();
  const writable =
    !project.archived &&
    caller?.user !== undefined &&
    hasGitScope(caller, true) &&
    app.projectLevel(caller.user, project) >= LEVEL.developer;
  if (!(downloads || (uploads && writable))) return said(403, 'Access forbidden. Check your access level.');

  if (api === 'objects')
    return said(
      501,
      'Server supports batch API only, please update your Git LFS client to version 1.0.1 and up.',
    );
  // Locks of files are not covered: there are none.
  if (api === 'locks/verify') return answer(200, { ours: [], theirs: [] });
  if (api === 'objects/batch') {
    const objects = (body?.objects ?? []) as Wanted[];
    if (objects.length === 0) return notFound();
    return answer(200, { objects: batch(app, project, caller, objects, uploads, request) });
  }
  const file = objectFile(app, oid);
  if (size === undefined) {
    if (request.method !== 'GET' || !existsSync(file)) return notFound();
    const { size: length } = await stat(file);
    response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': String(length) });
    return pipeline(createReadStream(file), response);
  }
  if (request.method !== 'PUT') return notFound();
  if (!(await store(file, request, oid, Number(size)))) {
    return answer(400, 'SHA256 or size mismatch', { 'Content-Type': 'text/plain; charset=utf-8' });
  }
  if (!app.lfsOids(project).has(oid)) app.tables.lfsObjects.insert({ project_id: project.id, oid });
  answer(200, '');
}

/** What there is to do for each object: nothing where an upload finds it there. */
function batch(
  app: Instance,
  project: Project,
  caller: Caller | undefined,
  objects: readonly Wanted[],
  uploads: boolean,
  request: IncomingMessage,
): unknown[] {
  const there = app.lfsOids(project);
  const place = `${app.externalUrl}/${app.projectPath(project)}.git/gitlab-lfs/objects`;
  // A token of GitLab's own for a user; what a deploy token came with is given back to it.
  const user = caller?.user;
  const authorization = user
    ? `Basic ${Buffer.from(`${user.username}:${app.lfsToken(user, project, Date.now() + TOKEN_MS)}`).toString('base64')}`
    : request.headers.authorization;
  const header = authorization ? { Authorization: authorization } : {};
  return objects.map(({ oid, size }) => {
    if (uploads) {
      if (there.has(oid)) return { oid, size };
      const more = { 'Content-Type': 'application/octet-stream', 'Transfer-Encoding': 'chunked' };
      return {
        oid,
        size,
        actions: { upload: { href: `${place}/${oid}/${size}`, header: { ...header, ...more } } },
      };
    }
    if (there.has(oid)) return { oid, size, actions: { download: { href: `${place}/${oid}`, header } } };
    const message = "Object does not exist on the server or you don't have permissions to access it";
    return { oid, size, error: { code: 404, message } };
  });
}

/** Keeps an object whole, or not at all. @returns whether it is what it is called */
async function store(file: string, body: IncomingMessage, oid: string, size: number): Promise<boolean> {
  await mkdir(join(file, '..'), { recursive: true });
  const part = `${file}.${randomUUID()}`;
  const sum = createHash('sha256');
  let bytes = 0;
  try {
    await pipeline(
      body,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          sum.update(chunk);
          bytes += chunk.length;
          yield chunk;
        }
      },
      createWriteStream(part),
    );
    if (bytes !== size || sum.digest('hex') !== oid) return false;
    await rename(part, file);
    return true;
  } finally {
    await rm(part, { force: true });
  }
}
