import type { Migration, ModuleState, TakenBack } from '../catalog/ledger';
import { exitCode, Failure } from '../clients/failure';
import { type Deployment, ranBefore } from './deploy';
import { changeLedger, type LedgerPlace, ledgerEvents, ledgerMessage, short, stateAt } from './ledger';
import type { PodWords } from './pod-words';
import { tellUndone, type Undone } from './undo-note';
import type { Context } from './verify';

/** What a migration means for whoever reads why a release was undone. */
const DATA: Readonly<Record<Migration, string>> = {
  ran: 'data was changed by its migration, and is not changed back',
  failed: 'what its migration changed in the data is not changed back',
  unknown: 'what its migration may have changed in the data is not changed back',
};

/** A rollback that does not hold leaves all as it was, but for what is known of a migration by now. */
function asBefore(before: ModuleState, commit: string, migration: Migration | undefined): ModuleState {
  const { undone } = before;
  return undone?.commit === commit && migration ? { ...before, undone: { ...undone, migration } } : before;
}

/**
 * Undoes a release that does not hold: puts what was before it back into the ledger by a commit that says why, and tells
 * the author. The ledger first: a build that is killed after that finds it undone when it is started again. What it puts
 * back stands in the ledger's own history, so that nothing has to be remembered.
 * @param build address of the build that undoes it; undefined where a person's command does
 * @param unsteady what the rollout's Pods said; absent where that was lost
 * @throws Failure 1 where the ledger's history does not tell what was before, and for a merge that ran there once: what
 * keeps it from running now is no fault of its own
 */
export async function undo(
  context: Context,
  ledgerProject: string,
  deployment: Deployment,
  build: string | undefined,
  unsteady?: PodWords,
): Promise<Undone> {
  const { gitlab, say } = context;
  const { environment, module, commit, mergeRequest } = deployment;
  const place: LedgerPlace = { ledgerProject, environment };
  if (deployment.by !== 'rollback' && (await ranBefore(context, deployment)))
    throw new Failure(
      exitCode.red,
      `${module} ${short(commit)} is not undone: it ran in ${environment} before, so something else keeps it from running.`,
      `Look at its Pods, or say \`switchyard rollback ${environment} ${module}\`.`,
    );
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
  const brought = await stateAt(gitlab, place, module, put.id);
  const migration: Migration | undefined = brought.release?.migrate
    ? (unsteady?.migration ?? 'unknown')
    : undefined;
  const reason = unsteady?.why ?? 'it did not get ready';
  const why = migration ? `${reason}; ${DATA[migration]}` : reason;
  const known = migration ? { migration } : {};
  const mark: TakenBack = {
    ...{ how: 'undone', commit, mergeRequest, why },
    ...(build ? { build } : {}),
    ...known,
  };
  const written = await changeLedger(gitlab, place, module, async (now) => {
    // Undone already, or by now another's.
    if (now.release?.commit !== commit) return undefined;
    return {
      // A merge must not go out again by itself.
      state:
        deployment.by === 'rollback'
          ? asBefore(before, commit, migration)
          : { release: before.release, undone: mark },
      message: ledgerMessage(
        environment,
        {
          module,
          to: before.release && short(before.release.commit),
          back: { how: 'undone', from: short(commit) },
          why,
        },
        [`Merge request !${mergeRequest}`, ...(build ? [build] : [])],
      ),
    };
  });
  const serves = before.release?.commit;
  say(
    written
      ? `ledger: ${environment} ${module} is ${serves ? short(serves) : 'nothing'} again; ${short(commit)} is undone: ${why}`
      : `ledger: ${environment} ${module} does not name ${short(commit)} any more`,
  );
  const undone: Undone = { ...deployment, undone: { why, ...(serves ? { serves } : {}), ...known } };
  try {
    await tellUndone(context, undone, build, unsteady);
  } catch (error) {
    // What was before is still to be rolled out, and the note is tried again after that.
    say(`the note of !${mergeRequest} could not be written: ${(error as Error).message.split('\n')[0]}`);
  }
  return undone;
}
