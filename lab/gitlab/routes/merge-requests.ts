import { z } from 'zod';
import type { App } from '../instance/app';
import { approvalSettings, approvalsLeft, approvalsRequired } from '../instance/approvals';
import { forbidden, messageError, notFound, plainError, unauthorized } from '../instance/errors';
import { type Api, bool, type Context, int, list, nonEmpty, text } from '../instance/http';
import { now } from '../instance/instance';
import { LEVEL, type MergeRequest, type Note, type Project, type User } from '../instance/model';
import { isDraft, mergeStatusOf, notePayload } from '../instance/payloads';
import {
  basicUser,
  commitView,
  labelEventView,
  mergeRequestView,
  noteView,
  pipelineView,
} from '../instance/views';
import { checkNoteLength, listedNotes, noteListShape } from './notes';
import { diffView } from './repository';

const listShape = {
  state: z.enum(['opened', 'closed', 'merged', 'locked', 'all']).optional(),
  scope: z.enum(['created_by_me', 'assigned_to_me', 'all']).optional(),
  source_branch: text.optional(),
  target_branch: text.optional(),
  author_id: int(1).optional(),
  author_username: text.optional(),
  labels: list(z.string()).optional(),
  search: text.optional(),
  iids: list(int(1)).optional(),
  draft: bool.optional(),
  wip: z.enum(['yes', 'no']).optional(),
  created_after: text.optional(),
  updated_after: text.optional(),
  updated_before: text.optional(),
  order_by: z.enum(['created_at', 'updated_at', 'title', 'merged_at']).optional(),
  sort: z.enum(['asc', 'desc']).optional(),
  with_merge_status_recheck: bool.optional(),
};

type ListParams = z.infer<z.ZodObject<typeof listShape>>;

export function mergeRequestRoutes(api: Api, app: App): void {
  const { mergeRequests, notes, users } = app.tables;

  const find = (c: Context, level = 0): { project: Project; mr: MergeRequest } => {
    const project = c.project(level);
    if (project.settings.visibility === 'private' && app.projectLevel(c.user, project) < LEVEL.reporter)
      throw forbidden();
    const iid = c.number('iid');
    const mr = mergeRequests.find((row) => row.project_id === project.id && row.iid === iid);
    if (!mr) throw notFound();
    return { project, mr };
  };

  const select = (c: Context, p: ListParams, of: (mr: MergeRequest) => boolean): MergeRequest[] => {
    const author =
      p.author_username === undefined ? undefined : users.find((user) => user.username === p.author_username);
    const wanted = mergeRequests.filter(
      (mr) =>
        of(mr) &&
        (p.state === undefined || p.state === 'all' || mr.state === p.state) &&
        (p.scope !== 'created_by_me' || mr.author_id === c.user.id) &&
        (p.scope !== 'assigned_to_me' || mr.assignee_ids.includes(c.user.id)) &&
        (p.source_branch === undefined || mr.source_branch === p.source_branch) &&
        (p.target_branch === undefined || mr.target_branch === p.target_branch) &&
        (p.author_id === undefined || mr.author_id === p.author_id) &&
        (p.author_username === undefined || mr.author_id === author?.id) &&
        (p.labels === undefined || p.labels.every((label) => mr.labels.includes(label))) &&
        (p.search === undefined ||
          `${mr.title} ${mr.description ?? ''}`.toLowerCase().includes(p.search.toLowerCase())) &&
        (p.iids === undefined || p.iids.includes(mr.iid)) &&
        (p.draft === undefined || isDraft(mr.title) === p.draft) &&
        (p.wip === undefined || isDraft(mr.title) === (p.wip === 'yes')) &&
        (p.created_after === undefined || Date.parse(mr.created_at) >= Date.parse(p.created_after)) &&
        (p.updated_after === undefined || Date.parse(mr.updated_at) >= Date.parse(p.updated_after)) &&
        (p.updated_before === undefined || Date.parse(mr.updated_at) <= Date.parse(p.updated_before)),
    );
    const key = p.order_by ?? 'created_at';
    wanted.sort(
      (a, b) => (String(a[key]).localeCompare(String(b[key])) || a.id - b.id) * (p.sort === 'asc' ? 1 : -1),
    );
    return wanted;
  };

  api.route('GET', '/merge_requests', listShape, (c, p) => {
    const scope = p.scope ?? 'created_by_me';
    const rows = select(c, { ...p, scope }, (mr) => {
      const project = app.tables.projects.get(mr.project_id);
      return project !== undefined && app.projectLevel(c.user, project) >= LEVEL.reporter;
    });
    return Promise.all(
      c.page(rows, (mr) =>
        mergeRequestView(app, app.tables.projects.get(mr.project_id) as Project, mr, c.user, false),
      ),
    );
  });
  api.route('GET', '/projects/:id/merge_requests', listShape, (c, p) => {
    const project = c.project();
    if (project.settings.visibility === 'private' && app.projectLevel(c.user, project) < LEVEL.reporter)
      throw forbidden();
    return Promise.all(
      c.page(
        select(c, p, (mr) => mr.project_id === project.id),
        (mr) => mergeRequestView(app, project, mr, c.user, false),
      ),
    );
  });

  /** ResourceEvents::ChangeLabelsService: one event for each label that came or went. */
  const labelled = (mr: MergeRequest, user: User, before: readonly string[]): void => {
    const about = { project_id: mr.project_id, merge_request_id: mr.id, user_id: user.id, created_at: now() };
    const note = (action: 'add' | 'remove', names: readonly string[]) => {
      for (const label of names) app.tables.labelEvents.insert({ ...about, label, action });
    };
    note(
      'add',
      mr.labels.filter((name) => !before.includes(name)),
    );
    note(
      'remove',
      before.filter((name) => !mr.labels.includes(name)),
    );
  };
  // https://docs.gitlab.com/api/resource_label_events/#merge-requests
  api.route('GET', '/projects/:id/merge_requests/:iid/resource_label_events', {}, (c) => {
    const { project, mr } = find(c);
    return c.page(
      app.tables.labelEvents.filter((event) => event.merge_request_id === mr.id),
      (event) => labelEventView(app, project, event),
    );
  });

  const editable = {
    description: text.optional(),
    labels: list(z.string()).optional(),
    assignee_id: int(0).optional(),
    assignee_ids: list(int(0)).optional(),
    reviewer_ids: list(int(0)).optional(),
    remove_source_branch: bool.optional(),
    squash: bool.optional(),
  };
  const people = (ids: readonly number[]): number[] => {
    for (const id of ids)
      if (id !== 0 && !users.get(id)) throw messageError(400, { assignees: ['is invalid'] });
    return ids.filter((id) => id !== 0);
  };
  const assignees = (p: { assignee_id?: number; assignee_ids?: number[] }): number[] | undefined =>
    p.assignee_ids !== undefined
      ? people(p.assignee_ids)
      : p.assignee_id !== undefined
        ? people([p.assignee_id])
        : undefined;

  api.route(
    'POST',
    '/projects/:id/merge_requests',
    {
      title: nonEmpty,
      source_branch: nonEmpty,
      target_branch: nonEmpty,
      target_project_id: int(1).optional(),
      ...editable,
    },
    async (c, p) => {
      const project = c.project(LEVEL.developer);
      if (project.archived || project.settings.merge_requests_access_level === 'disabled') throw forbidden();
      if (p.target_project_id !== undefined && p.target_project_id !== project.id)
        throw plainError(
          400,
          'target_project_id of another project (a fork) is not covered by this stand-in',
        );
      const mr = await app.exclusively(project, () =>
        app.mergeRequests.create(project, c.user, {
          title: p.title,
          description: p.description ?? null,
          source_branch: p.source_branch,
          target_branch: p.target_branch,
          labels: p.labels ?? [],
          assignee_ids: assignees(p) ?? [],
          reviewer_ids: people(p.reviewer_ids ?? []),
          squash: p.squash ?? ['always', 'default_on'].includes(String(project.settings.squash_option)),
          force_remove_source_branch:
            p.remove_source_branch ?? project.settings.remove_source_branch_after_merge === true,
        }),
      );
      labelled(mr, c.user, []);
      return c.created(await mergeRequestView(app, project, mr, c.user, true));
    },
  );
  api.route(
    'GET',
    '/projects/:id/merge_requests/:iid',
    {
      include_diverged_commits_count: bool.optional(),
      include_rebase_in_progress: bool.optional(),
      render_html: z.literal([false, 'false']).optional(),
    },
    async (c, p) => {
      const { project, mr } = find(c);
      const view = await mergeRequestView(app, project, mr, c.user, true);
      const target = p.include_diverged_commits_count
        ? await app.repository(project).branch(mr.target_branch)
        : undefined;
      return {
        ...view,
        ...(target
          ? { diverged_commits_count: await app.repository(project).count([target, `^${mr.sha}`]) }
          : {}),
        ...(p.include_rebase_in_progress ? { rebase_in_progress: mr.rebasing === true } : {}),
      };
    },
  );
  api.route(
    'PUT',
    '/projects/:id/merge_requests/:iid',
    {
      title: nonEmpty.optional(),
      target_branch: nonEmpty.optional(),
      state_event: z.enum(['close', 'reopen']).optional(),
      add_labels: list(z.string()).optional(),
      remove_labels: list(z.string()).optional(),
      discussion_locked: bool.optional(),
      ...editable,
    },
    async (c, p) => {
      const { project, mr } = find(c);
      if (mr.author_id !== c.user.id && app.projectLevel(c.user, project) < LEVEL.developer)
        throw forbidden();
      if (Object.keys(p).length === 0)
        throw plainError(
          400,
          'assignee_id, assignee_ids, description, discussion_locked, labels, remove_source_branch, reviewer_ids, squash, state_event, target_branch, title are missing, at least one parameter must be provided',
        );
      return app.exclusively(project, async () => {
        const before = {
          title: mr.title,
          description: mr.description,
          target_branch: mr.target_branch,
          labels: mr.labels,
          draft: isDraft(mr.title),
        };
        if (p.state_event === 'reopen' && mr.state === 'closed') {
          const twin = mergeRequests.find(
            (row) =>
              row.project_id === project.id &&
              row.state === 'opened' &&
              row.source_branch === mr.source_branch &&
              row.target_branch === mr.target_branch,
          );
          if (twin)
            throw messageError(409, [
              `Another open merge request already exists for this source branch: !${twin.iid}`,
            ]);
        }
        if (p.target_branch !== undefined && !(await app.repository(project).branch(p.target_branch))) {
          throw messageError(400, [`Target branch "${p.target_branch}" does not exist`]);
        }
        const labels = [...new Set([...(p.labels ?? mr.labels), ...(p.add_labels ?? [])])].filter(
          (label) => !p.remove_labels?.includes(label),
        );
        const assigned = assignees(p);
        mergeRequests.update(mr, {
          labels,
          updated_at: now(),
          ...(p.title === undefined ? {} : { title: p.title }),
          ...(p.description === undefined ? {} : { description: p.description }),
          ...(p.target_branch === undefined ? {} : { target_branch: p.target_branch, checked: null }),
          ...(p.squash === undefined ? {} : { squash: p.squash }),
          ...(p.remove_source_branch === undefined
            ? {}
            : { force_remove_source_branch: p.remove_source_branch }),
          ...(p.discussion_locked === undefined ? {} : { discussion_locked: p.discussion_locked }),
          ...(assigned === undefined ? {} : { assignee_ids: assigned }),
          ...(p.reviewer_ids === undefined ? {} : { reviewer_ids: people(p.reviewer_ids) }),
        });
        const after = {
          title: mr.title,
          description: mr.description,
          target_branch: mr.target_branch,
          labels: mr.labels,
          draft: isDraft(mr.title),
        };
        labelled(mr, c.user, before.labels);
        // MergeRequest#reload_diff_if_branch_changed; what is closed has its version when it is opened again.
        if (mr.target_branch !== before.target_branch && mr.state === 'opened')
          await app.mergeRequests.reloadDiff(project, mr);
        const changes: Record<string, unknown> = {};
        for (const key of Object.keys(after) as (keyof typeof after)[]) {
          if (JSON.stringify(before[key]) !== JSON.stringify(after[key]))
            changes[key] = { previous: before[key], current: after[key] };
        }
        if (Object.keys(changes).length > 0)
          await app.mergeRequests.emit(project, c.user, mr, 'update', { changes });
        if (p.state_event === 'close' && mr.state === 'opened') {
          mergeRequests.update(mr, { state: 'closed', closed_at: now(), closed_by_id: c.user.id });
          await app.mergeRequests.emit(project, c.user, mr, 'close');
        } else if (p.state_event === 'reopen' && mr.state === 'closed') {
          mergeRequests.update(mr, { state: 'opened', closed_at: null, closed_by_id: null });
          await app.mergeRequests.catchUp(project);
          // MergeRequests::ReopenService
          await app.mergeRequests.reloadDiff(project, mr);
          await app.mergeRequests.emit(project, c.user, mr, 'reopen');
        }
        return mergeRequestView(app, project, mr, c.user, true);
      });
    },
  );
  api.route('DELETE', '/projects/:id/merge_requests/:iid', {}, (c) => {
    const { mr } = find(c, LEVEL.owner);
    notes.deleteWhere((note) => note.merge_request_id === mr.id);
    app.tables.versions.deleteWhere((version) => version.merge_request_id === mr.id);
    app.tables.labelEvents.deleteWhere((event) => event.merge_request_id === mr.id);
    mergeRequests.delete(mr.id);
    return c.noContent();
  });

  api.route(
    'PUT',
    '/projects/:id/merge_requests/:iid/merge',
    {
      sha: nonEmpty.optional(),
      squash: bool.optional(),
      should_remove_source_branch: bool.optional(),
      merge_commit_message: text.optional(),
      squash_commit_message: text.optional(),
      merge_when_pipeline_succeeds: bool.optional(),
      auto_merge: bool.optional(),
    },
    async (c, p) => {
      const { project, mr } = find(c);
      const { merge_when_pipeline_succeeds: old, auto_merge: auto, ...options } = p;
      await app.exclusively(project, () =>
        app.mergeRequests.merge(project, c.user, mr, { ...options, auto_merge: auto ?? old ?? false }),
      );
      return mergeRequestView(app, project, mr, c.user, true);
    },
  );
  api.route('PUT', '/projects/:id/merge_requests/:iid/rebase', { skip_ci: bool.optional() }, async (c) => {
    const { project, mr } = find(c);
    await app.mergeRequests.rebase(project, c.user, mr);
    c.status = 202;
    return { rebase_in_progress: mr.rebasing === true };
  });
  api.route('GET', '/projects/:id/merge_requests/:iid/merge_ref', {}, async (c) => {
    const { project, mr } = find(c);
    await app.mergeRequests.mergeability(project, mr);
    const ref =
      mr.state === 'opened'
        ? await app.repository(project).resolve(`refs/merge-requests/${mr.iid}/merge`)
        : undefined;
    if (!ref) throw messageError(400, 'Merge request is not mergeable');
    return { commit_id: ref };
  });
  api.route('GET', '/projects/:id/merge_requests/:iid/commits', {}, async (c) => {
    const { project, mr } = find(c);
    return c.page(await app.repository(project).log([mr.sha, `^${mr.base_sha}`]), (commit) =>
      commitView(app, project, commit),
    );
  });
  api.route('GET', '/projects/:id/merge_requests/:iid/diffs', {}, async (c) => {
    const { project, mr } = find(c);
    return c.page(await app.repository(project).diff(mr.base_sha, mr.sha), diffView);
  });
  api.route('GET', '/projects/:id/merge_requests/:iid/changes', {}, async (c) => {
    const { project, mr } = find(c);
    return {
      ...(await mergeRequestView(app, project, mr, c.user, true)),
      changes: (await app.repository(project).diff(mr.base_sha, mr.sha)).map(diffView),
      overflow: false,
    };
  });
  api.route('GET', '/projects/:id/merge_requests/:iid/pipelines', {}, (c) => {
    const { project, mr } = find(c);
    const own = app.tables.pipelines.filter(
      (row) => row.project_id === project.id && row.ref === mr.source_branch && row.sha === mr.sha,
    );
    return c.page(own.reverse(), (row) => pipelineView(app, project, row));
  });
  const approvalsOf = (mr: MergeRequest) => mr.approvals ?? [];
  const hasApproved = (mr: MergeRequest, id: number) => approvalsOf(mr).some((one) => one.user_id === id);
  /** Who may push may approve, once; on Free authors too, with a licence only where the project says so. */
  const mayApprove = (c: Context, project: Project, mr: MergeRequest): boolean =>
    mr.state === 'opened' &&
    app.projectLevel(c.user, project) >= LEVEL.developer &&
    !hasApproved(mr, c.user.id) &&
    (app.tier === 'free' ||
      mr.author_id !== c.user.id ||
      approvalSettings(app, project).merge_requests_author_approval);
  /** `API::Entities::MergeRequestApprovals`; an Enterprise package, licensed or not, says more. */
  const approvalsView = (c: Context): Record<string, unknown> => {
    const { project, mr } = find(c);
    const enterprise = {
      id: mr.id,
      iid: mr.iid,
      project_id: mr.project_id,
      title: mr.title,
      state: mr.state,
      merge_status: mergeStatusOf(app, mr),
      approvals_required: approvalsRequired(app, project),
      approvals_left: approvalsLeft(app, project, mr),
    };
    return {
      ...(app.edition === 'enterprise' ? enterprise : {}),
      approved:
        app.edition === 'enterprise' ? approvalsLeft(app, project, mr) === 0 : approvalsOf(mr).length > 0,
      approved_by: approvalsOf(mr).map(({ user_id, at }) => ({
        user: basicUser(app, app.user(user_id)),
        approved_at: at,
      })),
      user_has_approved: hasApproved(mr, c.user.id),
      user_can_approve: mayApprove(c, project, mr),
    };
  };
  api.route('GET', '/projects/:id/merge_requests/:iid/approvals', {}, approvalsView);
  api.route('POST', '/projects/:id/merge_requests/:iid/approve', { sha: text.optional() }, async (c, p) => {
    const { project, mr } = find(c);
    if (!mayApprove(c, project, mr)) throw unauthorized();
    if (p.sha !== undefined && p.sha !== mr.sha)
      throw messageError(409, `SHA does not match HEAD of source branch: ${mr.sha}`);
    app.tables.mergeRequests.update(mr, {
      approvals: [...approvalsOf(mr), { user_id: c.user.id, at: now() }],
    });
    const action = approvalsLeft(app, project, mr) === 0 ? 'approved' : 'approval';
    await app.mergeRequests.emit(project, c.user, mr, action);
    return c.created(approvalsView(c));
  });
  api.route('POST', '/projects/:id/merge_requests/:iid/unapprove', {}, async (c) => {
    const { project, mr } = find(c);
    if (!hasApproved(mr, c.user.id)) throw notFound();
    const whole = approvalsLeft(app, project, mr) === 0;
    app.tables.mergeRequests.update(mr, {
      approvals: approvalsOf(mr).filter((one) => one.user_id !== c.user.id),
    });
    await app.mergeRequests.emit(project, c.user, mr, whole ? 'unapproved' : 'unapproval');
    return c.created(approvalsView(c));
  });
  /** `API::MergeRequestDiffs`: newest first. */
  api.route('GET', '/projects/:id/merge_requests/:iid/versions', {}, (c) => {
    const { mr } = find(c);
    const own = app.tables.versions.filter((row) => row.merge_request_id === mr.id);
    return c.page(own.reverse(), (row) => ({
      id: row.id,
      head_commit_sha: row.head,
      base_commit_sha: row.base,
      start_commit_sha: row.start,
      created_at: row.created_at,
      merge_request_id: mr.id,
      state: 'collected',
      real_size: null,
      patch_id_sha: null,
    }));
  });

  const body = z.string().refine((value) => value.trim() !== '', { error: 'is empty' });
  api.route('GET', '/projects/:id/merge_requests/:iid/notes', noteListShape, (c, p) => {
    const { project, mr } = find(c);
    const own = notes.filter((note) => note.merge_request_id === mr.id);
    return c.page(listedNotes(own, p), (note) => noteView(app, project, mr, note));
  });
  const findNote = (c: Context): { project: Project; mr: MergeRequest; note: Note } => {
    const { project, mr } = find(c);
    const note = notes.get(c.number('note_id'));
    if (note?.merge_request_id !== mr.id) throw notFound();
    return { project, mr, note };
  };
  /** The author may change a note, and maintainers may. */
  const administer = (c: Context): { project: Project; mr: MergeRequest; note: Note } => {
    const found = findNote(c);
    if (found.note.author_id !== c.user.id && app.projectLevel(c.user, found.project) < LEVEL.maintainer)
      throw forbidden();
    return found;
  };
  /** Saving a note changes what it is of (app/models/note.rb, `after_save :touch_noteable`). */
  const touch = (mr: MergeRequest) => app.tables.mergeRequests.update(mr, { updated_at: now() });
  api.route('GET', '/projects/:id/merge_requests/:iid/notes/:note_id', {}, (c) => {
    const { project, mr, note } = findNote(c);
    return noteView(app, project, mr, note);
  });
  api.route(
    'POST',
    '/projects/:id/merge_requests/:iid/notes',
    { body, internal: bool.optional(), created_at: text.optional() },
    async (c, p) => {
      const { project, mr } = find(c);
      if (project.archived) throw forbidden();
      if (mr.discussion_locked && app.projectLevel(c.user, project) < LEVEL.reporter) throw forbidden();
      checkNoteLength(p.body);
      const created = p.created_at ?? now();
      const note = notes.insert({
        project_id: project.id,
        merge_request_id: mr.id,
        author_id: c.user.id,
        body: p.body,
        internal: p.internal ?? false,
        created_at: created,
        updated_at: created,
      });
      touch(mr);
      app.webhooks.emit(project, 'note_events', await notePayload(app, project, c.user, mr, note, 'create'));
      return c.created(noteView(app, project, mr, note));
    },
  );
  api.route('PUT', '/projects/:id/merge_requests/:iid/notes/:note_id', { body }, async (c, p) => {
    const { project, mr, note } = administer(c);
    checkNoteLength(p.body);
    notes.update(note, { body: p.body, updated_at: now() });
    touch(mr);
    app.webhooks.emit(project, 'note_events', await notePayload(app, project, c.user, mr, note, 'update'));
    return noteView(app, project, mr, note);
  });
  api.route('DELETE', '/projects/:id/merge_requests/:iid/notes/:note_id', {}, (c) => {
    notes.delete(administer(c).note.id);
    return c.noContent();
  });
}
