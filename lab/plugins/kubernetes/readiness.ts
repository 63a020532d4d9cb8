import { isRecord, type Props } from '../shared/values';
import {
  type KubeObject,
  metadataOf,
  nameOf,
  namespaceOf,
  specOf,
  splitApiVersion,
  statusOf,
} from './object';

/** Something that keeps an object from being ready and will hardly pass by itself. */
export interface Problem {
  /** The same problem has the same key each time it is seen. */
  key: string;
  text: string;
  /** Fails the wait when it lasts this long; 0 fails at once. */
  graceSeconds: number;
}

export interface Assessment {
  ready: boolean;
  /** What is waited for, in one line. */
  waitingFor: string;
  problems: Problem[];
}

/** What belongs to an object and tells why it is not ready. */
export interface Related {
  pods: KubeObject[];
  events: KubeObject[];
  /** Of a Service. */
  endpointSlices: KubeObject[];
  /** Of a claim: its class, `undefined` when there is none. */
  storageClass?: KubeObject;
}

export const NOTHING_RELATED: Related = { pods: [], events: [], endpointSlices: [] };

/** How many seconds a sign of trouble is borne before it counts as failure. */
const GRACE = {
  /** Will never start whatever happens: wrong name, image that must be local and is not. */
  hopeless: 5,
  /** A missing Secret or ConfigMap may still come. */
  config: 45,
  /** A registry may be starting. */
  imagePull: 60,
  /** A restarting container may wait for its database; the fifth restart is the first that is waited for longer. */
  crash: 100,
  /** A volume may be being made, a node may be coming. */
  unschedulable: 120,
} as const;

const READY: Assessment = { ready: true, waitingFor: '', problems: [] };

function waiting(waitingFor: string, problems: Problem[] = []): Assessment {
  return { ready: false, waitingFor, problems };
}

function numberOf(value: unknown, fallback = 0): number {
  return typeof value === 'number' ? value : fallback;
}

function records(value: unknown): Props[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function conditionOf(object: KubeObject, type: string): Props | undefined {
  return records(statusOf(object).conditions).find((condition) => condition.type === type);
}

/** Group and kind; versions of one kind are awaited alike. */
function kindKey(object: KubeObject): string {
  return `${splitApiVersion(String(object.apiVersion)).group}/${String(object.kind)}`;
}

function observed(object: KubeObject): boolean {
  return numberOf(statusOf(object).observedGeneration, -1) >= numberOf(metadataOf(object).generation);
}

/** Troubles of one container, from its waiting or terminated state. */
function containerProblems(pod: string, status: Props): Problem[] {
  const state = isRecord(status.state) ? status.state : {};
  const container = `container "${String(status.name)}" of Pod ${pod}`;
  if (!isRecord(state.waiting)) return [];
  const reason = String(state.waiting.reason ?? '');
  const said = typeof state.waiting.message === 'string' ? `: ${state.waiting.message}` : '';
  const problem = (graceSeconds: number): Problem[] => [
    {
      key: `${String(status.name)}/${reason.replace(/^ErrImagePull$/, 'ImagePullBackOff')}`,
      text: `${container}: ${reason}${said}`,
      graceSeconds,
    },
  ];
  switch (reason) {
    case 'InvalidImageName':
    case 'ErrImageNeverPull':
      return problem(GRACE.hopeless);
    case 'CreateContainerConfigError':
    case 'CreateContainerError':
    case 'RunContainerError':
      return problem(GRACE.config);
    case 'ErrImagePull':
    case 'ImagePullBackOff':
      return problem(GRACE.imagePull);
    case 'CrashLoopBackOff': {
      const restarts = numberOf(status.restartCount);
      const last =
        isRecord(status.lastState) && isRecord(status.lastState.terminated)
          ? status.lastState.terminated
          : {};
      const exit = last.exitCode === undefined ? '' : `, last exit code ${String(last.exitCode)}`;
      const text = `${container}: CrashLoopBackOff after ${restarts} restarts${exit}; see kubectl logs ${pod} --previous`;
      if (restarts < 2) return [];
      return [{ key: `${String(status.name)}/CrashLoopBackOff`, text, graceSeconds: GRACE.crash }];
    }
    default:
      return [];
  }
}

/** Troubles of one Pod: not scheduled, or containers that cannot start. */
export function podProblems(pod: KubeObject): Problem[] {
  const scheduled = conditionOf(pod, 'PodScheduled');
  const problems: Problem[] = [];
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    problems.push({
      key: 'Unschedulable',
      text: `Pod ${nameOf(pod)} cannot be scheduled: ${String(scheduled.message ?? '')}`,
      graceSeconds: GRACE.unschedulable,
    });
  }
  const status = statusOf(pod);
  for (const container of [...records(status.initContainerStatuses), ...records(status.containerStatuses)]) {
    problems.push(...containerProblems(nameOf(pod), container));
  }
  return problems;
}

function problemsOfPods(pods: KubeObject[]): Problem[] {
  const alive = pods.filter((pod) => metadataOf(pod).deletionTimestamp === undefined);
  const all = alive.flatMap(podProblems);
  // Replicas fail alike: one line per kind of trouble.
  return [...new Map(all.map((problem) => [problem.key, problem])).values()];
}

/**
 * A controller that may not create Pods (quota, Pod Security) says so in events only. `missing`: Pods are still
 * lacking; an event of a trouble that is over stays around for an hour.
 */
function creationProblems(events: KubeObject[], missing: boolean): Problem[] {
  const failed = events.filter((event) => event.reason === 'FailedCreate').at(-1);
  if (!failed || !missing) return [];
  const text = `Pods cannot be created: ${String(failed.message ?? '')}`;
  return [{ key: 'FailedCreate', text, graceSeconds: GRACE.config }];
}

function assessDeployment(object: KubeObject, related: Related): Assessment {
  const status = statusOf(object);
  const wanted = numberOf(specOf(object).replicas, 1);
  if (!observed(object)) return waiting('the rollout to begin');
  if (specOf(object).paused === true) return READY;
  const updated = numberOf(status.updatedReplicas);
  const available = numberOf(status.availableReplicas);
  const total = numberOf(status.replicas);
  if (updated >= wanted && available >= wanted && total <= updated) return READY;
  const problems = [...problemsOfPods(related.pods), ...creationProblems(related.events, updated < wanted)];
  const progressing = conditionOf(object, 'Progressing');
  if (progressing?.status === 'False' && progressing.reason === 'ProgressDeadlineExceeded') {
    problems.push({
      key: 'ProgressDeadlineExceeded',
      text: `the rollout made no progress: ${String(progressing.message ?? '')}`,
      graceSeconds: 0,
    });
  }
  const old = total > updated ? `, ${total - updated} old to stop` : '';
  return waiting(`${updated}/${wanted} replicas updated, ${available}/${wanted} available${old}`, problems);
}

function assessStatefulSet(object: KubeObject, related: Related): Assessment {
  const status = statusOf(object);
  const spec = specOf(object);
  const wanted = numberOf(spec.replicas, 1);
  if (!observed(object)) return waiting('the rollout to begin');
  const strategy = isRecord(spec.updateStrategy) ? spec.updateStrategy : {};
  const rolling = isRecord(strategy.rollingUpdate) ? strategy.rollingUpdate : {};
  const toUpdate = strategy.type === 'OnDelete' ? 0 : Math.max(0, wanted - numberOf(rolling.partition));
  const ready = numberOf(status.readyReplicas);
  // Once a rollout is through, the API server drops updatedReplicas and makes the revisions equal.
  const updated =
    status.currentRevision === status.updateRevision ? wanted : numberOf(status.updatedReplicas);
  if (ready >= wanted && updated >= toUpdate && numberOf(status.replicas) <= wanted) return READY;
  return waiting(`${Math.min(updated, wanted)}/${toUpdate} replicas updated, ${ready}/${wanted} ready`, [
    ...problemsOfPods(related.pods),
    ...creationProblems(related.events, numberOf(status.replicas) < wanted),
  ]);
}

function assessDaemonSet(object: KubeObject, related: Related): Assessment {
  const status = statusOf(object);
  if (!observed(object)) return waiting('the rollout to begin');
  const wanted = numberOf(status.desiredNumberScheduled);
  const strategy = specOf(object).updateStrategy;
  const onDelete = isRecord(strategy) && strategy.type === 'OnDelete';
  const updated = onDelete ? wanted : numberOf(status.updatedNumberScheduled);
  const available = numberOf(status.numberAvailable);
  if (updated >= wanted && available >= wanted) return READY;
  return waiting(`${updated}/${wanted} nodes updated, ${available}/${wanted} available`, [
    ...problemsOfPods(related.pods),
    ...creationProblems(related.events, related.pods.length < wanted),
  ]);
}

function assessReplicas(object: KubeObject, related: Related): Assessment {
  const wanted = numberOf(specOf(object).replicas, 1);
  const ready = numberOf(statusOf(object).readyReplicas);
  if (observed(object) && ready >= wanted) return READY;
  return waiting(`${ready}/${wanted} replicas ready`, [
    ...problemsOfPods(related.pods),
    ...creationProblems(related.events, numberOf(statusOf(object).replicas) < wanted),
  ]);
}

function assessJob(object: KubeObject, related: Related): Assessment {
  if (specOf(object).suspend === true || conditionOf(object, 'Complete')?.status === 'True') return READY;
  const failed = conditionOf(object, 'Failed');
  if (failed?.status === 'True') {
    const text = `the Job failed: ${String(failed.reason ?? '')}: ${String(failed.message ?? '')}; see kubectl logs -n ${namespaceOf(object)} job/${nameOf(object)}`;
    return waiting('completion', [{ key: 'JobFailed', text, graceSeconds: 0 }]);
  }
  const { succeeded, active } = statusOf(object);
  const wanted = numberOf(specOf(object).completions, 1);
  return waiting(`${numberOf(succeeded)}/${wanted} completions (${numberOf(active)} Pods active)`, [
    ...problemsOfPods(related.pods),
    ...creationProblems(related.events, numberOf(active) === 0),
  ]);
}

function assessPod(object: KubeObject): Assessment {
  const { phase, reason, message } = statusOf(object);
  if (phase === 'Succeeded' || conditionOf(object, 'Ready')?.status === 'True') return READY;
  if (phase === 'Failed') {
    const text = `Pod ${nameOf(object)} failed: ${[reason, message].filter(Boolean).join(': ') || `see kubectl logs -n ${namespaceOf(object)} ${nameOf(object)}`}`;
    return waiting('the Pod to be ready', [{ key: 'PodFailed', text, graceSeconds: 0 }]);
  }
  return waiting(`the Pod to be ready (phase ${String(phase ?? 'unknown')})`, podProblems(object));
}

function assessService(object: KubeObject, related: Related): Assessment {
  const spec = specOf(object);
  const selector = isRecord(spec.selector) ? spec.selector : {};
  if (spec.type === 'ExternalName') return READY;
  const endpoints = related.endpointSlices
    .flatMap((slice) => records(slice.endpoints))
    .filter((endpoint) => !isRecord(endpoint.conditions) || endpoint.conditions.ready !== false);
  const selects = Object.keys(selector).length > 0 && spec.clusterIP !== 'None';
  if (selects && endpoints.length === 0) {
    const labels = Object.entries(selector)
      .map(([key, value]) => `${key}=${String(value)}`)
      .join(',');
    const found =
      related.pods.length === 0
        ? 'no Pod has these labels'
        : `${related.pods.length} Pods have them, none is ready`;
    return waiting(`a ready Pod for the selector ${labels} (${found})`, problemsOfPods(related.pods));
  }
  if (spec.type === 'LoadBalancer') {
    const { loadBalancer } = statusOf(object);
    if (!isRecord(loadBalancer) || records(loadBalancer.ingress).length === 0)
      return waiting("the load balancer's address");
  }
  return READY;
}

function assessClaim(object: KubeObject, related: Related): Assessment {
  const { phase } = statusOf(object);
  if (phase === 'Bound') return READY;
  if (phase === 'Lost')
    return waiting('a volume', [
      { key: 'Lost', text: `the volume of claim ${nameOf(object)} is lost`, graceSeconds: 0 },
    ]);
  // Nobody has asked for the volume yet, and it comes with the first Pod: waiting would deadlock.
  if (related.storageClass?.volumeBindingMode === 'WaitForFirstConsumer') return READY;
  const trouble = related.events.filter((event) => event.type === 'Warning').at(-1);
  return waiting(
    `a volume (phase ${String(phase ?? 'unknown')})`,
    trouble
      ? [
          {
            key: `claim/${String(trouble.reason)}`,
            text: `${String(trouble.reason)}: ${String(trouble.message)}`,
            graceSeconds: GRACE.unschedulable,
          },
        ]
      : [],
  );
}

function assessCondition(type: string): (object: KubeObject) => Assessment {
  return (object) => (conditionOf(object, type)?.status === 'True' ? READY : waiting(`condition ${type}`));
}

function assessNamespace(object: KubeObject): Assessment {
  return statusOf(object).phase === 'Active'
    ? READY
    : waiting(`phase Active (is ${String(statusOf(object).phase ?? 'unknown')})`);
}

const ACCOUNT_TOKEN = 'kubernetes.io/service-account-token';

/** The token of a service account is put into its Secret by a controller. */
function assessSecret(object: KubeObject): Assessment {
  if (object.type !== ACCOUNT_TOKEN) return READY;
  const filled = isRecord(object.data) && 'token' in object.data && 'ca.crt' in object.data;
  return filled ? READY : waiting("the service account's token");
}

const ASSESSORS: Record<string, (object: KubeObject, related: Related) => Assessment> = {
  'apps/Deployment': assessDeployment,
  'apps/StatefulSet': assessStatefulSet,
  'apps/DaemonSet': assessDaemonSet,
  'apps/ReplicaSet': assessReplicas,
  '/ReplicationController': assessReplicas,
  'batch/Job': assessJob,
  '/Pod': assessPod,
  '/Service': assessService,
  '/PersistentVolumeClaim': assessClaim,
  '/Secret': assessSecret,
  '/Namespace': assessNamespace,
  'apiextensions.k8s.io/CustomResourceDefinition': assessCondition('Established'),
  'apiregistration.k8s.io/APIService': assessCondition('Available'),
};

/** True for the kinds whose readiness is awaited; all others are ready once the API server has them. */
export function isAwaited(object: KubeObject): boolean {
  // Of Secrets only those that a controller fills.
  if (kindKey(object) === '/Secret') return object.type === ACCOUNT_TOKEN;
  return kindKey(object) in ASSESSORS;
}

/** Whether an object is ready, and if not, what for and what stands in the way. */
export function assess(object: KubeObject, related: Related): Assessment {
  return ASSESSORS[kindKey(object)]?.(object, related) ?? READY;
}

/** Seconds to wait when neither `customTimeouts` nor the annotation says otherwise; as the official provider. */
export function defaultTimeoutSeconds(object: KubeObject): number {
  return kindKey(object) === '/PersistentVolumeClaim' ? 300 : 600;
}

/** Which labels select an object's Pods; empty when it has none of its own. */
export function podSelector(object: KubeObject): string {
  const { selector } = specOf(object);
  if (!isRecord(selector)) return '';
  const bare = ['/Service', '/ReplicationController'].includes(kindKey(object));
  const labels = bare ? selector : selector.matchLabels;
  if (!isRecord(labels)) return '';
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}
