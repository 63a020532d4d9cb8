import { z } from 'zod';
import type { App } from '../instance/app';
import { forbidden, messageError, notFound, plainError } from '../instance/errors';
import { type Api, bool, type Context, int, list, nonEmpty, text } from '../instance/http';
import { now } from '../instance/instance';
import { type Issue, LEVEL, type Project, type User } from '../instance/model';
import { issueView, noteView } from '../instance/views';
import { checkNoteLength, listedNotes, noteListShape } from './notes';

/** Longest title and description, in characters. https://docs.gitlab.com/administration/instance_limits/ */
const TITLE_LIMIT = 255;
const DESCRIPTION_LIMIT = 1_048_576;

const listShape = {
  state: z.enum(['opened', 'closed', 'all']).optional(),
  scope: z.enum(['created_by_me', 'all']).optional(),
  author_id: int(1).optional(),
  author_username: text.optional(),
  labels: list(z.string()).optional(),
  search: text.optional(),
  in: z.enum(['title', 'description', 'title,description']).optional(),
  iids: list(int(1)).optional(),
  order_by: z.enum(['created_at', 'updated_at', 'title']).optional(),
  sort: z.enum(['asc', 'desc']).optional(),
};

type ListParams = z.infer<z.ZodObject<typeof listShape>>;

/** Colour of a label that comes into being by its first use. */
const NEW_LABEL = '#428BCA';

/**
 * Issues of a project, and what people and bots say about them. Not covered, and refused: assignees, milestones, due
 * dates, confidential issues, links, moving.
 */
export function issueRoutes(api: Api, app: App): void {
  const { issues, issueNotes, labels, users, projects } = app.tables;

  const enabled = (c: Context, level = LEVEL.none): Project => {
    const project = c.project(level);
    if (project.settings.issues_access_level === 'disabled') throw forbidden();
    return project;
  };
  const find = (c: Context): { project: Project; issue: Issue } => {
    const project = enabled(c);
    const iid = c.number('iid');
    const issue = issues.find((row) => row.project_id === project.id && row.iid === iid);
    if (!issue) throw notFound();
    return { project, issue };
  };
  const checkLength = ({ title = '', description = '' }: { title?: string; description?: string }): void => {
    if (title.length > TITLE_LIMIT)
      throw messageError(400, { title: [`is too long (maximum is ${TITLE_LIMIT} characters)`] });
    if (description.length > DESCRIPTION_LIMIT)
      throw messageError(400, { description: [`is too long (maximum is ${DESCRIPTION_LIMIT} characters)`] });
  };
  /** A label that the project does not have comes into being with its first use. */
  const known = (project: Project, names: readonly string[]): string[] => {
    for (const name of new Set(names)) {
      if (labels.find((row) => row.project_id === project.id && row.name === name)) continue;
      labels.insert({
        project_id: project.id,
        name,
        color: NEW_LABEL,
        description: null,
        priority: null,
        updated_at: now(),
      });
    }
    return [...new Set(names)].sort();
  };
  /** Whoever opens an issue may label it; making a label is for those who plan (IssuePolicy, Labels::FindOrCreateService). */
  const given = (project: Project, user: User, names: readonly string[]): string[] =>
    app.projectLevel(user, project) >= LEVEL.planner
      ? known(project, names)
      : known(
          project,
          names.filter((name) => labels.find((row) => row.project_id === project.id && row.name === name)),
        );

  const matches = (c: Context, p: ListParams, issue: Issue): boolean => {
    const author =
      p.author_username === undefined
        ? undefined
        : users.find(({ username }) => username === p.author_username);
    const within = p.in ?? 'title,description';
    const searched = [
      ...(within.includes('title') ? [issue.title] : []),
      ...(within.includes('description') ? [issue.description ?? ''] : []),
    ].map((part) => part.toLowerCase());
    return (
      (p.state === undefined || p.state === 'all' || issue.state === p.state) &&
      (p.scope !== 'created_by_me' || issue.author_id === c.user.id) &&
      (p.author_id === undefined || issue.author_id === p.author_id) &&
      (p.author_username === undefined || issue.author_id === author?.id) &&
      (p.labels === undefined || p.labels.every((label) => issue.labels.includes(label))) &&
      (p.search === undefined || searched.some((part) => part.includes(String(p.search).toLowerCase()))) &&
      (p.iids === undefined || p.iids.includes(issue.iid))
    );
  };

  api.route('GET', '/projects/:id/issues', listShape, (c, p) => {
    const project = enabled(c);
    const key = p.order_by ?? 'created_at';
    const wanted = issues
      .filter((issue) => issue.project_id === project.id && matches(c, p, issue))
      .sort((a, b) => (a[key].localeCompare(b[key]) || a.id - b.id) * (p.sort === 'asc' ? 1 : -1));
    return c.page(wanted, (issue) => issueView(app, project, issue));
  });
  api.route('GET', '/projects/:id/issues/:iid', {}, (c) => {
    const { project, issue } = find(c);
    return issueView(app, project, issue);
  });
  api.route(
    'POST',
    '/projects/:id/issues',
    {
      title: nonEmpty,
      description: text.optional(),
      labels: list(z.string()).optional(),
      issue_type: z.enum(['issue']).optional(),
      confidential: z.literal([false, 'false']).optional(),
    },
    (c, p) => {
      const project = enabled(c, LEVEL.guest);
      if (project.archived) throw forbidden();
      checkLength(p);
      const iid = project.next_issue_iid ?? 1;
      const created = now();
      const issue = app.store.transaction(() => {
        projects.update(project, { next_issue_iid: iid + 1 });
        return issues.insert({
          iid,
          project_id: project.id,
          author_id: c.user.id,
          title: p.title,
          description: p.description ?? null,
          state: 'opened',
          labels: given(project, c.user, p.labels ?? []),
          closed_by_id: null,
          closed_at: null,
          created_at: created,
          updated_at: created,
        });
      });
      return c.created(issueView(app, project, issue));
    },
  );
  api.route(
    'PUT',
    '/projects/:id/issues/:iid',
    {
      title: nonEmpty.optional(),
      description: text.optional(),
      labels: list(z.string()).optional(),
      add_labels: list(z.string()).optional(),
      remove_labels: list(z.string()).optional(),
      state_event: z.enum(['close', 'reopen']).optional(),
    },
    (c, p) => {
      const { project, issue } = find(c);
      const plans = app.projectLevel(c.user, project) >= LEVEL.planner;
      if (project.archived || (!plans && issue.author_id !== c.user.id)) throw forbidden();
      if (Object.keys(p).length === 0)
        throw plainError(
          400,
          'add_labels, description, labels, remove_labels, state_event, title are missing, at least one parameter must be provided',
        );
      checkLength(p);
      const wanted = [...(p.labels ?? issue.labels), ...(p.add_labels ?? [])].filter(
        (label) => !p.remove_labels?.includes(label),
      );
      // Closing what is closed and opening what is open change nothing.
      const closes = p.state_event === 'close' && issue.state === 'opened';
      const opens = p.state_event === 'reopen' && issue.state === 'closed';
      issues.update(issue, {
        updated_at: now(),
        ...(p.title === undefined ? {} : { title: p.title }),
        ...(p.description === undefined ? {} : { description: p.description }),
        ...(plans ? { labels: known(project, wanted) } : {}),
        ...(closes ? { state: 'closed', closed_at: now(), closed_by_id: c.user.id } : {}),
        ...(opens ? { state: 'opened', closed_at: null, closed_by_id: null } : {}),
      });
      return issueView(app, project, issue);
    },
  );
  api.route('DELETE', '/projects/:id/issues/:iid', {}, (c) => {
    const { project, issue } = find(c);
    if (app.projectLevel(c.user, project) < LEVEL.owner) throw forbidden();
    issueNotes.deleteWhere((note) => note.issue_id === issue.id);
    issues.delete(issue.id);
    return c.noContent();
  });

  api.route('GET', '/projects/:id/issues/:iid/notes', noteListShape, (c, p) => {
    const { project, issue } = find(c);
    const own = issueNotes.filter((note) => note.issue_id === issue.id);
    return c.page(listedNotes(own, p), (note) => noteView(app, project, issue, note));
  });
  api.route(
    'POST',
    '/projects/:id/issues/:iid/notes',
    { body: nonEmpty, internal: bool.optional() },
    (c, p) => {
      const { project, issue } = find(c);
      if (project.archived || app.projectLevel(c.user, project) < LEVEL.guest) throw forbidden();
      checkNoteLength(p.body);
      if (app.tables.hooks.find((row) => row.project_id === project.id && row.events.note_events === true))
        app.log.warn(`the note on ${app.projectPath(project)}#${issue.iid} is sent to no hook: not covered`);
      const created = now();
      const note = issueNotes.insert({
        project_id: project.id,
        issue_id: issue.id,
        author_id: c.user.id,
        body: p.body,
        internal: p.internal ?? false,
        created_at: created,
        updated_at: created,
      });
      return c.created(noteView(app, project, issue, note));
    },
  );
}
