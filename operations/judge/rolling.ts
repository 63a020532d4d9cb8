import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Module } from '../../catalog/load';
import { modulePods } from '../../components/production/workload';
import {
  ROLLING_FILE,
  type RollingStep,
  readRolling,
  rollingTeller,
  type TellRolling,
} from '../../delivery/rolling';
import { namespacesOf } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { isOfOneModule, secretSources } from '../../stacks/secrets';
import { clusterOf } from '../outside/clients';
import { migrationStage } from './migration';
import { listMigrations } from './migration-jobs';
import { deploymentSchema, podsOf } from './verdict';

// How far the rollout of a deploy is, for its merge request: looked at beside what does it, which never waits for that.

/** Of a deploy, which has one module's keys: where the pipeline looks for it. */
export const deployTeller = (): TellRolling | undefined =>
  isOfOneModule(process.env[secretSources.seed] ?? '') ? rollingTeller(resolve(ROLLING_FILE)) : undefined;

/** Of whatever comes after that in the same folder, and has no keys. */
export function laterTeller(): TellRolling | undefined {
  const file = resolve(ROLLING_FILE);
  const left = readRolling(file);
  return left && 'begun' in left ? rollingTeller(file, left.begun) : undefined;
}

export const selectorOf = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/** A module's Deployment, undefined where there is none, and its Pods. */
export async function readRollout(settings: StackSettings, module: Module) {
  const namespace = namespacesOf(settings).production(module.name);
  const [deployment, pods] = await Promise.all([
    clusterOf(settings, 'production').read({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: module.name, namespace },
    }),
    clusterOf(settings, 'production').list('v1', 'Pod', selectorOf(modulePods(module)), namespace),
  ]);
  return { deployment, pods };
}

/** What is seen of a rollout at a moment. */
export interface Seen {
  readonly deployment: unknown;
  readonly pods: readonly unknown[];
  /** Jobs of the module's migrations. */
  readonly jobs: readonly unknown[];
}

/** Pods with the image that the Deployment has now that are ready, of those that it wants. */
export function readyOf({ deployment, pods }: Pick<Seen, 'deployment' | 'pods'>) {
  const { data } = deploymentSchema.safeParse(deployment);
  if (!data) return { ready: 0, wanted: 0 };
  const { replicas, template } = data.spec;
  const ready = podsOf(pods, template.spec.containers[0]?.image ?? '').filter((pod) => pod.ready).length;
  // Of a rollout that changes no image those of before count as well.
  return { ready: Math.min(ready, replicas), wanted: replicas };
}

/** What tells one rollout of a Deployment from another. */
const templateOf = ({ deployment }: Seen): string =>
  JSON.stringify(deploymentSchema.safeParse(deployment).data?.spec.template ?? null);

/** How far it is, held against what was there when it began. */
export function stepOf(before: Seen, now: Seen): RollingStep {
  if (now.jobs.some((job) => migrationStage(job).stage === 'running')) return { step: 'migration' };
  return templateOf(now) === templateOf(before) ? { step: 'begun' } : { step: 'pods', ...readyOf(now) };
}

const PAUSE_MS = 3000;

/** Looks at a rollout until it is ended. What cannot be looked at is not told. */
export async function followRollout(
  look: () => Promise<Seen>,
  tell: TellRolling,
  end: AbortSignal,
  pause: (milliseconds: number, end: AbortSignal) => Promise<unknown> = (milliseconds, signal) =>
    wait(milliseconds, undefined, { signal }).catch(() => undefined),
): Promise<void> {
  let before: Seen | undefined;
  while (!end.aborted) {
    const now = await look().catch(() => undefined);
    if (end.aborted) return;
    before ??= now;
    if (before && now) tell(stepOf(before, now));
    await pause(PAUSE_MS, end);
  }
}

/** See {@link followRollout}, of a module in the environment's cluster. */
export const followModule = (
  settings: StackSettings,
  module: Module,
  tell: TellRolling,
  end: AbortSignal,
): Promise<void> =>
  followRollout(
    async () => {
      const [rollout, jobs] = await Promise.all([
        readRollout(settings, module),
        module.production.migrate ? listMigrations(settings, module) : [],
      ]);
      return { ...rollout, jobs };
    },
    tell,
    end,
  );
