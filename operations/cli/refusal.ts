/** Exit codes, for scripts. Documented in docs/environments.md and in `switchyard --help`. */
export const EXIT = {
  failed: 1,
  badInput: 2,
  declined: 3,
  locked: 4,
  drift: 5,
  unread: 6,
  unsteady: 7,
  uncut: 8,
  moved: 9,
} as const;

/** What each exit code means, in the order of the codes. */
export const exitCodes: readonly (readonly [number, string])[] = [
  [0, 'done'],
  [EXIT.failed, 'failed; what was done is kept, the same command goes on from there'],
  [EXIT.badInput, 'a fault in the catalog, in a stack file or on the command line; nothing was done'],
  [EXIT.declined, 'nothing was done: the question was answered with no, or nobody was there to ask'],
  [EXIT.locked, 'another run holds the lock of the environment'],
  [EXIT.drift, '`drift` found differences'],
  [EXIT.unread, '`status` could not read everything; what it could stands there'],
  [
    EXIT.unsteady,
    '`judge`, `promote`: the rollout did not get ready by its deadline, or crashed within its watch time',
  ],
  [
    EXIT.uncut,
    'a deploy: nothing was done, since the environment was changed and not cut for its modules: `cut` does',
  ],
  [EXIT.moved, '`up --basis`: nothing was changed, since the state or the ledger is not what was compared'],
];

/** An end that is not a fault of this program: its message is shown as it is, and decides the exit code. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly code: number,
  ) {
    super(message);
    this.name = 'Refusal';
  }
}
