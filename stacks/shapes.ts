import { z } from 'zod';

/** A schema message may carry its remedy after ` | `; `parseYaml` splits the two. */
export const say = (what: string, remedy: string): string => `${what} | ${remedy}`;

export const httpUrl = z.url({
  protocol: /^https?$/,
  error: say('is not an http(s) URL', 'Write it whole, e.g. "https://gitlab.example.com".'),
});

/** Name of an environment variable, through which a secret comes in. */
export const variableName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]*$/, say('is not an environment variable name', 'Use capitals, digits and "_".'));

/** A refinement: of these optional keys one is there, and only one. */
export const oneOf =
  <K extends string>(...keys: readonly K[]) =>
  (given: Partial<Record<K, unknown>>, context: z.RefinementCtx): void => {
    if (keys.filter((key) => given[key] !== undefined).length === 1) return;
    context.addIssue({
      code: 'custom',
      message: say(`needs one of ${keys.join(' and ')}`, 'Write the one that is meant, and only that.'),
    });
  };

/** An amount of storage. */
export const quantity = z
  .string()
  .regex(/^[1-9][0-9]*(Ki|Mi|Gi|Ti)$/, say('is not an amount of storage', 'Write "20Gi".'));

export const cronSchedule = z
  .string()
  .regex(
    /^([0-9*,/-]+ ){4}[0-9*,/-]+$/,
    say('is not a schedule', 'Write five cron fields in UTC, e.g. "15 3 * * *".'),
  );
