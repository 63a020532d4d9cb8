import { z } from 'zod';
import type { App } from '../instance/app';
import { createPipeline } from '../instance/ci';
import { forbidden, messageError, notFound } from '../instance/errors';
import { type Api, bool, type Context, int, text } from '../instance/http';
import { BUSY, now } from '../instance/instance';
import { type CommitStatus, LEVEL, type Pipeline, type Project, type User } from '../instance/model';
import { pipelinePayload } from '../instance/payloads';
import { isFinished, isOpenState, POSTABLE_STATES, pipelineStatus, postState } from '../instance/statuses';
import { pipelineDetailView, pipelineView, statusView } from '../instance/views';

/** GitLab waits this long for another update of the same commit before it answers 409. */
const STATUS_LOCK_MS = 10_000;

/** Gives a pipeline the status that its own statuses make. */
async function recompute(app: App, project: Project, pipeline: Pipeline): Promise<void> {
  const { pipelines, statuses } = app.tables;
  if (!pipelines.get(pipeline.id)) return;
  const latest = statuses.filter((row) => row.pipeline_id === pipeline.id && !row.retried);
  const status = pipelineStatus(latest.map((row) => row.status)) ?? 'created';
  const changed = status !== pipeline.status;
  const time = now();
  pipelines.update(pipeline, {
    status,
    updated_at: time,
    started_at: pipeline.started_at ?? (status === 'running' ? time : null),
    finished_at: isFinished(status) ? (changed ? time : pipeline.finished_at) : null,
  });
  if (changed)
    app.webhooks.emit(project, 'pipeline_events', await pipelinePayload(app, project, pipeline, latest));
}

/** What a restart came before. */
export async function settlePipelines(app: App): Promise<void> {
  for (const pipeline of app.tables.pipelines.filter(({ status }) => !isFinished(status))) {
    const project = app.tables.projects.get(pipeline.project_id);
    if (project) await recompute(app, project, pipeline);
  }
}

export function pipelineRoutes(api: Api, app: App): void {
  const { pipelines, statuses } = app.tables;

  const newest = (
    project: Project,
    sha: string,
    ref: string | undefined,
    id: number | undefined,
  ): Pipeline | undefined =>
    pipelines
      .filter(
        (row) =>
          row.project_id === project.id &&
          row.sha === sha &&
          (ref === undefined || row.ref === ref) &&
          (id === undefined || row.id === id),
      )
      .at(-1);

  interface Posted {
    state: (typeof POSTABLE_STATES)[number];
    ref?: string;
    name?: string;
    context?: string;
    target_url?: string;
    description?: string;
    coverage?: number;
    pipeline_id?: number;
  }

  async function post(project: Project, user: User, sha: string, p: Posted): Promise<CommitStatus> {
    const repository = app.repository(project);
    const match = newest(project, sha, p.ref, p.pipeline_id);
    if (p.pipeline_id !== undefined && !match)
      throw messageError(404, '404 Pipeline for pipeline_id, sha and ref Not Found');
    const ref = p.ref ?? match?.ref ?? (await repository.refsContaining(sha, 'refs/heads/'))[0];
    if (ref === undefined || ref === '') throw messageError(404, '404 References for commit Not Found');
    const rights = app.branchRights(user, project, ref);
    if (!rights.push && !rights.merge) throw forbidden();
    if (p.target_url !== undefined && !/^https?:\/\/\S+$/.test(p.target_url)) {
      throw messageError(400, { target_url: ['is blocked: Only allowed schemes are http, https'] });
    }
    // GenericCommitStatus: validates :target_url, length: { maximum: 255 }.
    if (p.target_url !== undefined && p.target_url.length > 255)
      throw messageError(400, { target_url: ['is too long (maximum is 255 characters)'] });
    const name = p.name ?? p.context ?? 'default';
    const open =
      match &&
      statuses.find(
        (row) =>
          row.pipeline_id === match.id &&
          row.name === name &&
          row.ref === ref &&
          row.user_id === user.id &&
          isOpenState(row.status),
      );
    const outcome = postState(open ? open.status : 'created', p.state);
    if ('refusal' in outcome) throw messageError(400, outcome.refusal);

    const time = now();
    const { state } = outcome;
    const times = {
      ...(state === 'running' ? { started_at: time } : {}),
      ...(isFinished(state) ? { finished_at: time } : {}),
    };
    const optional = {
      ...(p.target_url === undefined ? {} : { target_url: p.target_url }),
      ...(p.description === undefined ? {} : { description: p.description.slice(0, 255) }),
      ...(p.coverage === undefined ? {} : { coverage: p.coverage }),
    };
    const [pipeline, status] = app.store.transaction(() => {
      const target = match ?? createPipeline(app, project, user, { sha, ref, source: 'external' });
      if (open) return [target, statuses.update(open, { status: state, ...optional, ...times })] as const;
      for (const old of statuses.filter(
        (row) => row.pipeline_id === target.id && row.name === name && !row.retried,
      ))
        statuses.update(old, { retried: true });
      const fresh = statuses.insert({
        project_id: project.id,
        pipeline_id: target.id,
        user_id: user.id,
        sha,
        ref,
        name,
        status: state,
        target_url: null,
        description: null,
        coverage: null,
        retried: false,
        created_at: time,
        started_at: null,
        finished_at: null,
        ...optional,
        ...times,
      });
      return [target, fresh] as const;
    });
    // CommitStatus only enqueues PipelineProcessWorker (app/models/commit_status.rb).
    await app.later('pipeline', () => recompute(app, project, pipeline));
    return status;
  }

  api.route(
    'POST',
    '/projects/:id/statuses/:sha',
    {
      state: z.enum(POSTABLE_STATES),
      ref: text.optional(),
      name: text.optional(),
      context: text.optional(),
      target_url: text.optional(),
      description: text.optional(),
      coverage: z
        .preprocess((value) => (typeof value === 'string' ? Number(value) : value), z.number())
        .optional(),
      pipeline_id: int(1).optional(),
    },
    async (c, p) => {
      const project = c.project(LEVEL.developer);
      if (project.archived) throw forbidden();
      const given = c.path.sha ?? '';
      const sha = /^[0-9a-f]{7,40}$/.test(given) ? await app.repository(project).resolve(given) : undefined;
      if (!sha) throw messageError(404, '404 Commit Not Found');
      const result = await app.lock(
        `status:${project.id}:${sha}`,
        () => post(project, c.user, sha, p as Posted),
        STATUS_LOCK_MS,
      );
      if (result === BUSY) throw messageError(409, 'Another update to this commit status is in progress');
      return c.created(statusView(app, result));
    },
  );
  api.route(
    'GET',
    '/projects/:id/repository/commits/:sha/statuses',
    {
      ref: text.optional(),
      stage: text.optional(),
      name: text.optional(),
      pipeline_id: int(1).optional(),
      all: bool.optional(),
      order_by: z.enum(['id', 'pipeline_id']).optional(),
      sort: z.enum(['asc', 'desc']).optional(),
    },
    async (c, p) => {
      const project = c.project(LEVEL.guest);
      const sha = await app.repository(project).resolve(c.path.sha ?? '');
      if (!sha) throw notFound('Commit');
      const wanted = statuses.filter(
        (row) =>
          row.project_id === project.id &&
          row.sha === sha &&
          (p.all === true || !row.retried) &&
          (p.ref === undefined || row.ref === p.ref) &&
          (p.stage === undefined || p.stage === 'external') &&
          (p.name === undefined || row.name === p.name) &&
          (p.pipeline_id === undefined || row.pipeline_id === p.pipeline_id),
      );
      if (p.sort === 'desc') wanted.reverse();
      return c.page(wanted, (row) => statusView(app, row));
    },
  );

  const find = (c: Context): { project: Project; pipeline: Pipeline } => {
    const project = c.project(LEVEL.guest);
    const pipeline = pipelines.get(c.number('pipeline_id'));
    if (pipeline?.project_id !== project.id) throw notFound();
    return { project, pipeline };
  };
  api.route(
    'GET',
    '/projects/:id/pipelines',
    {
      sha: text.optional(),
      ref: text.optional(),
      status: text.optional(),
      source: text.optional(),
      order_by: z.enum(['id', 'status', 'ref', 'updated_at', 'user_id']).optional(),
      sort: z.enum(['asc', 'desc']).optional(),
    },
    (c, p) => {
      const project = c.project(LEVEL.guest);
      const wanted = pipelines.filter(
        (row) =>
          row.project_id === project.id &&
          (p.sha === undefined || row.sha === p.sha) &&
          (p.ref === undefined || row.ref === p.ref) &&
          (p.status === undefined || row.status === p.status) &&
          (p.source === undefined || row.source === p.source),
      );
      const key = (row: Pipeline): string =>
        p.order_by === undefined || p.order_by === 'id' ? '' : String(row[p.order_by]);
      wanted.sort((a, b) => (key(a).localeCompare(key(b)) || a.id - b.id) * (p.sort === 'asc' ? 1 : -1));
      return c.page(wanted, (row) => pipelineView(app, project, row));
    },
  );
  api.route('GET', '/projects/:id/pipelines/latest', { ref: text.optional() }, async (c, p) => {
    const project = c.project(LEVEL.guest);
    const ref = p.ref ?? project.default_branch;
    const sha = await app.repository(project).branch(ref);
    const pipeline = sha ? newest(project, sha, ref, undefined) : undefined;
    if (!pipeline) throw notFound('Pipeline');
    return pipelineDetailView(app, project, pipeline);
  });
  api.route('GET', '/projects/:id/pipelines/:pipeline_id', {}, (c) => {
    const { project, pipeline } = find(c);
    return pipelineDetailView(app, project, pipeline);
  });
  api.route('DELETE', '/projects/:id/pipelines/:pipeline_id', {}, (c) => {
    const { pipeline } = find(c);
    c.project(LEVEL.owner);
    statuses.deleteWhere((row) => row.pipeline_id === pipeline.id);
    pipelines.delete(pipeline.id);
    return c.noContent();
  });
}
