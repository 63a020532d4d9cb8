import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ownPipeline } from './ci';
import { digestOf, Instance, now, type RefChange } from './instance';
import { createMergeRequests } from './merge-requests';
import { LEVEL, type Project, type User, ZERO_SHA } from './model';
import type { MergeRequests } from './parts';
import { pushPayload } from './payloads';
import { PRE_RECEIVE } from './pre-receive';
import { Webhooks } from './webhooks';

/** `application_settings.push_event_activities_limit` of a new instance. */
const PUSH_EVENT_ACTIVITIES_LIMIT = 3;

/** The whole of it: an instance with its hooks and merge requests, and what a changed ref sets off. */
export class App extends Instance {
  readonly webhooks: Webhooks;
  readonly mergeRequests: MergeRequests;

  constructor(...args: ConstructorParameters<typeof Instance>) {
    super(...args);
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

  async close(): Promise<void> {
    this.closing = true;
    await this.webhooks.close();
    this.store.close();
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
}
