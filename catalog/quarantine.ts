import { z } from 'zod';
import { say } from './shapes';

/** Where a module's own repository may hold the tests that block nobody for a while. */
export const QUARANTINE_FILE = '.switchyard/quarantine.yaml';

/** Days that a test may be quarantined from any day on: what is put off for longer is given up. */
export const QUARANTINE_DAYS = 90;

/** Names in results are cut at this many characters: a longer one would stand for others as well. */
const LONGEST_NAME = 500;

/** Whether a name in results is one that an entry can name: no other is cut to the same. */
export const fitsQuarantine = (name: string): boolean => name !== '' && name.length < LONGEST_NAME;

const isDay = (text: string): boolean => {
  const at = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
};

const entrySchema = z.strictObject({
  /** Full name of the test, as the note has it: "Tests.Orders.Stock is kept". */
  test: z
    .string(say('is not a string', 'Write the full name of the test, as the note has it.'))
    .min(1, say('names no test', 'Write the full name of the test, as the note has it.'))
    .max(
      LONGEST_NAME - 1,
      say(`is longer than ${LONGEST_NAME - 1} characters`, 'Give the test a shorter name.'),
    ),
  /** Why it may fail. */
  reason: z
    .string()
    .min(10, say('gives no reason', 'Say in a sentence why the test may fail.'))
    .max(300, say('is longer than 300 characters', 'Shorten it; the issue has room for more.')),
  /** Last day, UTC, at most 90 days ahead: 2026-12-31. From the next one on it blocks again. */
  until: z
    .string(say('is not a day', 'Write it as 2026-12-31.'))
    .regex(/^\d{4}-\d{2}-\d{2}$/, { error: say('is not a day', 'Write it as 2026-12-31.'), abort: true })
    .refine(isDay, say('is no day of the calendar', 'Write a day that there is.')),
  /** Where it is mended. */
  issue: z
    .url({ protocol: /^https?$/, error: say('is not an address', 'Write it with https://.') })
    .max(300, say('is longer than 300 characters', 'Shorten it.'))
    .optional(),
});
export type QuarantineEntry = Readonly<z.infer<typeof entrySchema>>;

/** Tests that still run and block nobody: a file of a module's own repository. */
export const quarantineSchema = z.strictObject({
  /** Quarantined tests. */
  tests: z
    .array(entrySchema)
    .max(
      100,
      say('names more than 100 tests', 'Mend some: what hardly tests anything should not be said to.'),
    )
    .default([]),
});
