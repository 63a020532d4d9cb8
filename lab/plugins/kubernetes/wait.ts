import { isRecord } from '../shared/values';
import type { ApiClient } from './client';
import {
  ANNOTATIONS,
  annotationOf,
  type KubeObject,
  metadataOf,
  nameOf,
  namespaceOf,
  specOf,
  statusOf,
} from './object';
import {
  type Assessment,
  assess,
  defaultTimeoutSeconds,
  isAwaited,
  NOTHING_RELATED,
  type Problem,
  podSelector,
  type Related,
} from './readiness';

export interface WaitOptions {
  client: ApiClient;
  object: KubeObject;
  timeoutSeconds: number;
  signal: AbortSignal;
  /** Called whenever what is waited for changes. */
  onStatus: (text: string) => void;
  /** Longest pause between two looks. @default 1000 */
  pollMilliseconds?: number;
}

/** The outcome of a wait: the last live object, and the reasons when it is not ready. */
export interface WaitOutcome {
  live: KubeObject;
  reasons: string[];
}

/** `customTimeouts` first, then the annotation, then the kind's own. */
export function timeoutFor(object: KubeObject, custom: number): number {
  if (custom > 0) return custom;
  const annotated = Number(annotationOf(object, ANNOTATIONS.timeoutSeconds));
  return Number.isFinite(annotated) && annotated > 0 ? annotated : defaultTimeoutSeconds(object);
}

export function skipsWait(object: KubeObject): boolean {
  return annotationOf(object, ANNOTATIONS.skipAwait) === 'true';
}

/** Keeps track of how long each problem has been seen, so that only lasting ones fail a wait. */
export class ProblemClock {
  private readonly since = new Map<string, number>();

  /** The problems that have outlasted their grace at `now` (milliseconds). */
  lasting(problems: Problem[], now: number): Problem[] {
    const seen = new Set(problems.map(({ key }) => key));
    for (const key of [...this.since.keys()]) if (!seen.has(key)) this.since.delete(key);
    return problems.filter(({ key, graceSeconds }) => {
      const first = this.since.get(key) ?? now;
      this.since.set(key, first);
      return now - first >= graceSeconds * 1000;
    });
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    signal.addEventListener('abort', finish);
    if (signal.aborted) finish();
  });
}

async function eventsOf(client: ApiClient, object: KubeObject): Promise<KubeObject[]> {
  const uid = String(metadataOf(object).uid ?? '');
  if (uid === '') return [];
  const events = await client.list('v1', 'Event', namespaceOf(object) ?? 'default', {
    fieldSelector: `involvedObject.uid=${uid}`,
  });
  return events.sort((a, b) =>
    String(a.lastTimestamp ?? a.eventTime).localeCompare(String(b.lastTimestamp ?? b.eventTime)),
  );
}

/** Only the newest ReplicaSet's Pods tell about a Deployment's rollout, not those it is replacing. */
function newestOnly(pods: KubeObject[], replicaSets: KubeObject[]): KubeObject[] {
  const revision = (set: KubeObject) => Number(annotationOf(set, 'deployment.kubernetes.io/revision') ?? 0);
  const newest = [...replicaSets].sort((a, b) => revision(b) - revision(a))[0];
  const uid = newest && metadataOf(newest).uid;
  return pods.filter((pod) => {
    const { ownerReferences } = metadataOf(pod);
    return (
      Array.isArray(ownerReferences) && ownerReferences.some((owner) => isRecord(owner) && owner.uid === uid)
    );
  });
}

async function storageClassOf(client: ApiClient, claim: KubeObject): Promise<KubeObject | undefined> {
  const { storageClassName } = specOf(claim);
  if (storageClassName === '') return undefined;
  if (typeof storageClassName === 'string')
    return client.get('storage.k8s.io/v1', 'StorageClass', undefined, storageClassName);
  const classes = await client.list('storage.k8s.io/v1', 'StorageClass', undefined);
  return classes.find(
    (candidate) => annotationOf(candidate, 'storageclass.kubernetes.io/is-default-class') === 'true',
  );
}

/** Fetches what tells why an object is not ready. */
export async function relatedTo(client: ApiClient, object: KubeObject): Promise<Related> {
  const namespace = namespaceOf(object);
  const selector = podSelector(object);
  const related: Related = { pods: [], events: [], endpointSlices: [] };
  const kind = String(object.kind);
  if (kind === 'Namespace' || kind === 'CustomResourceDefinition') return related;
  if (kind === 'PersistentVolumeClaim') related.storageClass = await storageClassOf(client, object);
  if (kind === 'Service') {
    related.endpointSlices = await client.list('discovery.k8s.io/v1', 'EndpointSlice', namespace, {
      labelSelector: `kubernetes.io/service-name=${nameOf(object)}`,
    });
  }
  if (selector !== '') related.pods = await client.list('v1', 'Pod', namespace, { labelSelector: selector });
  related.events = await eventsOf(client, object);
  if (kind === 'Deployment') {
    const sets = await client.list('apps/v1', 'ReplicaSet', namespace, { labelSelector: selector });
    related.pods = newestOnly(related.pods, sets);
    // Quota and Pod Security refusals are reported on the ReplicaSet that could not create the Pod.
    const owned = sets.filter(
      (set) => Number(statusOf(set).replicas ?? 0) < Number(specOf(set).replicas ?? 0),
    );
    for (const set of owned) related.events.push(...(await eventsOf(client, set)));
  }
  return related;
}

/** The reasons for giving up, most telling first, with the last warnings the cluster recorded. */
export async function explain(
  client: ApiClient,
  assessment: Assessment,
  related: Related,
  object: KubeObject,
): Promise<string[]> {
  const warnings = new Map<string, string>();
  const sources = [object, ...related.pods.slice(0, 3)];
  for (const source of sources) {
    for (const event of await eventsOf(client, source).catch(() => [])) {
      if (event.type !== 'Warning') continue;
      warnings.set(
        `${String(event.reason)}${nameOf(source)}`,
        `event on ${String(source.kind ?? 'Pod')} ${nameOf(source)}: ${String(event.reason)}: ${String(event.message)}`,
      );
    }
  }
  return [
    `waited for ${assessment.waitingFor}`,
    ...assessment.problems.map(({ text }) => text),
    ...[...warnings.values()].slice(-5),
  ];
}

/**
 * Polls until the object is ready, a problem has lasted too long, the time is up, or the user cancels.
 * An object that vanishes is an error, except a Job that cleans itself up (`ttlSecondsAfterFinished`).
 */
export async function waitUntilReady(options: WaitOptions): Promise<WaitOutcome> {
  const { client, object, signal } = options;
  let live = object;
  if (!isAwaited(object)) return { live, reasons: [] };
  const clock = new ProblemClock();
  const deadline = Date.now() + options.timeoutSeconds * 1000;
  let shown = '';
  for (let delay = 200; ; delay = Math.min(delay * 1.5, options.pollMilliseconds ?? 1000)) {
    const current = await client.get(
      String(object.apiVersion),
      String(object.kind),
      namespaceOf(object),
      nameOf(object),
    );
    if (!current || metadataOf(current).uid !== metadataOf(object).uid) {
      const selfCleaning = object.kind === 'Job' && specOf(object).ttlSecondsAfterFinished !== undefined;
      return {
        live,
        reasons: selfCleaning && !current ? [] : ['the object was deleted while it was waited for'],
      };
    }
    live = current;
    // Most objects tell by themselves when they are ready: only then the rest is worth fetching.
    if (assess(live, NOTHING_RELATED).ready) return { live, reasons: [] };
    const related = await relatedTo(client, live);
    const assessment = assess(live, related);
    if (assessment.ready) return { live, reasons: [] };
    const now = Date.now();
    const lasting = clock.lasting(assessment.problems, now);
    if (lasting.length > 0)
      return { live, reasons: await explain(client, { ...assessment, problems: lasting }, related, live) };
    if (signal.aborted) return { live, reasons: [`cancelled while waiting for ${assessment.waitingFor}`] };
    if (now >= deadline) {
      const reasons = await explain(client, assessment, related, live);
      return { live, reasons: [`not ready after ${options.timeoutSeconds} s`, ...reasons] };
    }
    const status = assessment.problems[0]?.text ?? `waiting for ${assessment.waitingFor}`;
    if (status !== shown) options.onStatus(status);
    shown = status;
    await pause(delay, signal);
  }
}

/** What holds up a deletion, in words. */
export function deletionObstacles(live: KubeObject): string[] {
  const { finalizers } = metadataOf(live);
  const { conditions } = statusOf(live);
  const obstacles =
    Array.isArray(finalizers) && finalizers.length > 0 ? [`finalizers ${finalizers.join(', ')}`] : [];
  const specFinalizers = specOf(live).finalizers;
  if (live.kind === 'Namespace' && Array.isArray(specFinalizers)) {
    for (const condition of Array.isArray(conditions) ? conditions.filter(isRecord) : []) {
      if (condition.status === 'True' && condition.message) obstacles.push(String(condition.message));
    }
  }
  return obstacles;
}

/** Polls until the object is gone, or another of its name has taken its place. */
export async function waitUntilGone(options: WaitOptions): Promise<void> {
  const { client, object, signal } = options;
  const deadline = Date.now() + options.timeoutSeconds * 1000;
  let shown = '';
  for (let delay = 50; ; delay = Math.min(delay * 2, options.pollMilliseconds ?? 500)) {
    const live = await client.get(
      String(object.apiVersion),
      String(object.kind),
      namespaceOf(object),
      nameOf(object),
    );
    if (!live || metadataOf(live).uid !== metadataOf(object).uid) return;
    const obstacles = deletionObstacles(live);
    const status = `waiting for deletion${obstacles.length > 0 ? ` (${obstacles.join('; ')})` : ''}`;
    const name = `${String(object.kind)} ${namespaceOf(object) ? `${namespaceOf(object)}/` : ''}${nameOf(object)}`;
    if (signal.aborted) throw new Error(`${name}: cancelled while ${status}`);
    if (Date.now() >= deadline)
      throw new Error(`${name}: still there after ${options.timeoutSeconds} s: ${status}`);
    if (status !== shown) options.onStatus(status);
    shown = status;
    await pause(delay, signal);
  }
}
