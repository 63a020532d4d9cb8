import type { CommitDetails, MergeRequest, ProjectDetails } from '../../clients/gitlab';

// A lost hook, made again from what GitLab says now: the job starts by its own trigger, with the same variables as by
// GitLab's, so that no second way into a pipeline has to be kept. What the plugin refuses to be without was read in
// gitlab-plugin 1.9.182144 (CauseData's constructor; MergeRequestHookTriggerHandlerImpl and PushHookTriggerHandlerImpl,
// `retrieveCauseData`); what GitLab sends, in lib/gitlab/data_builder/push.rb and lib/gitlab/hook_data.

const about = (project: ProjectDetails) => ({
  id: project.id,
  name: project.name,
  web_url: project.web_url,
  git_ssh_url: project.ssh_url_to_repo,
  git_http_url: project.http_url_to_repo,
  namespace: project.namespace.name,
  path_with_namespace: project.path_with_namespace,
  default_branch: project.default_branch,
  homepage: project.web_url,
  url: project.ssh_url_to_repo,
  ssh_url: project.ssh_url_to_repo,
  http_url: project.http_url_to_repo,
});

const repository = (project: ProjectDetails) => ({
  name: project.name,
  url: project.ssh_url_to_repo,
  homepage: project.web_url,
  git_http_url: project.http_url_to_repo,
  git_ssh_url: project.ssh_url_to_repo,
});

const commitOf = (commit: CommitDetails) => ({
  id: commit.id,
  message: commit.message,
  title: commit.title,
  author: { name: commit.author_name, email: commit.author_email },
});

/** The hook of a merge request's opening, with its head as it is now. */
export const mergeRequestHook = (project: ProjectDetails, request: MergeRequest, head: CommitDetails) => ({
  object_kind: 'merge_request',
  event_type: 'merge_request',
  user: { name: head.author_name, username: '', email: head.author_email },
  project: about(project),
  repository: repository(project),
  object_attributes: {
    id: request.id,
    iid: request.iid,
    title: request.title,
    description: request.description ?? '',
    state: 'opened',
    action: 'open',
    draft: request.draft,
    work_in_progress: request.draft,
    source_branch: request.source_branch,
    target_branch: request.target_branch,
    source_project_id: request.source_project_id,
    target_project_id: request.target_project_id,
    source: about(project),
    target: about(project),
    last_commit: commitOf(head),
  },
  labels: [],
});

const NOTHING = '0'.repeat(40);

/** The hook of the push that made a commit a branch's head. */
export const pushHook = (project: ProjectDetails, branch: string, head: CommitDetails) => ({
  object_kind: 'push',
  event_name: 'push',
  // Of what is known: a branch whose only commit this is had none before.
  before: head.parent_ids[0] ?? NOTHING,
  after: head.id,
  ref: `refs/heads/${branch}`,
  checkout_sha: head.id,
  user_name: head.author_name,
  user_username: '',
  user_email: head.author_email,
  project_id: project.id,
  project: about(project),
  repository: repository(project),
  commits: [commitOf(head)],
  total_commits_count: 1,
});
