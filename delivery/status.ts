import { STATUS_NAME } from '../catalog/status';
import type { CommitStatus, GitLab } from './gitlab';

// What our statuses say first, where that is read again: a status is the only memory of what became of a build.

/** Of a build that ended without a verdict. */
export const BROKE_OFF = 'broke off: ';
/** Of a merge request that stands in the merge queue. */
export const QUEUED = 'in the queue: ';
/** Of one that runs on with other words. */
export const GOES_ON = 'goes on: ';

/**
 * Has a merge request's status run with these words, whatever it was. GitLab takes no new words for what runs already
 * ("Cannot transition status via :run from :running", `Ci::CreateCommitStatusService`), so that one is ended first.
 */
export async function postRunning(
  gitlab: Pick<GitLab, 'statuses' | 'setStatus'>,
  project: string,
  sha: string,
  status: { readonly ref: string; readonly targetUrl: string; readonly description: string },
): Promise<void> {
  const newest = (await gitlab.statuses(project, sha, status.ref, STATUS_NAME)).at(-1);
  if (newest?.status === 'running') {
    if (newest.description === status.description && newest.target_url === status.targetUrl) return;
    const description = `${GOES_ON}${status.description}`;
    await gitlab.setStatus(project, sha, { ...status, state: 'canceled', description });
  }
  await gitlab.setStatus(project, sha, { ...status, state: 'running' });
}

/** Tests of a head in a row that broke off, and when the last one did. */
export function brokeOff(
  statuses: readonly CommitStatus[],
): { readonly times: number; readonly at: number } | undefined {
  // What goes on now has no end yet.
  const ended = statuses.filter(
    ({ status, description }) =>
      status !== 'pending' && status !== 'running' && !description?.startsWith(GOES_ON),
  );
  const other = ended.findLastIndex(({ description }) => !description?.startsWith(BROKE_OFF));
  const row = ended.slice(other + 1);
  const last = row.at(-1);
  return last ? { times: row.length, at: Date.parse(last.finished_at ?? last.created_at) } : undefined;
}
