import { z } from 'zod';
import { eventSchema, MOST, reasonWord } from '../../delivery/pod-words';
import { conditionsSchema } from '../outside/conditions';
import type { Clock } from './clock';
import type { PodFacts } from './verdict';

// What became of a release's migration: pure, of what the API server tells of its Job and of that one's Pods.

const jobSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), uid: z.string().default('') }),
  status: z
    .looseObject({
      conditions: conditionsSchema,
    })
    .prefault({}),
});

/** How far a Job is. `none`: there is no such Job. */
export interface MigrationStage {
  readonly stage: 'none' | 'running' | 'ran' | 'failed';
  /** Why it failed, in a word of Kubernetes' own; empty where none is said. */
  readonly reason: string;
  /** The Job itself, as far as events are looked for. */
  readonly job?: { readonly name: string; readonly uid: string };
}

export function migrationStage(object: unknown): MigrationStage {
  const parsed = jobSchema.safeParse(object);
  if (!parsed.success) return { stage: 'none', reason: '' };
  const { metadata, status } = parsed.data;
  const job = { name: metadata.name, uid: metadata.uid };
  const found = (type: string) =>
    (status.conditions ?? []).find((condition) => condition.type === type && condition.status === 'True');
  const failed = found('Failed');
  if (failed) return { stage: 'failed', reason: reasonWord(failed.reason), job };
  return { stage: found('Complete') ? 'ran' : 'running', reason: '', job };
}

const PAUSE_MS = 1000;

/**
 * Looks at a migration until it has ended: an `up` that was broken off leaves it running.
 * @param seconds within which Kubernetes ends it
 */
export async function untilMigrated(
  look: () => Promise<MigrationStage>,
  seconds: number,
  clock: Clock,
): Promise<MigrationStage> {
  const end = clock.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen.stage !== 'running') return seen;
    if (clock.now() >= end) return { ...seen, stage: 'failed', reason: '' };
    await clock.sleep(PAUSE_MS);
  }
}

/**
 * What is told of a migration that failed.
 * @param pods of its Job. Of one that ran out of its time before it started they are gone, and only events are left.
 */
export function failedMigration(
  { reason, job }: MigrationStage,
  pods: readonly PodFacts[],
  events: readonly unknown[],
): { readonly why: string; readonly pods: readonly PodFacts[] } {
  const gone = new Map<string, string>();
  for (const event of events) {
    const { data } = eventSchema.safeParse(event);
    const name = z.looseObject({ name: z.string() }).safeParse(data?.involvedObject).data?.name ?? '';
    if (data && job && name.startsWith(`${job.name}-`)) gone.set(data.involvedObject.uid, name);
  }
  const named = (name: string, uid: string): PodFacts => ({
    name,
    uid,
    ready: false,
    restarts: 0,
    down: true,
    trouble: '',
  });
  const all =
    pods.length > 0
      ? pods
      : [
          ...[...gone].slice(0, MOST.pods - 1).map(([uid, name]) => named(name, uid)),
          ...(job ? [named(job.name, job.uid)] : []),
        ];
  const trouble = pods[0]?.trouble || reason || 'it did not end in time';
  return { why: `its migration failed (${trouble})`, pods: all };
}
