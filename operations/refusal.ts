/** Exit codes, for scripts. */
export const EXIT = { failed: 1, badInput: 2, declined: 3 } as const;

/** A command ends here, with a sentence for the person and a code for the script. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly code: number,
  ) {
    super(message);
  }
}
