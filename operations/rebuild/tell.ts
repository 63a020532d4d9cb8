import { mebibytes } from '../../delivery/backup/run';
import type { Kind } from '../../delivery/backup/snapshots';
import { elapsed } from '../cli/progress';
import { type Chosen, newestByKind } from './backup';
import { type RebuildRecord, stepNames } from './record';
import type { Alive, TargetName } from './targets';

export interface RebuildPlan {
  readonly environment: string;
  readonly repository: string;
  readonly chosen: Chosen;
  /** Bytes that each kind's snapshots give. */
  readonly sizes: ReadonlyMap<Kind, number>;
  readonly alive: Alive;
  readonly over: readonly TargetName[];
  readonly keep: readonly TargetName[];
  /** Resources in the state; undefined: there is no state. */
  readonly resources: number | undefined;
  /** The canary's module; undefined: none is sent. */
  readonly canary: string | undefined;
  /** Steps that an earlier run of this rebuild ended. */
  readonly done: readonly string[];
}

/** `5 min`, `3 h 20 min`, `2 d 4 h` */
export function ago(seconds: number): string {
  const minutes = Math.max(0, Math.round(seconds / 60));
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** What each step will do, for a person before they say yes. */
export function planLines(plan: RebuildPlan): string[] {
  const { chosen, alive, over, keep, environment, resources } = plan;
  const kinds = newestByKind(chosen);
  const lines = [
    `rebuild of ${environment} from ${plan.repository}, as of ${new Date(chosen.at * 1000).toISOString()}`,
    ...kinds.map(({ kind, time, items }) => {
      const size = plan.sizes.get(kind);
      return `  ${kind.padEnd(13)} ${String(items).padStart(4)} item(s)${size === undefined ? '' : `, ${mebibytes(size)}`}, newest ${new Date(time * 1000).toISOString()} (${ago(chosen.at - time)} before)`;
    }),
  ];
  const empty = (['gitlab', 'ci', 'production'] as const).filter((name) => !alive.has(name));
  if (empty.length > 0) lines.push(`  empty, to be filled: ${empty.join(', ')}`);
  if (over.length > 0) lines.push(`  LIVES AND IS WRITTEN OVER: ${over.join(', ')}`);
  if (keep.length > 0) lines.push(`  lives and is left as it is: ${keep.join(', ')}`);
  lines.push(
    resources === undefined
      ? '  state: lost; it is made anew'
      : `  state: ${resources} resource(s); what is gone is dropped from it`,
    `  then: ${stepNames
      .filter((name) => name !== 'repository' && name !== 'targets' && (name !== 'canary' || plan.canary))
      .map(
        (name) =>
          (name === 'canary' ? `canary of ${plan.canary}` : name) +
          (plan.done.includes(name) ? ' (done)' : ''),
      )
      .join(', ')}`,
  );
  return lines;
}

/** What each step took. */
export function resultLines(record: RebuildRecord): string[] {
  const total = Object.values(record.steps).reduce((sum, step) => sum + (step?.seconds ?? 0), 0);
  return [
    ...stepNames.flatMap((name) => {
      const step = record.steps[name];
      return step ? [`  ${name.padEnd(13)} ${elapsed(step.seconds * 1000)}`] : [];
    }),
    `rebuild of ${record.environment}: done in ${elapsed(total * 1000)}`,
  ];
}
