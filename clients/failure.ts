/** What a command of `delivery` says to the pipeline that called it. */
export const exitCode = {
  done: 0,
  /** Tests failed, or GitLab, the registry or a check said no. */
  red: 1,
  /** A setting, flag, file or declaration is wrong. */
  input: 2,
  /**
   * The target branch moved, or who comes before: another merge result has to be made and tested. Or an environment did: its plan
   * has to be compared anew.
   */
  again: 3,
  /** Closed, draft, superseded, or merged by people: nothing is left to do. */
  nothing: 4,
  /** What is there is not what was applied. */
  drift: 5,
  /** An earlier build tested exactly this: what is left is the merge. */
  tested: 6,
  /** An earlier build undid this release: what is left is to roll out what was before. */
  undone: 7,
  /** It stands in the merge queue, and is started anew when something is to be done for it. */
  queued: 8,
  /** The test Pod does not start. */
  stuck: 9,
  /** The registry has not, or no more, what was built: it has to be built again. */
  lost: 10,
  /** Nothing was found out, and nobody is red for it: it is tested again by itself. */
  brokeOff: 11,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** A fault or an early end that is fit to show as it is: one line, no stack trace. */
export class Failure extends Error {
  constructor(
    readonly code: ExitCode,
    what: string,
    remedy = '',
  ) {
    super(`${what} ${remedy}`.trim());
    this.name = 'Failure';
  }
}
