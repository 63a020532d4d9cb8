import { z } from 'zod';
import type { App } from '../instance/app';
import { forbidden, messageError, notFound } from '../instance/errors';
import { type Api, bool, type Context, date, int, list, nonEmpty, type Shape, text } from '../instance/http';
import { GITLAB_VERSION, isPast } from '../instance/instance';
import { type AccessToken, LEVEL, type User } from '../instance/model';
import { VISIBILITY } from '../instance/settings';
import { basicUser, fullUser, namespaceView, tokenView, userView } from '../instance/views';

export const TOKEN_SCOPES = [
  'api',
  'read_api',
  'read_user',
  'read_repository',
  'write_repository',
  'read_registry',
  'write_registry',
  'create_runner',
  'manage_runner',
  'ai_features',
  'k8s_proxy',
  'self_rotate',
  'sudo',
  'admin_mode',
] as const;
const scopes = list(z.enum(TOKEN_SCOPES)).refine((value) => value.length > 0, { error: 'is empty' });

/** The parameters that name, describe and limit a new token. */
export const newTokenShape = {
  name: nonEmpty,
  description: text.optional(),
  scopes,
  expires_at: date.optional(),
};

/** A token lives a year unless it says otherwise, as on a GitLab without a lifetime setting of its own. */
export function expiry(value: string | undefined, days = 365): string {
  const day = value?.slice(0, 10) ?? new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const limit = new Date(Date.now() + 400 * 86_400_000).toISOString().slice(0, 10);
  if (isPast(day)) throw messageError(400, { expires_at: ['must be in the future'] });
  if (day > limit)
    throw messageError(400, { expires_at: ['must be before the maximum lifetime of 400 days'] });
  return day;
}

/** Revokes the token and makes the one that takes its place; a week's life is GitLab's default. */
export function rotate(app: App, token: AccessToken, until: string | undefined): Record<string, unknown> {
  if (token.revoked || isPast(token.expires_at))
    throw messageError(400, '400 Bad request - Token already revoked');
  const { token: next, secret } = app.createToken({
    user: app.user(token.user_id),
    name: token.name,
    description: token.description,
    scopes: token.scopes,
    expires_at: expiry(until, 7),
    kind: token.kind,
    resource_id: token.resource_id ?? undefined,
    access_level: token.access_level ?? undefined,
  });
  app.tables.tokens.update(token, { revoked: true });
  return { ...tokenView(next), token: secret };
}

export function accountRoutes(api: Api, app: App): void {
  const { users, tokens, namespaces } = app.tables;
  const version = {
    version: GITLAB_VERSION,
    revision: 'switchyard',
    kas: { enabled: false, externalUrl: null, version: null },
    enterprise: app.edition === 'enterprise',
  };
  api.route('GET', '/version', {}, () => version);
  api.route('GET', '/metadata', {}, () => version);

  api.route('GET', '/user', {}, (c) => fullUser(app, c.user), { scopes: ['read_user'] });

  const userOf = (c: Context, name = 'user_id'): User => {
    const user = users.get(c.number(name));
    if (!user) throw notFound('User');
    return user;
  };

  api.route(
    'GET',
    '/users',
    { username: text.optional(), search: text.optional(), active: bool.optional(), blocked: bool.optional() },
    (c, p) => {
      const wanted = users.filter(
        (user) =>
          (p.username === undefined || user.username.toLowerCase() === p.username.toLowerCase()) &&
          (p.search === undefined ||
            `${user.username} ${user.name} ${user.email}`.toLowerCase().includes(p.search.toLowerCase())) &&
          (p.active !== true || user.state === 'active') &&
          (p.blocked !== true || user.state === 'blocked'),
      );
      return c.page(wanted, (user) => (c.user.admin ? fullUser(app, user) : basicUser(app, user)));
    },
  );
  api.route('GET', '/users/:user_id', {}, (c) => (c.user.admin ? fullUser : userView)(app, userOf(c)));
  api.route(
    'POST',
    '/users',
    {
      username: nonEmpty,
      name: nonEmpty,
      email: nonEmpty,
      password: text.optional(),
      force_random_password: bool.optional(),
      reset_password: bool.optional(),
      skip_confirmation: bool.optional(),
      admin: bool.optional(),
    },
    (c, p) => {
      c.requireAdmin();
      if (p.password === undefined && !p.force_random_password && !p.reset_password) {
        throw messageError(
          400,
          '400 Bad request - password, reset_password, force_random_password are missing, at least one parameter must be provided',
        );
      }
      if (users.find((user) => user.email === p.email))
        throw messageError(409, 'Email has already been taken');
      if (users.find((user) => user.username.toLowerCase() === p.username.toLowerCase()))
        throw messageError(409, 'Username has already been taken');
      return c.created(
        fullUser(
          app,
          app.createUser({ username: p.username, name: p.name, email: p.email, admin: p.admin ?? false }),
        ),
      );
    },
  );
  api.route('DELETE', '/users/:user_id', { hard_delete: bool.optional() }, (c) => {
    c.requireAdmin();
    const user = userOf(c);
    if (user.username === 'root') throw messageError(409, 'The root user cannot be deleted here');
    tokens.deleteWhere((token) => token.user_id === user.id);
    app.tables.members.deleteWhere((member) => member.user_id === user.id);
    // What the user wrote stays and still needs an author: a blocked ghost, as GitLab keeps one.
    users.update(user, {
      state: 'blocked',
      admin: false,
      username: `ghost-${user.id}`,
      name: 'Ghost User',
      email: `ghost-${user.id}@localhost`,
    });
    return c.noContent();
  });
  api.route('POST', '/users/:user_id/personal_access_tokens', newTokenShape, (c, p) => {
    c.requireAdmin();
    const { token, secret } = app.createToken({
      user: userOf(c),
      name: p.name,
      description: p.description,
      scopes: p.scopes,
      expires_at: expiry(p.expires_at),
      kind: 'personal',
    });
    return c.created({ ...tokenView(token), token: secret });
  });

  api.route(
    'GET',
    '/personal_access_tokens',
    {
      user_id: int(1).optional(),
      revoked: bool.optional(),
      state: z.enum(['active', 'inactive']).optional(),
      search: text.optional(),
    },
    (c, p) => {
      const owner = p.user_id ?? (c.user.admin ? undefined : c.user.id);
      if (owner !== undefined && owner !== c.user.id && !c.user.admin) throw forbidden();
      const wanted = tokens.filter((token) => {
        const active = !token.revoked && !isPast(token.expires_at);
        return (
          (owner === undefined || token.user_id === owner) &&
          (p.revoked === undefined || token.revoked === p.revoked) &&
          (p.state === undefined || (p.state === 'active') === active) &&
          (p.search === undefined || token.name.includes(p.search))
        );
      });
      return c.page(wanted, tokenView);
    },
  );
  const ownToken = (c: Context): AccessToken => {
    const token = c.path.token_id === 'self' ? c.token : tokens.get(c.number('token_id'));
    if (!token || (token.user_id !== c.user.id && !c.user.admin)) throw notFound('Personal Access Token');
    return token;
  };
  api.route('GET', '/personal_access_tokens/:token_id', {}, (c) => tokenView(ownToken(c)), {
    scopes: TOKEN_SCOPES,
  });
  api.route(
    'POST',
    '/personal_access_tokens/:token_id/rotate',
    { expires_at: date.optional() },
    (c, p) => rotate(app, ownToken(c), p.expires_at),
    { scopes: ['self_rotate'] },
  );
  api.route(
    'DELETE',
    '/personal_access_tokens/:token_id',
    {},
    (c) => {
      tokens.update(ownToken(c), { revoked: true });
      return c.noContent();
    },
    { scopes: TOKEN_SCOPES },
  );

  api.route('GET', '/namespaces', { search: text.optional() }, (c, p) => {
    const mine = namespaces.filter((row) =>
      row.kind === 'user'
        ? row.owner_id === c.user.id || c.user.admin
        : app.groupLevel(c.user, row) > LEVEL.none,
    );
    return c.page(
      mine.filter((row) => p.search === undefined || app.namespacePath(row).includes(p.search)),
      (row) => namespaceView(app, row),
    );
  });
  api.route('GET', '/namespaces/:id', {}, (c) => {
    const id = c.path.id ?? '';
    const found = /^\d+$/.test(id)
      ? namespaces.get(Number(id))
      : namespaces.find((row) => app.namespacePath(row) === id);
    const visible =
      found &&
      (c.user.admin ||
        (found.kind === 'user' ? found.owner_id === c.user.id : app.groupLevel(c.user, found) > LEVEL.none));
    if (!found || !visible) throw notFound('Namespace');
    return namespaceView(app, found);
  });

  const settings: Shape = {
    allow_local_requests_from_web_hooks_and_services: bool.optional(),
    outbound_local_requests_allowlist_raw: text.optional(),
    deletion_adjourned_period: int(1).optional(),
    default_project_visibility: VISIBILITY.optional(),
    default_group_visibility: VISIBILITY.optional(),
  };
  api.route('GET', '/application/settings', {}, (c) => {
    c.requireAdmin();
    return app.settings;
  });
  api.route('PUT', '/application/settings', settings, (c, p) => {
    c.requireAdmin();
    return app.tables.settings.update(app.settings, p);
  });
}
