import type { JobState } from './statuses';
import type { Row, Store, Table } from './store';

/** Access levels as GitLab numbers them. An administrator counts as 60. */
export const LEVEL = {
  none: 0,
  guest: 10,
  planner: 15,
  reporter: 20,
  developer: 30,
  maintainer: 40,
  owner: 50,
  admin: 60,
};
export const ZERO_SHA = '0'.repeat(40);

export interface User extends Row {
  username: string;
  name: string;
  email: string;
  state: 'active' | 'blocked';
  admin: boolean;
  bot: boolean;
  created_at: string;
}

export interface AccessToken extends Row {
  user_id: number;
  name: string;
  description: string | null;
  scopes: string[];
  /** sha256 of the token; the token itself is shown once and never kept. */
  digest: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked: boolean;
  kind: 'personal' | 'project' | 'group';
  resource_id: number | null;
  access_level: number | null;
}

/** A group, or the personal namespace of a user. */
export interface Namespace extends Row {
  kind: 'group' | 'user';
  name: string;
  path: string;
  parent_id: number | null;
  owner_id: number | null;
  created_at: string;
  marked_for_deletion_on: string | null;
  archived: boolean;
  settings: Record<string, unknown>;
}

export interface Member extends Row {
  source: 'group' | 'project';
  source_id: number;
  user_id: number;
  access_level: number;
  expires_at: string | null;
  created_at: string;
  created_by: number;
}

export interface Project extends Row {
  name: string;
  path: string;
  namespace_id: number;
  creator_id: number;
  created_at: string;
  last_activity_at: string;
  archived: boolean;
  marked_for_deletion_on: string | null;
  default_branch: string;
  /** The next merge request's iid and the next pipeline's. */
  next_mr_iid: number;
  /** The next issue's. @default 1 */
  next_issue_iid?: number;
  next_pipeline_iid: number;
  settings: Record<string, unknown>;
}

export interface DeployToken extends Row {
  project_id: number;
  name: string;
  username: string;
  scopes: string[];
  digest: string;
  expires_at: string | null;
  revoked: boolean;
}

/** A deploy key in one project. */
export interface DeployKey extends Row {
  project_id: number;
  /** Number of the key itself, the same in each project that it was joined to. @default this row's own */
  key_id?: number;
  title: string;
  key: string;
  can_push: boolean;
  created_at: string;
  expires_at: string | null;
}

export interface Variable extends Row {
  owner: 'project' | 'group';
  owner_id: number;
  key: string;
  value: string;
  variable_type: 'env_var' | 'file';
  protected: boolean;
  masked: boolean;
  hidden: boolean;
  raw: boolean;
  environment_scope: string;
  description: string | null;
}

export interface Label extends Row {
  project_id: number;
  name: string;
  color: string;
  description: string | null;
  priority: number | null;
  /** When its name, colour or description changed last. @default before the stand-in kept it */
  updated_at?: string;
}

export interface AccessRule {
  id: number;
  access_level: number;
  user_id: number | null;
  group_id: number | null;
}

export interface ProtectedBranch extends Row {
  project_id: number;
  name: string;
  push: AccessRule[];
  merge: AccessRule[];
  /** Who may lift the protection; an Enterprise package only. @default whoever administers the project */
  unprotect?: AccessRule[];
  allow_force_push: boolean;
}

export interface ProtectedTag extends Row {
  project_id: number;
  name: string;
  create: AccessRule[];
}

export interface Hook extends Row {
  project_id: number;
  url: string;
  name: string | null;
  description: string | null;
  token: string | null;
  created_at: string;
  events: Record<string, boolean>;
  enable_ssl_verification: boolean;
  push_events_branch_filter: string | null;
  branch_filter_strategy: 'wildcard' | 'regex' | 'all_branches';
  custom_headers: Record<string, string>;
  recent_failures: number;
  disabled_until: string | null;
}

/** One delivery attempt. A row with `response_status: null` is still to be delivered, also after a restart. */
export interface HookEvent extends Row {
  hook_id: number;
  project_id: number;
  trigger: string;
  event: string;
  url: string;
  idempotency_key: string;
  request_headers: Record<string, string>;
  request_data: Record<string, unknown>;
  response_headers: Record<string, string>;
  response_body: string;
  response_status: string | null;
  execution_duration: number;
  error: string | null;
  created_at: string;
}

export interface Pipeline extends Row {
  iid: number;
  project_id: number;
  sha: string;
  ref: string;
  source: 'external' | 'push' | 'merge_request_event';
  status: JobState;
  user_id: number;
  created_at: string;
  updated_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface CommitStatus extends Row {
  project_id: number;
  pipeline_id: number;
  user_id: number;
  sha: string;
  ref: string;
  name: string;
  status: JobState;
  target_url: string | null;
  description: string | null;
  coverage: number | null;
  retried: boolean;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface MergeRequest extends Row {
  iid: number;
  project_id: number;
  author_id: number;
  title: string;
  description: string | null;
  /** `locked` while it is being merged. */
  state: 'opened' | 'closed' | 'locked' | 'merged';
  source_branch: string;
  target_branch: string;
  /** Head of the source branch as of the last push that was seen. */
  sha: string;
  base_sha: string;
  start_sha: string;
  labels: string[];
  assignee_ids: number[];
  reviewer_ids: number[];
  squash: boolean;
  force_remove_source_branch: boolean;
  discussion_locked: boolean | null;
  merge_commit_sha: string | null;
  squash_commit_sha: string | null;
  merge_user_id: number | null;
  merged_at: string | null;
  closed_by_id: number | null;
  closed_at: string | null;
  merge_error: string | null;
  /** @default false */
  rebasing?: boolean;
  created_at: string;
  updated_at: string;
  /** What GitLab itself rebased it as last. @default nothing */
  rebase_commit_sha?: string;
  /** Who approved and when, in order. @default nobody */
  approvals?: { user_id: number; at: string }[];
  /** What the test merge of `sha` with `target_sha` gave. */
  checked: {
    sha: string;
    target_sha: string;
    mergeable: boolean;
    merge_ref: string | null;
    /** Since when it is checked in the background, in milliseconds since 1970. @default nobody asked for it yet */
    asked?: number;
  } | null;
}

/** What a merge request's branch was at a time. */
export interface MergeRequestVersion extends Row {
  merge_request_id: number;
  head: string;
  base: string;
  start: string;
  created_at: string;
}

/** A push as the project's events tell it: of one ref, or of how many where they were too many to tell. */
export interface PushEvent extends Row {
  project_id: number;
  author_id: number;
  created_at: string;
  action: 'created' | 'pushed' | 'removed';
  ref_type: 'branch' | 'tag';
  /** Null of many. */
  ref: string | null;
  from: string | null;
  to: string | null;
  title: string | null;
  commits: number;
  ref_count: number | null;
}

/** How many approvals a project's merge requests need. */
export interface ApprovalRule extends Row {
  project_id: number;
  name: string;
  rule_type: 'any_approver';
  approvals_required: number;
}

/** What a project says about approvals, in the words of its API. */
export interface ApprovalSettings {
  reset_approvals_on_push: boolean;
  disable_overriding_approvers_per_merge_request: boolean;
  merge_requests_author_approval: boolean;
  merge_requests_disable_committers_approval: boolean;
}

export interface ProjectApprovalSettings extends Row {
  project_id: number;
  settings: ApprovalSettings;
}

interface AnyNote extends Row {
  project_id: number;
  author_id: number;
  body: string;
  internal: boolean;
  created_at: string;
  updated_at: string;
}

export interface Note extends AnyNote {
  merge_request_id: number;
}

export interface Issue extends Row {
  iid: number;
  project_id: number;
  author_id: number;
  title: string;
  description: string | null;
  state: 'opened' | 'closed';
  labels: string[];
  closed_by_id: number | null;
  closed_at: string | null;
  created_at: string;
  updated_at: string;
}

export interface IssueNote extends AnyNote {
  issue_id: number;
}

export interface Settings extends Row {
  allow_local_requests_from_web_hooks_and_services: boolean;
  /** Local addresses, names and networks that hooks may go to all the same, one a line. @default none */
  outbound_local_requests_allowlist_raw?: string;
  deletion_adjourned_period: number;
  default_project_visibility: string;
  default_group_visibility: string;
}

/** That somebody put a label on a merge request, or took it off. */
export interface LabelEvent extends Row {
  project_id: number;
  merge_request_id: number;
  user_id: number;
  label: string;
  action: 'add' | 'remove';
  created_at: string;
}

/** An object of Git LFS that belongs to a project. */
export interface LfsObject extends Row {
  project_id: number;
  oid: string;
}

export interface Tables {
  users: Table<User>;
  tokens: Table<AccessToken>;
  namespaces: Table<Namespace>;
  members: Table<Member>;
  projects: Table<Project>;
  deployTokens: Table<DeployToken>;
  deployKeys: Table<DeployKey>;
  variables: Table<Variable>;
  labels: Table<Label>;
  labelEvents: Table<LabelEvent>;
  protectedBranches: Table<ProtectedBranch>;
  protectedTags: Table<ProtectedTag>;
  hooks: Table<Hook>;
  hookEvents: Table<HookEvent>;
  pipelines: Table<Pipeline>;
  statuses: Table<CommitStatus>;
  mergeRequests: Table<MergeRequest>;
  versions: Table<MergeRequestVersion>;
  pushEvents: Table<PushEvent>;
  approvalRules: Table<ApprovalRule>;
  approvalSettings: Table<ProjectApprovalSettings>;
  notes: Table<Note>;
  issues: Table<Issue>;
  issueNotes: Table<IssueNote>;
  lfsObjects: Table<LfsObject>;
  settings: Table<Settings>;
}

export function openTables(store: Store): Tables {
  return {
    users: store.table('users'),
    tokens: store.table('tokens'),
    namespaces: store.table('namespaces'),
    members: store.table('members'),
    projects: store.table('projects'),
    deployTokens: store.table('deploy_tokens'),
    deployKeys: store.table('deploy_keys'),
    variables: store.table('variables'),
    labels: store.table('labels'),
    labelEvents: store.table('label_events'),
    protectedBranches: store.table('protected_branches'),
    protectedTags: store.table('protected_tags'),
    hooks: store.table('hooks'),
    hookEvents: store.table('hook_events'),
    pipelines: store.table('pipelines'),
    statuses: store.table('statuses'),
    mergeRequests: store.table('merge_requests'),
    versions: store.table('merge_request_versions'),
    pushEvents: store.table('push_events'),
    approvalRules: store.table('approval_rules'),
    approvalSettings: store.table('approval_settings'),
    notes: store.table('notes'),
    issues: store.table('issues'),
    issueNotes: store.table('issue_notes'),
    lfsObjects: store.table('lfs_objects'),
    settings: store.table('settings'),
  };
}
