import { z } from 'zod';
import { endedAs, reasonWord } from '../../delivery/pod-words';
import { conditionsSchema } from '../outside/conditions';
import type { Clock } from './clock';

// Whether a rollout holds: pure, of what the API server tells of a Deployment and its Pods. How a rollout is done is
// Kubernetes' own reckoning (kubectl, polymorphichelpers/rollout_status.go; docs, "Deployment status").

/** A Deployment as the API server tells it. */
export const deploymentSchema = z.looseObject({
  metadata: z.looseObject({ generation: z.number().default(0) }),
  spec: z.looseObject({
    replicas: z.number().default(1),
    template: z.looseObject({
      spec: z.looseObject({ containers: z.array(z.looseObject({ image: z.string() })).min(1) }),
    }),
  }),
  status: z
    .looseObject({
      observedGeneration: z.number().default(0),
      replicas: z.number().default(0),
      updatedReplicas: z.number().default(0),
      availableReplicas: z.number().default(0),
      conditions: conditionsSchema,
    })
    .prefault({}),
});

/** How far a rollout is. `other`: the cluster does not have this image, or nothing of the module. */
export type Stage = 'other' | 'rolling' | 'late' | 'ready';

export function stageOf(deployment: unknown, image: string): Stage {
  const parsed = deploymentSchema.safeParse(deployment);
  if (!parsed.success) return 'other';
  const { metadata, spec, status } = parsed.data;
  if (spec.template.spec.containers[0]?.image !== image) return 'other';
  if (status.observedGeneration < metadata.generation) return 'rolling';
  const { replicas: wanted } = spec;
  const done =
    status.updatedReplicas >= wanted &&
    status.availableReplicas >= wanted &&
    status.replicas <= status.updatedReplicas;
  if (done) return 'ready';
  const late = (status.conditions ?? []).some(
    ({ type, status: is, reason }) =>
      type === 'Progressing' && is === 'False' && reason === 'ProgressDeadlineExceeded',
  );
  return late ? 'late' : 'rolling';
}

const terminated = z.looseObject({ reason: z.string().default(''), exitCode: z.number() });
const containerSchema = z.looseObject({
  name: z.string(),
  ready: z.boolean().default(false),
  restartCount: z.number().default(0),
  state: z
    .looseObject({
      waiting: z.looseObject({ reason: z.string().default('') }).optional(),
      terminated: terminated.optional(),
    })
    .default({}),
  lastState: z.looseObject({ terminated: terminated.optional() }).default({}),
});
const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string(),
    deletionTimestamp: z.union([z.string(), z.date()]).optional(),
  }),
  spec: z.looseObject({ containers: z.array(z.looseObject({ name: z.string(), image: z.string() })).min(1) }),
  status: z
    .looseObject({
      conditions: conditionsSchema,
      /** Sidecars, the proxy of a module that scales among them. */
      initContainerStatuses: z.array(containerSchema).nullish(),
      containerStatuses: z.array(containerSchema).nullish(),
    })
    .prefault({}),
});

/** A Pod of a release, as far as it matters whether it serves. */
export interface PodFacts {
  readonly name: string;
  readonly uid: string;
  readonly ready: boolean;
  readonly restarts: number;
  /** It has ended, or waits to be started again. */
  readonly down: boolean;
  /** What keeps it, in Kubernetes' words; empty where nothing is said. */
  readonly trouble: string;
}

function troubleOf({ status }: z.infer<typeof podSchema>): string {
  const unscheduled = (status.conditions ?? []).find(
    ({ type, status: is }) => type === 'PodScheduled' && is === 'False',
  );
  if (unscheduled) return reasonWord(unscheduled.reason) || 'not scheduled';
  const own = status.containerStatuses ?? [];
  // The module waits for its sidecars.
  const container = [...(status.initContainerStatuses ?? []), ...own].find(({ ready }) => !ready) ?? own[0];
  if (!container) return '';
  const { state, lastState } = container;
  const end = state.terminated ?? lastState.terminated;
  const waits = state.waiting && reasonWord(state.waiting.reason);
  const said = [waits, end && endedAs(end)].filter(Boolean);
  if (said.length > 0) return said.join(', ');
  return container.ready ? '' : 'it runs and is not ready';
}

/** The Pods of a release that are to stay, those first that do not serve. */
export function podsOf(objects: readonly unknown[], image: string): PodFacts[] {
  const pods = objects.flatMap((object) => {
    const parsed = podSchema.safeParse(object);
    return parsed.success ? [parsed.data] : [];
  });
  return pods
    .filter(({ metadata, spec }) => !metadata.deletionTimestamp && spec.containers[0]?.image === image)
    .map((pod) => {
      const containers = pod.status.containerStatuses ?? [];
      return {
        name: pod.metadata.name,
        uid: pod.metadata.uid,
        ready: containers.length > 0 && containers.every(({ ready }) => ready),
        restarts: containers.reduce((sum, { restartCount }) => sum + restartCount, 0),
        down: containers.some(({ state }) => state.waiting !== undefined || state.terminated !== undefined),
        trouble: troubleOf(pod),
      };
    })
    .sort(
      (a, b) => Number(a.ready) - Number(b.ready) || b.restarts - a.restarts || a.name.localeCompare(b.name),
    );
}

/** One look at a rollout. */
export interface Look {
  readonly stage: Stage;
  readonly pods: readonly PodFacts[];
}

export type Verdict =
  | { readonly is: 'steady' | 'other' }
  | { readonly is: 'unsteady'; readonly why: string; readonly pods: readonly PodFacts[] };

export interface Patience {
  /** Seconds that it may take from now on, and from each further Pod that serves, whatever Kubernetes says of its progress. */
  readonly readySeconds: number;
  /** Seconds that it must serve without a crash. */
  readonly watchSeconds: number;
}

const PAUSE_MS = 1000;

const withTrouble = (why: string, pods: readonly PodFacts[]): string => {
  const [first] = pods;
  const trouble = first ? first.trouble : 'no Pod was made';
  return trouble ? `${why} (${trouble})` : why;
};

/**
 * Looks at a rollout until it is known whether it holds. A Pod that started more than once before it was ready may have
 * waited for its database; after that each start is a crash. A Pod that came or went meanwhile is none.
 */
export async function judge(
  look: () => Promise<Look>,
  { readySeconds, watchSeconds }: Patience,
  clock: Clock,
): Promise<Verdict> {
  let late = clock.now() + readySeconds * 1000;
  let serving = 0;
  for (;;) {
    const { stage, pods } = await look();
    if (stage === 'other') return { is: 'other' };
    const serve = pods.filter(({ ready }) => ready).length;
    if (serve > serving) {
      serving = serve;
      late = clock.now() + readySeconds * 1000;
    }
    if (stage === 'late' || (stage === 'rolling' && clock.now() >= late))
      return { is: 'unsteady', why: withTrouble('it did not get ready by its deadline', pods), pods };
    if (stage === 'ready') return watch(pods, look, watchSeconds, clock);
    await clock.sleep(PAUSE_MS);
  }
}

async function watch(
  ready: readonly PodFacts[],
  look: () => Promise<Look>,
  seconds: number,
  clock: Clock,
): Promise<Verdict> {
  const restarts = new Map(ready.map((pod) => [pod.uid, pod.restarts]));
  const end = clock.now() + seconds * 1000;
  while (clock.now() < end) {
    await clock.sleep(Math.min(PAUSE_MS, end - clock.now()));
    const { stage, pods } = await look();
    // Another rollout has begun.
    if (stage === 'other') return { is: 'other' };
    const crashed = pods.filter((pod) => {
      const before = restarts.get(pod.uid);
      return before !== undefined && (pod.restarts > before || pod.down);
    });
    if (crashed.length > 0)
      return {
        is: 'unsteady',
        why: withTrouble(`it crashed within ${seconds} s after it was ready`, crashed),
        pods: crashed,
      };
  }
  return { is: 'steady' };
}
