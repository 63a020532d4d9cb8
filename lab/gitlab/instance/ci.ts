import { type Instance, now } from './instance';
import type { Pipeline, Project, User } from './model';

/** Makes a pipeline of a commit. */
export function createPipeline(
  app: Instance,
  project: Project,
  user: User,
  { sha, ref, source }: Pick<Pipeline, 'sha' | 'ref' | 'source'>,
): Pipeline {
  const time = now();
  const iid = project.next_pipeline_iid;
  app.tables.projects.update(project, { next_pipeline_iid: iid + 1 });
  return app.tables.pipelines.insert({
    iid,
    project_id: project.id,
    sha,
    ref,
    source,
    status: 'created',
    user_id: user.id,
    created_at: time,
    updated_at: time,
    started_at: null,
    finished_at: null,
  });
}

/** Text of the project's own file for pipelines at a commit. One in another project or at an address is not covered. */
async function ownFile(app: Instance, project: Project, sha: string): Promise<string | undefined> {
  const path = String(project.settings.ci_config_path || '.gitlab-ci.yml');
  if (/@|:\/\//.test(path)) {
    app.log.warn(`ci_config_path "${path}" leads elsewhere, which this stand-in does not cover`);
    return undefined;
  }
  const entry = await app.repository(project).entry(sha, path);
  return entry?.type === 'blob' ? (await app.repository(project).blob(entry.id)).toString('utf8') : undefined;
}

/**
 * Whether Auto DevOps makes a pipeline of a push: by the file that its template looks for first. What else it builds by,
 * such as go.mod, is not covered.
 * Sources: lib/gitlab/ci/project_config/auto_devops.rb, lib/gitlab/ci/templates/Auto-DevOps.gitlab-ci.yml (workflow)
 */
const buildsByItself = async (app: Instance, project: Project, sha: string): Promise<boolean> =>
  project.settings.auto_devops_enabled === true &&
  (await app.repository(project).entry(sha, 'Dockerfile'))?.type === 'blob';

/**
 * The pipeline that GitLab makes by a file of the project itself: of a push, or of a merge request where the file's rules
 * name its event; without one, by Auto DevOps, of a push alone. No runner takes its jobs here, so that it waits, as it would
 * in a project without runners.
 * Source: Gitlab::Ci::Pipeline::Chain, lib/gitlab/ci/project_config/repository.rb
 */
export async function ownPipeline(
  app: Instance,
  project: Project,
  user: User,
  { sha, ref, source }: Pick<Pipeline, 'sha' | 'ref' | 'source'>,
): Promise<void> {
  const text = await ownFile(app, project, sha);
  const isMade =
    text === undefined
      ? source === 'push' && (await buildsByItself(app, project, sha))
      : (source === 'merge_request_event') === text.includes('merge_request_event');
  if (!isMade) return;
  const pipeline = createPipeline(app, project, user, { sha, ref, source });
  app.tables.statuses.insert({
    project_id: project.id,
    pipeline_id: pipeline.id,
    user_id: user.id,
    sha,
    ref,
    name: 'job',
    status: 'pending',
    target_url: null,
    description: null,
    coverage: null,
    retried: false,
    created_at: pipeline.created_at,
    started_at: null,
    finished_at: null,
  });
  app.tables.pipelines.update(pipeline, { status: 'pending' });
}
