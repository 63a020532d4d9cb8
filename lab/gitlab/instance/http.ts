import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ApiError, forbidden, notFound, plainError, unauthorized } from './errors';
import type { Instance } from './instance';
import { type AccessToken, LEVEL, type Namespace, type Project, type User } from './model';

/** Parameters arrive as JSON, as a form or in the query: numbers and booleans may be written as text. */
export const int = (min = 0): z.ZodType<number> =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value),
    z.number().int().min(min),
  ) as z.ZodType<number>;
export const bool = z.preprocess((value) => {
  // As Grape reads them; Python's clients send "True".
  const word = String(value).toLowerCase();
  if (['true', 't', 'yes', 'y', 'on', '1'].includes(word)) return true;
  if (['false', 'f', 'no', 'n', 'off', '0'].includes(word)) return false;
  return value;
}, z.boolean()) as z.ZodType<boolean>;
export const text = z.preprocess(
  (value) => (typeof value === 'number' ? String(value) : value),
  z.string(),
) as z.ZodType<string>;
export const nonEmpty = z.string().refine((value) => value.trim() !== '', { error: 'is empty' });
export const list = <T>(of: z.ZodType<T>): z.ZodType<T[]> =>
  z.preprocess(
    (value) => (typeof value === 'string' ? value.split(',').filter((part) => part.trim() !== '') : value),
    z.array(of),
  ) as z.ZodType<T[]>;
export const date = z.string().regex(/^\d{4}-\d{2}-\d{2}(T.*)?$/);

export type Shape = Record<string, z.ZodType>;
export type Params<S extends Shape> = z.infer<z.ZodObject<S>>;

/** GitLab's one sentence for all faults of the parameters: `name is missing, visibility does not have a valid value`. */
export function parseParams<S extends Shape>(shape: S, raw: Record<string, unknown>): Params<S> {
  const result = z.strictObject(shape).safeParse(raw);
  if (result.success) return result.data as Params<S>;
  const faults = result.error.issues.map((issue) => {
    if (issue.code === 'unrecognized_keys' && issue.path.length === 0) {
      return issue.keys.map((key) => `${key} is not a parameter of this request`).join(', ');
    }
    const [head, ...rest] = issue.path.map(String);
    const name = `${head}${rest.map((part) => `[${part}]`).join('')}`;
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => `${name}[${key}] is not a parameter of this request`).join(', ');
    let value: unknown = raw;
    for (const part of issue.path) value = (value as Record<PropertyKey, unknown> | undefined)?.[part];
    if (value === undefined) return `${name} is missing`;
    if (issue.code === 'invalid_value') return `${name} does not have a valid value`;
    if (issue.message === 'is empty') return `${name} is empty`;
    return `${name} is invalid`;
  });
  throw plainError(400, [...new Set(faults)].join(', '));
}

/** `key[]=a&key[]=b` is a list, as in Rack; deeper nesting is refused. */
function plainKeys(raw: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (value === null) continue;
    if (key.endsWith('[]')) result[key.slice(0, -2)] = Array.isArray(value) ? value : [value];
    else result[key] = value;
  }
  return result;
}

export const pagination = {
  page: int(1).optional(),
  per_page: int(1).optional(),
};

const API_PREFIX = '/api/v4';

/** One request: who asks, for what, and how the answer is made. */
export class Context {
  status = 200;
  readonly headers: Record<string, string> = {};

  constructor(
    readonly app: Instance,
    readonly request: FastifyRequest,
    readonly path: Record<string, string>,
    readonly token: AccessToken | undefined,
    readonly maybeUser: User | undefined,
    private readonly paging: { page: number; perPage: number },
  ) {}

  get user(): User {
    if (!this.maybeUser) throw unauthorized();
    return this.maybeUser;
  }

  requireAdmin(): User {
    if (!this.user.admin) throw forbidden();
    return this.user;
  }

  number(name: string): number {
    const value = this.path[name] ?? '';
    if (!/^\d+$/.test(value)) throw plainError(400, `${name} is invalid`);
    return Number(value);
  }

  /**
   * The project named by `:id`. 404 unless the caller may see it, 403 below the level.
   * @param level an access level; 0 asks only that the caller can see it
   */
  project(level = LEVEL.none): Project {
    const project = this.app.findProject(this.path.id ?? '');
    const own = project ? this.app.projectLevel(this.maybeUser, project) : LEVEL.none;
    if (!project || !this.app.canSee(this.maybeUser, project)) {
      if (!this.maybeUser && this.request.method !== 'GET') throw unauthorized();
      throw notFound('Project');
    }
    if (level > LEVEL.none && !this.maybeUser) throw unauthorized();
    if (own < level) throw forbidden();
    return project;
  }

  group(level = LEVEL.none): Namespace {
    const group = this.app.findGroup(this.path.id ?? '');
    const own = group ? this.app.groupLevel(this.maybeUser, group) : LEVEL.none;
    const visible =
      group &&
      (own > LEVEL.none ||
        group.settings.visibility === 'public' ||
        (this.maybeUser && group.settings.visibility === 'internal'));
    if (!group || !visible) {
      if (!this.maybeUser && this.request.method !== 'GET') throw unauthorized();
      throw notFound('Group');
    }
    if (level > LEVEL.none && !this.maybeUser) throw unauthorized();
    if (own < level) throw forbidden();
    return group;
  }

  created<T>(body: T): T {
    this.status = 201;
    return body;
  }

  noContent(): undefined {
    this.status = 204;
    return undefined;
  }

  /** One page of the list, with GitLab's offset pagination headers. */
  page<T, V>(rows: readonly T[], view: (row: T) => V): V[] {
    const { page, perPage } = this.paging;
    const pages = Math.max(1, Math.ceil(rows.length / perPage));
    const url = (target: number): string => {
      const link = new URL(this.request.url, this.app.externalUrl);
      link.searchParams.set('page', String(target));
      link.searchParams.set('per_page', String(perPage));
      return link.toString();
    };
    const links: string[] = [];
    if (page > 1) links.push(`<${url(page - 1)}>; rel="prev"`);
    if (page < pages) links.push(`<${url(page + 1)}>; rel="next"`);
    links.push(`<${url(1)}>; rel="first"`, `<${url(pages)}>; rel="last"`);
    Object.assign(this.headers, {
      'X-Total': String(rows.length),
      'X-Total-Pages': String(pages),
      'X-Page': String(page),
      'X-Per-Page': String(perPage),
      'X-Next-Page': page < pages ? String(page + 1) : '',
      'X-Prev-Page': page > 1 ? String(page - 1) : '',
      Link: links.join(', '),
    });
    return rows.slice((page - 1) * perPage, page * perPage).map(view);
  }
}

export interface RouteOptions {
  /** A route that also answers to callers without a token (it decides by itself what they see). */
  anonymous?: boolean;
  /** Scopes besides `api` (and `read_api` for reading) that are enough. */
  scopes?: readonly string[];
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD';

/** Registers routes below /api/v4 with strict parameters, authentication and scopes. */
export class Api {
  constructor(
    private readonly server: FastifyInstance,
    private readonly app: Instance,
  ) {}

  route<S extends Shape>(
    method: Method,
    path: string,
    shape: S,
    handler: (context: Context, params: Params<S>) => unknown,
    options: RouteOptions = {},
  ): void {
    const paginated = method === 'GET' ? { ...pagination, ...shape } : shape;
    this.server.route({
      method,
      url: `${API_PREFIX}${path}`,
      exposeHeadRoute: false,
      handler: async (request, reply) => {
        const { token, user } = this.app.authenticate(
          request.headers,
          request.query as Record<string, unknown>,
        );
        if (!user && !options.anonymous) throw unauthorized();
        if (token) requireScope(token, method, options.scopes ?? []);
        const raw = { ...plainKeys(request.query as Record<string, unknown>), ...bodyOf(request) };
        delete raw.private_token;
        // Clients may repeat in the body what the path says already, python-gitlab in its encoded form.
        for (const [name, value] of Object.entries(request.params as Record<string, string>)) {
          const repeated =
            raw[name] === value || raw[name] === encodeURIComponent(value) || String(raw[name]) === value;
          if (!Object.hasOwn(shape, name) && repeated) delete raw[name];
        }
        const params = parseParams(paginated as S, raw);
        const paging = params as { page?: number; per_page?: number };
        const context = new Context(
          this.app,
          request,
          request.params as Record<string, string>,
          token,
          user,
          {
            page: paging.page ?? 1,
            perPage: Math.min(paging.per_page ?? 20, 100),
          },
        );
        const body = await handler(context, params);
        await send(reply, context, body);
        return reply;
      },
    });
  }
}

function bodyOf(request: FastifyRequest): Record<string, unknown> {
  const body = request.body;
  if (body === undefined || body === null || body === '') return {};
  if (typeof body !== 'object' || Array.isArray(body))
    throw plainError(400, 'The request body must be an object');
  return plainKeys(body as Record<string, unknown>);
}

async function send(reply: FastifyReply, context: Context, body: unknown): Promise<void> {
  reply.code(context.status).headers(context.headers);
  if (context.status === 204 || context.request.method === 'HEAD') await reply.send();
  else if (Buffer.isBuffer(body)) await reply.send(body);
  else await reply.header('content-type', 'application/json').send(JSON.stringify(body));
}

export function requireScope(token: AccessToken, method: Method, extra: readonly string[]): void {
  const reading = method === 'GET' || method === 'HEAD';
  const enough = ['api', ...(reading ? ['read_api'] : []), ...extra];
  if (token.scopes.some((scope) => enough.includes(scope))) return;
  throw new ApiError(403, {
    error: 'insufficient_scope',
    error_description: 'The request requires higher privileges than provided by the access token.',
    scope: enough.join(' '),
  });
}
