import { createHash, createHmac, randomBytes } from 'node:crypto';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Actor, branchRights } from './access';
import { ownPipeline } from './ci';
import { type Person, Repository } from './git';
import { PRE_RECEIVE } from './git-http';
import { ApiError } from './http';
import { createMergeRequests, type MergeRequests } from './merge-requests';
import {
  type AccessToken,
  LEVEL,
  type Member,
  type Namespace,
  openTables,
  type Project,
  type Settings,
  type Tables,
  type User,
  ZERO_SHA,
} from './model';
import { pushPayload } from './payloads';
import { Store } from './store';
import { Webhooks } from './webhooks';

export const GITLAB_VERSION = '19.2.1';

export interface Log {
  info(text: string): void;
  warn(text: string): void;
}

export interface RefChange {
  ref: string;
  before: string;
  after: string;
}

export const now = (): string => new Date().toISOString();
export const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
export const newToken = (prefix: string): string =>
  prefix + randomBytes(20).toString('base64url').slice(0, 26);
export const personOf = (user: User): Person => ({ name: user.name, email: user.email });

export type Tier = 'free' | 'premium';

/** Milliseconds that GitLab's background jobs take; 0: done before the answer. */
export interface Background {
  /** From the making of a merge request until it is prepared (NewMergeRequestWorker). */
  readonly prepare: number;
  /** A rebase (RebaseWorker). */
  readonly rebase: number;
  /** A check whether a merge request can be merged (MergeRequestMergeabilityCheckWorker). */
  readonly check: number;
  /** From a posted status to the pipeline's own (PipelineProcessWorker). */
  readonly pipeline: number;
  /** From the merge in git to the merge request's state `merged`. */
  readonly merge: number;
}

/** A quiet instance. */
export const QUIET: Background = { prepare: 300, check: 300, rebase: 300, pipeline: 300, merge: 300 };

/** The package that is installed: an Enterprise one without a licence is `free` too, and what most install. */
export type Edition = 'community' | 'enterprise';

/** Everything that routes share: state, repositories, who may do what, and what a changed ref sets off. */
export class App {
  readonly store: Store;
  readonly tables: Tables;
  readonly webhooks: Webhooks;
  readonly mergeRequests: MergeRequests;
  /** Signs tokens for objects of Git LFS. */
  private readonly lfsKey = randomBytes(32);
  private readonly locks = new Map<string, Promise<void>>();
  private readonly repositories = new Map<number, Repository>();
  private closing = false;

  constructor(
    readonly dataDir: string,
    readonly externalUrl: string,
    readonly log: Log,
    /** What a licence would allow. */
    readonly tier: Tier = 'free',
    readonly edition: Edition = 'enterprise',
    readonly background: Background = QUIET,
  ) {
    if (tier !== 'free' && edition === 'community')
      throw new Error('a Community package takes no licence: tier must be free');
    this.store = new Store(join(dataDir, 'gitlab.sqlite'));
    this.tables = openTables(this.store);
    this.webhooks = new Webhooks(this);
    this.mergeRequests = createMergeRequests(this);
  }

  /** Makes the root user and what else a fresh instance has; brings a used one back after a crash. */
  async prepare(rootToken: string, allowLocalHooks: boolean): Promise<void> {
    await mkdir(this.repositoriesDir, { recursive: true });
    await mkdir(this.hooksDir, { recursive: true });
    await writeFile(join(this.hooksDir, 'pre-receive'), PRE_RECEIVE);
    await chmod(join(this.hooksDir, 'pre-receive'), 0o755);
    await writeFile(join(this.hooksDir, 'post-receive'), '#!/bin/sh\nexec cat >"$SWITCHYARD_PUSHED"\n');
    await chmod(join(this.hooksDir, 'post-receive'), 0o755);

    const { users, settings } = this.tables;
    if (!settings.get(1)) {
      settings.insert({
        allow_local_requests_from_web_hooks_and_services: allowLocalHooks,
        outbound_local_requests_allowlist_raw: '',
        deletion_adjourned_period: 30,
        default_project_visibility: 'private',
        default_group_visibility: 'private',
      });
    }
    const root =
      users.find((user) => user.username === 'root') ??
      this.createUser({ username: 'root', name: 'Administrator', email: 'admin@example.com', admin: true });
    const digest = digestOf(rootToken);
    this.tables.tokens.deleteWhere(
      (token) => token.name === 'root token' && token.user_id === root.id && token.digest !== digest,
    );
    if (!this.tables.tokens.find((token) => token.digest === digest)) {
      this.createToken({
        user: root,
        name: 'root token',
        scopes: ['api', 'sudo', 'read_repository', 'write_repository'],
        expires_at: null,
        kind: 'personal',
        secret: rootToken,
      });
    }
    for (const project of this.tables.projects.filter()) await this.mergeRequests.catchUp(project);
    this.purge();
    this.webhooks.resume();
  }

  /** Resolves when a job that begins now has taken its time; what that is is read again and again. */
  async taken(job: keyof Background): Promise<void> {
    const began = Date.now();
    while (!this.closing && Date.now() < began + this.background[job])
      await sleep(Math.min(this.background[job], 20));
  }

  /** Does a job in the background: before the answer when it takes no time. */
  async later(job: keyof Background, work: () => Promise<void>): Promise<void> {
    if (this.background[job] === 0) return work();
    void this.taken(job)
      .then(() => (this.closing ? undefined : work()))
      .catch((error: Error) => this.log.warn(`${job}: ${error.message}`));
  }

  async close(): Promise<void> {
    this.closing = true;
    await this.webhooks.close();
    this.store.close();
  }

  get settings(): Settings {
    const settings = this.tables.settings.get(1);
    if (!settings) throw new Error('settings were not initialised');
    return settings;
  }

  get repositoriesDir(): string {
    return join(this.dataDir, 'repositories');
  }

  get hooksDir(): string {
    return join(this.dataDir, 'git-hooks');
  }

  repository(project: Project): Repository {
    const known = this.repositories.get(project.id);
    if (known) return known;
    const repository = new Repository(join(this.repositoriesDir, `${project.id}.git`));
    this.repositories.set(project.id, repository);
    return repository;
  }

  /** Oids of the objects of Git LFS that belong to a project. */
  lfsOids(project: Project): Set<string> {
    return new Set(
      this.tables.lfsObjects.filter((row) => row.project_id === project.id).map(({ oid }) => oid),
    );
  }

  /** A token for one user's objects in one project (`Gitlab::LfsToken`). @param ends Milliseconds since 1970 */
  lfsToken(user: User, project: Project, ends: number): string {
    const what = `${project.id}-${ends}`;
    return `${what}-${createHmac('sha256', this.lfsKey).update(`${user.id}-${what}`).digest('hex')}`;
  }

  // Users and tokens

  createUser(data: { username: string; name: string; email: string; admin?: boolean; bot?: boolean }): User {
    const user = this.tables.users.insert({
      admin: false,
      bot: false,
      state: 'active',
      created_at: now(),
      ...data,
    });
    if (!user.bot) {
      this.tables.namespaces.insert({
        kind: 'user',
        name: user.name,
        path: user.username,
        parent_id: null,
        owner_id: user.id,
        created_at: now(),
        marked_for_deletion_on: null,
        archived: false,
        settings: {},
      });
    }
    return user;
  }

  createToken(data: {
    user: User;
    name: string;
    description?: string | null;
    scopes: string[];
    expires_at: string | null;
    kind: AccessToken['kind'];
    resource_id?: number;
    access_level?: number;
    secret?: string;
  }): { token: AccessToken; secret: string } {
    const secret = data.secret ?? newToken('glpat-');
    const token = this.tables.tokens.insert({
      user_id: data.user.id,
      name: data.name,
      description: data.description ?? null,
      scopes: data.scopes,
      digest: digestOf(secret),
      created_at: now(),
      expires_at: data.expires_at,
      last_used_at: null,
      revoked: false,
      kind: data.kind,
      resource_id: data.resource_id ?? null,
      access_level: data.access_level ?? null,
    });
    return { token, secret };
  }

  /** @throws ApiError 401 for a token that is unknown, revoked or expired */
  authenticate(
    headers: IncomingHttpHeaders,
    query: Record<string, unknown>,
  ): { user?: User; token?: AccessToken } {
    const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
    const header = headers['private-token'];
    const secret =
      (Array.isArray(header) ? header[0] : header) ??
      bearer ??
      (typeof query.private_token === 'string' ? query.private_token : undefined);
    if (secret === undefined) return {};
    return this.useToken(secret);
  }

  useToken(secret: string): { user: User; token: AccessToken } {
    const digest = digestOf(secret);
    const token = this.tables.tokens.find((candidate) => candidate.digest === digest);
    const user = token ? this.tables.users.get(token.user_id) : undefined;
    if (!token || !user || user.state !== 'active') throw new ApiError(401, { message: '401 Unauthorized' });
    if (token.revoked) {
      throw new ApiError(401, {
        error: 'invalid_token',
        error_description: 'Token was revoked. You have to re-authorize from the user.',
      });
    }
    if (isPast(token.expires_at)) {
      throw new ApiError(401, {
        error: 'invalid_token',
        error_description: 'Token is expired. You can either do re-authorization or token refresh.',
      });
    }
    return { user, token };
  }

  user(id: number): User {
    const user = this.tables.users.get(id);
    if (!user) throw new Error(`user ${id} is gone`);
    return user;
  }

  // Groups, projects and levels

  findGroup(idOrPath: string): Namespace | undefined {
    const { namespaces } = this.tables;
    if (/^\d+$/.test(idOrPath)) {
      const group = namespaces.get(Number(idOrPath));
      return group?.kind === 'group' ? group : undefined;
    }
    return namespaces.find(
      (group) => group.kind === 'group' && this.namespacePath(group).toLowerCase() === idOrPath.toLowerCase(),
    );
  }

  findProject(idOrPath: string): Project | undefined {
    const { projects } = this.tables;
    if (/^\d+$/.test(idOrPath)) return projects.get(Number(idOrPath));
    return projects.find((project) => this.projectPath(project).toLowerCase() === idOrPath.toLowerCase());
  }

  namespace(id: number): Namespace {
    const namespace = this.tables.namespaces.get(id);
    if (!namespace) throw new Error(`namespace ${id} is gone`);
    return namespace;
  }

  /** The namespace and what it lies in, innermost first. */
  ancestry(namespace: Namespace): Namespace[] {
    const chain = [namespace];
    for (let parent = namespace.parent_id; parent !== null; parent = chain.at(-1)?.parent_id ?? null)
      chain.push(this.namespace(parent));
    return chain;
  }

  namespacePath(namespace: Namespace): string {
    return this.ancestry(namespace)
      .reverse()
      .map((part) => part.path)
      .join('/');
  }

  namespaceName(namespace: Namespace): string {
    return this.ancestry(namespace)
      .reverse()
      .map((part) => part.name)
      .join(' / ');
  }

  projectPath(project: Project): string {
    return `${this.namespacePath(this.namespace(project.namespace_id))}/${project.path}`;
  }

  /** Direct members of the project or group, then inherited ones (the highest level of a user wins). */
  membersOf(source: 'group' | 'project', id: number, inherited: boolean): Member[] {
    const { members } = this.tables;
    const direct = members.filter(
      (member) => member.source === source && member.source_id === id && !isPast(member.expires_at),
    );
    if (!inherited) return direct;
    const start =
      source === 'project'
        ? this.namespace(this.tables.projects.get(id)?.namespace_id ?? 0)
        : this.namespace(id);
    const ids = this.ancestry(start).map((group) => group.id);
    const groups = source === 'group' ? ids.slice(1) : ids;
    const all = [
      ...direct,
      ...members.filter(
        (member) =>
          member.source === 'group' && groups.includes(member.source_id) && !isPast(member.expires_at),
      ),
    ];
    const best = new Map<number, Member>();
    for (const member of all) {
      const known = best.get(member.user_id);
      if (!known || known.access_level < member.access_level) best.set(member.user_id, member);
    }
    return [...best.values()].sort((a, b) => a.user_id - b.user_id);
  }

  groupLevel(user: User | undefined, group: Namespace): number {
    if (!user) return LEVEL.none;
    if (user.admin) return LEVEL.admin;
    return (
      this.membersOf('group', group.id, true).find((member) => member.user_id === user.id)?.access_level ??
      LEVEL.none
    );
  }

  projectLevel(user: User | undefined, project: Project): number {
    if (!user) return LEVEL.none;
    if (user.admin) return LEVEL.admin;
    const namespace = this.namespace(project.namespace_id);
    if (namespace.kind === 'user' && namespace.owner_id === user.id) return LEVEL.owner;
    return (
      this.membersOf('project', project.id, true).find((member) => member.user_id === user.id)
        ?.access_level ?? LEVEL.none
    );
  }

  canSee(user: User | undefined, project: Project): boolean {
    const { visibility } = project.settings;
    return (
      visibility === 'public' ||
      (visibility === 'internal' && user !== undefined) ||
      this.projectLevel(user, project) > LEVEL.none
    );
  }

  actor(user: User, project: Project): Actor {
    return { id: user.id, level: this.projectLevel(user, project) };
  }

  branchRights(user: User, project: Project, branch: string): ReturnType<typeof branchRights> {
    const rules = this.tables.protectedBranches.filter((rule) => rule.project_id === project.id);
    return branchRights(rules, branch, this.actor(user, project));
  }

  isProtected(project: Project, branch: string): boolean {
    return branchRights(
      this.tables.protectedBranches.filter((rule) => rule.project_id === project.id),
      branch,
      { id: 0, level: 0 },
    ).protected;
  }

  // Deletion

  /** Removes a project at once, with all that belongs to it. */
  destroyProject(project: Project): void {
    const t = this.tables;
    this.store.transaction(() => {
      for (const table of [
        t.deployTokens,
        t.deployKeys,
        t.labels,
        t.labelEvents,
        t.protectedBranches,
        t.protectedTags,
        t.hooks,
        t.hookEvents,
        t.pipelines,
        t.statuses,
        t.mergeRequests,
        t.pushEvents,
        t.notes,
        t.issues,
        t.issueNotes,
        t.lfsObjects,
      ]) {
        table.deleteWhere((row) => row.project_id === project.id);
      }
      t.variables.deleteWhere((row) => row.owner === 'project' && row.owner_id === project.id);
      t.members.deleteWhere((row) => row.source === 'project' && row.source_id === project.id);
      this.destroyResourceTokens('project', project.id);
      t.projects.delete(project.id);
    });
    this.repositories.delete(project.id);
    void rm(join(this.repositoriesDir, `${project.id}.git`), { recursive: true, force: true });
  }

  destroyGroup(group: Namespace): void {
    const t = this.tables;
    for (const child of t.namespaces.filter((candidate) => candidate.parent_id === group.id))
      this.destroyGroup(child);
    for (const project of t.projects.filter((candidate) => candidate.namespace_id === group.id))
      this.destroyProject(project);
    this.store.transaction(() => {
      t.variables.deleteWhere((row) => row.owner === 'group' && row.owner_id === group.id);
      t.members.deleteWhere((row) => row.source === 'group' && row.source_id === group.id);
      this.destroyResourceTokens('group', group.id);
      t.namespaces.delete(group.id);
    });
  }

  /** A bot lives as long as its project or group; its token cannot be used after that. */
  private destroyResourceTokens(kind: 'project' | 'group', id: number): void {
    for (const token of this.tables.tokens.filter(
      (candidate) => candidate.kind === kind && candidate.resource_id === id,
    )) {
      const bot = this.tables.users.get(token.user_id);
      if (bot) this.tables.users.update(bot, { state: 'blocked' });
      this.tables.tokens.delete(token.id);
    }
  }

  /** Destroys what was marked longer ago than `deletion_adjourned_period` days. */
  purge(): void {
    const due = new Date(Date.now() - this.settings.deletion_adjourned_period * 86_400_000)
      .toISOString()
      .slice(0, 10);
    for (const project of this.tables.projects.filter(
      (row) => row.marked_for_deletion_on !== null && row.marked_for_deletion_on < due,
    ))
      this.destroyProject(project);
    for (const group of this.tables.namespaces.filter(
      (row) => row.marked_for_deletion_on !== null && row.marked_for_deletion_on < due,
    ))
      this.destroyGroup(group);
  }

  // Refs

  /**
   * One writer at a time per name, in the order of asking.
   * @returns what `work` returns; `undefined` never means "not obtained": without `waitMs` it waits for as long as it takes
   */
  async lock<T>(name: string, work: () => Promise<T>, waitMs?: number): Promise<T | typeof BUSY> {
    const previous = this.locks.get(name) ?? Promise.resolve();
    let release: () => void = () => undefined;
    let abandoned = false;
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tail = previous.then(() => mine);
    this.locks.set(name, tail);
    let timer: NodeJS.Timeout | undefined;
    try {
      if (waitMs !== undefined) {
        abandoned = await Promise.race([
          previous.then(() => false),
          new Promise<boolean>((resolve) => {
            timer = setTimeout(() => resolve(true), waitMs);
          }),
        ]);
      } else await previous;
      return abandoned ? BUSY : await work();
    } finally {
      clearTimeout(timer);
      release();
      if (this.locks.get(name) === tail) this.locks.delete(name);
    }
  }

  /** For ref changes of one project: waits until it is its turn. */
  async exclusively<T>(project: Project, work: () => Promise<T>): Promise<T> {
    const result = await this.lock(`refs:${project.id}`, work);
    if (result === BUSY) throw new Error('a lock without a time limit cannot be busy');
    return result;
  }

  /** Everything that follows from changed refs: default branch, protection, merge requests, hooks. */
  async refsChanged(
    project: Project,
    user: User,
    changes: readonly RefChange[],
    pushOptions: Record<string, string> = {},
  ): Promise<void> {
    const repository = this.repository(project);
    this.tables.projects.update(project, { last_activity_at: now() });
    for (const change of changes) {
      if (change.before === change.after) continue;
      const branch = change.ref.startsWith('refs/heads/')
        ? change.ref.slice('refs/heads/'.length)
        : undefined;
      if (branch !== undefined && change.before === ZERO_SHA) await this.firstBranch(project, branch);
    }
    await this.noteEvents(project, user, changes);
    for (const change of changes) {
      if (change.before === change.after) continue;
      const branch = change.ref.startsWith('refs/heads/')
        ? change.ref.slice('refs/heads/'.length)
        : undefined;
      const payload = await pushPayload(this, repository, project, user, change, pushOptions);
      if (branch === undefined) {
        if (change.ref.startsWith('refs/tags/')) this.webhooks.emit(project, 'tag_push_events', payload);
        continue;
      }
      this.webhooks.emit(project, 'push_events', payload, branch);
      if (change.after !== ZERO_SHA)
        await ownPipeline(this, project, user, { sha: change.after, ref: branch, source: 'push' });
      await this.mergeRequests.branchChanged(project, user, branch, change.before, change.after);
    }
  }

  /** What people see as activity (`Git::ProcessRefChangesService`): more than three refs of a kind at once become one event. */
  private async noteEvents(project: Project, user: User, changes: readonly RefChange[]): Promise<void> {
    const kinds = { branch: 'refs/heads/', tag: 'refs/tags/' } as const;
    for (const [type, prefix] of Object.entries(kinds) as ['branch' | 'tag', string][])
      for (const action of ['created', 'removed', 'pushed'] as const) {
        const of = changes.filter(
          ({ ref, before, after }) =>
            before !== after &&
            ref.startsWith(prefix) &&
            action === (before === ZERO_SHA ? 'created' : after === ZERO_SHA ? 'removed' : 'pushed'),
        );
        const common = { project_id: project.id, author_id: user.id, action, ref_type: type };
        if (of.length > PUSH_EVENT_ACTIVITIES_LIMIT) {
          const many = { ref: null, from: null, to: null, title: null, commits: 0, ref_count: of.length };
          this.tables.pushEvents.insert({ ...common, ...many, created_at: now() });
          continue;
        }
        for (const { ref, before, after } of of) {
          const commit = action === 'removed' ? undefined : await this.repository(project).commit(after);
          const range = action === 'pushed' ? [after, `^${before}`] : [after];
          this.tables.pushEvents.insert({
            ...common,
            ref: ref.slice(prefix.length),
            from: action === 'created' ? null : before,
            to: action === 'removed' ? null : after,
            title: commit?.title.slice(0, 70) ?? null,
            commits: action === 'removed' ? 0 : await this.repository(project).count(range),
            ref_count: null,
            created_at: now(),
          });
        }
      }
  }

  /** The first branch becomes the default one; the default branch is protected when it comes to be. */
  private async firstBranch(project: Project, branch: string): Promise<void> {
    const repository = this.repository(project);
    if (
      !(await repository.branch(project.default_branch)) &&
      (await repository.refs('refs/heads/')).length === 1
    ) {
      this.tables.projects.update(project, { default_branch: branch });
      await repository.setHead(branch);
    }
    if (branch === project.default_branch && !this.isProtected(project, branch)) {
      this.tables.protectedBranches.insert({
        project_id: project.id,
        name: branch,
        push: [{ id: this.ruleId(), access_level: LEVEL.maintainer, user_id: null, group_id: null }],
        merge: [{ id: this.ruleId(), access_level: LEVEL.maintainer, user_id: null, group_id: null }],
        allow_force_push: false,
      });
    }
  }

  /** Ids of access rules only have to differ. */
  ruleId(): number {
    const used = [
      ...this.tables.protectedBranches.filter().flatMap((row) => [...row.push, ...row.merge]),
      ...this.tables.protectedTags.filter().flatMap((row) => row.create),
    ].map((rule) => rule.id);
    this.lastRuleId = Math.max(this.lastRuleId, ...used) + 1;
    return this.lastRuleId;
  }

  private lastRuleId = 0;
}

export const BUSY = Symbol('busy');

/** `application_settings.push_event_activities_limit` of a new instance. */
const PUSH_EVENT_ACTIVITIES_LIMIT = 3;

/** A date (the day it expires counts as expired, as in GitLab) or time in the past. */
export function isPast(date: string | null): boolean {
  return date !== null && new Date(date).getTime() <= Date.now();
}
