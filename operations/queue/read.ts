import { STATUS_NAME } from '../../catalog/status';
import type { GitLab } from '../../clients/gitlab';
import type { Place, Standing } from '../../delivery/queue/decide';
import { decideByNames, Parents } from '../../delivery/queue/names';
import { placeText } from '../../delivery/queue/place';
import { type Asked, readWorld } from '../../delivery/queue/read';
import { QUEUED } from '../../delivery/status';

// The merge queue as a person reads it, by a token of their own: notes are believed and not proved, and trees are known by name.

/** An open merge request. */
export interface QueuedRequest {
  readonly mergeRequest: number;
  readonly title: string;
  /** User name of who opened it. */
  readonly author?: string;
  readonly head: string;
  /** In the queue, from 1; absent for what does not queue. */
  readonly place?: number;
  readonly state: Standing;
  /** Merge requests before it that its test holds. */
  readonly with: readonly number[];
  /** Who put it first. */
  readonly first?: string;
  /** What it waits for. */
  readonly why?: string;
  /** Since when it may be merged. */
  readonly since?: string;
  /** What its newest status says. */
  readonly status?: {
    readonly state: string;
    readonly says: string;
    readonly at: string;
    readonly build: string | null;
  };
  /** All that in one line. */
  readonly says: string;
}

export interface ModuleQueue {
  readonly module: string;
  readonly project: string;
  /** Merge requests that are tested side by side now, and at most. */
  readonly window: number;
  readonly most: number;
  /** Commit of main. */
  readonly main: string;
  readonly requests: readonly QueuedRequest[];
}

/** Where a module's queue is. */
export interface QueueWhere {
  readonly module: string;
  readonly gitlabUrl: string;
  readonly project: string;
  /** Those of the topology. */
  readonly projects: readonly string[];
  readonly branch: string;
  readonly most: number;
  readonly start: number;
}

/** Reads one module's queue. What stands in it comes first, in its order, then what does not queue, by number. */
export async function readQueue(
  gitlab: Asked & Pick<GitLab, 'commit'>,
  { module, ...where }: QueueWhere,
): Promise<ModuleQueue> {
  const seen = await readWorld(gitlab, { ...where, asPerson: true });
  const { project, most } = where;
  const steps = await new Parents(gitlab).of(project, seen);
  const { queues, windows } = decideByNames(seen, steps, gitlab.time);
  const places = queues.flatMap((queue) => queue.places);
  const order = ({ at = Number.POSITIVE_INFINITY, iid }: Place): readonly [number, number] => [at, iid];
  const requests = await Promise.all(
    [...places]
      .sort((a, b) => {
        const [[placeA, a1], [placeB, b1]] = [order(a), order(b)];
        return placeA === placeB ? a1 - b1 : placeA - placeB;
      })
      .map(async (place): Promise<QueuedRequest> => {
        const { at, ...unplaced } = place;
        const { state, first, why, iid } = place;
        const found = seen.found.get(iid);
        const head = found?.sha ?? '';
        const posted = head
          ? (await gitlab.statuses(project, head, found?.source_branch ?? '', STATUS_NAME)).at(-1)
          : undefined;
        const { since } = seen.certificates.get(iid)?.gate ?? {};
        const text = posted?.description ?? '';
        // What its build says now; what it said when it came to wait is of then.
        const tells = posted?.status === 'running' && !text.startsWith(QUEUED);
        return {
          mergeRequest: iid,
          title: found?.title ?? '',
          ...(found?.author ? { author: found.author.username } : {}),
          head,
          ...(at === undefined ? {} : { place: at }),
          state,
          with: place.with.map((one) => one.iid),
          ...(first === undefined ? {} : { first }),
          ...(why === undefined ? {} : { why }),
          ...(at === undefined || since === undefined ? {} : { since: new Date(since).toISOString() }),
          ...(posted
            ? {
                status: {
                  state: posted.status,
                  says: text,
                  at: posted.created_at,
                  build: posted.target_url,
                },
              }
            : {}),
          says: tells ? text : placeText(unplaced, { places }),
        };
      }),
  );
  return { module, project, window: windows[project] ?? 0, most, main: seen.target.commit, requests };
}
