import { FailedRun, type Outcome } from '../../../operations/cli/outcome';
import { EXIT, Refusal } from '../../../operations/cli/refusal';
import { rollOut } from '../../../operations/releases/roll-out';

const words = { why: 'it crashed', pods: [] };
const failed = new FailedRun('up failed', EXIT.failed, {});

/** What was done, in its order, by a rollout in which each `up` and the judge end so. */
async function of(
  ups: readonly (Error | 'done')[],
  judged: boolean | Error,
  undo: Error | 'undone' = 'undone',
) {
  const done: string[] = [];
  const left = [...ups];
  const outcome: Outcome = { document: {}, lines: [] };
  const result = await rollOut({
    up: async () => {
      done.push('up');
      const end = left.shift();
      if (end instanceof Error) throw end;
      return outcome;
    },
    judge: async () => {
      done.push('judge');
      if (judged instanceof Error) throw judged;
      return judged ? { holds: true } : { holds: false, words };
    },
    undo: async (said) => {
      done.push('undo');
      expect(said).toBe(words);
      if (undo instanceof Error) throw undo;
      return undo;
    },
  }).catch((error: Error) => error);
  return [done.join(' '), result instanceof Error ? result.message : (result.undone ?? 'holds')];
}

test.each<[string, Parameters<typeof of>, [string, string]]>([
  ['what holds stays', [['done'], true], ['up judge', 'holds']],
  [
    'what does not is undone, and what was before rolled out',
    [['done', 'done'], false],
    ['up judge undo up', 'undone'],
  ],
  ['also where `up` waited for it in vain', [[failed, 'done'], false], ['up judge undo up', 'undone']],
  [
    'what `up` failed by and holds all the same is settled',
    [[failed, 'done'], true],
    ['up judge up', 'holds'],
  ],
  ['what cannot be judged is not undone', [['done'], new Error('no answer')], ['up judge', 'no answer']],
  ['and the failure of `up` is told first', [[failed], new Error('no answer')], ['up judge', 'up failed']],
  ['a lock is no rollout', [[new FailedRun('locked', EXIT.locked, {})], false], ['up', 'locked']],
  ['nor is what was refused', [[new Refusal('no seed', EXIT.badInput)], false], ['up', 'no seed']],
  [
    'what ran before is not undone',
    [['done'], false, new Error('it ran before')],
    ['up judge undo', 'it ran before'],
  ],
  ['what was before and fails is told', [['done', failed], false], ['up judge undo up', 'up failed']],
])('%s', async (_what, given, expected) => {
  expect(await of(...given)).toEqual(expected);
});
