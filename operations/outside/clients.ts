import { setTimeout as sleep } from 'node:timers/promises';
import { askText } from '../../clients/ask';
import { answered } from '../../clients/kubernetes';
import { type Page, wholeOf } from '../../clients/pages';
import { kubeconfigFor } from '../../delivery/kubeconfig';
import type { StackSettings } from '../../stacks/schema';

/** Time for one answer, in milliseconds. */
const PATIENCE = 30_000;

/** Names one object of a cluster. */
export interface ObjectName {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export type ClusterRole = 'ci' | 'production';

/** How to reach a cluster: the context and the kubeconfig that the stack names. */
export function kubeConfigOf(settings: StackSettings, role: ClusterRole) {
  const { context, kubeconfig } = settings.clusters[role];
  return kubeconfigFor(context, kubeconfig && process.env[kubeconfig]);
}

/** People wait for these answers. */
const asked = <T>(work: () => Promise<T>, repeatable = true): Promise<T> =>
  answered(work, { repeatable, policy: { attempts: 3, attemptMs: PATIENCE } });

async function clientOf(settings: StackSettings, role: ClusterRole) {
  const { ApiException, KubernetesObjectApi } = await import('@kubernetes/client-node');
  const config = await kubeConfigOf(settings, role);
  const isMissing = (error: unknown) => error instanceof ApiException && error.code === 404;
  return { objects: KubernetesObjectApi.makeApiClient(config), isMissing };
}

/** An object of a cluster; undefined when there is none. */
export async function readObject(
  settings: StackSettings,
  role: ClusterRole,
  { apiVersion, kind, metadata }: ObjectName,
): Promise<unknown> {
  const { objects, isMissing } = await clientOf(settings, role);
  try {
    return await asked(() => objects.read({ apiVersion, kind, metadata: { ...metadata } }));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Objects of a kind with a label selector, in one namespace or, without one, in all. */
export async function listObjects(
  settings: StackSettings,
  role: ClusterRole,
  apiVersion: string,
  kind: string,
  selector: string,
  namespace?: string,
): Promise<readonly unknown[]> {
  const { objects } = await clientOf(settings, role);
  const answer = await asked(() =>
    objects.list(apiVersion, kind, namespace, undefined, undefined, undefined, undefined, selector),
  );
  return answer.items;
}

/** Bytes of a log that are read at most. */
const LOG_BYTES = 64 << 10;

/** The last lines of a container's log; undefined where there is none, as of a run before the first. */
export async function readLog(
  settings: StackSettings,
  role: ClusterRole,
  pod: { readonly namespace: string; readonly name: string; readonly container: string },
  { lines, previous }: { readonly lines: number; readonly previous: boolean },
): Promise<string | undefined> {
  const { ApiException, CoreV1Api } = await import('@kubernetes/client-node');
  const api = (await kubeConfigOf(settings, role)).makeApiClient(CoreV1Api);
  try {
    return await asked(() =>
      api.readNamespacedPodLog({ ...pod, previous, tailLines: lines, limitBytes: LOG_BYTES }),
    );
  } catch (error) {
    // 400: the container has not started yet, or not before.
    if (error instanceof ApiException && (error.code === 404 || error.code === 400)) return undefined;
    throw error;
  }
}

/** An object with more than its name. */
export type WholeObject = ObjectName & {
  readonly metadata: Readonly<Record<string, unknown>>;
} & Readonly<Record<string, unknown>>;

/** Makes an object of a cluster; one of that name that is there stays as it is. */
export async function createObject(
  settings: StackSettings,
  role: ClusterRole,
  object: WholeObject,
): Promise<void> {
  if ((await readObject(settings, role, object)) !== undefined) return;
  const { objects } = await clientOf(settings, role);
  await asked(() => objects.create({ ...object, metadata: { ...object.metadata } }), false);
}

/** Removes an object of a cluster, if it is there, and waits until it is gone. */
export async function removeObject(
  settings: StackSettings,
  role: ClusterRole,
  object: ObjectName,
): Promise<void> {
  const { objects, isMissing } = await clientOf(settings, role);
  try {
    await asked(() => objects.delete({ ...object, metadata: { ...object.metadata } }));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const end = Date.now() + 120_000;
  while ((await readObject(settings, role, object)) !== undefined) {
    if (Date.now() > end)
      throw new Error(`${object.kind} ${object.metadata.name} did not go within two minutes`);
    await sleep(500);
  }
}

/** Sets how many Pods a workload has; one that is not there has none. */
export async function scaleTo(
  settings: StackSettings,
  role: ClusterRole,
  object: ObjectName,
  replicas: number,
): Promise<void> {
  if ((await readObject(settings, role, object)) === undefined) return;
  await patchObject(settings, role, { ...object, spec: { replicas } });
}

/** Changes some fields of an object of a cluster. */
export async function patchObject(
  settings: StackSettings,
  role: ClusterRole,
  object: ObjectName & Readonly<Record<string, unknown>>,
): Promise<void> {
  const { objects } = await clientOf(settings, role);
  await asked(() => objects.patch({ ...object, metadata: { ...object.metadata } }));
}

export interface Gitlab {
  /** Body of an API path, of a list all its pages; undefined when GitLab answers 404. */
  readonly get: (path: string) => Promise<unknown>;
  /** The same, but of a list the one page that the path names. */
  readonly page: (path: string) => Promise<unknown>;
  /** @returns the body of the answer */
  readonly post: (path: string, body: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly remove: (path: string) => Promise<void>;
}

/** The environment's GitLab. */
export function gitlabOf(settings: StackSettings, token: string): Gitlab {
  const ask = async (
    method: string,
    path: string,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<Page | undefined> => {
    const headers = { 'PRIVATE-TOKEN': token, ...(body ? { 'content-type': 'application/json' } : {}) };
    const asked = await askText(
      `${settings.gitlab.url}/api/v4/${path}`,
      { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) },
      { policy: { attempts: 4, attemptMs: PATIENCE } },
    );
    const { status, ok } = asked.response;
    if (status === 404) return undefined;
    if (!ok) throw new Error(`GitLab answers ${status} to ${method} ${path.split('?')[0]}`);
    const said = asked.body === '' ? undefined : (JSON.parse(asked.body) as unknown);
    return { body: said, next: asked.response.headers.get('x-next-page') };
  };
  return {
    get: (path) => wholeOf(path, (page) => ask('GET', page)),
    page: async (path) => (await ask('GET', path))?.body,
    post: async (path, body) => (await ask('POST', path, body))?.body,
    remove: async (path) => {
      await ask('DELETE', path);
    },
  };
}
