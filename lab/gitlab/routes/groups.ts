import { z } from 'zod';
import type { App } from '../instance/app';
import { messageError, notFound } from '../instance/errors';
import { type Api, bool, int, nonEmpty, text } from '../instance/http';
import { now } from '../instance/instance';
import { LEVEL, type Namespace } from '../instance/model';
import { groupDefaults, groupShape } from '../instance/settings';
import { groupView, projectView } from '../instance/views';

// lib/gitlab/regex.rb, `oci_repository_path_regex`: Namespace and Project hold what is made or renamed to it.
export const NAMESPACE_PATH = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*(?<!\.git|\.atom)$/;
export const PATH_FAULT =
  "can only include non-accented letters, digits, '_', '-' and '.'. It must not start with '-', '_', or '.', nor end with '-', '_', '.', '.git', or '.atom'.";

export function groupRoutes(api: Api, app: App): void {
  const { namespaces, projects, members } = app.tables;
  const failed = (faults: Record<string, string[]>): Error => {
    const inner = Object.entries(faults).map(
      ([key, texts]) => `:${key}=>[${texts.map((fault) => `"${fault}"`).join(', ')}]`,
    );
    return messageError(400, `Failed to save group {${inner.join(', ')}}`);
  };
  const taken = (path: string, parent: number | null, except?: number): boolean =>
    namespaces.find(
      (row) => row.parent_id === parent && row.path.toLowerCase() === path.toLowerCase() && row.id !== except,
    ) !== undefined;

  api.route(
    'GET',
    '/groups',
    {
      search: text.optional(),
      owned: bool.optional(),
      top_level_only: bool.optional(),
      all_available: bool.optional(),
      order_by: z.enum(['id', 'name', 'path']).optional(),
      sort: z.enum(['asc', 'desc']).optional(),
      min_access_level: int(0).optional(),
    },
    (c, p) => {
      const least = Math.max(p.min_access_level ?? 0, p.owned ? LEVEL.owner : 0, 1);
      const wanted = namespaces.filter(
        (row) =>
          row.kind === 'group' &&
          app.groupLevel(c.user, row) >= least &&
          (p.search === undefined ||
            `${row.name} ${app.namespacePath(row)}`.toLowerCase().includes(p.search.toLowerCase())) &&
          (!p.top_level_only || row.parent_id === null),
      );
      const key = (row: Namespace): string =>
        p.order_by === 'id'
          ? String(row.id).padStart(9, '0')
          : p.order_by === 'path'
            ? app.namespacePath(row)
            : row.name;
      wanted.sort((a, b) => key(a).localeCompare(key(b)) * (p.sort === 'desc' ? -1 : 1));
      return c.page(wanted, (row) => groupView(app, row));
    },
  );
  api.route(
    'GET',
    '/groups/:id',
    { with_projects: bool.optional(), with_custom_attributes: z.literal([false, 'false']).optional() },
    (c, p) => {
      const group = c.group();
      const view = groupView(app, group);
      if (p.with_projects === false) return view;
      const own = projects.filter((row) => row.namespace_id === group.id && app.canSee(c.user, row));
      return {
        ...view,
        shared_with_groups: [],
        projects: own.map((row) => projectView(app, row, app.projectLevel(c.user, row), false)),
        shared_projects: [],
      };
    },
  );
  api.route(
    'POST',
    '/groups',
    { name: nonEmpty, path: nonEmpty, parent_id: int(1).optional(), ...groupShape() },
    (c, p) => {
      const { name, path, parent_id: parentId, ...settings } = p;
      const parent = parentId === undefined ? undefined : namespaces.get(Number(parentId));
      if (
        parentId !== undefined &&
        (parent?.kind !== 'group' || app.groupLevel(c.user, parent) === LEVEL.none)
      )
        throw notFound('Group');
      if (
        parent &&
        app.groupLevel(c.user, parent) <
          (parent.settings.subgroup_creation_level === 'owner' ? LEVEL.owner : LEVEL.maintainer)
      )
        throw messageError(403, '403 Forbidden');
      if (!NAMESPACE_PATH.test(String(path))) throw failed({ path: [PATH_FAULT] });
      if (taken(String(path), parent?.id ?? null)) throw failed({ path: ['has already been taken'] });
      const group = namespaces.insert({
        kind: 'group',
        name: String(name),
        path: String(path),
        parent_id: parent?.id ?? null,
        owner_id: null,
        created_at: now(),
        marked_for_deletion_on: null,
        archived: false,
        settings: { ...groupDefaults(), visibility: app.settings.default_group_visibility, ...settings },
      });
      members.insert({
        source: 'group',
        source_id: group.id,
        user_id: c.user.id,
        access_level: LEVEL.owner,
        expires_at: null,
        created_at: now(),
        created_by: c.user.id,
      });
      return c.created(groupView(app, group));
    },
  );
  api.route(
    'PUT',
    '/groups/:id',
    { name: nonEmpty.optional(), path: nonEmpty.optional(), ...groupShape() },
    (c, p) => {
      const group = c.group(LEVEL.owner);
      const { name, path, ...settings } = p;
      if (path !== undefined && !NAMESPACE_PATH.test(String(path))) throw failed({ path: [PATH_FAULT] });
      if (path !== undefined && taken(String(path), group.parent_id, group.id))
        throw failed({ path: ['has already been taken'] });
      namespaces.update(group, {
        ...(name === undefined ? {} : { name: String(name) }),
        ...(path === undefined ? {} : { path: String(path) }),
        settings: { ...group.settings, ...settings },
      });
      return groupView(app, group);
    },
  );
  // Since 18.0 deletion is delayed for everyone; a second request with permanently_remove ends it at once.
  api.route(
    'DELETE',
    '/groups/:id',
    { permanently_remove: bool.optional(), full_path: text.optional() },
    (c, p) => {
      const group = c.group(LEVEL.owner);
      if (p.permanently_remove) {
        // lib/api/groups.rb asks this first.
        if (group.parent_id === null)
          throw messageError(
            400,
            '400 Bad request - `permanently_remove` option is only available for subgroups.',
          );
        if (group.marked_for_deletion_on === null)
          throw messageError(400, '400 Bad request - Group must be marked for deletion first.');
        if (p.full_path !== app.namespacePath(group))
          throw messageError(
            400,
            '400 Bad request - `full_path` is incorrect. You must enter the complete path for the subgroup.',
          );
        app.destroyGroup(group);
      } else {
        if (group.marked_for_deletion_on !== null)
          throw messageError(409, '409 Conflict: Group has been already marked for deletion');
        namespaces.update(group, {
          marked_for_deletion_on: now().slice(0, 10),
          path: `${group.path}-deletion_scheduled-${group.id}`,
          name: `${group.name}-deletion_scheduled-${group.id}`,
        });
      }
      c.status = 202;
      return { message: '202 Accepted' };
    },
  );
  api.route('POST', '/groups/:id/restore', {}, (c) => {
    const group = c.group(LEVEL.owner);
    if (group.marked_for_deletion_on === null)
      throw messageError(400, 'Group has not been marked for deletion');
    const path = group.path.replace(/-deletion_scheduled-\d+$/, '');
    namespaces.update(group, {
      name: group.name.replace(/-deletion_scheduled-\d+$/, ''),
      marked_for_deletion_on: null,
      path: taken(path, group.parent_id, group.id) ? group.path : path,
    });
    return c.created(groupView(app, group));
  });
  api.route('GET', '/groups/:id/subgroups', { search: text.optional() }, (c, p) => {
    const group = c.group();
    return c.page(
      namespaces.filter(
        (row) => row.parent_id === group.id && (p.search === undefined || row.name.includes(p.search)),
      ),
      (row) => groupView(app, row),
    );
  });
  api.route(
    'GET',
    '/groups/:id/projects',
    { search: text.optional(), archived: bool.optional(), include_subgroups: bool.optional() },
    (c, p) => {
      const group = c.group();
      const inside = (row: { namespace_id: number }): boolean =>
        row.namespace_id === group.id ||
        (p.include_subgroups === true && app.ancestry(app.namespace(row.namespace_id)).includes(group));
      const wanted = projects.filter(
        (row) =>
          inside(row) &&
          app.canSee(c.user, row) &&
          (p.search === undefined || row.name.includes(p.search)) &&
          (p.archived === undefined || row.archived === p.archived),
      );
      return c.page(wanted, (row) => projectView(app, row, app.projectLevel(c.user, row), false));
    },
  );
}
