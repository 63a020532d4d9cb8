import type { PodWords } from '../../delivery/pod-words';
import { FailedRun, type Outcome } from '../cli/outcome';
import { EXIT } from '../cli/refusal';

/** What the rollout of a release is made of, as the pipeline has it (`rollOut` and `record` in modulePipeline.groovy). */
export interface RollingOut<Undone> {
  /** `up` of the module, by what the ledger says. */
  readonly up: () => Promise<Outcome>;
  /** Whether what the ledger says holds; what its Pods said where it does not. */
  readonly judge: () => Promise<{ readonly holds: boolean; readonly words?: PodWords | undefined }>;
  /** Puts what was before into the ledger. */
  readonly undo: (words: PodWords | undefined) => Promise<Undone>;
}

/**
 * Rolls out a release, and what was before it where it does not hold. Killed, it is said again: before the undo it judges once
 * more, and after it the ledger names what was before.
 * @throws FailedRun for what failed for another reason, and where what was before could not be rolled out
 */
export async function rollOut<Undone>({
  up,
  judge,
  undo,
}: RollingOut<Undone>): Promise<{ readonly outcome: Outcome; readonly undone?: Undone }> {
  let failure: FailedRun | undefined;
  const outcome = await up().catch((error: unknown) => {
    // A lock, or an answer of no: nothing was rolled out.
    if (!(error instanceof FailedRun) || error.code !== EXIT.failed) throw error;
    failure = error;
    return undefined;
  });
  const { holds, words } = await judge().catch((error: unknown) => {
    throw failure ?? error;
  });
  if (!holds) {
    const undone = await undo(words);
    return { outcome: await up(), undone };
  }
  // Whatever stopped it is over: what is there is settled.
  return { outcome: outcome ?? (await up()) };
}
