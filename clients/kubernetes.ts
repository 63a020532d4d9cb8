import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig, V1Node } from '@kubernetes/client-node';
import { kubeconfigFor } from './kubeconfig';
import { isTransient, type Policy, retry, retryAfterMs } from './retry';

/** Waits for an answer of a cluster, for so many milliseconds. */
export async function within<T>(answer: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the cluster did not answer within ${Math.round(ms / 100) / 10} s`)),
      ms,
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** An answer of the API server that is a refusal, as its client throws it (`ApiException`). */
interface Refusal {
  readonly code: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const isRefusal = (error: unknown): error is Refusal =>
  error !== null && typeof error === 'object' && 'code' in error && typeof error.code === 'number';

/**
 * Asks the API server by its own client, which has neither time-outs nor retries, under the one policy.
 * @param repeatable whether a second time changes nothing more. @default true
 */
export const answered = <T>(
  work: () => Promise<T>,
  { repeatable = true, policy }: { readonly repeatable?: boolean; readonly policy?: Partial<Policy> } = {},
): Promise<T> =>
  retry((ms) => within(work(), ms), {
    again: (error) => repeatable && (!isRefusal(error) || isTransient(error.code)),
    after: (error) =>
      isRefusal(error) ? retryAfterMs(error.headers?.['retry-after'], Date.now()) : undefined,
    policy,
  });

/** Why a cluster did not give what it was asked for, in a few words. */
export function whyNot(error: unknown): string {
  if (isRefusal(error)) return String(error.code);
  const { message = '', cause } = (error ?? {}) as { message?: string; cause?: { message?: string } };
  return (cause?.message || message).split('\n')[0] || 'no answer';
}

/** Names one object of a cluster. */
export interface ObjectName {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** An object with more than its name. */
export type WholeObject = ObjectName & {
  readonly metadata: Readonly<Record<string, unknown>>;
} & Readonly<Record<string, unknown>>;

/** Bytes of a log that are read at most. */
const LOG_BYTES = 64 << 10;
/** Milliseconds for an object that is removed to be gone. */
const GONE_MS = 120_000;

const isCode = (error: unknown, ...codes: readonly number[]): boolean =>
  isRefusal(error) && codes.includes(error.code);

export interface KubernetesOptions {
  /** @default the kubeconfig's own */
  readonly context?: string;
  /** Text of a kubeconfig. @default the files that kubectl reads */
  readonly kubeconfig?: string;
  /** @default that of `retry.ts`, for each key that is missing */
  readonly policy?: Partial<Policy>;
}

/**
 * A cluster as a kubeconfig reaches it, by Kubernetes' own client. The kubeconfig is read for each request: what makes a
 * cluster anew writes another. Programs in Pods, which have a token and little memory, ask by `kubernetes-in-pod.ts`; commands
 * in containers are run by `pod-exec.ts`.
 */
export class Kubernetes {
  constructor(private readonly options: KubernetesOptions = {}) {}

  /** @throws Error when the context, or what it names, is not there */
  config(): Promise<KubeConfig> {
    return kubeconfigFor(this.options.context, this.options.kubeconfig);
  }

  private answered<T>(work: () => Promise<T>, repeatable = true): Promise<T> {
    return answered(work, { repeatable, policy: this.options.policy });
  }

  private async objects() {
    // Loaded when needed: the package is large, and most commands never need it.
    const { KubernetesObjectApi } = await import('@kubernetes/client-node');
    return KubernetesObjectApi.makeApiClient(await this.config());
  }

  private async core() {
    const { CoreV1Api } = await import('@kubernetes/client-node');
    return (await this.config()).makeApiClient(CoreV1Api);
  }

  /** An object; undefined when there is none. */
  async read({ apiVersion, kind, metadata }: ObjectName): Promise<unknown> {
    const objects = await this.objects();
    try {
      return await this.answered(() => objects.read({ apiVersion, kind, metadata: { ...metadata } }));
    } catch (error) {
      if (isCode(error, 404)) return undefined;
      throw error;
    }
  }

  /** Objects of a kind with a label selector, in one namespace or, without one, in all. */
  async list(
    apiVersion: string,
    kind: string,
    selector: string,
    namespace?: string,
  ): Promise<readonly unknown[]> {
    const objects = await this.objects();
    const answer = await this.answered(() =>
      objects.list(apiVersion, kind, namespace, undefined, undefined, undefined, undefined, selector),
    );
    return answer.items;
  }

  async nodes(): Promise<readonly V1Node[]> {
    const api = await this.core();
    return (await this.answered(() => api.listNode())).items;
  }

  /** The last lines of a container's log; undefined where there is none, as of a run before the first. */
  async log(
    pod: { readonly namespace: string; readonly name: string; readonly container: string },
    { lines, previous }: { readonly lines: number; readonly previous: boolean },
  ): Promise<string | undefined> {
    const api = await this.core();
    try {
      return await this.answered(() =>
        api.readNamespacedPodLog({ ...pod, previous, tailLines: lines, limitBytes: LOG_BYTES }),
      );
    } catch (error) {
      // 400: the container has not started yet, or not before.
      if (isCode(error, 400, 404)) return undefined;
      throw error;
    }
  }

  /** Makes an object; one of that name that is there stays as it is. */
  async create(object: WholeObject): Promise<void> {
    if ((await this.read(object)) !== undefined) return;
    const objects = await this.objects();
    await this.answered(() => objects.create({ ...object, metadata: { ...object.metadata } }), false);
  }

  /** Removes an object, if it is there, and waits until it is gone. */
  async remove(object: ObjectName): Promise<void> {
    const objects = await this.objects();
    try {
      await this.answered(() => objects.delete({ ...object, metadata: { ...object.metadata } }));
    } catch (error) {
      if (!isCode(error, 404)) throw error;
    }
    const end = Date.now() + GONE_MS;
    while ((await this.read(object)) !== undefined) {
      if (Date.now() > end)
        throw new Error(`${object.kind} ${object.metadata.name} did not go within two minutes`);
      await sleep(500);
    }
  }

  /** Sets how many Pods a workload has; one that is not there has none. */
  async scale(object: ObjectName, replicas: number): Promise<void> {
    if ((await this.read(object)) === undefined) return;
    await this.patch({ ...object, spec: { replicas } });
  }

  /** Changes some fields of an object. */
  async patch(object: ObjectName & Readonly<Record<string, unknown>>): Promise<void> {
    const objects = await this.objects();
    await this.answered(() => objects.patch({ ...object, metadata: { ...object.metadata } }));
  }
}
