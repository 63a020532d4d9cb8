import { kubeconfigFor } from '../delivery/kubeconfig';
import type { StackSettings } from '../stacks/schema';

/** Time for one answer, in milliseconds. */
const PATIENCE = 30_000;

/** Names one object of a cluster. */
export interface ObjectName {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export type ClusterRole = 'ci' | 'production';

/** A cluster's client, by the context and the kubeconfig that the stack names. */
async function clientOf(settings: StackSettings, role: ClusterRole) {
  const { context, kubeconfig } = settings.clusters[role];
  const config = await kubeconfigFor(context, kubeconfig && process.env[kubeconfig]);
  const { ApiException, KubernetesObjectApi } = await import('@kubernetes/client-node');
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
    return await objects.read({ apiVersion, kind, metadata: { ...metadata } });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Objects of a kind with a label selector, in all namespaces. */
export async function listObjects(
  settings: StackSettings,
  role: ClusterRole,
  apiVersion: string,
  kind: string,
  selector: string,
): Promise<readonly unknown[]> {
  const { objects } = await clientOf(settings, role);
  const answer = await objects.list(
    apiVersion,
    kind,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    selector,
  );
  return answer.items;
}

export interface Gitlab {
  /** Body of an API path; undefined when GitLab answers 404. */
  readonly get: (path: string) => Promise<unknown>;
  readonly remove: (path: string) => Promise<void>;
}

/** The environment's GitLab. */
export function gitlabOf(settings: StackSettings, token: string): Gitlab {
  const ask = async (method: string, path: string): Promise<Response | undefined> => {
    const response = await fetch(`${settings.gitlab.url}/api/v4/${path}`, {
      method,
      headers: { 'PRIVATE-TOKEN': token },
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`GitLab answers ${response.status} to ${method} ${path.split('?')[0]}`);
    return response;
  };
  return {
    get: async (path) => (await ask('GET', path))?.json(),
    remove: async (path) => {
      await ask('DELETE', path);
    },
  };
}
