import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Cluster } from '../clients/kubernetes-in-pod';
import type { Certificate } from './certificate';
import { endedAs, eventsOf, linesOf, MOST, type PodWords, reasonWord } from './pod-words';
import { leaveStartWords } from './start-words';

// Whether the test Pod of a build starts, and stays. Jenkins' Kubernetes plugin makes one that does not anew for ever (KubernetesLauncher),
// and a build outside the namespace of its cloud never hears why (Reaper).

/** Written by the pipeline when the tests' agent has ended, however it did: holds what {@link Ended} says. */
export const ENDED_FILE = '.switchyard/start/ended';
/** How it ended. `over`: the tests did, or their time, or the build; `broke off`: it went by itself. */
export type Ended = 'over' | 'broke off';

/** Why a Pod is lost that nobody says to have removed. */
export const REMOVED = 'it was removed while its tests ran';

/** Where in the workspace stands by which run a test Pod is found. */
export const RUN_FILE = '.switchyard/run';

/** Label by which the Pods of one run of the tests are found. */
export const RUN_LABEL = 'switchyard.dev/run';
export const runOf = ({ build, headSha, baseSha }: Certificate): string =>
  createHash('sha256').update(`${build} ${headSha} ${baseSha}`).digest('hex').slice(0, 32);

/** States in which a container waits for somebody to mend something; kubelet tries again all the same. */
const CANNOT = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
  'InvalidImageName',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'PostStartHookError',
  'SignatureValidationFailed',
  'CrashLoopBackOff',
]);

/** Of an image that does not come, whosever container it is. */
const PULL = new Set(['ErrImagePull', 'ImagePullBackOff', 'RegistryUnavailable', 'ImageInspectError']);

/** Container of what is tested. It and its tests run what a merge request brings. */
const TESTED = 'app';

/**
 * Why a node ended or refused a Pod that did nothing wrong (pkg/kubelet: nodeshutdown, preemption, lifecycle). `Evicted` alone
 * is none: so ends a Pod that wrote more than it may, and one that has to make room has the condition `DisruptionTarget`.
 */
const BY_NODE =
  /^(NodeLost|NodeShutdown|Shutdown|Terminated|Preempting|NodeAffinity|UnexpectedAdmissionError|OutOf[a-z-]{1,40})$/;

const time = z.union([z.string(), z.date()]);
const end = z.looseObject({
  reason: z.string().default(''),
  exitCode: z.number(),
  finishedAt: time.nullish(),
  message: z.string().nullish(),
});
const containerSchema = z.looseObject({
  name: z.string().max(63),
  ready: z.boolean().default(false),
  restartCount: z.number().default(0),
  state: z
    .looseObject({
      waiting: z.looseObject({ reason: z.string().default('') }).optional(),
      running: z.looseObject({}).optional(),
      terminated: end.optional(),
    })
    .default({}),
  lastState: z.looseObject({ terminated: end.optional() }).default({}),
});
const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string().max(253),
    uid: z.string(),
    creationTimestamp: time,
    deletionTimestamp: time.optional(),
    deletionGracePeriodSeconds: z.number().nullish(),
  }),
  status: z
    .looseObject({
      phase: z.string().default(''),
      reason: z.string().default(''),
      conditions: z
        .array(z.looseObject({ type: z.string(), status: z.string(), reason: z.string().default('') }))
        .nullish(),
      initContainerStatuses: z.array(containerSchema).nullish(),
      containerStatuses: z.array(containerSchema).nullish(),
    })
    .prefault({}),
});
type Container = z.infer<typeof containerSchema>;

/** What keeps a Pod from being ready. `slow`: it may still be; `cannot`: it says that it cannot; `ended`: it never will. */
interface Trouble {
  readonly is: 'slow' | 'cannot' | 'ended';
  readonly why: string;
  /** What is tested has no part in it. */
  readonly outside: boolean;
  /** The last lines of a container that ended. */
  readonly log: readonly string[];
}

const GRAVEST = ['ended', 'cannot', 'slow'] as const;

/** @param service a sidecar, which is started again when it ends */
function troubleOf({ name, ready, restartCount, state, lastState }: Container, service: boolean): Trouble[] {
  const last = state.terminated ?? lastState.terminated;
  const log = linesOf(last?.message ?? '').slice(-MOST.lines);
  // Whoever wrote the tests may end what they run in.
  if (state.terminated && !service)
    return [
      { is: 'ended', why: `container ${name} ended (${endedAs(state.terminated)})`, outside: false, log },
    ];
  if (ready) return [];
  const waits = reasonWord(state.waiting?.reason ?? '');
  if (last && (restartCount > 0 || state.terminated))
    return [
      { is: 'cannot', why: `container ${name} keeps ending (${endedAs(last)})`, outside: service, log },
    ];
  const outside = name !== TESTED || PULL.has(waits);
  if (CANNOT.has(waits)) return [{ is: 'cannot', why: `container ${name} waits (${waits})`, outside, log }];
  return state.running
    ? [{ is: 'slow', why: `container ${name} runs and is not ready`, outside: name !== TESTED, log }]
    : [];
}

/** The newest Pod of a build that is not on its way out. */
export interface StartFacts {
  readonly name: string;
  readonly uid: string;
  readonly ready: boolean;
  /** How often each service was started again. */
  readonly restarts: ReadonlyMap<string, number>;
  /** The gravest first. */
  readonly troubles: readonly Trouble[];
}

const podsOf = (objects: readonly unknown[]): Pod[] =>
  objects.flatMap((object) => podSchema.safeParse(object).data ?? []);

type Pod = z.infer<typeof podSchema>;

/** Why a Pod was taken away by its cluster; undefined where it was not. */
function takenAway({ status }: Pod): string | undefined {
  const disrupted = status.conditions?.find(
    ({ type, status: is }) => type === 'DisruptionTarget' && is === 'True',
  );
  const reason = reasonWord(status.reason);
  if (disrupted) return reasonWord(disrupted.reason) || reason || 'no reason';
  return status.phase === 'Failed' && BY_NODE.test(reason) ? reason : undefined;
}

/** Exit codes by which a container ends that is told to, and that is killed when it does not. */
const TOLD = [143, 137];

/** Whether an end is the container's own error: whoever removes a Pod ends its containers, too. */
function isOwnError({ reason, exitCode, finishedAt }: z.infer<typeof end>, { metadata }: Pod): boolean {
  if (exitCode === 0) return false;
  const { deletionTimestamp: gone, deletionGracePeriodSeconds: grace } = metadata;
  if (gone === undefined || reason === 'OOMKilled') return true;
  if (TOLD.includes(exitCode)) return false;
  return !finishedAt || new Date(finishedAt).getTime() < new Date(gone).getTime() - (grace ?? 0) * 1000;
}

/** Whether a Pod that had started failed by itself. @param before how often each service had been started again then */
function failedItself(pod: Pod, before: StartFacts['restarts']): boolean {
  const { phase, initContainerStatuses, containerStatuses } = pod.status;
  const ends = [
    ...(containerStatuses ?? []).map(({ state }) => state.terminated),
    ...(initContainerStatuses ?? []).map(({ name, restartCount, state, lastState }) =>
      restartCount > (before.get(name) ?? 0) ? (state.terminated ?? lastState.terminated) : state.terminated,
    ),
  ];
  return phase === 'Failed' || ends.some((one) => one !== undefined && isOwnError(one, pod));
}

export function startOf(objects: readonly unknown[]): StartFacts | undefined {
  const [pod] = podsOf(objects)
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .sort(
      (a, b) =>
        new Date(b.metadata.creationTimestamp).getTime() - new Date(a.metadata.creationTimestamp).getTime(),
    );
  if (!pod) return undefined;
  const { phase, reason, conditions, initContainerStatuses, containerStatuses } = pod.status;
  const unscheduled = conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  const troubles: Trouble[] = [
    ...(initContainerStatuses ?? []).flatMap((container) => troubleOf(container, true)),
    ...(containerStatuses ?? []).flatMap((container) => troubleOf(container, false)),
    ...(phase === 'Failed'
      ? [
          {
            is: 'ended',
            why: `the Pod failed (${reasonWord(reason) || 'no reason'})`,
            outside: takenAway(pod) !== undefined,
            log: [],
          } as const,
        ]
      : []),
    ...(unscheduled
      ? [
          {
            is: 'slow',
            why: `no node takes it (${reasonWord(unscheduled.reason) || 'no reason'})`,
            outside: true,
            log: [],
          } as const,
        ]
      : []),
  ];
  return {
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    ready: conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
    restarts: new Map((initContainerStatuses ?? []).map(({ name, restartCount }) => [name, restartCount])),
    troubles: troubles.sort((a, b) => GRAVEST.indexOf(a.is) - GRAVEST.indexOf(b.is)),
  };
}

export interface StartPatience {
  /** Milliseconds that a Pod may say that it cannot start. */
  readonly cannotMs: number;
  /** Milliseconds that there may be Pods of which none is ready. */
  readonly slowMs: number;
}

/** A Pod said for `startMinutes` that it cannot start, or took three times as long. */
export const patienceOf = (startMinutes: number): StartPatience => ({
  cannotMs: startMinutes * 60_000,
  slowMs: 3 * startMinutes * 60_000,
});

export interface StartSources {
  /** The Pods of this build. */
  readonly pods: () => Promise<readonly unknown[]>;
  /** Events of one Pod, by its uid. */
  readonly events: (uid: string) => Promise<readonly string[]>;
  /** Whether nobody waits for the Pod any more, and why. */
  readonly ended: () => Ended | undefined;
  readonly say: (line: string) => void;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

const PAUSE_MS = 2000;
/** Between looks at a Pod that has started: less than it is given to end. */
const STARTED_MS = 4000;
/** How long a Pod is removed before it counts as lost: the pipeline removes it when its tests have ended, and says so then. */
const REMOVED_MS = 10_000;
/** Between looks at an API server that does not answer. */
const AWAY_MS = 30_000;

/**
 * Looks at the Pods of a build until none is waited for any more, or it is known that none starts, or that the one which did was
 * taken away or removed. While there is no Pod (every agent is in use, the quota is full) the time does not count.
 * @returns what to tell of a Pod that does not start, or that was lost
 */
export async function watchStart(
  { pods, events, ended, say, sleep }: StartSources,
  { cannotMs, slowMs }: StartPatience,
): Promise<PodWords | undefined> {
  let waited = 0;
  let cannot = 0;
  let told = '';
  const tell = (line: string): void => {
    if (line && line !== told) say(line);
    told = line;
  };
  const giveUp = async ({ name, uid, troubles }: StartFacts, otherwise: string): Promise<PodWords> => ({
    why: (whyOf(troubles) || otherwise).slice(0, 200),
    ...(gravestOf(troubles).every(({ outside }) => outside) ? { infrastructure: true } : {}),
    pods: [
      {
        name,
        events: [...(await events(uid).catch(() => []))],
        log: [...(troubles.find(({ log }) => log.length > 0)?.log ?? [])],
      },
    ],
  });
  let started: StartFacts | undefined;
  /** The one that was seen last, if it said of nothing that it cannot start. */
  let starting: StartFacts | undefined;
  /** It ended by an error of its own: whoever removes it then took nothing. */
  let failed = false;
  let removed = 0;
  const lost = async ({ name, uid }: StartFacts, why: string): Promise<PodWords> => ({
    why,
    ...(why === REMOVED ? {} : { infrastructure: true }),
    lost: true,
    pods: [{ name, events: [...(await events(uid).catch(() => []))], log: [] }],
  });
  /** Why the Pod that had started is lost; what removed it may not be known. */
  const whyLost = (objects: readonly unknown[]): string | undefined => {
    if (!started) return undefined;
    const { uid, restarts } = started;
    const pod = podsOf(objects).find(({ metadata }) => metadata.uid === uid);
    const taken = pod && takenAway(pod);
    if (taken !== undefined) return `it was taken away (${taken})`;
    failed ||= pod !== undefined && failedItself(pod, restarts);
    return failed || (pod && pod.metadata.deletionTimestamp === undefined) ? undefined : REMOVED;
  };
  while (!ended()) {
    let pause = PAUSE_MS;
    try {
      const objects = await pods();
      const why = whyLost(objects);
      if (started && why !== undefined && (why !== REMOVED || removed >= REMOVED_MS))
        return await lost(started, why);
      const pod = started ? undefined : startOf(objects);
      if (pod?.ready) started = pod;
      if (pod) starting = pod.troubles.every(({ is }) => is === 'slow') ? pod : undefined;
      removed = why === REMOVED ? removed + PAUSE_MS : 0;
      if (started && !removed) pause = STARTED_MS;
      else if (pod) {
        const gravest = pod.troubles[0]?.is;
        if (gravest === 'ended' || (gravest === 'cannot' && cannot >= cannotMs)) return await giveUp(pod, '');
        if (waited >= slowMs)
          return await giveUp(pod, `it was not ready within ${Math.round(slowMs / 60_000)} minutes`);
        waited += PAUSE_MS;
        cannot = gravest === 'cannot' ? cannot + PAUSE_MS : 0;
        tell(pod.troubles.length > 0 ? `${pod.name}: ${whyOf(pod.troubles)}` : '');
      }
    } catch (error) {
      tell(`the test Pod cannot be looked at: ${(error as Error).message}`);
      pause = AWAY_MS;
    }
    // In short steps, so that it ends soon after the tests.
    for (let slept = 0; slept < pause && !ended(); slept += PAUSE_MS) await sleep(PAUSE_MS);
  }
  // The tests' agent may have told of it first, also before the Pod was seen ready.
  if (ended() === 'broke off') started ??= starting;
  const objects = started && (await pods().catch(() => undefined));
  const why = objects && whyLost(objects);
  if (!started || why === undefined || (why === REMOVED && ended() !== 'broke off')) return undefined;
  return lost(started, why);
}

const gravestOf = (troubles: readonly Trouble[]): readonly Trouble[] =>
  troubles.filter(({ is }) => is === troubles[0]?.is);

/** The gravest troubles, in one sentence. */
const whyOf = (troubles: readonly Trouble[]): string =>
  gravestOf(troubles)
    .slice(0, 2)
    .map(({ why }) => why)
    .join(', ');

/** What the pipeline left of how the tests' agent ended; undefined while it goes on. */
function howEnded(file: string): Ended | undefined {
  if (!existsSync(file)) return undefined;
  return readFileSync(file, 'utf8').trim() === 'broke off' ? 'broke off' : 'over';
}

/**
 * {@link watchStart} of the test Pod of a workspace's build; leaves what it returns for `delivery verdict`.
 * @param stopped whether the build ends the watch
 */
export async function watchTestPod(
  cluster: Pick<Cluster, 'objects'>,
  { workspace, namespace }: { readonly workspace: string; readonly namespace: string },
  patience: StartPatience,
  {
    say,
    sleep,
    stopped = () => false,
  }: Pick<StartSources, 'say' | 'sleep'> & { readonly stopped?: () => boolean },
): Promise<PodWords | undefined> {
  const run = readFileSync(join(workspace, RUN_FILE), 'utf8').trim();
  const words = await watchStart(
    {
      pods: () => cluster.objects('pods', namespace, { labelSelector: `${RUN_LABEL}=${run}` }),
      events: async (uid) =>
        eventsOf(
          await cluster.objects('events', namespace, { fieldSelector: `involvedObject.uid=${uid}` }),
          uid,
        ),
      ended: () => howEnded(join(workspace, ENDED_FILE)) ?? (stopped() ? 'over' : undefined),
      say,
      sleep,
    },
    patience,
  );
  if (!words) return undefined;
  leaveStartWords(workspace, words, say);
  return words;
}
