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

/** Something that Switchyard makes and removes, or that was there before and stays. */
export type Adoptable<C, E> = { readonly create: C } | { readonly existing: E };

/** `{ create: … }` or `{ existing: … }`, one of the two. */
export function adoptable<C, E>(create: z.ZodType<C>, existing: z.ZodType<E>) {
  return z
    .strictObject({ create: create.optional(), existing: existing.optional() })
    .superRefine((given, context) => {
      if ((given.create === undefined) === (given.existing === undefined)) {
        context.addIssue({
          code: 'custom',
          message: say('needs one of create and existing', 'Write the one that is meant, and only that.'),
        });
      }
    })
    .transform(
      ({ create: made, existing: found }): Adoptable<C, E> =>
        found === undefined ? { create: made as C } : { existing: found },
    );
}
