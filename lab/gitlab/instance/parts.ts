import type { MergeRequest, Pipeline, Project, User } from './model';

// What the parts of an instance do for each other, so that none of them needs another one's file.

/** Events that are delivered: the setting of the hook, the header's name and the trigger in the log. */
export const HOOK_EVENTS = {
  push_events: { header: 'Push Hook', trigger: 'push_hooks' },
  tag_push_events: { header: 'Tag Push Hook', trigger: 'tag_push_hooks' },
  merge_requests_events: { header: 'Merge Request Hook', trigger: 'merge_request_hooks' },
  note_events: { header: 'Note Hook', trigger: 'note_hooks' },
  pipeline_events: { header: 'Pipeline Hook', trigger: 'pipeline_hooks' },
} as const;
export type HookEventName = keyof typeof HOOK_EVENTS;

/** The bodies of hook requests: https://docs.gitlab.com/user/project/integrations/webhook_events/ */
export type Payload = Record<string, unknown>;

/** Sends hooks. */
export interface Hooks {
  emit(project: Project, event: HookEventName, payload: Payload, branch?: string): void;
}

export type MergeRequestAction =
  | 'open'
  | 'update'
  | 'merge'
  | 'close'
  | 'reopen'
  | 'approved'
  | 'approval'
  | 'unapproved'
  | 'unapproval';

/** GitLab's `detailed_merge_status`, as far as it can come up here. */
export type DetailedMergeStatus =
  | 'not_open'
  | 'preparing'
  | 'unchecked'
  | 'checking'
  | 'draft_status'
  | 'commits_status'
  | 'conflict'
  | 'need_rebase'
  | 'ci_must_pass'
  | 'ci_still_running'
  | 'not_approved'
  | 'mergeable';

/** `merge_status` of app/models/merge_request.rb; `judged` stands for what it says at last. */
export type MergePhase = 'preparing' | 'unchecked' | 'checking' | 'judged';

export interface MergeOptions {
  sha?: string;
  squash?: boolean;
  should_remove_source_branch?: boolean;
  merge_commit_message?: string;
  squash_commit_message?: string;
  auto_merge?: boolean;
}

export interface MergeRequests {
  /** The newest pipeline of the merge request's head on its source branch. */
  headPipeline(mr: MergeRequest): Pipeline | undefined;
  forPipeline(pipeline: Pipeline): MergeRequest | undefined;
  /** How far GitLab is with judging: `merge_status` before it says whether it can be merged. */
  phase(mr: MergeRequest): MergePhase;
  /** Starts the check in the background that showing one merge request starts. */
  startCheck(project: Project, mr: MergeRequest): Promise<void>;
  mergeability(project: Project, mr: MergeRequest): Promise<{ detailed: DetailedMergeStatus }>;
  /** Follows a changed branch: new head of its merge requests, and those that a push merged. */
  branchChanged(project: Project, user: User, branch: string, before: string, after: string): Promise<void>;
  /** Brings open merge requests up to date with the repository (after a crash between push and bookkeeping). */
  catchUp(project: Project): Promise<void>;
  /** Makes a version of what it is now: `MergeRequest#reload_diff`. */
  reloadDiff(project: Project, mr: MergeRequest): Promise<void>;
  create(project: Project, user: User, data: NewMergeRequest): Promise<MergeRequest>;
  /** @throws ApiError 400, 401, 405, 409 or 422 as GitLab's accept-merge-request does */
  merge(project: Project, user: User, mr: MergeRequest, options: MergeOptions): Promise<MergeRequest>;
  /** Rebases the source branch onto the target, in the background. @throws ApiError 403 or 409 */
  rebase(project: Project, user: User, mr: MergeRequest): Promise<void>;
  emit(
    project: Project,
    user: User,
    mr: MergeRequest,
    action: MergeRequestAction,
    options?: { oldrev?: string; changes?: Payload },
  ): Promise<void>;
}

export type NewMergeRequest = Pick<
  MergeRequest,
  | 'title'
  | 'description'
  | 'source_branch'
  | 'target_branch'
  | 'labels'
  | 'assignee_ids'
  | 'reviewer_ids'
  | 'squash'
  | 'force_remove_source_branch'
>;
