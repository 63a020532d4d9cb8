import { createHash, createHmac, randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Actor, branchRights } from './access';
import { ApiError } from './errors';
import { type Person, Repository } from './git';
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
} from './model';
import type { Hooks, MergeRequests } from './parts';
import { Store } from './store';

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

/** What everything works on: state, repositories, who may do what. What a changed ref sets off is in `app.ts`. */
export abstract class Instance {
  readonly store: Store;
  readonly tables: Tables;
  abstract readonly webhooks: Hooks;
  abstract readonly mergeRequests: MergeRequests;
  /** Signs tokens for objects of Git LFS. */
  private readonly lfsKey = randomBytes(32);
  private readonly locks = new Map<string, Promise<void>>();
  private readonly repositories = new Map<number, Repository>();
  protected closing = false;

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

  /** Everything that follows from changed refs: default branch, protection, merge requests, hooks. */
  abstract refsChanged(
    project: Project,
    user: User,
    changes: readonly RefChange[],
    pushOptions?: Record<string, string>,
  ): Promise<void>;
}

export const BUSY = Symbol('busy');

/** A date (the day it expires counts as expired, as in GitLab) or time in the past. */
export function isPast(date: string | null): boolean {
  return date !== null && new Date(date).getTime() <= Date.now();
}
