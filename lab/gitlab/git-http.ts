import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { branchRights, tagRights } from './access';
import { type App, digestOf, isPast, type RefChange } from './app';
import { gitEnvironment } from './git';
import { ApiError } from './http';
import { LEVEL, type Project, type User } from './model';

/**
 * No pointer of Git LFS may come without its object (`lib/gitlab/checks/lfs_check.rb`, `lfs_integrity.rb`). GitLab asks
 * Gitaly for the pointers among the quarantined objects (`blob_service.rb`), which knows them as `IsLFSPointer` does, of
 * 200 bytes at most. What is refused for its ref is told first (`changes_access.rb`). SWITCHYARD_LFS is a file of the oids
 * that are there, one a line; unset where Git LFS is off.
 */
const LFS_CHECK = `if [ -n "$SWITCHYARD_LFS" ] && [ -n "$GIT_QUARANTINE_PATH" ]; then
  come() { GIT_OBJECT_DIRECTORY=$GIT_QUARANTINE_PATH GIT_ALTERNATE_OBJECT_DIRECTORIES= git cat-file "$@"; }
  come --batch-all-objects --batch-check='%(objecttype) %(objectsize) %(objectname)' | while read -r type size id; do
    [ "$type" = blob ] && [ "$size" -ge 120 ] && [ "$size" -le 200 ] || continue
    come blob "$id" | {
      IFS= read -r first
      case $first in "version https://git-lfs.github.com/spec"*) ;; *) exit 0 ;; esac
      rest=$(cat)
      oid=$(printf '%s\\n' "$rest" | sed -n 's/^oid sha256:\\([0-9a-f]\\{64\\}\\)$/\\1/p' | head -n 1)
      [ -n "$oid" ] && printf '%s\\n' "$rest" | grep -q '^size [0-9][0-9]*$' || exit 0
      grep -qx "$oid" "$SWITCHYARD_LFS"
    } || exit 1
  done || {
    echo 'GitLab: LFS objects are missing. Ensure LFS is properly set up or try a manual "git lfs push --all".' >&2
    exit 1
  }
fi`;

/**
 * Runs inside git's quarantine, so it sees the new objects before they are accepted. The rules arrive as
 * lines `kind push force pattern` in SWITCHYARD_RULES, already decided for the user who pushes.
 */
export const PRE_RECEIVE = `#!/bin/sh
zero=0000000000000000000000000000000000000000
refuse() { echo "GitLab: $1" >&2; exit 1; }
while read -r old new ref; do
  case $ref in
    refs/heads/*) kind=branch name=\${ref#refs/heads/} ;;
    refs/tags/*) kind=tag name=\${ref#refs/tags/} ;;
    *) refuse "You are not allowed to change $ref: only branches and tags can be pushed." ;;
  esac
  protected=0 push=0 force=1
  while read -r rule_kind rule_push rule_force pattern; do
    [ "$rule_kind" = "$kind" ] || continue
    case $name in
      $pattern)
        protected=1
        [ "$rule_push" = 1 ] && push=1
        [ "$rule_force" = 1 ] || force=0 ;;
    esac
  done <<RULES
$SWITCHYARD_RULES
RULES
  if [ "$kind" = branch ]; then
    if [ "$new" = "$zero" ]; then
      [ "$name" = "$SWITCHYARD_DEFAULT_BRANCH" ] && refuse "The default branch of a project cannot be deleted."
      if [ "$protected" = 1 ]; then
        [ "$SWITCHYARD_MAINTAINER" = 1 ] || refuse "You are not allowed to delete protected branches from this project. Only a project maintainer or owner can delete a protected branch."
        refuse "You can only delete protected branches using the web interface."
      fi
    elif [ "$protected" = 1 ]; then
      if [ "$old" != "$zero" ] && [ -n "$(git rev-list --max-count=1 "$old" "^$new")" ] && [ "$force" = 0 ]; then
        refuse "You are not allowed to force push code to a protected branch on this project."
      fi
      [ "$push" = 1 ] || refuse "You are not allowed to push code to protected branches on this project."
    fi
  else
    if [ "$protected" = 1 ]; then
      [ "$new" = "$zero" ] && refuse "Protected tags cannot be deleted."
      [ "$old" = "$zero" ] || refuse "Protected tags cannot be updated."
      [ "$push" = 1 ] || refuse "You are not allowed to create this tag as it is protected."
    elif [ "$old" != "$zero" ] && [ "$SWITCHYARD_MAINTAINER" != 1 ]; then
      refuse "You are not allowed to change existing tags on this project."
    fi
  fi
done
${LFS_CHECK}
exit 0
`;

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
export async function serveGit(app: App, request: IncomingMessage, response: ServerResponse): Promise<void> {
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
  app: App,
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

function rulesFor(app: App, project: Project, user: User): string {
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

export function authenticateGit(app: App, authorization: string | undefined): Caller | undefined {
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
function lfsCaller(app: App, username: string, token: string): Caller | undefined {
  const [, project = '', ends = ''] = /^(\d+)-(\d+)-/.exec(token) ?? [];
  const user = app.tables.users.find((candidate) => candidate.username === username);
  const lfsProject = app.tables.projects.get(Number(project));
  if (!user || !lfsProject || Number(ends) < Date.now()) return undefined;
  if (app.lfsToken(user, lfsProject, Number(ends)) !== token) return undefined;
  return { user, lfsProject: lfsProject.id, scopes: ['read_repository', 'write_repository'] };
}

export function mayRead(app: App, caller: Caller | undefined, project: Project): boolean {
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
  app: App,
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
