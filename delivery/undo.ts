import type { TakenBack } from '../catalog/ledger';
import { type Deployment, ranBefore } from './deploy';
import { exitCode, Failure } from './failure';
import { changeLedger, type LedgerPlace, ledgerEvents, ledgerMessage, short, stateAt } from './ledger';
import type { PodWords } from './pod-words';
import { tellUndone, type Undone } from './undo-note';
import type { Context } from './verify';

/**
 * Undoes a release that does not hold: puts what was before it back into the ledger by a commit that says why, and tells
 * the author. The ledger first: a build that is killed after that finds it undone when it is started again. What it puts
 * back stands in the ledger's own history, so that nothing has to be remembered.
 * @param unsteady what the rollout's Pods said; absent where that was lost
 * @throws Failure 1 where the ledger's history does not tell what was before, and for a merge that ran there once: what
 * keeps it from running now is no fault of its own
 */
export async function undo(
  context: Context,
  ledgerProject: string,
  deployment: Deployment,
  build: string,
  unsteady?: PodWords,
): Promise<Undone> {
  const { gitlab, say } = context;
  const { environment, module, commit, mergeRequest } = deployment;
  const place: LedgerPlace = { ledgerProject, environment };
  if (deployment.by === 'merge' && (await ranBefore(context, deployment)))
    throw new Failure(
      exitCode.red,
      `${module} ${short(commit)} is not undone: it ran in ${environment} before, so something else keeps it from running.`,
      `Look at its Pods, or say \`switchyard rollback ${environment} ${module}\`.`,
    );
  const why = unsteady?.why ?? 'it did not get ready';
  const isIts = (event: { to?: string; back?: unknown }) => event.to === short(commit);
  const events = await ledgerEvents(gitlab, place, module, (all) => all.some(isIts));
  const put = events.find(isIts);
  if (!put)
    throw new Failure(
      exitCode.red,
      `${module} ${short(commit)} is not undone: no commit of ours brought it into the ledger of ${environment}.`,
      `Revert in ${ledgerProject} what did.`,
    );
  const before = put.parent ? await stateAt(gitlab, place, module, put.parent) : {};
  const mark: TakenBack = { how: 'undone', commit, mergeRequest, build, why };
  const written = await changeLedger(gitlab, place, module, async (now) => {
    // Undone already, or by now another's.
    if (now.release?.commit !== commit) return undefined;
    return {
      // A rollback that does not hold leaves all as it was; a merge must not go out again by itself.
      state: deployment.by === 'rollback' ? before : { release: before.release, undone: mark },
      message: ledgerMessage(
        environment,
        {
          module,
          to: before.release && short(before.release.commit),
          back: { how: 'undone', from: short(commit) },
          why,
        },
        [`Merge request !${mergeRequest}`, build],
      ),
    };
  });
  const serves = before.release?.commit;
  say(
    written
      ? `ledger: ${environment} ${module} is ${serves ? short(serves) : 'nothing'} again; ${short(commit)} is undone: ${why}`
      : `ledger: ${environment} ${module} does not name ${short(commit)} any more`,
  );
  const undone: Undone = { ...deployment, undone: { why, ...(serves ? { serves } : {}) } };
  try {
    await tellUndone(context, undone, build, unsteady);
  } catch (error) {
    // What was before is still to be rolled out, and the note is tried again after that.
    say(`the note of !${mergeRequest} could not be written: ${(error as Error).message.split('\n')[0]}`);
  }
  return undone;
}
