import { z } from 'zod';
import type { App } from '../instance/app';
import { forbidden, messageError } from '../instance/errors';
import { type Api, bool, int, nonEmpty, text } from '../instance/http';
import { now, personOf } from '../instance/instance';
import { LEVEL, type Namespace, type Project, type User, ZERO_SHA } from '../instance/model';
import { NOT_ENFORCED, projectDefaults, projectShape } from '../instance/settings';
import { projectView } from '../instance/views';
import { NAMESPACE_PATH, PATH_FAULT } from './groups';

export function projectRoutes(api: Api, app: App): void {
  const { projects, namespaces, members } = app.tables;

  const view = async (project: Project, user: User | undefined): Promise<Record<string, unknown>> =>
    projectView(
      app,
      project,
      app.projectLevel(user, project),
      (await app.repository(project).refs('refs/heads/')).length === 0,
    );

  const faultsOf = (
    name: string,
    path: string,
    namespace: Namespace,
    except?: number,
  ): Record<string, string[]> => {
    const faults: Record<string, string[]> = {};
    const siblings = projects.filter((row) => row.namespace_id === namespace.id && row.id !== except);
    if (!NAMESPACE_PATH.test(path)) faults.path = [PATH_FAULT];
    if (siblings.some((row) => row.path.toLowerCase() === path.toLowerCase())) {
      faults['project_namespace.path'] = ['has already been taken'];
      faults.path = ['has already been taken'];
    }
    if (siblings.some((row) => row.name === name)) {
      faults['project_namespace.name'] = ['has already been taken'];
      faults.name = ['has already been taken'];
    }
    return faults;
  };
  const refuseUnenforced = (settings: Record<string, unknown>): void => {
    for (const [key, off] of Object.entries(NOT_ENFORCED)) {
      if (settings[key] !== undefined && settings[key] !== off && settings[key] !== '') {
        throw messageError(400, { [key]: ['is not covered by this stand-in'] });
      }
    }
  };

  api.route(
    'GET',
    '/projects',
    {
      search: text.optional(),
      search_namespaces: bool.optional(),
      owned: bool.optional(),
      membership: bool.optional(),
      archived: bool.optional(),
      simple: bool.optional(),
      visibility: z.enum(['private', 'internal', 'public']).optional(),
      min_access_level: int(0).optional(),
      topic: text.optional(),
      order_by: z.enum(['id', 'name', 'path', 'created_at', 'last_activity_at']).optional(),
      sort: z.enum(['asc', 'desc']).optional(),
    },
    async (c, p) => {
      const wanted = projects.filter((row) => {
        const level = app.projectLevel(c.maybeUser, row);
        const member = level > LEVEL.none && level < LEVEL.admin;
        return (
          app.canSee(c.maybeUser, row) &&
          (p.search === undefined ||
            (p.search_namespaces ? app.projectPath(row) : `${row.name} ${row.path}`)
              .toLowerCase()
              .includes(p.search.toLowerCase())) &&
          (!p.owned || level === LEVEL.owner) &&
          (!p.membership || member) &&
          (p.archived === undefined || row.archived === p.archived) &&
          (p.visibility === undefined || row.settings.visibility === p.visibility) &&
          (p.min_access_level === undefined || level >= p.min_access_level) &&
          (p.topic === undefined || (row.settings.topics as string[]).includes(p.topic))
        );
      });
      const key = (row: Project): string =>
        p.order_by === 'id' || p.order_by === undefined
          ? String(row.id).padStart(9, '0')
          : String(row[p.order_by]);
      wanted.sort((a, b) => key(a).localeCompare(key(b)) * (p.sort === 'asc' ? 1 : -1));
      const page = c.page(wanted, (row) => row);
      return Promise.all(page.map((row) => view(row, c.maybeUser)));
    },
    { anonymous: true },
  );
  // What the parameters ask for besides is not shown here, so only "no" is accepted.
  const no = z.literal([false, 'false']).optional();
  api.route(
    'GET',
    '/projects/:id',
    { statistics: no, license: no, with_custom_attributes: no },
    (c) => view(c.project(), c.maybeUser),
    { anonymous: true },
  );

  api.route(
    'POST',
    '/projects',
    {
      name: nonEmpty.optional(),
      path: nonEmpty.optional(),
      namespace_id: int(1).optional(),
      default_branch: nonEmpty.optional(),
      initialize_with_readme: bool.optional(),
      ...projectShape(),
    },
    async (c, p) => {
      const {
        name: givenName,
        path: givenPath,
        namespace_id: namespaceId,
        default_branch: branch,
        initialize_with_readme: readme,
        ...settings
      } = p;
      if (givenName === undefined && givenPath === undefined)
        throw messageError(400, 'name, path are missing, at least one parameter must be provided');
      const name = String(givenName ?? givenPath);
      const path = String(
        givenPath ??
          name
            .toLowerCase()
            .replace(/[^a-z0-9_.-]+/g, '-')
            .replace(/^-+|-+$/g, ''),
      );
      const own = namespaces.find((row) => row.kind === 'user' && row.owner_id === c.user.id);
      const namespace = namespaceId === undefined ? own : namespaces.get(Number(namespaceId));
      if (!namespace) throw messageError(400, { namespace: ['is not valid'] });
      if (namespace.kind === 'group') {
        const need = {
          noone: 99,
          administrator: LEVEL.admin,
          owner: LEVEL.owner,
          maintainer: LEVEL.maintainer,
          developer: LEVEL.developer,
        }[String(namespace.settings.project_creation_level)];
        if (app.groupLevel(c.user, namespace) < (need ?? LEVEL.maintainer))
          throw messageError(400, { namespace: ['is not valid'] });
      } else if (namespace.owner_id !== c.user.id && !c.user.admin)
        throw messageError(400, { namespace: ['is not valid'] });
      refuseUnenforced(settings);
      const faults = faultsOf(name, path, namespace);
      if (Object.keys(faults).length > 0) throw messageError(400, faults);
      const project = projects.insert({
        name,
        path,
        namespace_id: namespace.id,
        creator_id: c.user.id,
        created_at: now(),
        last_activity_at: now(),
        archived: false,
        marked_for_deletion_on: null,
        default_branch: String(branch ?? namespace.settings.default_branch ?? 'main'),
        next_mr_iid: 1,
        next_pipeline_iid: 1,
        settings: { ...projectDefaults(), visibility: app.settings.default_project_visibility, ...settings },
      });
      const repository = app.repository(project);
      try {
        await repository.create(project.default_branch);
      } catch (error) {
        projects.delete(project.id);
        throw error;
      }
      if (readme) {
        const person = personOf(c.user);
        const tree = await repository.writeTree(undefined, [
          { kind: 'write', path: 'README.md', content: Buffer.from(`# ${name}\n`), mode: '100644' },
        ]);
        const commit = await repository.commitTree(tree, [], 'Initial commit', person, person);
        await repository.updateRef(`refs/heads/${project.default_branch}`, commit);
        await app.refsChanged(project, c.user, [
          { ref: `refs/heads/${project.default_branch}`, before: ZERO_SHA, after: commit },
        ]);
      }
      // In a group the creator's membership is the group's; a project in a group of others gets its own.
      if (app.projectLevel(c.user, project) < LEVEL.maintainer) {
        members.insert({
          source: 'project',
          source_id: project.id,
          user_id: c.user.id,
          access_level: LEVEL.maintainer,
          expires_at: null,
          created_at: now(),
          created_by: c.user.id,
        });
      }
      return c.created(await view(project, c.user));
    },
  );
  api.route(
    'PUT',
    '/projects/:id',
    {
      name: nonEmpty.optional(),
      path: nonEmpty.optional(),
      default_branch: nonEmpty.optional(),
      ...projectShape(),
    },
    async (c, p) => {
      const project = c.project(LEVEL.maintainer);
      const { name, path, default_branch: branch, ...settings } = p;
      if (project.archived) throw forbidden();
      refuseUnenforced(settings);
      const faults = faultsOf(
        String(name ?? project.name),
        String(path ?? project.path),
        app.namespace(project.namespace_id),
        project.id,
      );
      if (Object.keys(faults).length > 0) throw messageError(400, faults);
      if (branch !== undefined && branch !== project.default_branch) {
        const repository = app.repository(project);
        if (!(await repository.branch(String(branch)))) {
          throw messageError(400, {
            base: [
              `Could not change HEAD: branch '${branch}' does not exist`,
              'Could not set the default branch',
            ],
          });
        }
        await repository.setHead(String(branch));
      }
      projects.update(project, {
        ...(name === undefined ? {} : { name: String(name) }),
        ...(path === undefined ? {} : { path: String(path) }),
        ...(branch === undefined ? {} : { default_branch: String(branch) }),
        settings: { ...project.settings, ...settings },
      });
      return view(project, c.user);
    },
  );
  // Delayed since 18.0, with the path set free at once, so that a new project can take the name.
  api.route(
    'DELETE',
    '/projects/:id',
    { permanently_remove: bool.optional(), full_path: text.optional() },
    (c, p) => {
      const project = c.project(LEVEL.owner);
      if (p.permanently_remove) {
        if (project.marked_for_deletion_on === null)
          throw messageError(400, '400 Bad request - Project must be marked for deletion first.');
        if (p.full_path !== app.projectPath(project))
          throw messageError(
            400,
            '400 Bad request - `full_path` is incorrect. You must enter the complete path for the project.',
          );
        app.destroyProject(project);
      } else {
        if (project.marked_for_deletion_on !== null)
          throw messageError(409, '409 Conflict: Project has been already marked for deletion');
        projects.update(project, {
          marked_for_deletion_on: now().slice(0, 10),
          path: `${project.path}-deletion_scheduled-${project.id}`,
          name: `${project.name}-deletion_scheduled-${project.id}`,
        });
      }
      c.status = 202;
      return { message: '202 Accepted' };
    },
  );
  api.route('POST', '/projects/:id/restore', {}, async (c) => {
    const project = c.project(LEVEL.owner);
    if (project.marked_for_deletion_on === null)
      throw messageError(400, 'Project has not been marked for deletion');
    const plain = (value: string): string => value.replace(/-deletion_scheduled-\d+$/, '');
    const faults = faultsOf(
      plain(project.name),
      plain(project.path),
      app.namespace(project.namespace_id),
      project.id,
    );
    const free = Object.keys(faults).length === 0;
    projects.update(project, {
      marked_for_deletion_on: null,
      ...(free ? { name: plain(project.name), path: plain(project.path) } : {}),
    });
    return c.created(await view(project, c.user));
  });
  for (const [action, archived] of [
    ['archive', true],
    ['unarchive', false],
  ] as const) {
    api.route('POST', `/projects/:id/${action}`, {}, async (c) => {
      const project = c.project(LEVEL.owner);
      projects.update(project, { archived });
      return c.created(await view(project, c.user));
    });
  }
}
