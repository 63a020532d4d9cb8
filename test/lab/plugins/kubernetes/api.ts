import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../../../../lab/plugins/kubernetes/object';
import { isRecord, type Props } from '../../../../lab/plugins/shared/values';

/** One request as it came in. */
export interface Seen {
  method: string;
  path: string;
  query: Record<string, string>;
  contentType: string | undefined;
  body: Props;
}

interface Answer {
  status: number;
  body: Props;
}

const KINDS: Record<string, Props[]> = {
  '/api/v1': [
    { name: 'configmaps', kind: 'ConfigMap', namespaced: true },
    { name: 'secrets', kind: 'Secret', namespaced: true },
    { name: 'pods', kind: 'Pod', namespaced: true },
    { name: 'events', kind: 'Event', namespaced: true },
    { name: 'namespaces', kind: 'Namespace', namespaced: false },
  ],
  '/apis/apps/v1': [
    { name: 'deployments', kind: 'Deployment', namespaced: true },
    { name: 'deployments/scale', kind: 'Scale', namespaced: true },
    { name: 'replicasets', kind: 'ReplicaSet', namespaced: true },
  ],
};

function merge(base: Props, over: Props): Props {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isRecord(below) && isRecord(value) ? merge(below, value) : value;
  }
  return merged;
}

/**
 * A Kubernetes API server as far as the plug-in's unit tests look: discovery, get, list, apply (fields are merged
 * and owned by their manager), dry run, delete. What it cannot know, such as conflicts, a test puts into `answers`.
 */
export class FakeApi {
  readonly objects = new Map<string, KubeObject>();
  readonly seen: Seen[] = [];
  /** `METHOD path` -> answer given instead of the usual one, once. */
  readonly answers = new Map<string, Answer>();
  /** What every new object gets: the work of controllers. */
  status: (object: KubeObject) => Props | undefined = () => undefined;
  private uid = 0;
  private readonly server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://fake');
      const text = Buffer.concat(chunks).toString('utf8');
      const seen: Seen = {
        method: request.method ?? '',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        contentType: request.headers['content-type'],
        body: text === '' ? {} : JSON.parse(text),
      };
      this.seen.push(seen);
      const { status, body } = this.answer(seen);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });

  /** Starts it; returns a kubeconfig for it. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const { port } = this.server.address() as AddressInfo;
    return JSON.stringify({
      'current-context': 'fake',
      clusters: [{ name: 'fake', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'nobody', user: {} }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'nobody', namespace: 'shop' } }],
    });
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private answer(request: Seen): Answer {
    const scripted = this.answers.get(`${request.method} ${request.path}`);
    if (scripted) {
      this.answers.delete(`${request.method} ${request.path}`);
      return scripted;
    }
    const resources = KINDS[request.path];
    if (resources) return { status: 200, body: { resources } };
    const live = this.objects.get(request.path);
    const notFound = {
      status: 404,
      body: { kind: 'Status', reason: 'NotFound', message: `${request.path} not found` },
    };
    switch (request.method) {
      case 'PATCH':
        return this.apply(request, live);
      case 'DELETE':
        this.objects.delete(request.path);
        return live ? { status: 200, body: live } : notFound;
      default:
        if (/\/(pods|events|replicasets)$/.test(request.path)) return { status: 200, body: { items: [] } };
        return live ? { status: 200, body: live } : notFound;
    }
  }

  private apply({ path, query, body }: Seen, live: KubeObject | undefined): Answer {
    const { managedFields: _fields, ...metadata } = isRecord(live?.metadata)
      ? live.metadata
      : ({ generation: 1 } as Props);
    const base = { ...live, metadata: { uid: metadata.uid ?? `uid-${++this.uid}`, ...metadata } };
    const merged = merge(base, body);
    const owned = { manager: query.fieldManager, operation: 'Apply', fieldsV1: body };
    const object: KubeObject = {
      ...merged,
      metadata: { ...(merged.metadata as Props), managedFields: [owned] },
    };
    const status = this.status(object);
    if (status) object.status = status;
    if (query.dryRun !== 'All') this.objects.set(path, object);
    return { status: 200, body: object };
  }
}
