import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { App } from '../instance/app';
import { ApiError } from '../instance/errors';
import { type Api, requireScope } from '../instance/http';
import { LEVEL, type PushEvent } from '../instance/model';
import { basicUser } from '../instance/views';

/** Who did what: a project's events, and the people behind a merge request's commits. */
export function peopleRoutes(api: Api, app: App): void {
  const view = (row: PushEvent): Record<string, unknown> => ({
    id: row.id,
    project_id: row.project_id,
    action_name: row.action === 'pushed' ? 'pushed to' : row.action === 'created' ? 'pushed new' : 'deleted',
    target_id: null,
    target_iid: null,
    target_type: null,
    author_id: row.author_id,
    target_title: null,
    created_at: row.created_at,
    author: basicUser(app, app.user(row.author_id)),
    push_data: {
      commit_count: row.commits,
      action: row.action,
      ref_type: row.ref_type,
      commit_from: row.from,
      commit_to: row.to,
      ref: row.ref,
      commit_title: row.title,
      ref_count: row.ref_count,
    },
    author_username: app.user(row.author_id).username,
  });
  api.route(
    'GET',
    '/projects/:id/events',
    // Other events are not kept here.
    { action: z.literal('pushed'), sort: z.enum(['asc', 'desc']).default('desc') },
    (c, p) => {
      const project = c.project();
      const rows = app.tables.pushEvents.filter((row) => row.project_id === project.id);
      return c.page(p.sort === 'asc' ? rows : rows.reverse(), view);
    },
  );
}

/** The two GraphQL documents that are covered, each in one line. */
const LABELS = [
  'query($project: ID!, $iid: String!) {',
  'project(fullPath: $project) { mergeRequest(iid: $iid) {',
  'labels(first: 100) { nodes { id updatedAt } }',
  '} } }',
].join(' ');
const PEOPLE = [
  'query($project: ID!, $iid: String!, $after: String) {',
  'project(fullPath: $project) { mergeRequest(iid: $iid) {',
  'author { id }',
  'committers(first: 100) { nodes { id } pageInfo { hasNextPage } }',
  'commits(first: 100, after: $after) { nodes { author { id } } pageInfo { hasNextPage endCursor } }',
  '} } }',
].join(' ');

const PER_PAGE = 100;

const requestSchema = z.strictObject({
  query: z.string(),
  variables: z.strictObject({
    project: z.string(),
    iid: z.string(),
    after: z.string().nullable().optional(),
  }),
});

/**
 * `POST /api/graphql`. Authors and committers are found by their e-mail addresses, as `Commit#author` and
 * `MergeRequest#committers` do; an address that no user has confirmed is nobody's.
 */
export function graphql(server: FastifyInstance, app: App): void {
  server.post('/api/graphql', async (request, reply) => {
    const refuse = (message: string) => reply.send({ errors: [{ message }] });
    const { token, user } = app.authenticate(request.headers, request.query as Record<string, unknown>);
    if (token) requireScope(token, 'GET', []);
    const parsed = requestSchema.safeParse(request.body);
    if (!parsed.success) throw new ApiError(400, { errors: [{ message: 'the request is not understood' }] });
    const { query, variables } = parsed.data;
    const document = query.replace(/\s+/g, ' ').trim();
    if (![PEOPLE, LABELS].includes(document)) return refuse('this document is not covered by the stand-in');
    const project = app.findProject(variables.project);
    const readable = project && app.projectLevel(user, project) >= LEVEL.reporter;
    if (!readable) return reply.send({ data: { project: null } });
    const mr = app.tables.mergeRequests.find(
      (row) => row.project_id === project.id && row.iid === Number(variables.iid),
    );
    if (!mr) return reply.send({ data: { project: { mergeRequest: null } } });
    if (document === LABELS) {
      const labels = app.tables.labels.filter(
        (row) => row.project_id === project.id && mr.labels.includes(row.name),
      );
      // `Types::TimeType`: ISO 8601 without a fraction of a second.
      const nodes = labels.map(({ id, updated_at: at = '1970-01-01T00:00:00Z' }) => ({
        id: `gid://gitlab/ProjectLabel/${id}`,
        updatedAt: at.replace(/\.\d+/, ''),
      }));
      return reply.send({ data: { project: { mergeRequest: { labels: { nodes } } } } });
    }
    const commits = await app.repository(project).log([mr.sha, `^${mr.base_sha}`]);
    const of = (email: string) => app.tables.users.find((row) => row.email === email);
    const gid = (id: number) => ({ id: `gid://gitlab/User/${id}` });
    const begin = variables.after ? Number(Buffer.from(variables.after, 'base64url').toString()) : 0;
    const end = Math.min(begin + PER_PAGE, commits.length);
    const committers = new Set(commits.flatMap(({ committer }) => of(committer.email)?.id ?? []));
    return reply.send({
      data: {
        project: {
          mergeRequest: {
            author: gid(mr.author_id),
            committers: { nodes: [...committers].map(gid), pageInfo: { hasNextPage: false } },
            commits: {
              nodes: commits.slice(begin, end).map(({ author }) => {
                const known = of(author.email);
                return { author: known ? gid(known.id) : null };
              }),
              pageInfo: {
                hasNextPage: end < commits.length,
                endCursor: end > 0 ? Buffer.from(String(end)).toString('base64url') : null,
              },
            },
          },
        },
      },
    });
  });
}
