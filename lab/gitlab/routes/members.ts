import { z } from 'zod';
import type { App } from '../instance/app';
import { forbidden, messageError, notFound } from '../instance/errors';
import { type Api, bool, type Context, date, int, list, text } from '../instance/http';
import { isPast, now } from '../instance/instance';
import { type AccessToken, LEVEL, type Member } from '../instance/model';
import { memberView, tokenView } from '../instance/views';
import { expiry, newTokenShape, rotate } from './accounts';

const level = z.preprocess(
  (value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value),
  z.literal([5, 10, 15, 20, 30, 40, 50]),
);

/** Members and access tokens (with their bot users) of projects and of groups. */
export function memberRoutes(api: Api, app: App, source: 'project' | 'group'): void {
  const { members, users, tokens } = app.tables;
  const base = source === 'project' ? '/projects/:id' : '/groups/:id';
  const owner = (c: Context, need: number): { id: number; level: number } => {
    const row = source === 'project' ? c.project(need) : c.group(need);
    const own =
      source === 'project' ? app.projectLevel(c.user, c.project()) : app.groupLevel(c.user, c.group());
    return { id: row.id, level: own };
  };
  const adminLevel = source === 'project' ? LEVEL.maintainer : LEVEL.owner;

  const listing = { query: text.optional(), user_ids: list(int(1)).optional() };
  const pick = (rows: readonly Member[], p: { query?: string; user_ids?: number[] }): Member[] =>
    rows.filter((row) => {
      const user = app.user(row.user_id);
      return (
        (p.query === undefined || `${user.name} ${user.username}`.includes(p.query)) &&
        (p.user_ids === undefined || p.user_ids.includes(user.id))
      );
    });
  for (const [path, inherited] of [
    ['members', false],
    ['members/all', true],
  ] as const) {
    api.route('GET', `${base}/${path}`, listing, (c, p) =>
      c.page(pick(app.membersOf(source, owner(c, 0).id, inherited), p), (row) => memberView(app, row)),
    );
    api.route('GET', `${base}/${path}/:user_id`, {}, (c) => {
      const member = app
        .membersOf(source, owner(c, 0).id, inherited)
        .find((row) => row.user_id === c.number('user_id'));
      if (!member) throw notFound();
      return memberView(app, member);
    });
  }
  api.route(
    'POST',
    `${base}/members`,
    { user_id: int(1), access_level: level, expires_at: date.optional() },
    (c, p) => {
      const { id, level: own } = owner(c, adminLevel);
      const user = users.get(p.user_id);
      if (user?.state !== 'active') throw notFound('User');
      if (p.access_level > own) throw forbidden();
      if (members.find((row) => row.source === source && row.source_id === id && row.user_id === user.id))
        throw messageError(409, 'Member already exists');
      const inherited = app.membersOf(source, id, true).find((row) => row.user_id === user.id);
      if (inherited && inherited.access_level > p.access_level) {
        throw messageError(400, {
          access_level: [`should be greater than or equal to ${inherited.access_level}, the inherited level`],
        });
      }
      if (p.expires_at && isPast(p.expires_at))
        throw messageError(400, { expires_at: ['cannot be a date in the past'] });
      return c.created(
        memberView(
          app,
          members.insert({
            source,
            source_id: id,
            user_id: user.id,
            access_level: p.access_level,
            expires_at: p.expires_at ?? null,
            created_at: now(),
            created_by: c.user.id,
          }),
        ),
      );
    },
  );
  const direct = (c: Context, id: number): Member => {
    const member = members.find(
      (row) => row.source === source && row.source_id === id && row.user_id === c.number('user_id'),
    );
    if (!member) throw notFound();
    return member;
  };
  api.route(
    'PUT',
    `${base}/members/:user_id`,
    { access_level: level, expires_at: date.or(z.literal('')).optional() },
    (c, p) => {
      const { id, level: own } = owner(c, adminLevel);
      const member = direct(c, id);
      if (p.access_level > own || member.access_level > own) throw forbidden();
      return memberView(
        app,
        members.update(member, {
          access_level: p.access_level,
          ...(p.expires_at === undefined ? {} : { expires_at: p.expires_at || null }),
        }),
      );
    },
  );
  api.route(
    'DELETE',
    `${base}/members/:user_id`,
    { skip_subresources: bool.optional(), unassign_issuables: bool.optional() },
    (c) => {
      const self = c.number('user_id') === c.user.id;
      const { id, level: own } = owner(c, self ? LEVEL.guest : adminLevel);
      const member = direct(c, id);
      if (member.access_level > own) throw forbidden();
      members.delete(member.id);
      return c.noContent();
    },
  );

  api.route('GET', `${base}/access_tokens`, { state: z.enum(['active', 'inactive']).optional() }, (c, p) => {
    const { id } = owner(c, adminLevel);
    const all = tokens.filter((token) => token.kind === source && token.resource_id === id);
    const active = (token: AccessToken): boolean => !token.revoked && !isPast(token.expires_at);
    return c.page(
      all.filter((token) => p.state === undefined || (p.state === 'active') === active(token)),
      tokenView,
    );
  });
  const own = (c: Context): AccessToken => {
    const self = c.path.token_id === 'self';
    const { id } = owner(c, self ? LEVEL.guest : adminLevel);
    const token = self ? c.token : tokens.get(c.number('token_id'));
    if (!token || token.kind !== source || token.resource_id !== id)
      throw notFound(
        `Could not find ${source} access token with token_id: ${c.path.token_id}`.replace(/ Not Found$/, ''),
      );
    return token;
  };
  api.route('GET', `${base}/access_tokens/:token_id`, {}, (c) => tokenView(own(c)));
  api.route('POST', `${base}/access_tokens`, { ...newTokenShape, access_level: level.optional() }, (c, p) => {
    const { id, level: callers } = owner(c, adminLevel);
    const accessLevel = p.access_level ?? LEVEL.maintainer;
    if (accessLevel > callers)
      throw messageError(
        400,
        "400 Bad request - Access level of the token can't be greater the access level of the user who created the token",
      );
    const foreign = p.scopes.filter(
      (scope) => scope === 'sudo' || scope === 'admin_mode' || scope === 'read_user',
    );
    if (foreign.length > 0) throw messageError(400, { scopes: ['can only contain available scopes'] });
    const expires = expiry(p.expires_at);
    const bot = app.createUser({ username: 'pending', name: p.name, email: 'pending', bot: true });
    const username = `${source}_${id}_bot_${bot.id.toString(16).padStart(8, '0')}`;
    users.update(bot, { username, email: `${username}@noreply.${new URL(app.externalUrl).hostname}` });
    members.insert({
      source,
      source_id: id,
      user_id: bot.id,
      access_level: accessLevel,
      expires_at: null,
      created_at: now(),
      created_by: c.user.id,
    });
    const { token, secret } = app.createToken({
      user: bot,
      name: p.name,
      description: p.description,
      scopes: p.scopes,
      expires_at: expires,
      kind: source,
      resource_id: id,
      access_level: accessLevel,
    });
    return c.created({ ...tokenView(token), token: secret });
  });
  api.route(
    'POST',
    `${base}/access_tokens/:token_id/rotate`,
    { expires_at: date.optional() },
    (c, p) => rotate(app, own(c), p.expires_at),
    { scopes: ['self_rotate'] },
  );
  api.route('DELETE', `${base}/access_tokens/:token_id`, {}, (c) => {
    const token = own(c);
    tokens.update(token, { revoked: true });
    members.deleteWhere((row) => row.user_id === token.user_id);
    users.update(app.user(token.user_id), { state: 'blocked' });
    return c.noContent();
  });
}
