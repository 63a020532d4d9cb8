import http from 'node:http';
import https from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { isRecord, type Props } from '../shared/values';
import { type KubeObject, splitApiVersion } from './object';

/** The API server's refusal, or (status 0) the failure to reach it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** Kubernetes's machine-readable reason, e.g. `NotFound`, `Conflict`, `Invalid`. */
    readonly reason: string,
    message: string,
    /** What `details.causes` lists: one entry per field. */
    readonly causes: { reason: string; message: string; field: string }[] = [],
    readonly detailsKind = '',
  ) {
    super(message);
  }
}

/** How a kind is served: its path segment and whether its objects live in namespaces. */
export interface ResourceInfo {
  plural: string;
  namespaced: boolean;
}

export interface ApplyOptions {
  fieldManager: string;
  force?: boolean;
  dryRun?: boolean;
  /** Called with each text that the API server puts into a `Warning` header. */
  onWarning?: (text: string) => void;
}

interface RequestOptions {
  method: 'GET' | 'PATCH' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  contentType?: string;
}

interface Response {
  status: number;
  body: Props;
  warnings: string[];
}

const REQUEST_TIMEOUT_MS = 60_000;
const CONNECT_ATTEMPTS = 4;

/** A small client for any kind: server-side apply, get, list, delete, with kinds discovered from the API server. */
export class ApiClient {
  private readonly groups = new Map<string, Promise<Map<string, ResourceInfo>>>();
  private readonly agent: http.Agent;

  constructor(private readonly config: KubeConfig) {
    this.agent = new http.Agent({ keepAlive: true });
  }

  /** How the kind is served, or `undefined` when the API server does not serve it (yet). */
  async resource(apiVersion: string, kind: string, refresh = false): Promise<ResourceInfo | undefined> {
    if (refresh) this.groups.delete(apiVersion);
    let group = this.groups.get(apiVersion);
    if (!group) {
      group = this.discover(apiVersion);
      this.groups.set(apiVersion, group);
      group.catch(() => this.groups.delete(apiVersion));
    }
    const found = (await group).get(kind);
    if (!found && !refresh) return this.resource(apiVersion, kind, true);
    return found;
  }

  private async discover(apiVersion: string): Promise<Map<string, ResourceInfo>> {
    const kinds = new Map<string, ResourceInfo>();
    let body: Props;
    try {
      body = (await this.request({ method: 'GET', path: groupPath(apiVersion) })).body;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return kinds;
      throw error;
    }
    for (const entry of Array.isArray(body.resources) ? body.resources : []) {
      if (!isRecord(entry) || typeof entry.name !== 'string' || typeof entry.kind !== 'string') continue;
      // Subresources (deployments/scale) are listed under the kind they return.
      if (entry.name.includes('/')) continue;
      kinds.set(entry.kind, { plural: entry.name, namespaced: entry.namespaced === true });
    }
    return kinds;
  }

  /** The live object, or `undefined` when it or its kind does not exist. */
  async get(
    apiVersion: string,
    kind: string,
    namespace: string | undefined,
    name: string,
  ): Promise<KubeObject | undefined> {
    const info = await this.resource(apiVersion, kind);
    if (!info) return undefined;
    try {
      const { body } = await this.request({
        method: 'GET',
        path: objectPath(apiVersion, info, namespace, name),
      });
      return body;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Objects of a kind in a namespace; empty when the kind is not served. `query` as in the REST API. */
  async list(
    apiVersion: string,
    kind: string,
    namespace: string | undefined,
    query: Record<string, string> = {},
  ): Promise<KubeObject[]> {
    const info = await this.resource(apiVersion, kind);
    if (!info) return [];
    const { body } = await this.request({
      method: 'GET',
      path: objectPath(apiVersion, info, namespace),
      query,
    });
    return Array.isArray(body.items) ? body.items.filter(isRecord) : [];
  }

  /** Server-side apply with strict field validation; returns the object as the API server now has it. */
  async apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const apiVersion = String(object.apiVersion);
    const kind = String(object.kind);
    const metadata = isRecord(object.metadata) ? object.metadata : {};
    const info = await this.resource(apiVersion, kind);
    if (!info) throw new ApiError(404, 'NotServed', `the API server does not serve ${kind} of ${apiVersion}`);
    const namespace = typeof metadata.namespace === 'string' ? metadata.namespace : undefined;
    const { body, warnings } = await this.request({
      method: 'PATCH',
      path: objectPath(apiVersion, info, namespace, String(metadata.name)),
      query: {
        fieldManager: options.fieldManager,
        fieldValidation: 'Strict',
        ...(options.force ? { force: 'true' } : {}),
        ...(options.dryRun ? { dryRun: 'All' } : {}),
      },
      // JSON is YAML, so it needs no other serialisation.
      body: object,
      contentType: 'application/apply-patch+yaml',
    });
    for (const warning of warnings) options.onWarning?.(warning);
    return body;
  }

  /** Asks for deletion; `false` when the object was gone already. */
  async delete(
    apiVersion: string,
    kind: string,
    namespace: string | undefined,
    name: string,
    options: { propagationPolicy: string; uid?: string },
  ): Promise<boolean> {
    const info = await this.resource(apiVersion, kind);
    if (!info) return false;
    try {
      await this.request({
        method: 'DELETE',
        path: objectPath(apiVersion, info, namespace, name),
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy: options.propagationPolicy,
          ...(options.uid ? { preconditions: { uid: options.uid } } : {}),
        },
        contentType: 'application/json',
      });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      // The uid precondition failed: the object that was ours is gone, another took its name.
      if (error instanceof ApiError && error.status === 409 && /precondition/i.test(error.message))
        return false;
      throw error;
    }
  }

  private async request(options: RequestOptions): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.send(options);
      } catch (error) {
        // A restarting API server refuses connections, or answers 429/503, for a moment. Apply, get and delete are repeatable.
        const transient = error instanceof ApiError && [0, 429, 503].includes(error.status);
        if (!transient || attempt >= CONNECT_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
      }
    }
  }

  private async send(options: RequestOptions): Promise<Response> {
    const server = this.config.getCurrentCluster()?.server ?? '';
    const url = new URL(server.replace(/\/$/, '') + options.path);
    for (const [key, value] of Object.entries(options.query ?? {})) url.searchParams.set(key, value);
    const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
    const request: https.RequestOptions = {
      method: options.method,
      headers: {
        accept: 'application/json',
        'user-agent': 'pulumi-resource-kubernetes/4.34.2 (switchyard lab)',
        ...(payload === undefined
          ? {}
          : { 'content-type': options.contentType, 'content-length': Buffer.byteLength(payload) }),
      },
    };
    const secure = url.protocol === 'https:';
    // Certificates, bearer tokens (also from token files and exec plug-ins) come from the kubeconfig's current user.
    if (secure) await this.config.applyToHTTPSOptions(request);
    else request.agent = this.agent;
    return new Promise<Response>((resolve, reject) => {
      const unreachable = (why: string) =>
        reject(new ApiError(0, 'Unreachable', `Kubernetes API server ${url.host} cannot be reached: ${why}`));
      const outgoing = (secure ? https : http).request(url, request, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', (error) => unreachable(error.message));
        incoming.on('end', () => {
          const status = incoming.statusCode ?? 0;
          const text = Buffer.concat(chunks).toString('utf8');
          const body = parseBody(text);
          if (status >= 200 && status < 300 && body) {
            resolve({ status, body, warnings: warningTexts(incoming.headersDistinct.warning ?? []) });
          } else {
            reject(statusError(status, body, `${options.method} ${url.pathname}: HTTP ${status}`));
          }
        });
      });
      outgoing.setTimeout(REQUEST_TIMEOUT_MS, () => outgoing.destroy(new Error('no answer within 60 s')));
      outgoing.on('error', (error: NodeJS.ErrnoException) =>
        unreachable(error.message || error.code || 'connection failed'),
      );
      outgoing.end(payload);
    });
  }
}

function parseBody(text: string): Props | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return isRecord(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** A `Warning` header reads: 299 - "text". */
function warningTexts(headers: string[]): string[] {
  return headers.flatMap((header) =>
    [...header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map((match) =>
      (match[1] ?? '').replace(/\\(.)/g, '$1'),
    ),
  );
}

function statusError(status: number, body: Props | undefined, fallback: string): ApiError {
  const details = isRecord(body?.details) ? body.details : {};
  const causes = (Array.isArray(details.causes) ? details.causes : []).filter(isRecord).map((cause) => ({
    reason: String(cause.reason ?? ''),
    message: String(cause.message ?? ''),
    field: String(cause.field ?? ''),
  }));
  const message = typeof body?.message === 'string' ? body.message : fallback;
  return new ApiError(status, String(body?.reason ?? ''), message, causes, String(details.kind ?? ''));
}

function groupPath(apiVersion: string): string {
  const { group, version } = splitApiVersion(apiVersion);
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

function objectPath(
  apiVersion: string,
  info: ResourceInfo,
  namespace: string | undefined,
  name?: string,
): string {
  const scope =
    info.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const suffix = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${groupPath(apiVersion)}${scope}/${info.plural}${suffix}`;
}
