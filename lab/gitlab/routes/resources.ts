import { z } from 'zod';
import type { App } from '../instance/app';
import { messageError, notFound, plainError } from '../instance/errors';
import { type Api, bool, type Context, date, int, list, nonEmpty, text } from '../instance/http';
import { digestOf, isPast, newToken, now } from '../instance/instance';
import {
  type AccessRule,
  type DeployKey,
  type DeployToken,
  type Label,
  LEVEL,
  type Project,
  type ProtectedBranch,
  type ProtectedTag,
  type Variable,
} from '../instance/model';
import {
  deployKeyView,
  deployTokenView,
  labelView,
  protectedBranchView,
  protectedTagView,
  variableView,
} from '../instance/views';

const DEPLOY_SCOPES = [
  'read_repository',
  'read_registry',
  'write_registry',
  'read_package_registry',
  'write_package_registry',
] as const;
const branchLevel = z.preprocess(
  (value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value),
  z.literal([0, 30, 40, 60]),
);
const ruleList = z
  .array(
    z.strictObject({
      access_level: branchLevel.optional(),
      user_id: int(1).optional(),
      id: int(1).optional(),
      _destroy: bool.optional(),
    }),
  )
  .optional();

/** The smaller things that belong to a project, and to a group: tokens, keys, variables, labels, protection. */
export function resourceRoutes(api: Api, app: App): void {
  deployTokens(api, app);
  deployKeys(api, app);
  variables(api, app, 'project');
  variables(api, app, 'group');
  labels(api, app);
  protectedBranches(api, app);
  protectedTags(api, app);
}

function deployTokens(api: Api, app: App): void {
  const table = app.tables.deployTokens;
  const find = (c: Context): DeployToken => {
    const project = c.project(LEVEL.maintainer);
    const token = table.get(c.number('token_id'));
    if (token?.project_id !== project.id) throw notFound('Deploy Token');
    return token;
  };
  api.route('GET', '/projects/:id/deploy_tokens', { active: bool.optional() }, (c, p) => {
    const project = c.project(LEVEL.maintainer);
    const active = (token: DeployToken): boolean => !token.revoked && !isPast(token.expires_at);
    return c.page(
      table.filter(
        (row) => row.project_id === project.id && (p.active === undefined || active(row) === p.active),
      ),
      deployTokenView,
    );
  });
  api.route('GET', '/projects/:id/deploy_tokens/:token_id', {}, (c) => deployTokenView(find(c)));
  const scopes = list(z.enum(DEPLOY_SCOPES)).refine((value) => value.length > 0, { error: 'is empty' });
  api.route(
    'POST',
    '/projects/:id/deploy_tokens',
    { name: nonEmpty, username: nonEmpty.optional(), expires_at: date.optional(), scopes },
    (c, p) => {
      const project = c.project(LEVEL.maintainer);
      const secret = newToken('gldt-');
      const token = table.insert({
        project_id: project.id,
        name: p.name,
        username: p.username ?? 'pending',
        scopes: p.scopes,
        digest: digestOf(secret),
        expires_at: p.expires_at ?? null,
        revoked: false,
      });
      if (p.username === undefined) table.update(token, { username: `gitlab+deploy-token-${token.id}` });
      return c.created({ ...deployTokenView(token), token: secret });
    },
  );
  api.route('DELETE', '/projects/:id/deploy_tokens/:token_id', {}, (c) => {
    table.delete(find(c).id);
    return c.noContent();
  });
}

function deployKeys(api: Api, app: App): void {
  const table = app.tables.deployKeys;
  const find = (c: Context): DeployKey => {
    const project = c.project(LEVEL.maintainer);
    const key = table.find(
      (row) => row.project_id === project.id && (row.key_id ?? row.id) === c.number('key_id'),
    );
    if (!key) throw notFound('Deploy Key');
    return key;
  };
  api.route('GET', '/projects/:id/deploy_keys', {}, (c) => {
    const project = c.project(LEVEL.maintainer);
    return c.page(
      table.filter((row) => row.project_id === project.id),
      deployKeyView,
    );
  });
  api.route('GET', '/projects/:id/deploy_keys/:key_id', {}, (c) => deployKeyView(find(c)));
  api.route(
    'POST',
    '/projects/:id/deploy_keys',
    { title: nonEmpty, key: nonEmpty, can_push: bool.optional(), expires_at: date.optional() },
    (c, p) => {
      const project = c.project(LEVEL.maintainer);
      const key = p.key.trim();
      if (
        !/^(ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+={0,3}( .*)?$/.test(
          key,
        )
      ) {
        throw messageError(400, { key: ['is invalid'], fingerprint_sha256: ['cannot be generated'] });
      }
      const material = (value: string): string => value.split(' ').slice(0, 2).join(' ');
      const same = table.filter((row) => material(row.key) === material(key));
      // A key that the project has already is given back as it is.
      const joined = same.find((row) => row.project_id === project.id);
      if (joined) return c.created(deployKeyView(joined));
      // One of another project that the caller maintains is joined to this one, with its title.
      const known = same.find((row) => {
        const other = app.tables.projects.get(row.project_id);
        return other && app.projectLevel(c.user, other) >= LEVEL.maintainer;
      });
      return c.created(
        deployKeyView(
          table.insert({
            project_id: project.id,
            ...(known ? { key_id: known.key_id ?? known.id } : {}),
            title: known?.title ?? p.title,
            key,
            can_push: p.can_push ?? false,
            created_at: known?.created_at ?? now(),
            expires_at: known ? known.expires_at : (p.expires_at ?? null),
          }),
        ),
      );
    },
  );
  api.route(
    'PUT',
    '/projects/:id/deploy_keys/:key_id',
    { title: nonEmpty.optional(), can_push: bool.optional() },
    (c, p) => deployKeyView(table.update(find(c), p)),
  );
  api.route('DELETE', '/projects/:id/deploy_keys/:key_id', {}, (c) => {
    table.delete(find(c).id);
    return c.noContent();
  });
}

function variables(api: Api, app: App, owner: 'project' | 'group'): void {
  const table = app.tables.variables;
  const base = owner === 'project' ? '/projects/:id/variables' : '/groups/:id/variables';
  const ownerId = (c: Context): number =>
    (owner === 'project' ? c.project(LEVEL.maintainer) : c.group(LEVEL.owner)).id;
  const scopeFilter = { 'filter[environment_scope]': text.optional() };
  const find = (c: Context, scope: string | undefined): Variable => {
    const id = ownerId(c);
    const wanted = table.filter(
      (row) =>
        row.owner === owner &&
        row.owner_id === id &&
        row.key === c.path.key &&
        (scope === undefined || row.environment_scope === scope),
    );
    if (wanted.length > 1)
      throw messageError(
        409,
        "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'",
      );
    if (!wanted[0]) throw notFound('Variable');
    return wanted[0];
  };
  const checkMask = (value: string, masked: boolean): void => {
    if (masked && !/^\S{8,}$/.test(value)) throw messageError(400, { value: ['is invalid'] });
  };
  const attributes = {
    variable_type: z.enum(['env_var', 'file']).optional(),
    protected: bool.optional(),
    masked: bool.optional(),
    raw: bool.optional(),
    environment_scope: text.optional(),
    description: text.optional(),
  };
  api.route('GET', base, {}, (c) => {
    const id = ownerId(c);
    return c.page(
      table.filter((row) => row.owner === owner && row.owner_id === id),
      variableView,
    );
  });
  api.route('GET', `${base}/:key`, scopeFilter, (c, p) =>
    variableView(find(c, p['filter[environment_scope]'])),
  );
  api.route(
    'POST',
    base,
    { key: nonEmpty, value: text, masked_and_hidden: bool.optional(), ...attributes },
    (c, p) => {
      const id = ownerId(c);
      const scope = p.environment_scope ?? '*';
      if (!/^[A-Za-z0-9_]{1,255}$/.test(p.key))
        throw messageError(400, { key: ["can contain only letters, digits and '_'."] });
      if (
        table.find(
          (row) =>
            row.owner === owner &&
            row.owner_id === id &&
            row.key === p.key &&
            row.environment_scope === scope,
        )
      ) {
        throw messageError(400, { key: [`(${p.key}) has already been taken`] });
      }
      const hidden = p.masked_and_hidden ?? false;
      const masked = hidden || (p.masked ?? false);
      checkMask(p.value, masked);
      return c.created(
        variableView(
          table.insert({
            owner,
            owner_id: id,
            key: p.key,
            value: p.value,
            variable_type: p.variable_type ?? 'env_var',
            protected: p.protected ?? false,
            masked,
            hidden,
            raw: p.raw ?? false,
            environment_scope: scope,
            description: p.description ?? null,
          }),
        ),
      );
    },
  );
  api.route('PUT', `${base}/:key`, { value: text.optional(), ...attributes, ...scopeFilter }, (c, p) => {
    const { 'filter[environment_scope]': scope, ...change } = p;
    const variable = find(c, scope);
    checkMask(change.value ?? variable.value, change.masked ?? variable.masked);
    return variableView(table.update(variable, change));
  });
  api.route('DELETE', `${base}/:key`, scopeFilter, (c, p) => {
    table.delete(find(c, p['filter[environment_scope]']).id);
    return c.noContent();
  });
}

function labels(api: Api, app: App): void {
  const table = app.tables.labels;
  const find = (c: Context, level: number, name = c.path.label_id ?? ''): Label => {
    const project = c.project(level);
    const label = table.find(
      (row) => row.project_id === project.id && (row.name === name || String(row.id) === name),
    );
    if (!label) throw notFound('Label');
    return label;
  };
  const color = z.string().regex(/^(#[0-9A-Fa-f]{3}|#[0-9A-Fa-f]{6}|[a-z]+)$/);
  const taken = (project: Project, name: string): boolean =>
    table.find((row) => row.project_id === project.id && row.name === name) !== undefined;
  api.route(
    'GET',
    '/projects/:id/labels',
    { search: text.optional(), with_counts: bool.optional() },
    (c, p) => {
      const project = c.project();
      return c.page(
        table.filter(
          (row) => row.project_id === project.id && (p.search === undefined || row.name.includes(p.search)),
        ),
        labelView,
      );
    },
  );
  api.route('GET', '/projects/:id/labels/:label_id', {}, (c) => labelView(find(c, 0)));
  api.route(
    'POST',
    '/projects/:id/labels',
    { name: nonEmpty, color, description: text.optional(), priority: int(0).optional() },
    (c, p) => {
      const project = c.project(LEVEL.reporter);
      if (taken(project, p.name)) throw messageError(409, 'Label already exists');
      return c.created(
        labelView(
          table.insert({
            project_id: project.id,
            name: p.name,
            color: p.color,
            description: p.description ?? null,
            priority: p.priority ?? null,
            updated_at: now(),
          }),
        ),
      );
    },
  );
  // What has a label, and each event of one, knows it by its number: `label_links`, `resource_label_events`.
  const rename = (label: Label, name: string): void => {
    const { mergeRequests, issues, labelEvents } = app.tables;
    const named = ({ labels: names }: { labels: string[] }): { labels: string[] } => ({
      labels: names.map((one) => (one === label.name ? name : one)),
    });
    app.store.transaction(() => {
      for (const row of mergeRequests.filter(({ project_id: id }) => id === label.project_id))
        mergeRequests.update(row, named(row));
      for (const row of issues.filter(({ project_id: id }) => id === label.project_id))
        issues.update(row, named(row));
      for (const row of labelEvents.filter(({ project_id: id }) => id === label.project_id))
        if (row.label === label.name) labelEvents.update(row, { label: name });
      table.update(label, { name });
    });
  };
  const changes = {
    new_name: nonEmpty.optional(),
    color: color.optional(),
    description: text.optional(),
    priority: int(0).optional(),
  };
  const change = (label: Label, project: Project, p: { new_name?: string } & Partial<Label>) => {
    const { new_name: name, ...rest } = p;
    if (name !== undefined && name !== label.name && taken(project, name)) {
      throw messageError(400, { title: ['has already been taken'] });
    }
    if (name !== undefined) rename(label, name);
    return labelView(table.update(label, { ...rest, updated_at: now() }));
  };
  api.route('PUT', '/projects/:id/labels/:label_id', changes, (c, p) =>
    change(find(c, LEVEL.reporter), c.project(), p),
  );
  // The older form with the name in the body, which python-gitlab still uses.
  api.route('PUT', '/projects/:id/labels', { name: nonEmpty, ...changes }, (c, { name, ...p }) =>
    change(find(c, LEVEL.reporter, name), c.project(), p),
  );
  api.route('DELETE', '/projects/:id/labels/:label_id', {}, (c) => {
    table.delete(find(c, LEVEL.reporter).id);
    return c.noContent();
  });
}

type RuleInput = { access_level?: unknown; user_id?: number; id?: number; _destroy?: boolean };

function rulesFrom(app: App, single: unknown, many: readonly RuleInput[] | undefined): AccessRule[] {
  const rules: AccessRule[] = [];
  if (single !== undefined)
    rules.push({ id: app.ruleId(), access_level: Number(single), user_id: null, group_id: null });
  for (const entry of many ?? []) {
    if (entry._destroy !== undefined || entry.id !== undefined)
      throw plainError(400, 'id and _destroy are only for an update');
    rules.push(rule(app, entry));
  }
  return rules.length > 0
    ? rules
    : [{ id: app.ruleId(), access_level: LEVEL.maintainer, user_id: null, group_id: null }];
}

function rule(app: App, entry: RuleInput): AccessRule {
  if (entry.user_id !== undefined && !app.tables.users.get(entry.user_id))
    throw messageError(422, { user: ["can't be blank"] });
  return {
    id: app.ruleId(),
    access_level:
      entry.user_id === undefined ? Number(entry.access_level ?? LEVEL.maintainer) : LEVEL.maintainer,
    user_id: entry.user_id ?? null,
    group_id: null,
  };
}

/** An update adds, changes (by id) and removes (by id with _destroy) single rules. */
function changedRules(
  app: App,
  rules: readonly AccessRule[],
  changes: readonly RuleInput[] | undefined,
): AccessRule[] {
  let result = [...rules];
  for (const change of changes ?? []) {
    if (change.id === undefined) {
      result.push(rule(app, change));
      continue;
    }
    const old = result.find((candidate) => candidate.id === change.id);
    if (!old) throw notFound();
    if (change._destroy) result = result.filter((candidate) => candidate !== old);
    else
      result = result.map((candidate) =>
        candidate === old ? { ...rule(app, change), id: old.id } : candidate,
      );
  }
  return result;
}

function protectedBranches(api: Api, app: App): void {
  const table = app.tables.protectedBranches;
  const find = (c: Context, level: number): ProtectedBranch => {
    const project = c.project(level);
    const found = table.find((row) => row.project_id === project.id && row.name === c.path.name);
    if (!found) throw notFound();
    return found;
  };
  api.route('GET', '/projects/:id/protected_branches', { search: text.optional() }, (c, p) => {
    const project = c.project(LEVEL.developer);
    return c.page(
      table.filter(
        (row) => row.project_id === project.id && (p.search === undefined || row.name.includes(p.search)),
      ),
      (row) => protectedBranchView(app, row),
    );
  });
  api.route('GET', '/projects/:id/protected_branches/:name', {}, (c) =>
    protectedBranchView(app, find(c, LEVEL.developer)),
  );
  // code_owner_approval_required needs Premium; what cannot be enforced is not accepted.
  const off = z.literal([false, 'false']).optional();
  /**
   * On a Community package the route declares no entries by role (`lib/api/helpers/protected_branches_helpers.rb`:
   * deploy keys only), and Grape drops what a route does not declare without a word.
   */
  const entries = (given: readonly RuleInput[] | undefined): readonly RuleInput[] | undefined => {
    if (app.edition === 'enterprise' || given === undefined || given.length === 0) return given;
    app.log.warn('allowed_to_… of a protected branch is ignored: this is a Community package');
    return undefined;
  };
  api.route(
    'POST',
    '/projects/:id/protected_branches',
    {
      name: nonEmpty,
      push_access_level: branchLevel.optional(),
      merge_access_level: branchLevel.optional(),
      allowed_to_push: ruleList,
      allowed_to_merge: ruleList,
      unprotect_access_level: branchLevel.optional(),
      allowed_to_unprotect: ruleList,
      allow_force_push: bool.optional(),
      code_owner_approval_required: off,
    },
    (c, p) => {
      const project = c.project(LEVEL.maintainer);
      if (table.find((row) => row.project_id === project.id && row.name === p.name))
        throw messageError(409, `Protected branch '${p.name}' already exists`);
      const created = table.insert({
        project_id: project.id,
        name: p.name,
        push: rulesFrom(app, p.push_access_level, entries(p.allowed_to_push)),
        merge: rulesFrom(app, p.merge_access_level, entries(p.allowed_to_merge)),
        ...(app.edition === 'enterprise'
          ? { unprotect: rulesFrom(app, p.unprotect_access_level, p.allowed_to_unprotect) }
          : {}),
        allow_force_push: p.allow_force_push ?? false,
      });
      return c.created(protectedBranchView(app, created));
    },
  );
  api.route(
    'PATCH',
    '/projects/:id/protected_branches/:name',
    {
      allow_force_push: bool.optional(),
      allowed_to_push: ruleList,
      allowed_to_merge: ruleList,
      allowed_to_unprotect: ruleList,
      code_owner_approval_required: off,
    },
    (c, p) => {
      const found = find(c, LEVEL.maintainer);
      table.update(found, {
        push: changedRules(app, found.push, entries(p.allowed_to_push)),
        merge: changedRules(app, found.merge, entries(p.allowed_to_merge)),
        ...(app.edition === 'enterprise'
          ? { unprotect: changedRules(app, found.unprotect ?? [], p.allowed_to_unprotect) }
          : {}),
        ...(p.allow_force_push === undefined ? {} : { allow_force_push: p.allow_force_push }),
      });
      return protectedBranchView(app, found);
    },
  );
  api.route('DELETE', '/projects/:id/protected_branches/:name', {}, (c) => {
    table.delete(find(c, LEVEL.maintainer).id);
    return c.noContent();
  });
}

function protectedTags(api: Api, app: App): void {
  const table = app.tables.protectedTags;
  const find = (c: Context, level: number): ProtectedTag => {
    const project = c.project(level);
    const found = table.find((row) => row.project_id === project.id && row.name === c.path.name);
    if (!found) throw notFound();
    return found;
  };
  api.route('GET', '/projects/:id/protected_tags', {}, (c) => {
    const project = c.project(LEVEL.developer);
    return c.page(
      table.filter((row) => row.project_id === project.id),
      (row) => protectedTagView(app, row),
    );
  });
  api.route('GET', '/projects/:id/protected_tags/:name', {}, (c) =>
    protectedTagView(app, find(c, LEVEL.developer)),
  );
  api.route(
    'POST',
    '/projects/:id/protected_tags',
    { name: nonEmpty, create_access_level: branchLevel.optional(), allowed_to_create: ruleList },
    (c, p) => {
      const project = c.project(LEVEL.maintainer);
      if (table.find((row) => row.project_id === project.id && row.name === p.name))
        // Of a branch GitLab looks first; here the model itself refuses (app/models/protected_tag.rb).
        throw messageError(422, ['Name has already been taken']);
      return c.created(
        protectedTagView(
          app,
          table.insert({
            project_id: project.id,
            name: p.name,
            create: rulesFrom(app, p.create_access_level, p.allowed_to_create),
          }),
        ),
      );
    },
  );
  api.route('DELETE', '/projects/:id/protected_tags/:name', {}, (c) => {
    table.delete(find(c, LEVEL.maintainer).id);
    return c.noContent();
  });
}
