import type { CommitInfo } from './git';
import { type Instance, isPast } from './instance';
import {
  type AccessRule,
  type AccessToken,
  type CommitStatus,
  type DeployKey,
  type DeployToken,
  type Hook,
  type HookEvent,
  type Issue,
  type IssueNote,
  type Label,
  type LabelEvent,
  LEVEL,
  type Member,
  type MergeRequest,
  type Namespace,
  type Note,
  type Pipeline,
  type Project,
  type ProtectedBranch,
  type ProtectedTag,
  type User,
  type Variable,
} from './model';
import { isDraft, mergeStatusOf, urlsOf } from './payloads';
import { alertStatus } from './webhooks';

/** What the API shows of each entity. Secrets are not in any of these. */
type View = Record<string, unknown>;

export function basicUser(app: Instance, user: User): View {
  return {
    id: user.id,
    username: user.username,
    public_email: null,
    name: user.name,
    state: user.state,
    locked: false,
    avatar_url: null,
    web_url: `${app.externalUrl}/${user.username}`,
  };
}

/** `API::Entities::User`: what everyone who is logged in may know of another. */
export function userView(app: Instance, user: User): View {
  return { ...basicUser(app, user), created_at: user.created_at, bio: '', bot: user.bot };
}

export function fullUser(app: Instance, user: User): View {
  return {
    ...userView(app, user),
    email: user.email,
    commit_email: user.email,
    is_admin: user.admin,
    can_create_group: true,
    can_create_project: true,
    external: false,
    private_profile: false,
    two_factor_enabled: false,
    confirmed_at: user.created_at,
    namespace_id:
      app.tables.namespaces.find((row) => row.kind === 'user' && row.owner_id === user.id)?.id ?? null,
  };
}

export function tokenView(token: AccessToken): View {
  return {
    id: token.id,
    name: token.name,
    description: token.description,
    revoked: token.revoked,
    created_at: token.created_at,
    scopes: token.scopes,
    user_id: token.user_id,
    last_used_at: token.last_used_at,
    active: !token.revoked && !isPast(token.expires_at),
    expires_at: token.expires_at,
    ...(token.kind === 'personal'
      ? {}
      : { access_level: token.access_level, resource_type: token.kind, resource_id: token.resource_id }),
  };
}

export function groupView(app: Instance, group: Namespace): View {
  const path = app.namespacePath(group);
  return {
    id: group.id,
    web_url: `${app.externalUrl}/groups/${path}`,
    name: group.name,
    path: group.path,
    ...group.settings,
    archived: group.archived,
    avatar_url: null,
    created_at: group.created_at,
    full_name: app.namespaceName(group),
    full_path: path,
    parent_id: group.parent_id,
    organization_id: 1,
    marked_for_deletion_on: group.marked_for_deletion_on,
  };
}

export function namespaceView(app: Instance, namespace: Namespace): View {
  const path = app.namespacePath(namespace);
  return {
    id: namespace.id,
    name: namespace.name,
    path: namespace.path,
    kind: namespace.kind,
    full_path: path,
    parent_id: namespace.parent_id,
    avatar_url: null,
    web_url: namespace.kind === 'group' ? `${app.externalUrl}/groups/${path}` : `${app.externalUrl}/${path}`,
  };
}

/** @param level the caller's level, shown under `permissions` */
export function projectView(app: Instance, project: Project, level: number, empty: boolean): View {
  const urls = urlsOf(app, project);
  const path = app.projectPath(project);
  const namespace = app.namespace(project.namespace_id);
  const api = `${app.externalUrl}/api/v4/projects/${project.id}`;
  const { settings } = project;
  return {
    id: project.id,
    ...settings,
    name: project.name,
    name_with_namespace: `${app.namespaceName(namespace)} / ${project.name}`,
    path: project.path,
    path_with_namespace: path,
    created_at: project.created_at,
    updated_at: project.last_activity_at,
    last_activity_at: project.last_activity_at,
    default_branch: project.default_branch,
    tag_list: settings.topics,
    ssh_url_to_repo: urls.ssh,
    http_url_to_repo: urls.http,
    web_url: urls.web,
    readme_url: null,
    avatar_url: null,
    forks_count: 0,
    star_count: 0,
    open_issues_count: app.tables.issues.filter(
      (issue) => issue.project_id === project.id && issue.state === 'opened',
    ).length,
    namespace: namespaceView(app, namespace),
    _links: {
      self: api,
      merge_requests: `${api}/merge_requests`,
      repo_branches: `${api}/repository/branches`,
      labels: `${api}/labels`,
      members: `${api}/members`,
    },
    empty_repo: empty,
    archived: project.archived,
    creator_id: project.creator_id,
    import_status: 'none',
    import_error: null,
    marked_for_deletion_at: project.marked_for_deletion_on,
    marked_for_deletion_on: project.marked_for_deletion_on,
    issues_enabled: settings.issues_access_level !== 'disabled',
    merge_requests_enabled: settings.merge_requests_access_level !== 'disabled',
    wiki_enabled: settings.wiki_access_level !== 'disabled',
    jobs_enabled: settings.builds_access_level !== 'disabled',
    snippets_enabled: settings.snippets_access_level !== 'disabled',
    container_registry_enabled: settings.container_registry_access_level !== 'disabled',
    can_create_merge_request_in: level >= LEVEL.developer,
    shared_with_groups: [],
    permissions: {
      project_access:
        level > 0 && level < LEVEL.admin ? { access_level: level, notification_level: 3 } : null,
      group_access: null,
    },
  };
}

export function memberView(app: Instance, member: Member): View {
  return {
    ...basicUser(app, app.user(member.user_id)),
    access_level: member.access_level,
    created_at: member.created_at,
    created_by: basicUser(app, app.user(member.created_by)),
    expires_at: member.expires_at,
    membership_state: 'active',
  };
}

export function hookView(hook: Hook): View {
  return {
    id: hook.id,
    url: hook.url,
    name: hook.name,
    description: hook.description,
    project_id: hook.project_id,
    created_at: hook.created_at,
    ...hook.events,
    push_events_branch_filter: hook.push_events_branch_filter,
    branch_filter_strategy: hook.branch_filter_strategy,
    enable_ssl_verification: hook.enable_ssl_verification,
    repository_update_events: false,
    alert_status: alertStatus(hook, Date.now()),
    disabled_until: hook.disabled_until,
    url_variables: [],
    custom_webhook_template: null,
    custom_headers: Object.keys(hook.custom_headers).map((key) => ({ key })),
    token_present: hook.token !== null,
  };
}

export function hookEventView(event: HookEvent): View {
  return {
    id: event.id,
    url: event.url,
    trigger: event.trigger,
    request_headers: event.request_headers,
    request_data: event.request_data,
    response_headers: event.response_headers,
    response_body: event.response_body,
    execution_duration: event.execution_duration,
    response_status: event.response_status,
    internal_error_message: event.error,
    created_at: event.created_at,
  };
}

const LEVEL_NAMES: Record<number, string> = {
  0: 'No one',
  30: 'Developers + Maintainers',
  40: 'Maintainers',
  60: 'Administrators',
};

function ruleView(app: Instance, rule: AccessRule): View {
  const user = rule.user_id === null ? undefined : app.tables.users.get(rule.user_id);
  return {
    id: rule.id,
    access_level: rule.access_level,
    access_level_description: user
      ? user.name
      : (LEVEL_NAMES[rule.access_level] ?? String(rule.access_level)),
    deploy_key_id: null,
    user_id: rule.user_id,
    group_id: rule.group_id,
  };
}

export function protectedBranchView(app: Instance, rule: ProtectedBranch): View {
  return {
    id: rule.id,
    name: rule.name,
    push_access_levels: rule.push.map((entry) => ruleView(app, entry)),
    merge_access_levels: rule.merge.map((entry) => ruleView(app, entry)),
    unprotect_access_levels: (rule.unprotect ?? []).map((entry) => ruleView(app, entry)),
    allow_force_push: rule.allow_force_push,
    code_owner_approval_required: false,
    inherited: false,
  };
}

export function protectedTagView(app: Instance, rule: ProtectedTag): View {
  return { name: rule.name, create_access_levels: rule.create.map((entry) => ruleView(app, entry)) };
}

export function variableView(variable: Variable): View {
  const { id: _, owner: __, owner_id: ___, ...rest } = variable;
  return { ...rest, value: variable.hidden ? null : variable.value };
}

export function labelView(label: Label): View {
  const { project_id: _, updated_at: __, ...rest } = label;
  return {
    ...rest,
    description_html: label.description ?? '',
    text_color: '#FFFFFF',
    open_issues_count: 0,
    closed_issues_count: 0,
    open_merge_requests_count: 0,
    subscribed: false,
    is_project_label: true,
    archived: false,
  };
}

/** `lib/api/entities/resource_label_event.rb`; without a label where that one is gone. */
export function labelEventView(app: Instance, project: Project, event: LabelEvent): View {
  const label = app.tables.labels.find((row) => row.project_id === project.id && row.name === event.label);
  return {
    id: event.id,
    user: basicUser(app, app.user(event.user_id)),
    created_at: event.created_at,
    resource_type: 'MergeRequest',
    resource_id: event.merge_request_id,
    label: label
      ? { id: label.id, name: label.name, color: label.color, description: label.description }
      : null,
    action: event.action,
  };
}

export function deployTokenView(token: DeployToken): View {
  const { digest: _, project_id: __, ...rest } = token;
  return { ...rest, expired: isPast(token.expires_at) };
}

export function deployKeyView(key: DeployKey): View {
  const { project_id: _, key_id: number, ...rest } = key;
  return { ...rest, id: number ?? key.id, fingerprint: null };
}

export function commitView(app: Instance, project: Project, commit: CommitInfo): View {
  return {
    id: commit.id,
    short_id: commit.id.slice(0, 8),
    created_at: commit.committer.date,
    parent_ids: commit.parent_ids,
    title: commit.title,
    message: commit.message,
    author_name: commit.author.name,
    author_email: commit.author.email,
    authored_date: commit.author.date,
    committer_name: commit.committer.name,
    committer_email: commit.committer.email,
    committed_date: commit.committer.date,
    trailers: {},
    extended_trailers: {},
    web_url: `${urlsOf(app, project).web}/-/commit/${commit.id}`,
  };
}

export function statusView(app: Instance, status: CommitStatus): View {
  return {
    id: status.id,
    sha: status.sha,
    ref: status.ref,
    status: status.status,
    name: status.name,
    target_url: status.target_url,
    description: status.description,
    created_at: status.created_at,
    started_at: status.started_at,
    finished_at: status.finished_at,
    allow_failure: false,
    coverage: status.coverage,
    pipeline_id: status.pipeline_id,
    author: basicUser(app, app.user(status.user_id)),
  };
}

export function pipelineView(app: Instance, project: Project, pipeline: Pipeline): View {
  return {
    id: pipeline.id,
    iid: pipeline.iid,
    project_id: pipeline.project_id,
    sha: pipeline.sha,
    ref: pipeline.ref,
    status: pipeline.status,
    source: pipeline.source,
    created_at: pipeline.created_at,
    updated_at: pipeline.updated_at,
    web_url: `${urlsOf(app, project).web}/-/pipelines/${pipeline.id}`,
    name: null,
  };
}

export function pipelineDetailView(app: Instance, project: Project, pipeline: Pipeline): View {
  return {
    ...pipelineView(app, project, pipeline),
    before_sha: '0'.repeat(40),
    tag: false,
    yaml_errors: null,
    user: basicUser(app, app.user(pipeline.user_id)),
    started_at: pipeline.started_at,
    finished_at: pipeline.finished_at,
    committed_at: null,
    duration: null,
    queued_duration: null,
    coverage: null,
    detailed_status: {
      icon: `status_${pipeline.status}`,
      text: pipeline.status === 'success' ? 'Passed' : pipeline.status,
      label: pipeline.status === 'success' ? 'passed' : pipeline.status,
      group: pipeline.status,
      tooltip: pipeline.status,
      has_details: true,
      details_path: `/${app.projectPath(project)}/-/pipelines/${pipeline.id}`,
    },
  };
}

export async function mergeRequestView(
  app: Instance,
  project: Project,
  mr: MergeRequest,
  caller: User | undefined,
  detailed: boolean,
): Promise<View> {
  const user = (id: number | null): View | null => (id === null ? null : basicUser(app, app.user(id)));
  if (detailed) await app.mergeRequests.startCheck(project, mr);
  const { detailed: status } = await app.mergeRequests.mergeability(project, mr);
  const pipeline = app.mergeRequests.headPipeline(mr);
  const path = app.projectPath(project);
  const level = app.projectLevel(caller, project);
  const base: View = {
    id: mr.id,
    iid: mr.iid,
    project_id: mr.project_id,
    title: mr.title,
    description: mr.description,
    state: mr.state,
    created_at: mr.created_at,
    updated_at: mr.updated_at,
    merged_by: user(mr.merge_user_id),
    merge_user: user(mr.merge_user_id),
    merged_at: mr.merged_at,
    closed_by: user(mr.closed_by_id),
    closed_at: mr.closed_at,
    target_branch: mr.target_branch,
    source_branch: mr.source_branch,
    user_notes_count: app.tables.notes.filter((note) => note.merge_request_id === mr.id).length,
    upvotes: 0,
    downvotes: 0,
    author: user(mr.author_id),
    assignees: mr.assignee_ids.map(user),
    assignee: user(mr.assignee_ids[0] ?? null),
    reviewers: mr.reviewer_ids.map(user),
    source_project_id: mr.project_id,
    target_project_id: mr.project_id,
    labels: mr.labels,
    draft: isDraft(mr.title),
    work_in_progress: isDraft(mr.title),
    imported: false,
    milestone: null,
    merge_when_pipeline_succeeds: false,
    merge_status: mergeStatusOf(app, mr),
    detailed_merge_status: status,
    merge_after: null,
    sha: mr.sha,
    merge_commit_sha: mr.merge_commit_sha,
    squash_commit_sha: mr.squash_commit_sha,
    discussion_locked: mr.discussion_locked,
    should_remove_source_branch: null,
    force_remove_source_branch: mr.force_remove_source_branch,
    prepared_at: app.mergeRequests.phase(mr) === 'preparing' ? null : mr.created_at,
    reference: `!${mr.iid}`,
    references: { short: `!${mr.iid}`, relative: `!${mr.iid}`, full: `${path}!${mr.iid}` },
    web_url: `${urlsOf(app, project).web}/-/merge_requests/${mr.iid}`,
    time_stats: {
      time_estimate: 0,
      total_time_spent: 0,
      human_time_estimate: null,
      human_total_time_spent: null,
    },
    squash: mr.squash,
    squash_on_merge: mr.squash || project.settings.squash_option === 'always',
    task_completion_status: { count: 0, completed_count: 0 },
    has_conflicts:
      mr.state === 'opened' && app.mergeRequests.phase(mr) === 'judged' && mr.checked?.mergeable === false,
    blocking_discussions_resolved: true,
    approvals_before_merge: null,
  };
  if (!detailed) return base;
  return {
    ...base,
    subscribed: false,
    changes_count: String((await app.repository(project).diff(mr.base_sha, mr.sha)).length),
    latest_build_started_at: pipeline?.started_at ?? null,
    latest_build_finished_at: pipeline?.finished_at ?? null,
    first_deployed_to_production_at: null,
    pipeline: pipeline ? pipelineView(app, project, pipeline) : null,
    head_pipeline: pipeline ? pipelineDetailView(app, project, pipeline) : null,
    diff_refs: { base_sha: mr.base_sha, head_sha: mr.sha, start_sha: mr.start_sha },
    merge_error: mr.merge_error,
    first_contribution: false,
    user: {
      can_merge: caller !== undefined && level >= LEVEL.developer && rightsToMerge(app, project, mr, caller),
    },
  };
}

function rightsToMerge(app: Instance, project: Project, mr: MergeRequest, user: User): boolean {
  const rights = app.branchRights(user, project, mr.target_branch);
  return rights.merge || rights.push;
}

/** @param on what the note is about */
export function noteView(
  app: Instance,
  project: Project,
  on: MergeRequest | Issue,
  note: Note | IssueNote,
): View {
  return {
    id: note.id,
    type: null,
    body: note.body,
    author: basicUser(app, app.user(note.author_id)),
    created_at: note.created_at,
    updated_at: note.updated_at,
    system: false,
    noteable_id: on.id,
    noteable_type: 'issue_id' in note ? 'Issue' : 'MergeRequest',
    project_id: project.id,
    resolvable: false,
    confidential: note.internal,
    internal: note.internal,
    imported: false,
    imported_from: 'none',
    noteable_iid: on.iid,
    commands_changes: {},
  };
}

export function issueView(app: Instance, project: Project, issue: Issue): View {
  const user = (id: number | null): View | null => (id === null ? null : basicUser(app, app.user(id)));
  const path = app.projectPath(project);
  return {
    id: issue.id,
    iid: issue.iid,
    project_id: issue.project_id,
    title: issue.title,
    description: issue.description,
    state: issue.state,
    created_at: issue.created_at,
    updated_at: issue.updated_at,
    closed_at: issue.closed_at,
    closed_by: user(issue.closed_by_id),
    labels: issue.labels,
    milestone: null,
    assignees: [],
    assignee: null,
    author: user(issue.author_id),
    type: 'ISSUE',
    issue_type: 'issue',
    user_notes_count: app.tables.issueNotes.filter((note) => note.issue_id === issue.id).length,
    merge_requests_count: 0,
    upvotes: 0,
    downvotes: 0,
    due_date: null,
    confidential: false,
    discussion_locked: null,
    imported: false,
    imported_from: 'none',
    moved_to_id: null,
    severity: 'UNKNOWN',
    has_tasks: false,
    task_completion_status: { count: 0, completed_count: 0 },
    time_stats: {
      time_estimate: 0,
      total_time_spent: 0,
      human_time_estimate: null,
      human_total_time_spent: null,
    },
    references: { short: `#${issue.iid}`, relative: `#${issue.iid}`, full: `${path}#${issue.iid}` },
    web_url: `${urlsOf(app, project).web}/-/issues/${issue.iid}`,
  };
}
