import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseJson } from '../text/json';
import { askText, type Unanswered } from './ask';
import { exitCode, Failure } from './failure';
import type { Policy } from './retry';

const metadataSchema = z.object({
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  creationTimestamp: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
});
/** What an object is known by: all that clean-up ever reads of it. */
export type Metadata = z.infer<typeof metadataSchema>;

const listSchema = z.object({
  metadata: z.object({ continue: z.string().optional() }).default({}),
  // An empty list of metadata alone comes as null.
  items: z
    .array(z.unknown())
    .nullish()
    .transform((items) => items ?? []),
});
const partialSchema = z.object({ metadata: metadataSchema });

export type Kind = 'pods' | 'persistentvolumeclaims' | 'configmaps';

type Selecting = { readonly labelSelector: string } | { readonly fieldSelector: string };

export interface ClusterOptions {
  /** @default `https://kubernetes.default.svc` */
  readonly url?: string;
  readonly token: string;
  /** @default that of `clients/retry.ts` */
  readonly policy?: Partial<Policy>;
}

/** The token that Kubernetes mounts for a Pod's service account; its CA comes by `NODE_EXTRA_CA_CERTS`. */
export function podToken(file = '/var/run/secrets/kubernetes.io/serviceaccount/token'): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    throw new Failure(
      exitCode.input,
      `${file}: cannot be read.`,
      'Run this in a Pod that mounts the token of its service account.',
    );
  }
}

/**
 * The few requests to the Kubernetes API that clean-up and builds make from their Pods, over fetch: no kubectl, and not
 * Kubernetes' own client (`kubernetes.ts`), which is large to load for one request and cannot ask for metadata alone.
 */
export class Cluster {
  constructor(private readonly options: ClusterOptions) {}

  private async request(
    method: string,
    path: string,
    accept: string,
    allowed: readonly number[],
    body?: Record<string, unknown>,
  ): Promise<{ status: number; body: unknown }> {
    const url = `${this.options.url ?? 'https://kubernetes.default.svc'}/api/v1/${path}`;
    const init: RequestInit = {
      method,
      headers: {
        accept,
        authorization: `Bearer ${this.options.token}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      body: body ? JSON.stringify(body) : undefined,
      redirect: 'error',
    };
    // What is made has a name, and what is deleted a uid: a second time finds it so.
    const { response, body: text } = await askText(url, init, {
      repeatable: true,
      policy: this.options.policy,
    }).catch((error: Unanswered) => {
      throw new Failure(
        exitCode.red,
        `Kubernetes: ${new URL(url).host} cannot be reached (${error.reason}).`,
        'Check NODE_EXTRA_CA_CERTS and what the namespace lets out.',
      );
    });
    if (response.ok || allowed.includes(response.status))
      return { status: response.status, body: parseJson(text) };
    throw new Failure(
      exitCode.red,
      `Kubernetes: ${method} ${path.split('?')[0]} answered ${response.status}.`,
      response.status === 403 ? "Check the Role of this Pod's service account." : '',
    );
  }

  /** All pages of a list, with what each object must be. */
  private async pages<T>(
    kind: Kind | 'events',
    namespace: string,
    selecting: Selecting,
    { accept, item }: { readonly accept: string; readonly item: z.ZodType<T> },
  ): Promise<T[]> {
    const found: T[] = [];
    let next = '';
    do {
      const query = new URLSearchParams({ ...selecting, limit: '250' });
      if (next) query.set('continue', next);
      const path = `namespaces/${namespace}/${kind}?${query}`;
      const body = listSchema.safeParse((await this.request('GET', path, accept, [])).body);
      const items = z.array(item).safeParse(body.data?.items);
      if (!body.success || !items.success)
        throw new Failure(exitCode.red, `Kubernetes: the list of ${kind} in ${namespace} is not one.`);
      found.push(...items.data);
      next = body.data.metadata.continue ?? '';
    } while (next);
    return found;
  }

  /** Whole Pods or events of a namespace. */
  objects(kind: 'pods' | 'events', namespace: string, selecting: Selecting): Promise<readonly unknown[]> {
    return this.pages(kind, namespace, selecting, { accept: 'application/json', item: z.unknown() });
  }

  /** Metadata of the objects that a label selector finds. What Secrets hold never travels. */
  async list(kind: Kind, namespace: string, labelSelector: string): Promise<Metadata[]> {
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
    const found = await this.pages(kind, namespace, { labelSelector }, { accept, item: partialSchema });
    return found.map(({ metadata }) => metadata);
  }

  /**
   * Deletes exactly the object that was read, in the state in which it was read.
   * @returns false when it is gone or has changed since: the next run looks again
   */
  async remove(kind: Kind, { namespace, name, uid, resourceVersion }: Metadata): Promise<boolean> {
    const { status } = await this.request(
      'DELETE',
      `namespaces/${namespace}/${kind}/${name}`,
      'application/json',
      [404, 409],
      { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } },
    );
    return status < 300;
  }

  /** Makes a ConfigMap; one that is there already is left as it is. */
  async createConfigMap(
    namespace: string,
    name: string,
    labels: Record<string, string>,
    data: Record<string, string>,
  ): Promise<void> {
    await this.request('POST', `namespaces/${namespace}/configmaps`, 'application/json', [409], {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace, labels },
      data,
    });
  }
}
