import { z } from 'zod';
import type { Model } from '../../components/model';
import { backupKinds } from '../../components/specs/backup';
import { type Holdings, type Kind, kinds, lastSuccess } from '../../delivery/backup/snapshots';

/** How a kind's backup stands. */
export interface BackupFacts {
  readonly kind: Kind;
  /** When all of it was last backed up, RFC 3339; absent: never. */
  readonly last?: string;
  /** Hours since then, one decimal. */
  readonly ageHours?: number;
  /**
   * `late`: older than `backup.maximumAgeHours`. `failed`: the last run failed, and nothing succeeded since it began.
   * `never`: there was no whole success yet.
   */
  readonly state: 'fresh' | 'late' | 'failed' | 'never';
}

/** A run of a backup job, as far as it matters here. */
export interface Run {
  /** Unix seconds. */
  readonly started: number;
  readonly failed: boolean;
  /** Kinds that it was told to back up. */
  readonly kinds: readonly string[];
}

const jobSchema = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      spec: z.looseObject({
        containers: z.array(z.looseObject({ command: z.array(z.string()).default([]) })),
      }),
    }),
  }),
  status: z
    .looseObject({
      startTime: z.union([z.string(), z.date()]).optional(),
      conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).nullish(),
    })
    .prefault({}),
});

/** A Job as the API server tells it; undefined for one that is no backup, and for one that has not ended. */
export function runOf(object: unknown): Run | undefined {
  const parsed = jobSchema.safeParse(object);
  if (!parsed.success) return undefined;
  const { spec, status } = parsed.data;
  const command = spec.template.spec.containers[0]?.command ?? [];
  const ended = (type: string): boolean =>
    (status.conditions ?? []).some((condition) => condition.type === type && condition.status === 'True');
  const failed = ended('Failed');
  if (command[1] !== 'backup' || !status.startTime || !(failed || ended('Complete'))) return undefined;
  return {
    started: new Date(status.startTime).getTime() / 1000,
    failed,
    kinds: command.filter((_, index) => command[index - 1] === '--kind'),
  };
}

/** Every kind that this environment backs up, in the order of a run. */
export function backupFacts(
  model: Model,
  holdings: Holdings,
  runs: readonly Run[],
  /** Unix seconds. */
  now: number,
): BackupFacts[] {
  const { backup } = model.settings;
  if (!backup) return [];
  const made = backupKinds(model);
  const wanted = new Set<string>([...made.ci, ...made.production]);
  return kinds
    .filter((kind) => wanted.has(kind))
    .map((kind): BackupFacts => {
      const last = lastSuccess(holdings, kind);
      const latest = runs
        .filter((run) => run.kinds.includes(kind))
        .reduce<Run | undefined>((a, b) => (a && a.started > b.started ? a : b), undefined);
      const failed = latest?.failed === true && (last === undefined || last < latest.started);
      if (last === undefined) return { kind, state: failed ? 'failed' : 'never' };
      const hours = Math.max(0, now - last) / 3600;
      return {
        kind,
        last: new Date(last * 1000).toISOString(),
        ageHours: Math.round(hours * 10) / 10,
        state: failed ? 'failed' : hours > backup.maximumAgeHours ? 'late' : 'fresh',
      };
    });
}
