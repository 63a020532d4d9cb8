import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gitEnvironment } from '../../clients/git';
import { GitLab } from '../../clients/gitlab';
import type { Certificate } from '../../delivery/certificate';
import { type Context, takeSource } from '../../delivery/verify';
import { startGitLabApart } from '../support/gitlab-apart';

export const ROOT_TOKEN = 'glpat-root-token-of-the-tests';
export const PROJECT = 'switchyard/orders';
export const LEDGER = 'switchyard/release-ledger';

/** What the tests read of GitLab's answers. */
interface Answer extends Array<Answer> {
  id: number;
  iid: number;
  token: string;
  detailed_merge_status: string;
  merge_commit_sha: string;
  system: boolean;
}

/** A GitLab with the module's project, the ledger's project and a bot; and whatever a test needs of git. */
export interface World {
  readonly url: string;
  readonly folder: string;
  /** As the bot. */
  readonly context: Context;
  readonly said: string[];
  /** A request as root; fails on anything but a success. */
  api(method: string, path: string, body?: unknown): Promise<Answer>;
  /**
   * A commit with files on a branch, over GitLab's API, as a push of it by git would be: that takes thirty programs.
   * `undefined` deletes a file. @param from where it begins, by default the last one @returns the commit
   */
  push(branch: string, files: Record<string, string | undefined>, from?: string): Promise<string>;
  /** Runs git in a clone, in which nothing is fetched yet. */
  git(...args: string[]): Promise<string>;
  /** Opens a merge request of a branch into main. @returns its iid */
  open(branch: string, more?: Record<string, unknown>): Promise<number>;
  /** Merges as a person does, once GitLab has judged. @returns the commit on the target branch */
  mergeByHand(iid: number, head: string): Promise<string>;
  /** Statuses `switchyard` of a commit, newest last. */
  statuses(commit: string): Promise<{ status: string; description: string; ref: string; name: string }[]>;
  notes(iid: number): Promise<{ id: number; body: string; author: { id: number } }[]>;
  close(): Promise<void>;
}

export async function makeWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'delivery-'));
  const server = await startGitLabApart({ dataDir: join(folder, 'gitlab'), rootToken: ROOT_TOKEN });
  const api = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${server.url}/api/v4${path}`, {
      method,
      headers: { 'private-token': ROOT_TOKEN, ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
  const group = await api('POST', '/groups', { name: 'switchyard', path: 'switchyard' });
  for (const path of ['orders', 'release-ledger']) {
    await api('POST', '/projects', {
      name: path,
      path,
      namespace_id: group.id,
      only_allow_merge_if_pipeline_succeeds: path === 'orders',
      lfs_enabled: false,
      auto_devops_enabled: false,
      default_branch: 'main',
    });
  }
  const bot = await api('POST', `/groups/${group.id}/access_tokens`, {
    name: 'bot',
    scopes: ['api', 'read_repository', 'write_repository'],
    access_level: 40,
    expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10),
  });

  const clone = join(folder, 'clone');
  const url = `${server.url}/${PROJECT}.git`;
  const inClone = async (...args: string[]): Promise<string> => {
    const env = gitEnvironment({ url, token: ROOT_TOKEN });
    return (await promisify(execFile)('git', args, { cwd: clone, env, timeout: 20_000 })).stdout.trim();
  };
  let cloned: Promise<unknown> | undefined;
  const git: World['git'] = async (...args) => {
    cloned ??= promisify(execFile)('git', ['init', '--quiet', '--initial-branch=main', clone]).then(() =>
      inClone('remote', 'add', 'origin', url),
    );
    await cloned;
    return inClone(...args);
  };
  const repository = `/projects/${encodeURIComponent(PROJECT)}/repository`;
  let last = { branch: '', commit: '' };
  const push: World['push'] = async (branch, files, from) => {
    const source = from?.replace(/^origin\//, '');
    const appended = source === branch || (source === undefined && last.branch === branch);
    const start =
      appended || !last.commit ? {} : source ? { start_branch: source } : { start_sha: last.commit };
    const made = (known: ReadonlySet<string>): Promise<unknown> =>
      api('POST', `${repository}/commits`, {
        branch,
        ...start,
        commit_message: `Change ${Object.keys(files).join(', ')}`,
        actions: Object.entries(files).map(([path, content]) => ({
          action: content === undefined ? 'delete' : known.has(path) ? 'update' : 'create',
          file_path: path,
          content,
        })),
      });
    // Mostly the files are new; else it is asked which are not.
    const answer = await made(new Set()).catch(async (error: Error) => {
      if (!error.message.includes('already exists')) throw error;
      const ref = encodeURIComponent(source ?? (appended ? branch : last.commit));
      const known = new Set<string>();
      for (let page = 1; known.size === (page - 1) * 100; page++) {
        const asked = `ref=${ref}&recursive=true&per_page=100&page=${page}`;
        const tree: unknown = await api('GET', `${repository}/tree?${asked}`);
        for (const { path } of tree as { path: string }[]) known.add(path);
      }
      return made(known);
    });
    const { id, parent_ids } = answer as { id: string; parent_ids: string[] };
    if (from === undefined && last.commit && parent_ids[0] !== last.commit)
      throw new Error(`${branch} is not where it was left`);
    last = { branch, commit: id };
    return id;
  };
  await push('main', { Dockerfile: 'FROM scratch\n', 'a.txt': '1\n2\n3\n', 'b.txt': '1\n' });

  const said: string[] = [];
  const project = encodeURIComponent(PROJECT);
  return {
    url: server.url,
    folder,
    context: {
      gitlab: new GitLab({ url: server.url, token: bot.token, policy: { baseMs: 2, capMs: 2 } }),
      gitlabUrl: server.url,
      token: bot.token,
      say: (line) => said.push(line),
    },
    said,
    api,
    push,
    git,
    open: async (branch, more = {}) =>
      (
        await api('POST', `/projects/${project}/merge_requests`, {
          source_branch: branch,
          target_branch: 'main',
          title: branch,
          ...more,
        })
      ).iid,
    mergeByHand: async (iid, head) => {
      const request = `/projects/${project}/merge_requests/${iid}`;
      while ((await api('GET', request)).detailed_merge_status !== 'mergeable') await sleep(20);
      return (await api('PUT', `${request}/merge`, { sha: head })).merge_commit_sha;
    },
    statuses: async (commit) => {
      const all = await api('GET', `/projects/${project}/repository/commits/${commit}/statuses?all=true`);
      return all.sort((a: { id: number }, b: { id: number }) => a.id - b.id);
    },
    notes: async (iid) =>
      (await api('GET', `/projects/${project}/merge_requests/${iid}/notes?sort=asc`)).filter(
        (note: { system: boolean }) => !note.system,
      ),
    close: async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The same context, but for some methods of its GitLab; notes are tried again at once. */
export const replaced = (context: Context, changes: object): Context => ({
  ...context,
  noteRetries: { baseMs: 1, capMs: 1 },
  gitlab: Object.assign(Object.create(context.gitlab), changes),
});

/** Keeps manifests like a registry, with Basic authentication: what promotion needs to be seen working. */
export async function makeRegistry(): Promise<{
  host: string;
  credentials: string;
  manifests: Map<string, { type: string; bytes: Buffer }>;
  put(path: string, text: string, type: string): string;
  close(): Promise<void>;
}> {
  const manifests = new Map<string, { type: string; bytes: Buffer }>();
  const credentials = Buffer.from('push:secret').toString('base64');
  const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const match = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(request.url ?? '');
    if (request.headers.authorization !== `Basic ${credentials}`) response.writeHead(401).end();
    else if (!match) response.writeHead(404).end();
    else if (request.method === 'PUT') {
      const bytes = Buffer.concat(chunks);
      manifests.set(`${match[1]}:${match[2]}`, { type: request.headers['content-type'] ?? '', bytes });
      response.writeHead(201, { 'docker-content-digest': digestOf(bytes) }).end();
    } else {
      const found = manifests.get(`${match[1]}:${match[2]}`);
      if (!found || !request.headers.accept?.includes(found.type)) response.writeHead(404).end();
      else response.writeHead(200, { 'content-type': found.type }).end(found.bytes);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials,
    manifests,
    put: (path, text, type) => {
      const bytes = Buffer.from(text);
      const digest = digestOf(bytes);
      manifests.set(`${path}:${digest}`, { type, bytes });
      return digest;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** The environment that Jenkins gives the commands of one merge request's build of `orders`. */
export const buildEnvironment = (
  { context, url }: Pick<World, 'context' | 'url'>,
  of: {
    readonly iid: number;
    readonly build: string;
    readonly workspace: string;
    readonly registry: string;
    readonly key: string;
  },
): Record<string, string> => ({
  BUILD_URL: of.build,
  GITLAB_TOKEN: context.token,
  GITLAB_URL: url,
  REGISTRY: of.registry,
  SWITCHYARD_CATALOG: join(__dirname, '..', '..', 'catalog'),
  SWITCHYARD_CERTIFICATE_KEY: of.key,
  SWITCHYARD_GITLAB_GROUP: 'switchyard',
  SWITCHYARD_MODULE: 'orders',
  SWITCHYARD_STATE: join(of.workspace, 'state'),
  gitlabMergeRequestIid: String(of.iid),
});

/** A certificate of a merge request of `orders`, as its build has it: tested and green. */
export async function greenCertificate(
  world: World,
  of: {
    readonly iid: number;
    readonly build: string;
    readonly workspace: string;
    readonly registry: string;
  },
): Promise<Certificate> {
  const certificate = await takeSource(world.context, {
    module: 'orders',
    project: PROJECT,
    mergeRequest: of.iid,
    build: of.build,
    policy: 'automatic',
    declared: '0'.repeat(64),
    folder: join(of.workspace, 'source'),
  });
  return {
    ...certificate,
    image: { repository: `${of.registry}/modules/orders`, tag: 'x', digest: `sha256:${'0'.repeat(64)}` },
    tests: { total: 1, passed: 1, failed: 0, skipped: 0, failing: [] },
  };
}
