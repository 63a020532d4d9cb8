import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { branchRights, tagRights } from './access';
import { ApiError } from './errors';
import { gitEnvironment } from './git';
import { digestOf, type Instance, isPast, type RefChange } from './instance';
import { LEVEL, type Project, type User } from './model';

const GIT_PATH = /^\/(.+?)(\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/;

export interface Caller {
  user?: User;
  scopes: readonly string[];
  /** Set for a deploy token: the only project it opens. */
  deployProject?: number;
  /** Set for a token of Git LFS: the only project it opens. */
  lfsProject?: number;
}

/** Whether the request is for git's smart HTTP protocol and not for the API. */
export function isGitRequest(url: string): boolean {
  const path = new URL(url, 'http://host').pathname;
  return !path.startsWith('/api/') && GIT_PATH.test(path);
}

/** Serves clone, fetch and push as `git http-backend` does, with token authentication. */
export async function serveGit(
  app: Instance,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://host');
  const [, rawPath = '', suffix, action = ''] = GIT_PATH.exec(url.pathname) ?? [];
  const path = decodeURIComponent(rawPath);
  const answer = (status: number, body: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers });
    response.end(body);
    request.resume();
  };
  const denied = (): void =>
    answer(
      401,
      "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect or you're required to use a token instead of a password.\n",
      {
        'WWW-Authenticate': 'Basic realm="GitLab"',
      },
    );

  let caller: Caller | undefined;
  try {
    caller = authenticateGit(app, request.headers.authorization);
  } catch (error) {
    if (error instanceof ApiError) return denied();
    throw error;
  }
  const project = app.findProject(/^\d+$/.test(path) ? '' : path);
  const service = action === 'info/refs' ? url.searchParams.get('service') : action;
  const pushing = service === 'git-receive-pack';
  if (service !== 'git-upload-pack' && service !== 'git-receive-pack') {
    return answer(403, 'Git access over the dumb HTTP protocol is not served.\n');
  }
  if (!caller && (pushing || !project || project.settings.visibility !== 'public')) return denied();
  const visible = project && mayRead(app, caller, project);
  if (!project || !visible) {
    return answer(
      404,
      "The project you were looking for could not be found or you don't have permission to view it.\n",
    );
  }
  if (!suffix) return answer(301, '', { Location: `${app.externalUrl}/${path}.git/${action}${url.search}` });
  if (caller && !hasGitScope(caller, pushing)) {
    return answer(
      403,
      pushing
        ? 'You are not allowed to push code to this project.\n'
        : 'You are not allowed to download code from this project.\n',
    );
  }
  if (pushing) {
    if (
      project.archived ||
      project.marked_for_deletion_on !== null ||
      !caller?.user ||
      app.projectLevel(caller.user, project) < LEVEL.developer
    ) {
      return answer(403, 'You are not allowed to push code to this project.\n');
    }
  }
  const user = caller?.user;
  if (action !== 'git-receive-pack' || !user) {
    await backend(app, project, request, response, service, action === 'info/refs', {});
    return;
  }
  await app.exclusively(project, () => receive(app, project, user, request, response));
}

async function receive(
  app: Instance,
  project: Project,
  user: User,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'switchyard-push-'));
  const pushed = join(scratch, 'pushed');
  const lfs = join(scratch, 'lfs');
  if (project.settings.lfs_enabled) await writeFile(lfs, [...app.lfsOids(project), ''].join('\n'));
  const env = {
    SWITCHYARD_RULES: rulesFor(app, project, user),
    SWITCHYARD_DEFAULT_BRANCH: project.default_branch,
    SWITCHYARD_MAINTAINER: app.projectLevel(user, project) >= LEVEL.maintainer ? '1' : '0',
    SWITCHYARD_PUSHED: pushed,
    ...(project.settings.lfs_enabled ? { SWITCHYARD_LFS: lfs } : {}),
  };
  const follow = async (): Promise<void> => {
    const lines = await readFile(pushed, 'utf8').catch(() => '');
    const changes: RefChange[] = lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [before = '', after = '', ...ref] = line.split(' ');
        return { before, after, ref: ref.join(' ') };
      });
    await app.refsChanged(project, user, changes);
  };
  try {
    await backend(app, project, request, response, 'git-receive-pack', false, env, follow);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function rulesFor(app: Instance, project: Project, user: User): string {
  const actor = app.actor(user, project);
  const lines: string[] = [];
  for (const rule of app.tables.protectedBranches.filter((row) => row.project_id === project.id)) {
    const rights = branchRights([{ ...rule, name: 'x' }], 'x', actor);
    lines.push(`branch ${Number(rights.push)} ${Number(rights.force)} ${rule.name}`);
  }
  for (const rule of app.tables.protectedTags.filter((row) => row.project_id === project.id)) {
    lines.push(`tag ${Number(tagRights([{ ...rule, name: 'x' }], 'x', actor).create)} 0 ${rule.name}`);
  }
  // A pattern with a character that no ref name can have matches nothing; the shell would read it as a glob.
  return lines.filter((line) => !/[?[\]\\~^:]/.test(line)).join('\n');
}

export function authenticateGit(app: Instance, authorization: string | undefined): Caller | undefined {
  if (authorization === undefined) return undefined;
  const basic = /^Basic (.+)$/i.exec(authorization)?.[1];
  const bearer = /^Bearer (.+)$/i.exec(authorization)?.[1];
  const decoded = basic ? Buffer.from(basic, 'base64').toString() : `oauth2:${bearer ?? ''}`;
  const colon = decoded.indexOf(':');
  const [username, password] = [decoded.slice(0, colon), decoded.slice(colon + 1)];
  const digest = digestOf(password);
  const deploy = app.tables.deployTokens.find(
    (token) => token.username === username && token.digest === digest,
  );
  if (deploy && !deploy.revoked && !isPast(deploy.expires_at))
    return { scopes: deploy.scopes, deployProject: deploy.project_id };
  if (colon < 1) throw new ApiError(401, { message: '401 Unauthorized' });
  const lfs = lfsCaller(app, username, password);
  if (lfs) return lfs;
  const { user, token } = app.useToken(password);
  return { user, scopes: token.scopes };
}

/** Who has a token that GitLab gave with an object of Git LFS. */
function lfsCaller(app: Instance, username: string, token: string): Caller | undefined {
  const [, project = '', ends = ''] = /^(\d+)-(\d+)-/.exec(token) ?? [];
  const user = app.tables.users.find((candidate) => candidate.username === username);
  const lfsProject = app.tables.projects.get(Number(project));
  if (!user || !lfsProject || Number(ends) < Date.now()) return undefined;
  if (app.lfsToken(user, lfsProject, Number(ends)) !== token) return undefined;
  return { user, lfsProject: lfsProject.id, scopes: ['read_repository', 'write_repository'] };
}

export function mayRead(app: Instance, caller: Caller | undefined, project: Project): boolean {
  if (caller?.lfsProject !== undefined && caller.lfsProject !== project.id) return false;
  if (caller?.deployProject !== undefined) return caller.deployProject === project.id;
  if (project.settings.visibility === 'public') return true;
  if (!caller?.user) return false;
  if (project.settings.visibility === 'internal') return true;
  return app.projectLevel(caller.user, project) >= LEVEL.reporter;
}

export function hasGitScope(caller: Caller, pushing: boolean): boolean {
  const enough = pushing
    ? ['api', 'write_repository']
    : ['api', 'read_api', 'read_repository', 'write_repository'];
  return caller.scopes.some((scope) => enough.includes(scope));
}

/** What `git http-backend` says beside its answers: they are not kept. */
const NOT_KEPT = {
  Expires: 'Fri, 01 Jan 1980 00:00:00 GMT',
  Pragma: 'no-cache',
  'Cache-Control': 'no-cache, max-age=0, must-revalidate',
};

/**
 * git's smart HTTP protocol (`Documentation/gitprotocol-http.txt`) by the program that `git http-backend` would start:
 * starting that one first takes longer than most answers. Resolves when the answer is complete.
 */
async function backend(
  app: Instance,
  project: Project,
  request: IncomingMessage,
  response: ServerResponse,
  service: 'git-upload-pack' | 'git-receive-pack',
  advertises: boolean,
  env: Record<string, string>,
  /** Runs when git is done and before the client learns of it, so that a pusher sees what the push set off. */
  follow: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const type = `application/x-${service}-`;
  const headers = { ...NOT_KEPT, 'Content-Type': `${type}${advertises ? 'advertisement' : 'result'}` };
  if (request.method !== (advertises ? 'GET' : 'POST')) {
    response.writeHead(405, { Allow: advertises ? 'GET' : 'POST' }).end();
    request.resume();
    return;
  }
  if (!advertises && request.headers['content-type'] !== `${type}request`) {
    response.writeHead(415).end();
    request.resume();
    return;
  }
  const asked = String(request.headers['git-protocol'] ?? '');
  // The second version of the protocol begins with what the server can do, and names no ref.
  const second = service === 'git-upload-pack' && asked.split(':').includes('version=2');
  const repository = app.repository(project);
  const known = advertises && second ? repository.abilities : undefined;
  if (known) {
    request.resume();
    response.writeHead(200, headers).end(known);
    return;
  }
  const args = [service.slice('git-'.length), '--stateless-rpc', ...(advertises ? ['--advertise-refs'] : [])];
  const child = spawn('git', ['-c', `core.hooksPath=${app.hooksDir}`, ...args, repository.dir], {
    env: gitEnvironment({ ...(asked ? { GIT_PROTOCOL: asked } : {}), ...env }),
  });
  const stderr: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined);
  const zipped = /^(x-)?gzip$/.test(String(request.headers['content-encoding'] ?? ''));
  if (advertises) child.stdin.end();
  else if (!zipped) request.pipe(child.stdin);
  // What is no gzip ends git's input where it breaks.
  else pipeline(request, createGunzip(), child.stdin, () => child.stdin.destroy());

  const said: Buffer[] = [];
  let started = false;
  child.stdout.on('data', (chunk: Buffer) => {
    if (!started) {
      started = true;
      response.writeHead(200, headers);
      if (advertises && !second) response.write(`${packet(`# service=${service}\n`)}0000`);
    }
    if (advertises) said.push(chunk);
    // Whoever asked is gone: git comes to its end.
    if (response.destroyed) return;
    if (!response.write(chunk)) {
      child.stdout.pause();
      response.once('drain', () => child.stdout.resume());
    }
  });
  response.once('close', () => child.stdout.resume());
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 128));
  });
  if (code !== 0)
    app.log.warn(
      `${service} for ${app.projectPath(project)}: exit ${code} ${Buffer.concat(stderr).toString().trim()}`,
    );
  else if (advertises && second) repository.abilities = Buffer.concat(said);
  await follow();
  if (!started) response.writeHead(code === 0 ? 200 : 500, headers);
  response.end();
}

/** A line of git's protocol: its length in four digits of sixteen, itself counted, and the text. */
const packet = (text: string): string => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;
