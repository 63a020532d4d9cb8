import { z } from 'zod';
import type { App } from '../instance/app';
import { type ApiError, messageError, notFound, plainError } from '../instance/errors';
import { type Api, bool, type Context, nonEmpty, text } from '../instance/http';
import { now } from '../instance/instance';
import { type Hook, type HookEvent, LEVEL, type Project, type User, ZERO_SHA } from '../instance/model';
import { HOOK_EVENTS, type HookEventName, type Payload } from '../instance/parts';
import { mergeRequestPayload, notePayload, pipelinePayload, pushPayload } from '../instance/payloads';
import { hookEventView, hookView } from '../instance/views';
import { blockedReason } from '../instance/webhooks';

/** Events of GitLab that are never sent here: a hook cannot ask for them. */
const NOT_DELIVERED = [
  'issues_events',
  'confidential_issues_events',
  'confidential_note_events',
  'job_events',
  'wiki_page_events',
  'deployment_events',
  'feature_flag_events',
  'releases_events',
  'milestone_events',
  'emoji_events',
  'resource_access_token_events',
  'resource_deploy_token_events',
  'vulnerability_events',
] as const;

const pairs = z.array(z.strictObject({ key: nonEmpty, value: text })).optional();

const shape = {
  name: text.optional(),
  description: text.optional(),
  token: text.optional(),
  enable_ssl_verification: bool.optional(),
  push_events_branch_filter: text.optional(),
  branch_filter_strategy: z.enum(['wildcard', 'regex', 'all_branches']).optional(),
  custom_headers: pairs,
  ...Object.fromEntries(
    [...Object.keys(HOOK_EVENTS), ...NOT_DELIVERED].map((name) => [name, bool.optional()]),
  ),
};

interface HookParams {
  name?: string;
  description?: string;
  token?: string;
  enable_ssl_verification?: boolean;
  push_events_branch_filter?: string;
  branch_filter_strategy?: Hook['branch_filter_strategy'];
  custom_headers?: { key: string; value: string }[];
}

export function hookRoutes(api: Api, app: App): void {
  const { hooks, hookEvents } = app.tables;

  const find = (c: Context): { project: Project; hook: Hook } => {
    const project = c.project(LEVEL.maintainer);
    const hook = hooks.get(c.number('hook_id'));
    if (hook?.project_id !== project.id) throw notFound();
    return { project, hook };
  };
  const checkUrl = async (url: string): Promise<void> => {
    const reason = await blockedReason(url, app.settings);
    if (reason === undefined) return;
    app.log.warn(
      `hook URL ${url} ${reason} (application setting allow_local_requests_from_web_hooks_and_services)`,
    );
    throw plainError(422, 'Invalid url given');
  };
  const events = (p: Record<string, unknown>): Record<string, boolean> => {
    const result: Record<string, boolean> = {};
    for (const name of NOT_DELIVERED) {
      if (p[name] === true)
        throw plainError(400, `${name} is not covered by this stand-in: it never sends them`);
      result[name] = false;
    }
    for (const name of Object.keys(HOOK_EVENTS)) if (p[name] !== undefined) result[name] = p[name] === true;
    return result;
  };
  const checkFilter = (p: HookParams): void => {
    if (p.push_events_branch_filter === undefined || p.branch_filter_strategy !== 'regex') return;
    try {
      new RegExp(p.push_events_branch_filter);
    } catch {
      throw plainError(422, 'Invalid branch filter given');
    }
  };
  const fields = (p: HookParams): Partial<Hook> => ({
    ...(p.name === undefined ? {} : { name: p.name }),
    ...(p.description === undefined ? {} : { description: p.description }),
    ...(p.token === undefined ? {} : { token: p.token === '' ? null : p.token }),
    ...(p.enable_ssl_verification === undefined
      ? {}
      : { enable_ssl_verification: p.enable_ssl_verification }),
    ...(p.push_events_branch_filter === undefined
      ? {}
      : { push_events_branch_filter: p.push_events_branch_filter }),
    ...(p.branch_filter_strategy === undefined ? {} : { branch_filter_strategy: p.branch_filter_strategy }),
  });
  const headers = (p: HookParams): Record<string, string> =>
    Object.fromEntries((p.custom_headers ?? []).map(({ key, value }) => [key, value]));

  api.route('GET', '/projects/:id/hooks', {}, (c) => {
    const project = c.project(LEVEL.maintainer);
    return c.page(
      hooks.filter((row) => row.project_id === project.id),
      hookView,
    );
  });
  api.route('GET', '/projects/:id/hooks/:hook_id', {}, (c) => hookView(find(c).hook));
  api.route('POST', '/projects/:id/hooks', { url: nonEmpty, ...shape }, async (c, p) => {
    const project = c.project(LEVEL.maintainer);
    const params = p as HookParams & { url: string };
    await checkUrl(params.url);
    checkFilter(params);
    const hook = hooks.insert({
      project_id: project.id,
      url: params.url,
      name: null,
      description: null,
      token: null,
      created_at: now(),
      enable_ssl_verification: true,
      push_events_branch_filter: null,
      branch_filter_strategy: 'wildcard',
      custom_headers: headers(params),
      recent_failures: 0,
      disabled_until: null,
      ...fields(params),
      // Only push events are on by themselves.
      events: {
        push_events: true,
        tag_push_events: false,
        merge_requests_events: false,
        note_events: false,
        pipeline_events: false,
        ...events(p),
      },
    });
    return c.created(hookView(hook));
  });
  api.route('PUT', '/projects/:id/hooks/:hook_id', { url: nonEmpty.optional(), ...shape }, async (c, p) => {
    const { hook } = find(c);
    const params = p as HookParams & { url?: string };
    if (Object.keys(p).length === 0) throw plainError(400, 'No parameters provided');
    if (params.url !== undefined) await checkUrl(params.url);
    checkFilter({ ...hook, ...params } as HookParams);
    const moved = params.url !== undefined && params.url !== hook.url;
    hooks.update(hook, {
      ...fields(params),
      // A secret must not leave for an address it was not given for.
      ...(moved ? { url: params.url, ...(params.token === undefined ? { token: null } : {}) } : {}),
      events: { ...hook.events, ...events(p) },
      custom_headers: { ...hook.custom_headers, ...headers(params) },
    });
    return hookView(hook);
  });
  api.route('DELETE', '/projects/:id/hooks/:hook_id', {}, (c) => {
    const { hook } = find(c);
    hooks.delete(hook.id);
    hookEvents.deleteWhere((event) => event.hook_id === hook.id);
    return c.noContent();
  });
  api.route('PUT', '/projects/:id/hooks/:hook_id/custom_headers/:key', { value: text }, (c, p) => {
    const { hook } = find(c);
    hooks.update(hook, { custom_headers: { ...hook.custom_headers, [c.path.key ?? '']: p.value } });
    return c.noContent();
  });
  api.route('DELETE', '/projects/:id/hooks/:hook_id/custom_headers/:key', {}, (c) => {
    const { hook } = find(c);
    const { [c.path.key ?? '']: gone, ...rest } = hook.custom_headers;
    if (gone === undefined) throw notFound();
    hooks.update(hook, { custom_headers: rest });
    return c.noContent();
  });

  api.route('GET', '/projects/:id/hooks/:hook_id/events', { status: text.optional() }, (c, p) => {
    const { hook } = find(c);
    const ranges: Record<string, [number, number]> = {
      successful: [200, 299],
      client_failure: [400, 499],
      server_failure: [500, 599],
    };
    const range =
      p.status === undefined ? undefined : (ranges[p.status] ?? [Number(p.status), Number(p.status)]);
    if (range?.some(Number.isNaN)) throw plainError(400, 'status does not have a valid value');
    const since = new Date(Date.now() - 7 * 86_400_000).toISOString();
    const wanted = hookEvents.filter((event) => {
      if (event.hook_id !== hook.id || event.response_status === null || event.created_at < since)
        return false;
      return (
        range === undefined ||
        (Number(event.response_status) >= range[0] && Number(event.response_status) <= range[1])
      );
    });
    return c.page(wanted.reverse(), hookEventView);
  });
  api.route('POST', '/projects/:id/hooks/:hook_id/events/:event_id/resend', {}, async (c) => {
    const { hook } = find(c);
    const event = hookEvents.get(c.number('event_id'));
    if (event?.hook_id !== hook.id) throw notFound();
    const sent = await app.webhooks.resend(hook, event);
    if (sent.error !== null) throw messageError(422, sent.error);
    return c.created({ response_status: Number(sent.response_status) });
  });
  api.route('POST', '/projects/:id/hooks/:hook_id/test/:trigger', {}, async (c) => {
    const { project, hook } = find(c);
    const trigger = c.path.trigger as HookEventName;
    if (!Object.hasOwn(HOOK_EVENTS, trigger)) throw plainError(400, 'trigger does not have a valid value');
    const sent: HookEvent = await app.webhooks.test(
      hook,
      trigger,
      await sample(app, project, c.user, trigger),
    );
    // Narrower than what counts as a success of the hook, which a redirect is (Hooks::TriggerTest, WebHookService).
    const code = Number(sent.response_status);
    if (sent.error !== null || code < 200 || code > 299)
      throw messageError(422, sent.error ?? sent.response_body);
    return c.created({ message: '201 Created' });
  });
}

/** A test sends real data of the project, and is refused where there is none, in GitLab's words. */
async function sample(app: App, project: Project, user: User, trigger: HookEventName): Promise<Payload> {
  const none = (what: string): ApiError => messageError(422, `Ensure the project has ${what}.`);
  const repository = app.repository(project);
  const { mergeRequests, notes, pipelines, statuses } = app.tables;
  const mine = (row: { project_id: number }): boolean => row.project_id === project.id;
  switch (trigger) {
    case 'push_events': {
      const head = await repository.branch(project.default_branch);
      if (!head) throw none('at least one commit');
      const commits = await repository.log(['--max-count=3', head]);
      return pushPayload(
        app,
        repository,
        project,
        user,
        { ref: `refs/heads/${project.default_branch}`, before: commits.at(-1)?.id ?? ZERO_SHA, after: head },
        {},
      );
    }
    case 'tag_push_events': {
      const tag = (await repository.refs('refs/tags/')).at(-1);
      if (!tag) throw none('tags');
      return pushPayload(
        app,
        repository,
        project,
        user,
        { ref: `refs/tags/${tag.name}`, before: ZERO_SHA, after: tag.target },
        {},
      );
    }
    case 'merge_requests_events': {
      const mr = mergeRequests.filter(mine).at(-1);
      if (!mr) throw none('merge requests');
      return mergeRequestPayload(app, project, user, mr, undefined);
    }
    case 'note_events': {
      const note = notes.filter(mine).at(-1);
      const mr = note ? mergeRequests.get(note.merge_request_id) : undefined;
      if (!note || !mr) throw none('notes');
      return notePayload(app, project, user, mr, note, 'create');
    }
    case 'pipeline_events': {
      const pipeline = pipelines.filter(mine).at(-1);
      if (!pipeline) throw none('CI pipelines');
      return pipelinePayload(
        app,
        project,
        pipeline,
        statuses.filter((row) => row.pipeline_id === pipeline.id && !row.retried),
      );
    }
  }
}
