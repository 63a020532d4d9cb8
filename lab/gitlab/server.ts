import { mkdir } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyError } from 'fastify';
import pino from 'pino';
import { App } from './instance/app';
import { ApiError } from './instance/errors';
import { GitError } from './instance/git';
import { isGitRequest, serveGit } from './instance/git-http';
import { Api } from './instance/http';
import { type Background, type Edition, type Log, QUIET, type Tier } from './instance/instance';
import { isLfsRequest, serveLfs } from './instance/lfs';
import { accountRoutes } from './routes/accounts';
import { approvalRoutes } from './routes/approvals';
import { groupRoutes } from './routes/groups';
import { hookRoutes } from './routes/hooks';
import { issueRoutes } from './routes/issues';
import { memberRoutes } from './routes/members';
import { mergeRequestRoutes } from './routes/merge-requests';
import { graphql, peopleRoutes } from './routes/people';
import { pipelineRoutes, settlePipelines } from './routes/pipelines';
import { projectRoutes } from './routes/projects';
import { repositoryRoutes } from './routes/repository';
import { resourceRoutes } from './routes/resources';

export interface GitLabOptions {
  /** The one folder that holds everything: made when missing. */
  dataDir: string;
  /** @default '127.0.0.1' */
  host?: string;
  /** @default 0, any free port */
  port?: number;
  /** Token of the administrator `root`, with every scope. */
  rootToken: string;
  /** What URLs in answers and hooks start with. @default http://host:port */
  externalUrl?: string;
  /** What a new instance has for `allow_local_requests_from_web_hooks_and_services`. @default false */
  allowLocalHooks?: boolean;
  /** What it is licensed for. @default 'free', where approval rules and settings are forbidden */
  tier?: Tier;
  /** Which package is installed. @default 'enterprise' */
  edition?: Edition;
  /** How long its background jobs take. @default those of a quiet instance */
  background?: Background;
  /** @default nothing below "warn", to standard error */
  log?: Log;
}

export interface GitLab {
  /** Where it listens, without a slash at the end. */
  url: string;
  /** Resolves when no hook is on its way: for tests. */
  hooksSent(): Promise<void>;
  close(): Promise<void>;
}

/** Files are committed through the API as base64, so the limit is above the 100 MB that GitLab has for a push. */
const BODY_LIMIT = 150 * 1024 * 1024;
const PURGE_INTERVAL_MS = 3_600_000;

/**
 * Starts the GitLab stand-in: GitLab's REST API v4, git over HTTP and webhooks, for what Switchyard uses.
 * @throws when the port is taken or the data folder is in use by another instance
 */
export async function startGitLab(options: GitLabOptions): Promise<GitLab> {
  const host = options.host ?? '127.0.0.1';
  const log = options.log ?? stderrLog('warn');
  await mkdir(options.dataDir, { recursive: true });

  // It listens before it is ready, to know its own address; a request that comes in between waits.
  let begin: (listener: http.RequestListener) => void = () => undefined;
  const ready = new Promise<http.RequestListener>((resolve) => {
    begin = resolve;
  });
  const server = http.createServer(async (request, response) => (await ready)(request, response));
  await listen(server, options.port ?? 0, host);
  const { port } = server.address() as AddressInfo;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  let app: App;
  try {
    const externalUrl = (options.externalUrl ?? url).replace(/\/+$/, '');
    app = new App(
      options.dataDir,
      externalUrl,
      log,
      options.tier,
      options.edition,
      options.background ?? QUIET,
    );
    await app.prepare(options.rootToken, options.allowLocalHooks ?? false);
    await settlePipelines(app);
  } catch (error) {
    server.close();
    server.closeAllConnections();
    throw error;
  }

  const rest = await restServer(app);
  begin((request, response) => {
    const lfs = isLfsRequest(request.url ?? '/');
    if (!lfs && !isGitRequest(request.url ?? '/')) {
      rest(request, response);
      return;
    }
    (lfs ? serveLfs : serveGit)(app, request, response).catch((error: Error) => {
      log.warn(`${request.method} ${request.url}: ${error.message}`);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  const purge = setInterval(() => app.purge(), PURGE_INTERVAL_MS);
  purge.unref();

  return {
    url,
    hooksSent: () => app.webhooks.idle(),
    close: async () => {
      clearInterval(purge);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), 3000);
      await closed;
      clearTimeout(force);
      await app.close();
    },
  };
}

function listen(server: http.Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

export function stderrLog(level: 'info' | 'warn'): Log {
  const logger = pino({ level, base: { name: 'gitlab' } }, pino.destination({ fd: 2, sync: true }));
  return { info: (text) => logger.info(text), warn: (text) => logger.warn(text) };
}

async function restServer(app: App): Promise<http.RequestListener> {
  let handler: http.RequestListener | undefined;
  const rest = fastify({
    bodyLimit: BODY_LIMIT,
    routerOptions: { maxParamLength: 4096 },
    serverFactory: (listener) => {
      handler = listener;
      // Only routes requests; the listening server is our own, shared with git.
      return http.createServer();
    },
  });
  rest.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => {
      const result: Record<string, unknown> = {};
      for (const [key, value] of new URLSearchParams(String(body))) {
        if (key.endsWith('[]')) result[key] = [...((result[key] as string[] | undefined) ?? []), value];
        else result[key] = value;
      }
      done(null, result);
    },
  );
  // python-gitlab and curl send "application/json" with an empty body on DELETE and POST.
  rest.removeContentTypeParser('application/json');
  rest.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? {} : JSON.parse(String(body)));
    } catch {
      done(new ApiError(400, { error: 'The body is not valid JSON' }));
    }
  });

  rest.setErrorHandler(async (error: FastifyError | Error, request, reply) => {
    if (error instanceof ApiError) {
      reply.code(error.status).headers(error.headers);
      return reply.header('content-type', 'application/json').send(JSON.stringify(error.body));
    }
    const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
    if (status === 415) return reply.code(415).send({ error: 'The provided content-type is not supported.' });
    if (status < 500) return reply.code(status).send({ error: error.message });
    app.log.warn(
      `${request.method} ${request.url}: ${error instanceof GitError ? error.message : (error.stack ?? error.message)}`,
    );
    return reply.code(500).send({ message: '500 Internal Server Error' });
  });
  rest.setNotFoundHandler(async (request, reply) => {
    app.log.warn(
      `NOT COVERED: ${request.method} ${request.url.split('?')[0]} is no route of this GitLab stand-in; answered 404`,
    );
    return reply.code(404).send({ error: '404 Not Found' });
  });

  const api = new Api(rest, app);
  accountRoutes(api, app);
  groupRoutes(api, app);
  memberRoutes(api, app, 'group');
  memberRoutes(api, app, 'project');
  projectRoutes(api, app);
  resourceRoutes(api, app);
  approvalRoutes(api, app);
  hookRoutes(api, app);
  repositoryRoutes(api, app);
  pipelineRoutes(api, app);
  mergeRequestRoutes(api, app);
  issueRoutes(api, app);
  peopleRoutes(api, app);
  graphql(rest, app);
  rest.get('/-/health', async (_request, reply) => reply.type('text/plain').send('GitLab OK'));
  rest.get('/-/readiness', async () => ({ status: 'ok' }));
  await rest.ready();
  if (!handler) throw new Error('fastify gave no request listener');
  return handler;
}
