import type { CommitInfo, Repository } from './git';
import type { Instance, RefChange } from './instance';
import {
  type CommitStatus,
  type MergeRequest,
  type Note,
  type Pipeline,
  type Project,
  type User,
  ZERO_SHA,
} from './model';
import type { MergeRequestAction, Payload } from './parts';

const VISIBILITY_LEVEL: Record<string, number> = { private: 0, internal: 10, public: 20 };

export function urlsOf(app: Instance, project: Project): { web: string; http: string; ssh: string } {
  const path = app.projectPath(project);
  return {
    web: `${app.externalUrl}/${path}`,
    http: `${app.externalUrl}/${path}.git`,
    ssh: `git@${new URL(app.externalUrl).hostname}:${path}.git`,
  };
}

export function hookProject(app: Instance, project: Project): Payload {
  const urls = urlsOf(app, project);
  return {
    id: project.id,
    name: project.name,
    description: project.settings.description ?? null,
    web_url: urls.web,
    avatar_url: null,
    git_ssh_url: urls.ssh,
    git_http_url: urls.http,
    namespace: app.namespace(project.namespace_id).name,
    visibility_level: VISIBILITY_LEVEL[String(project.settings.visibility)] ?? 0,
    path_with_namespace: app.projectPath(project),
    default_branch: project.default_branch,
    ci_config_path: project.settings.ci_config_path ?? null,
    homepage: urls.web,
    url: urls.ssh,
    ssh_url: urls.ssh,
    http_url: urls.http,
  };
}

function hookRepository(app: Instance, project: Project): Payload {
  const urls = urlsOf(app, project);
  return {
    name: project.name,
    url: urls.ssh,
    description: project.settings.description ?? null,
    homepage: urls.web,
  };
}

export function hookUser(user: User): Payload {
  return { id: user.id, name: user.name, username: user.username, avatar_url: null, email: '[REDACTED]' };
}

/** At most this many commits are in a push hook; `total_commits_count` has the real number. */
const PUSH_COMMITS = 20;

export async function pushPayload(
  app: Instance,
  repository: Repository,
  project: Project,
  user: User,
  change: RefChange,
  pushOptions: Record<string, string>,
): Promise<Payload> {
  const tag = change.ref.startsWith('refs/tags/');
  const deleted = change.after === ZERO_SHA;
  const urls = urlsOf(app, project);
  let commits: CommitInfo[] = [];
  let total = 0;
  let message: string | null = null;
  if (!deleted && tag) {
    message = (await repository.refs(change.ref))[0]?.message ?? null;
    commits = await repository.log(['-1', change.after]);
    total = commits.length;
  } else if (!deleted) {
    const created = change.before === ZERO_SHA;
    const head = created ? await repository.branch(project.default_branch) : undefined;
    const range = created
      ? head && head !== change.after
        ? [change.after, `^${head}`]
        : [change.after]
      : [change.after, `^${change.before}`];
    commits = await repository.log([`--max-count=${PUSH_COMMITS}`, ...range]);
    total = await repository.count(range);
  }
  const listed: Payload[] = [];
  for (const commit of commits.reverse()) {
    const changes = await repository.diff(commit.parent_ids[0], commit.id);
    listed.push({
      id: commit.id,
      message: commit.message,
      title: commit.title,
      timestamp: commit.committer.date,
      url: `${urls.web}/-/commit/${commit.id}`,
      author: { name: commit.author.name, email: commit.author.email },
      added: changes.filter((file) => file.new_file).map((file) => file.new_path),
      modified: changes.filter((file) => !file.new_file && !file.deleted_file).map((file) => file.new_path),
      removed: changes.filter((file) => file.deleted_file).map((file) => file.old_path),
    });
  }
  const kind = tag ? 'tag_push' : 'push';
  return {
    object_kind: kind,
    event_name: kind,
    before: change.before,
    after: change.after,
    ref: change.ref,
    ref_protected: !tag && app.isProtected(project, change.ref.slice('refs/heads/'.length)),
    checkout_sha: deleted ? null : ((await repository.resolve(change.after)) ?? change.after),
    message,
    user_id: user.id,
    user_name: user.name,
    user_username: user.username,
    user_email: '',
    user_avatar: null,
    project_id: project.id,
    project: hookProject(app, project),
    commits: listed,
    total_commits_count: total,
    push_options: pushOptions,
    repository: {
      ...hookRepository(app, project),
      git_http_url: urls.http,
      git_ssh_url: urls.ssh,
      visibility_level: VISIBILITY_LEVEL[String(project.settings.visibility)] ?? 0,
    },
  };
}

export async function lastCommit(app: Instance, project: Project, sha: string): Promise<Payload | null> {
  const commit = await app
    .repository(project)
    .commit(sha)
    .catch(() => undefined);
  if (!commit) return null;
  return {
    id: commit.id,
    message: commit.message,
    title: commit.title,
    timestamp: commit.committer.date,
    url: `${urlsOf(app, project).web}/-/commit/${commit.id}`,
    author: { name: commit.author.name, email: commit.author.email },
  };
}

export function isDraft(title: string): boolean {
  return /^\s*(\[draft\]|draft:|\(draft\))/i.test(title);
}

/** GitLab's merge_status as it is shown (MergeRequest#public_merge_status). */
export function mergeStatusOf(
  app: Instance,
  mr: MergeRequest,
): 'unchecked' | 'checking' | 'can_be_merged' | 'cannot_be_merged' {
  const phase = app.mergeRequests.phase(mr);
  if (!mr.checked || mr.checked.sha !== mr.sha || phase === 'unchecked') return 'unchecked';
  if (phase !== 'judged') return 'checking';
  return mr.checked.mergeable ? 'can_be_merged' : 'cannot_be_merged';
}

async function mergeRequestAttributes(app: Instance, project: Project, mr: MergeRequest): Promise<Payload> {
  const hooked = hookProject(app, project);
  return {
    assignee_id: mr.assignee_ids[0] ?? null,
    assignee_ids: mr.assignee_ids,
    reviewer_ids: mr.reviewer_ids,
    author_id: mr.author_id,
    created_at: mr.created_at,
    description: mr.description ?? '',
    draft: isDraft(mr.title),
    work_in_progress: isDraft(mr.title),
    head_pipeline_id: app.mergeRequests.headPipeline(mr)?.id ?? null,
    id: mr.id,
    iid: mr.iid,
    last_edited_at: null,
    last_edited_by_id: null,
    merge_commit_sha: mr.merge_commit_sha,
    merge_error: mr.merge_error,
    merge_params: { force_remove_source_branch: mr.force_remove_source_branch },
    merge_status: mergeStatusOf(app, mr),
    detailed_merge_status: (await app.mergeRequests.mergeability(project, mr)).detailed,
    merge_user_id: mr.merge_user_id,
    merge_when_pipeline_succeeds: false,
    milestone_id: null,
    source_branch: mr.source_branch,
    source_project_id: project.id,
    state: mr.state,
    state_id: { opened: 1, closed: 2, merged: 3, locked: 4 }[mr.state],
    target_branch: mr.target_branch,
    target_project_id: project.id,
    time_estimate: 0,
    title: mr.title,
    updated_at: mr.updated_at,
    updated_by_id: null,
    url: `${urlsOf(app, project).web}/-/merge_requests/${mr.iid}`,
    source: hooked,
    target: hooked,
    last_commit: await lastCommit(app, project, mr.sha),
    total_time_spent: 0,
    time_change: 0,
    human_total_time_spent: null,
    human_time_change: null,
    human_time_estimate: null,
    first_contribution: false,
    blocking_discussions_resolved: true,
    labels: hookLabels(app, project, mr),
  };
}

function hookLabels(app: Instance, project: Project, mr: MergeRequest): Payload[] {
  return mr.labels.map((name) => {
    const label = app.tables.labels.find((row) => row.project_id === project.id && row.name === name);
    return {
      id: label?.id ?? null,
      title: name,
      color: label?.color ?? null,
      project_id: project.id,
      description: label?.description ?? null,
      type: 'ProjectLabel',
    };
  });
}

/** `approved` is that of the one approval that Free needs, and of the last that a licence asks for; before it: `approval`. */
export async function mergeRequestPayload(
  app: Instance,
  project: Project,
  user: User,
  mr: MergeRequest,
  action: MergeRequestAction | undefined,
  options: { oldrev?: string; changes?: Payload } = {},
): Promise<Payload> {
  const people = (ids: readonly number[]): Payload[] => ids.map((id) => hookUser(app.user(id)));
  return {
    object_kind: 'merge_request',
    event_type: 'merge_request',
    user: hookUser(user),
    project: hookProject(app, project),
    object_attributes: {
      ...(await mergeRequestAttributes(app, project, mr)),
      ...(action ? { action } : {}),
      ...(options.oldrev ? { oldrev: options.oldrev } : {}),
    },
    labels: hookLabels(app, project, mr),
    changes: options.changes ?? {},
    repository: hookRepository(app, project),
    ...(mr.assignee_ids.length > 0 ? { assignees: people(mr.assignee_ids) } : {}),
    ...(mr.reviewer_ids.length > 0 ? { reviewers: people(mr.reviewer_ids) } : {}),
  };
}

export async function notePayload(
  app: Instance,
  project: Project,
  user: User,
  mr: MergeRequest,
  note: Note,
  action: 'create' | 'update',
): Promise<Payload> {
  return {
    object_kind: 'note',
    event_type: 'note',
    user: hookUser(user),
    project_id: project.id,
    project: hookProject(app, project),
    object_attributes: {
      id: note.id,
      note: note.body,
      description: note.body,
      noteable_type: 'MergeRequest',
      noteable_id: mr.id,
      author_id: note.author_id,
      created_at: note.created_at,
      updated_at: note.updated_at,
      project_id: project.id,
      attachment: null,
      line_code: null,
      commit_id: '',
      system: false,
      internal: note.internal,
      st_diff: null,
      action,
      url: `${urlsOf(app, project).web}/-/merge_requests/${mr.iid}#note_${note.id}`,
    },
    repository: hookRepository(app, project),
    merge_request: await mergeRequestAttributes(app, project, mr),
  };
}

export async function pipelinePayload(
  app: Instance,
  project: Project,
  pipeline: Pipeline,
  statuses: readonly CommitStatus[],
): Promise<Payload> {
  const mr = app.mergeRequests.forPipeline(pipeline);
  const web = urlsOf(app, project).web;
  return {
    object_kind: 'pipeline',
    object_attributes: {
      id: pipeline.id,
      iid: pipeline.iid,
      name: null,
      ref: pipeline.ref,
      tag: false,
      sha: pipeline.sha,
      before_sha: ZERO_SHA,
      source: pipeline.source,
      status: pipeline.status,
      detailed_status: pipeline.status === 'success' ? 'passed' : pipeline.status,
      stages: ['external'],
      created_at: pipeline.created_at,
      finished_at: pipeline.finished_at,
      duration: null,
      queued_duration: null,
      variables: [],
      url: `${web}/-/pipelines/${pipeline.id}`,
    },
    merge_request: mr
      ? {
          id: mr.id,
          iid: mr.iid,
          title: mr.title,
          source_branch: mr.source_branch,
          source_project_id: project.id,
          target_branch: mr.target_branch,
          target_project_id: project.id,
          state: mr.state,
          merge_status: mergeStatusOf(app, mr),
          url: `${web}/-/merge_requests/${mr.iid}`,
        }
      : null,
    user: hookUser(app.user(pipeline.user_id)),
    project: hookProject(app, project),
    commit: await lastCommit(app, project, pipeline.sha),
    builds: statuses.map((status) => ({
      id: status.id,
      stage: 'external',
      name: status.name,
      status: status.status,
      created_at: status.created_at,
      started_at: status.started_at,
      finished_at: status.finished_at,
      allow_failure: false,
      user: hookUser(app.user(status.user_id)),
    })),
  };
}
