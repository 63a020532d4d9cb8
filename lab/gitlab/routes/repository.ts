import { createHash } from 'node:crypto';
import { z } from 'zod';
import { tagRights } from '../instance/access';
import type { App } from '../instance/app';
import { forbidden, messageError, notFound, plainError } from '../instance/errors';
import type { CommitInfo, FileChange, Person, Repository, TreeChange } from '../instance/git';
import { type Api, bool, type Context, nonEmpty, type Shape, text } from '../instance/http';
import { personOf } from '../instance/instance';
import { LEVEL, type Project, type User, ZERO_SHA } from '../instance/model';
import { commitView, mergeRequestView } from '../instance/views';

const READ = { scopes: ['read_repository'], anonymous: true };
const encoding = z.enum(['text', 'base64']).optional();

interface Action {
  action: 'create' | 'update' | 'delete' | 'move' | 'chmod';
  file_path: string;
  previous_path?: string;
  content?: string;
  encoding?: 'text' | 'base64';
  last_commit_id?: string;
  execute_filemode?: boolean;
}

interface CommitRequest {
  branch: string;
  start_branch?: string;
  start_sha?: string;
  message: string;
  author: Person;
  actions: readonly Action[];
  force?: boolean;
}

export function repositoryRoutes(api: Api, app: App): void {
  const readable = (c: Context): { project: Project; repository: Repository } => {
    const project = c.project();
    const level = app.projectLevel(c.maybeUser, project);
    if (project.settings.visibility === 'private' && level < LEVEL.reporter) throw forbidden();
    return { project, repository: app.repository(project) };
  };
  const commitOf = async (
    repository: Repository,
    ref: string | undefined,
    what = 'Commit',
  ): Promise<string> => {
    const sha = ref === undefined ? undefined : await repository.resolve(ref);
    if (!sha) throw notFound(what);
    return sha;
  };
  const writable = (c: Context): Project => {
    const project = c.project(LEVEL.developer);
    if (project.archived || project.marked_for_deletion_on !== null) throw forbidden();
    return project;
  };

  api.route(
    'GET',
    '/projects/:id/repository/tree',
    { path: text.optional(), ref: text.optional(), recursive: bool.optional() },
    async (c, p) => {
      const { project, repository } = readable(c);
      const sha = await repository.resolve(p.ref ?? project.default_branch);
      if (!sha) throw notFound('Tree');
      const entries = await repository.tree(sha, (p.path ?? '').replace(/\/+$/, ''), p.recursive ?? false);
      if (!entries) throw notFound('invalid revision or path');
      // Directories come first, as in GitLab.
      const rank = { tree: 0, blob: 1, commit: 2 };
      entries.sort((a, b) => rank[a.type] - rank[b.type]);
      return c.page(entries, (entry) => ({
        id: entry.id,
        name: entry.path.split('/').at(-1),
        type: entry.type,
        path: entry.path,
        mode: entry.mode,
      }));
    },
    READ,
  );

  const file = async (
    c: Context,
    ref: string,
  ): Promise<{ headers: Record<string, string>; view: Record<string, unknown>; content: Buffer }> => {
    const { repository } = readable(c);
    const path = c.path.file_path ?? '';
    const commit = await commitOf(repository, ref);
    const entry = await repository.entry(commit, path);
    if (entry?.type !== 'blob') throw notFound('File');
    const content = await repository.blob(entry.id);
    const view = {
      file_name: path.split('/').at(-1) ?? path,
      file_path: path,
      size: content.length,
      encoding: 'base64',
      content_sha256: createHash('sha256').update(content).digest('hex'),
      ref,
      blob_id: entry.id,
      commit_id: commit,
      last_commit_id: (await repository.lastCommitOf(commit, path)) ?? commit,
      execute_filemode: entry.mode === '100755',
    };
    const headers = Object.fromEntries(
      Object.entries(view).map(([key, value]) => [
        `X-Gitlab-${key
          .split('_')
          .map((word) => (word === 'id' ? 'Id' : word[0]?.toUpperCase() + word.slice(1)))
          .join('-')}`,
        encodeURI(String(value)),
      ]),
    );
    return { headers, view, content };
  };
  api.route(
    'GET',
    '/projects/:id/repository/files/:file_path',
    { ref: nonEmpty },
    async (c, p) => {
      const found = await file(c, p.ref);
      return { ...found.view, content: found.content.toString('base64') };
    },
    READ,
  );
  api.route(
    'HEAD',
    '/projects/:id/repository/files/:file_path',
    { ref: nonEmpty },
    async (c, p) => {
      Object.assign(c.headers, (await file(c, p.ref)).headers);
      return '';
    },
    READ,
  );
  api.route(
    'GET',
    '/projects/:id/repository/files/:file_path/raw',
    { ref: text.optional() },
    async (c, p) => {
      const found = await file(c, p.ref ?? 'HEAD');
      Object.assign(c.headers, found.headers, { 'Content-Type': 'text/plain; charset=utf-8' });
      return found.content;
    },
    READ,
  );

  const common = {
    branch: nonEmpty,
    start_branch: nonEmpty.optional(),
    author_email: text.optional(),
    author_name: text.optional(),
    commit_message: nonEmpty,
  };
  const author = (user: User, p: { author_name?: string; author_email?: string }): Person => ({
    name: p.author_name ?? user.name,
    email: p.author_email ?? user.email,
  });
  for (const [method, action] of [
    ['POST', 'create'],
    ['PUT', 'update'],
    ['DELETE', 'delete'],
  ] as const) {
    const content: Shape =
      action === 'delete' ? {} : { content: text, encoding, execute_filemode: bool.optional() };
    const guard: Shape = action === 'create' ? {} : { last_commit_id: text.optional() };
    const extra: object = { ...content, ...guard };
    api.route(method, '/projects/:id/repository/files/:file_path', { ...common, ...extra }, async (c, p) => {
      const project = writable(c);
      const path = c.path.file_path ?? '';
      const given = p as {
        content?: string;
        encoding?: 'text' | 'base64';
        execute_filemode?: boolean;
        last_commit_id?: string;
      };
      const change: Action = { ...given, action, file_path: path };
      await commit(app, project, c.user, {
        branch: p.branch,
        start_branch: p.start_branch,
        message: p.commit_message,
        author: author(c.user, p),
        actions: [change],
      });
      if (action === 'delete') return c.noContent();
      if (action === 'create') c.status = 201;
      return { file_path: path, branch: p.branch };
    });
  }

  const actionShape = z.strictObject({
    action: z.enum(['create', 'update', 'delete', 'move', 'chmod']),
    file_path: nonEmpty,
    previous_path: nonEmpty.optional(),
    content: text.optional(),
    encoding,
    last_commit_id: text.optional(),
    execute_filemode: bool.optional(),
  });
  api.route(
    'POST',
    '/projects/:id/repository/commits',
    {
      branch: nonEmpty,
      start_branch: nonEmpty.optional(),
      start_sha: nonEmpty.optional(),
      commit_message: nonEmpty,
      actions: z.array(actionShape).min(1),
      author_email: text.optional(),
      author_name: text.optional(),
      stats: bool.optional(),
      force: bool.optional(),
    },
    async (c, p) => {
      const project = writable(c);
      const actions = p.actions as Action[];
      const sha = await commit(app, project, c.user, {
        branch: p.branch,
        start_branch: p.start_branch,
        start_sha: p.start_sha,
        message: p.commit_message,
        author: author(c.user, p),
        actions,
        force: p.force,
      });
      return c.created(await commitDetail(app, project, sha));
    },
  );
  api.route(
    'GET',
    '/projects/:id/repository/commits',
    {
      ref_name: text.optional(),
      since: text.optional(),
      until: text.optional(),
      path: text.optional(),
      author: text.optional(),
      all: bool.optional(),
      first_parent: bool.optional(),
      with_stats: z.literal([false, 'false']).optional(),
    },
    async (c, p) => {
      const { project, repository } = readable(c);
      const range = (p.ref_name ?? project.default_branch).split('..').filter((part) => part !== '');
      const shas: string[] = [];
      for (const [index, ref] of range.entries()) {
        const sha = await repository.resolve(ref);
        // An empty repository has an empty list of commits.
        if (!sha && p.ref_name === undefined) return c.page([], (row) => row);
        if (!sha) throw notFound('invalid ref');
        shas.push(index === 0 && range.length === 2 ? `^${sha}` : sha);
      }
      const args = [
        ...(p.all ? ['--branches', '--tags'] : []),
        ...(p.first_parent ? ['--first-parent'] : []),
      ];
      for (const key of ['since', 'until', 'author'] as const)
        if (p[key] !== undefined) args.push(`--${key}=${p[key]}`);
      const commits = await repository.log([...args, ...shas, ...(p.path ? ['--', p.path] : [])]);
      return c.page(commits, (row) => commitView(app, project, row));
    },
    READ,
  );
  const single = async (
    c: Context,
  ): Promise<{ project: Project; repository: Repository; commit: CommitInfo }> => {
    const { project, repository } = readable(c);
    const found = await repository.commit(await commitOf(repository, c.path.sha));
    if (!found) throw notFound('Commit');
    return { project, repository, commit: found };
  };
  api.route(
    'GET',
    '/projects/:id/repository/commits/:sha',
    { stats: bool.optional() },
    async (c) => {
      const { project, commit: found } = await single(c);
      return commitDetail(app, project, found.id);
    },
    READ,
  );
  api.route(
    'GET',
    '/projects/:id/repository/commits/:sha/diff',
    {},
    async (c) => {
      const { repository, commit: found } = await single(c);
      return c.page(await repository.diff(found.parent_ids[0], found.id), diffView);
    },
    READ,
  );
  api.route(
    'GET',
    '/projects/:id/repository/commits/:sha/refs',
    { type: z.enum(['branch', 'tag', 'all']).optional() },
    async (c, p) => {
      const { repository, commit: found } = await single(c);
      const type = p.type ?? 'all';
      const names = async (
        kind: 'branch' | 'tag',
        prefix: string,
      ): Promise<{ type: string; name: string }[]> =>
        type === 'all' || type === kind
          ? (await repository.refsContaining(found.id, prefix)).map((name) => ({ type: kind, name }))
          : [];
      return c.page(
        [...(await names('branch', 'refs/heads/')), ...(await names('tag', 'refs/tags/'))],
        (row) => row,
      );
    },
  );
  api.route(
    'GET',
    '/projects/:id/repository/commits/:sha/merge_requests',
    { state: z.enum(['opened', 'closed', 'merged', 'locked', 'all']).optional() },
    async (c, p) => {
      const { project, repository, commit: found } = await single(c);
      const wanted = [];
      for (const mr of app.tables.mergeRequests.filter((row) => row.project_id === project.id)) {
        const contained =
          (await repository.isAncestor(found.id, mr.sha)) &&
          !(await repository.isAncestor(found.id, mr.base_sha));
        const merged = mr.merge_commit_sha === found.id || mr.squash_commit_sha === found.id;
        if ((contained || merged) && (p.state === undefined || p.state === 'all' || mr.state === p.state))
          wanted.push(mr);
      }
      return Promise.all(c.page(wanted, (mr) => mergeRequestView(app, project, mr, c.user, false)));
    },
  );

  const branchView = async (
    project: Project,
    user: User | undefined,
    name: string,
    sha: string,
  ): Promise<Record<string, unknown>> => {
    const repository = app.repository(project);
    const head = await repository.commit(sha);
    const rights = user ? app.branchRights(user, project, name) : undefined;
    const main = await repository.branch(project.default_branch);
    return {
      name,
      commit: head ? commitView(app, project, head) : null,
      merged:
        name !== project.default_branch && main !== undefined && (await repository.isAncestor(sha, main)),
      protected: app.isProtected(project, name),
      developers_can_push:
        app.tables.protectedBranches
          .find((row) => row.project_id === project.id && row.name === name)
          ?.push.some((rule) => rule.access_level === LEVEL.developer) ?? false,
      developers_can_merge:
        app.tables.protectedBranches
          .find((row) => row.project_id === project.id && row.name === name)
          ?.merge.some((rule) => rule.access_level === LEVEL.developer) ?? false,
      can_push: rights?.push ?? false,
      default: name === project.default_branch,
      web_url: `${app.externalUrl}/${app.projectPath(project)}/-/tree/${name}`,
    };
  };
  api.route(
    'GET',
    '/projects/:id/repository/branches',
    { search: text.optional(), regex: text.optional() },
    async (c, p) => {
      const { project, repository } = readable(c);
      if (p.regex !== undefined && p.search !== undefined)
        throw plainError(400, 'search, regex are mutually exclusive');
      const search = p.search ?? '';
      const literal = search.replace(/^\^|\$$/g, '');
      let pattern: RegExp | undefined;
      try {
        pattern = p.regex === undefined ? undefined : new RegExp(p.regex);
      } catch {
        throw plainError(400, 'regex is invalid');
      }
      const wanted = (await repository.refs('refs/heads/')).filter(({ name }) => {
        if (pattern) return pattern.test(name);
        if (search.startsWith('^') && search.endsWith('$')) return name === literal;
        if (search.startsWith('^')) return name.startsWith(literal);
        if (search.endsWith('$')) return name.endsWith(literal);
        return name.includes(literal);
      });
      return Promise.all(c.page(wanted, (row) => branchView(project, c.user, row.name, row.commit)));
    },
  );
  const branchOf = async (c: Context): Promise<{ project: Project; name: string; sha: string }> => {
    const { project, repository } = readable(c);
    const name = c.path.branch ?? '';
    const sha = await repository.branch(name);
    if (!sha) throw notFound('Branch');
    return { project, name, sha };
  };
  api.route('GET', '/projects/:id/repository/branches/:branch', {}, async (c) => {
    const { project, name, sha } = await branchOf(c);
    return branchView(project, c.user, name, sha);
  });
  api.route('HEAD', '/projects/:id/repository/branches/:branch', {}, async (c) => {
    await branchOf(c);
    c.status = 204;
    return '';
  });
  api.route(
    'POST',
    '/projects/:id/repository/branches',
    { branch: nonEmpty, ref: nonEmpty },
    async (c, p) => {
      const project = writable(c);
      const repository = app.repository(project);
      return app.exclusively(project, async () => {
        if (!(await repository.isValidBranchName(p.branch)))
          throw messageError(400, 'Branch name is invalid');
        if (await repository.branch(p.branch)) throw messageError(400, 'Branch already exists');
        const sha = await repository.resolve(p.ref);
        if (!sha)
          throw messageError(400, `Failed to create branch '${p.branch}': invalid reference name '${p.ref}'`);
        const rights = app.branchRights(c.user, project, p.branch);
        if (rights.protected && !rights.push) throw forbidden();
        await repository.updateRef(`refs/heads/${p.branch}`, sha, ZERO_SHA);
        await app.refsChanged(project, c.user, [
          { ref: `refs/heads/${p.branch}`, before: ZERO_SHA, after: sha },
        ]);
        return c.created(await branchView(project, c.user, p.branch, sha));
      });
    },
  );
  api.route('DELETE', '/projects/:id/repository/branches/:branch', {}, async (c) => {
    const project = writable(c);
    return app.exclusively(project, async () => {
      const { name, sha } = await branchOf(c);
      if (name === project.default_branch) throw messageError(400, 'Cannot remove HEAD branch');
      if (app.isProtected(project, name) && app.projectLevel(c.user, project) < LEVEL.maintainer)
        throw messageError(403, "You don't have push access to repo");
      await app.repository(project).updateRef(`refs/heads/${name}`, undefined, sha);
      await app.refsChanged(project, c.user, [{ ref: `refs/heads/${name}`, before: sha, after: ZERO_SHA }]);
      return c.noContent();
    });
  });

  const tagView = async (
    project: Project,
    tag: { name: string; commit: string; target: string; message: string | null },
  ): Promise<Record<string, unknown>> => {
    const target = await app.repository(project).commit(tag.commit);
    return {
      name: tag.name,
      message: tag.message ?? '',
      target: tag.target,
      commit: target ? commitView(app, project, target) : null,
      release: null,
      protected:
        app.tables.protectedTags.find((row) => row.project_id === project.id && row.name === tag.name) !==
        undefined,
      created_at: null,
    };
  };
  api.route(
    'GET',
    '/projects/:id/repository/tags',
    {
      search: text.optional(),
      order_by: z.enum(['name', 'updated', 'version']).optional(),
      sort: z.enum(['asc', 'desc']).optional(),
    },
    async (c, p) => {
      const { project, repository } = readable(c);
      const tags = (await repository.refs('refs/tags/')).filter((tag) => tag.name.includes(p.search ?? ''));
      tags.sort(
        (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }) * (p.sort === 'asc' ? 1 : -1),
      );
      return Promise.all(c.page(tags, (tag) => tagView(project, tag)));
    },
  );
  const tagOf = async (c: Context) => {
    const { project, repository } = readable(c);
    const tag = (await repository.refs('refs/tags/')).find((row) => row.name === c.path.tag);
    if (!tag) throw notFound('Tag');
    return { project, tag };
  };
  api.route('GET', '/projects/:id/repository/tags/:tag', {}, async (c) => {
    const { project, tag } = await tagOf(c);
    return tagView(project, tag);
  });
  const mayCreateTag = (c: Context, project: Project, name: string): boolean =>
    tagRights(
      app.tables.protectedTags.filter((row) => row.project_id === project.id),
      name,
      app.actor(c.user, project),
    ).create;
  api.route(
    'POST',
    '/projects/:id/repository/tags',
    { tag_name: nonEmpty, ref: nonEmpty, message: text.optional() },
    async (c, p) => {
      const project = writable(c);
      const repository = app.repository(project);
      return app.exclusively(project, async () => {
        if (!mayCreateTag(c, project, p.tag_name))
          throw messageError(400, `You are not allowed to create this tag as it is protected.`);
        if (!(await repository.isValidBranchName(p.tag_name))) throw messageError(400, 'Tag name invalid');
        if ((await repository.refs('refs/tags/')).some((tag) => tag.name === p.tag_name))
          throw messageError(400, `Tag ${p.tag_name} already exists`);
        const sha = await repository.resolve(p.ref);
        if (!sha) throw messageError(400, `Target ${p.ref} is invalid`);
        const target = p.message
          ? await repository.annotatedTag(p.tag_name, sha, p.message, personOf(c.user))
          : sha;
        await repository.updateRef(`refs/tags/${p.tag_name}`, target, ZERO_SHA);
        await app.refsChanged(project, c.user, [
          { ref: `refs/tags/${p.tag_name}`, before: ZERO_SHA, after: target },
        ]);
        return c.created(
          await tagView(project, { name: p.tag_name, commit: sha, target, message: p.message ?? null }),
        );
      });
    },
  );
  api.route('DELETE', '/projects/:id/repository/tags/:tag', {}, async (c) => {
    const project = writable(c);
    return app.exclusively(project, async () => {
      const { tag } = await tagOf(c);
      if (!mayCreateTag(c, project, tag.name)) throw forbidden();
      await app.repository(project).updateRef(`refs/tags/${tag.name}`, undefined, tag.target);
      await app.refsChanged(project, c.user, [
        { ref: `refs/tags/${tag.name}`, before: tag.target, after: ZERO_SHA },
      ]);
      return c.noContent();
    });
  });

  api.route(
    'GET',
    '/projects/:id/repository/compare',
    { from: nonEmpty, to: nonEmpty, straight: bool.optional() },
    async (c, p) => {
      const { project, repository } = readable(c);
      const [from, to] = [await commitOf(repository, p.from, 'Ref'), await commitOf(repository, p.to, 'Ref')];
      const base = p.straight ? from : ((await repository.mergeBase(from, to)) ?? from);
      const commits = (await repository.log([to, `^${from}`])).reverse();
      const last = commits.at(-1);
      return {
        commit: last ? commitView(app, project, last) : null,
        commits: commits.map((row) => commitView(app, project, row)),
        diffs: (await repository.diff(base, to)).map(diffView),
        compare_timeout: false,
        compare_same_ref: from === to,
        web_url: `${app.externalUrl}/${app.projectPath(project)}/-/compare/${p.from}...${p.to}`,
      };
    },
    READ,
  );
  api.route(
    'GET',
    '/projects/:id/repository/merge_base',
    { refs: z.array(z.string()).min(2).optional() },
    async (c, p) => {
      const { project, repository } = readable(c);
      if (!p.refs) throw plainError(400, 'refs is missing');
      let base: string | undefined;
      for (const ref of p.refs) {
        const sha = await repository.resolve(ref);
        if (!sha) throw messageError(400, `Could not find ref: ${ref}`);
        base = base === undefined ? sha : await repository.mergeBase(base, sha);
        if (base === undefined) throw notFound('Merge Base');
      }
      const found = base ? await repository.commit(base) : undefined;
      if (!found) throw notFound('Merge Base');
      return commitView(app, project, found);
    },
  );
}

export function diffView(change: FileChange): Record<string, unknown> {
  return { ...change, generated_file: false, collapsed: false, too_large: false };
}

async function commitDetail(app: App, project: Project, sha: string): Promise<Record<string, unknown>> {
  const repository = app.repository(project);
  const found = await repository.commit(sha);
  if (!found) throw notFound('Commit');
  const lines = (await repository.diff(found.parent_ids[0], sha)).flatMap((change) =>
    change.diff.split('\n'),
  );
  const additions = lines.filter((line) => line.startsWith('+')).length;
  const deletions = lines.filter((line) => line.startsWith('-')).length;
  const pipeline = app.tables.pipelines
    .filter((row) => row.project_id === project.id && row.sha === sha)
    .at(-1);
  return {
    ...commitView(app, project, found),
    stats: { additions, deletions, total: additions + deletions },
    status: pipeline?.status ?? null,
    project_id: project.id,
    last_pipeline: pipeline
      ? {
          id: pipeline.id,
          iid: pipeline.iid,
          project_id: project.id,
          sha,
          ref: pipeline.ref,
          status: pipeline.status,
          source: pipeline.source,
        }
      : null,
  };
}

/** Commits the actions to the branch in one step. @throws ApiError 400 with GitLab's sentence */
async function commit(app: App, project: Project, user: User, request: CommitRequest): Promise<string> {
  const repository = app.repository(project);
  const rights = app.branchRights(user, project, request.branch);
  if (!rights.push) throw messageError(400, 'You are not allowed to push into this branch');
  return app.exclusively(project, async () => {
    if (!(await repository.isValidBranchName(request.branch)))
      throw messageError(400, 'You can only create or edit files when you are on a branch');
    const head = await repository.branch(request.branch);
    const restart = request.start_branch !== undefined || request.start_sha !== undefined;
    let start = head;
    if (restart && (!head || request.force)) {
      start = await repository.resolve(request.start_sha ?? `refs/heads/${request.start_branch}`);
      if (!start) throw messageError(400, 'Cannot find start branch or commit');
    } else if (restart && request.start_branch !== request.branch) {
      throw messageError(
        400,
        `A branch called '${request.branch}' already exists. Switch to that branch in order to make changes`,
      );
    }
    if (!start && (await repository.refs('refs/heads/')).length > 0)
      throw messageError(400, 'You can only create or edit files when you are on a branch');
    const changes: TreeChange[] = [];
    for (const action of request.actions)
      changes.push(...(await changesFor(repository, start, action, request.actions.length > 1)));
    const tree = await repository.writeTree(start, changes);
    const sha = await repository.commitTree(
      tree,
      start ? [start] : [],
      request.message,
      request.author,
      personOf(user),
    );
    const before = head ?? ZERO_SHA;
    await repository.updateRef(`refs/heads/${request.branch}`, sha, before);
    await app.refsChanged(project, user, [{ ref: `refs/heads/${request.branch}`, before, after: sha }]);
    return sha;
  });
}

async function changesFor(
  repository: Repository,
  start: string | undefined,
  action: Action,
  many: boolean,
): Promise<TreeChange[]> {
  const path = action.file_path;
  if (
    path.startsWith('/') ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..' || part === '.git')
  ) {
    throw messageError(400, 'Path cannot include directory traversal');
  }
  const source = action.action === 'move' ? (action.previous_path ?? '') : path;
  if (action.action === 'move' && source === '') throw messageError(400, 'You must provide a previous_path');
  const existing = start ? await repository.entry(start, source) : undefined;
  if (action.action === 'create') {
    if (existing) throw messageError(400, 'A file with this name already exists');
  } else if (existing?.type !== 'blob') {
    throw messageError(400, "A file with this name doesn't exist");
  }
  if (action.last_commit_id !== undefined && start) {
    const last = await repository.lastCommitOf(start, source);
    if (last !== action.last_commit_id) {
      throw messageError(
        400,
        many
          ? `The file has changed since you started editing it: ${path}`
          : 'You are attempting to update a file that has changed since you started editing it.',
      );
    }
  }
  const mode =
    action.execute_filemode === undefined
      ? (existing?.mode ?? '100644')
      : action.execute_filemode
        ? '100755'
        : '100644';
  const content = (): Buffer =>
    Buffer.from(action.content ?? '', action.encoding === 'base64' ? 'base64' : 'utf8');
  switch (action.action) {
    case 'create':
      if (action.content === undefined) throw messageError(400, 'You must provide content');
      return [{ kind: 'write', path, content: content(), mode }];
    case 'update':
      if (action.content === undefined) throw messageError(400, 'You must provide content');
      return [{ kind: 'write', path, content: content(), mode }];
    case 'delete':
      return [{ kind: 'delete', path }];
    case 'move': {
      const target = start ? await repository.entry(start, path) : undefined;
      if (target) throw messageError(400, 'A file with this name already exists');
      const moved: TreeChange =
        action.content === undefined
          ? { kind: 'entry', path, id: existing?.id ?? '', mode }
          : { kind: 'write', path, content: content(), mode };
      return [{ kind: 'delete', path: source }, moved];
    }
    case 'chmod':
      if (action.execute_filemode === undefined) throw messageError(400, 'You must provide execute_filemode');
      return [{ kind: 'entry', path, id: existing?.id ?? '', mode }];
  }
}
