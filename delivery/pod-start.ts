import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Certificate } from './certificate';
import type { Cluster } from './cluster';
import { endedAs, eventsOf, linesOf, MOST, type PodWords, podWordsText, reasonWord } from './pod-words';

// Whether the test Pod of a build starts. Jenkins' Kubernetes plugin makes one that does not anew for ever (KubernetesLauncher),
// and a build outside the namespace of its cloud never hears why (Reaper).

/** Where in the workspace lies what is said of a test Pod that does not start. */
export const START_FILE = '.switchyard/start/words.json';
/** Written by the pipeline when the tests' agent has ended, however it did. */
export const ENDED_FILE = '.switchyard/start/ended';

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

const time = z.union([z.string(), z.date()]);
const end = z.looseObject({
  reason: z.string().default(''),
  exitCode: z.number(),
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
  /** The last lines of a container that ended. */
  readonly log: readonly string[];
}

const GRAVEST = ['ended', 'cannot', 'slow'] as const;

/** @param service a sidecar, which is started again when it ends */
function troubleOf({ name, ready, restartCount, state, lastState }: Container, service: boolean): Trouble[] {
  const last = state.terminated ?? lastState.terminated;
  const log = linesOf(last?.message ?? '').slice(-MOST.lines);
  if (state.terminated && !service)
    return [{ is: 'ended', why: `container ${name} ended (${endedAs(state.terminated)})`, log }];
  if (ready) return [];
  const waits = reasonWord(state.waiting?.reason ?? '');
  if (last && (restartCount > 0 || state.terminated))
    return [{ is: 'cannot', why: `container ${name} keeps ending (${endedAs(last)})`, log }];
  if (CANNOT.has(waits)) return [{ is: 'cannot', why: `container ${name} waits (${waits})`, log }];
  return state.running ? [{ is: 'slow', why: `container ${name} runs and is not ready`, log }] : [];
}

/** The newest Pod of a build that is not on its way out. */
export interface StartFacts {
  readonly name: string;
  readonly uid: string;
  readonly ready: boolean;
  /** The gravest first. */
  readonly troubles: readonly Trouble[];
}

export function startOf(objects: readonly unknown[]): StartFacts | undefined {
  const [pod] = objects
    .flatMap((object) => podSchema.safeParse(object).data ?? [])
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
      ? [{ is: 'ended', why: `the Pod failed (${reasonWord(reason) || 'no reason'})`, log: [] } as const]
      : []),
    ...(unscheduled
      ? [
          {
            is: 'slow',
            why: `no node takes it (${reasonWord(unscheduled.reason) || 'no reason'})`,
            log: [],
          } as const,
        ]
      : []),
  ];
  return {
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    ready: conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false,
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
  /** Whether nobody waits for the Pod any more. */
  readonly ended: () => boolean;
  readonly say: (line: string) => void;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

const PAUSE_MS = 2000;
/** Between looks at an API server that does not answer. */
const AWAY_MS = 30_000;

/**
 * Looks at the Pods of a build until one is ready, none is waited for any more, or it is known that none starts. While there
 * is no Pod (every agent is in use, the quota is full) the time does not count.
 * @returns what to tell of a Pod that does not start
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
    pods: [
      {
        name,
        events: [...(await events(uid).catch(() => []))],
        log: [...(troubles.find(({ log }) => log.length > 0)?.log ?? [])],
      },
    ],
  });
  while (!ended()) {
    let pause = PAUSE_MS;
    try {
      const pod = startOf(await pods());
      if (pod?.ready) return undefined;
      if (pod) {
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
  return undefined;
}

/** The gravest troubles, in one sentence. */
function whyOf(troubles: readonly Trouble[]): string {
  const [first] = troubles;
  return troubles
    .filter(({ is }) => is === first?.is)
    .slice(0, 2)
    .map(({ why }) => why)
    .join(', ');
}

/** {@link watchStart} of the test Pod of a workspace's build; leaves what it returns for `delivery verdict`. */
export async function watchTestPod(
  cluster: Pick<Cluster, 'objects'>,
  { workspace, namespace }: { readonly workspace: string; readonly namespace: string },
  patience: StartPatience,
  { say, sleep }: Pick<StartSources, 'say' | 'sleep'>,
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
      ended: () => existsSync(join(workspace, ENDED_FILE)),
      say,
      sleep,
    },
    patience,
  );
  if (!words) return undefined;
  const file = join(workspace, START_FILE);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, podWordsText(words));
  for (const { name, events, log } of words.pods)
    for (const line of [...events, ...log]) say(`${name}: ${line}`);
  return words;
}
