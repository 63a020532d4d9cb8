import type { GitLab } from '../../clients/gitlab';
import { decideByNames, Parents, type Step } from '../queue/names';
import { type Asked, readWorld, type Seen, type Where } from '../queue/read';

// Whose turn it is in the merge queue, as far as can be told without git and without the certificates' key (`queue/names.ts`).
// A build that is started by it proves both. Where the two differ, a build is started in vain, or one behind others a little
// late; what is first is always started.

/** What is due of a merge request; the same words as long as it is the same. */
export type Turns = ReadonlyMap<number, string>;

/** What is due in one project's queue. Pure. */
export const dueIn = (seen: Seen, steps: readonly Step[], now: number): Turns =>
  new Map(
    decideByNames(seen, steps, now).actions.flatMap((action): [number, string][] =>
      action.do === 'stop'
        ? []
        : [
            [
              action.request.iid,
              `${action.do} ${action.head} ${'tree' in action ? action.tree : action.base}`,
            ],
          ],
    ),
  );

/**
 * Asks GitLab whose turn it is.
 * @param projects those that merge requests may depend on
 */
export function askTurns(
  gitlab: Asked & Pick<GitLab, 'commit'>,
  gitlabUrl: string,
  projects: readonly string[] = [],
) {
  const stepsTo = new Parents(gitlab);
  return async ({
    project,
    branch,
    most,
    start,
  }: Pick<Where, 'project' | 'branch' | 'most' | 'start'>): Promise<Turns> => {
    const seen = await readWorld(gitlab, { gitlabUrl, project, projects, branch, most, start });
    return dueIn(seen, await stepsTo.of(project, seen), gitlab.time);
  };
}
