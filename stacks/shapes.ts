import { z } from 'zod';
import { say, storage } from '../catalog/shapes';
import { isOwnVariable } from '../catalog/variables';

export { say, storage as quantity };

/** An address of a service: pictures, ConfigMaps and logs show it, so that no login may stand in it. */
export const httpUrl = z
  .url({
    protocol: /^https?$/,
    error: say('is not an http(s) URL', 'Write it whole, e.g. "https://gitlab.example.com".'),
  })
  .superRefine((given, context) => {
    // What is no address at all was told already.
    if (!URL.canParse(given)) return;
    const { username, password, hostname, search, hash } = new URL(given);
    const fault = (what: string, remedy: string): void =>
      context.addIssue({ code: 'custom', message: say(what, remedy) });
    if (username !== '' || password !== '') {
      fault('holds credentials', 'Leave out what stands before "@": everyone sees this address.');
    }
    // GitLab asks as much of a hook's (lib/gitlab/url_blocker.rb, `validate_hostname`).
    if (!/^[\p{L}\p{N}[]/u.test(hostname))
      fault('has a host that begins with neither a letter nor a digit', 'Write the host.');
    if (search !== '' || hash !== '') fault('has a part after "?" or "#"', 'Leave it out.');
  });

/** Name of an environment variable, through which a secret comes in. */
export const variableName = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]*$/, say('is not an environment variable name', 'Use capitals, digits and "_".'));

/** A variable that holds one password, key or kubeconfig: none of those that the topology itself lives from. */
export const secretVariable = variableName.refine(
  (name) => !isOwnVariable(name),
  say('is a variable of the topology itself', 'Give this secret in a variable of its own.'),
);

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

const CRON_SHAPE = /^([0-9*,/-]+ ){4}[0-9*,/-]+$/;

/** What each of the five fields may hold, as Kubernetes' CronJobs and Jenkins both take it. */
const CRON_FIELDS: readonly (readonly [name: string, from: number, to: number])[] = [
  ['minute', 0, 59],
  ['hour', 0, 23],
  ['day of the month', 1, 31],
  ['month', 1, 12],
  ['day of the week', 0, 6],
];

/** `*`, `7`, `1-5`, and steps of what is more than one. */
const CRON_PART = /^(?:\*|\d+-\d+)(?:\/\d+)?$|^\d+$/;

function cronFault(part: string, name: string, from: number, to: number): string | undefined {
  const [first = 0, last = first] = (/^\d+(?:-\d+)?/.exec(part)?.[0] ?? `${from}-${to}`)
    .split('-')
    .map(Number);
  const step = Number(/\/(\d+)$/.exec(part)?.[1] ?? 1);
  const fits = CRON_PART.test(part) && from <= first && first <= last && last <= to && step >= 1;
  return fits ? undefined : `has "${part}" for the ${name}, which is from ${from} to ${to}`;
}

/** Five cron fields in numbers. Names, `@daily` and Jenkins' `H` mean nothing, or something else, in the other of the two. */
export const cronSchedule = z
  .string()
  .regex(CRON_SHAPE, say('is not a schedule', 'Write five cron fields in UTC, e.g. "15 3 * * *".'))
  .superRefine((schedule, context) => {
    // What is no schedule at all was told already.
    if (!CRON_SHAPE.test(schedule)) return;
    const fields = schedule.split(' ');
    for (const [index, [name, from, to]] of CRON_FIELDS.entries()) {
      for (const part of (fields[index] ?? '').split(',')) {
        const fault = cronFault(part, name, from, to);
        if (fault === undefined) continue;
        context.addIssue({
          code: 'custom',
          message: say(fault, 'Write e.g. "15 3 * * *" or "*/20 8-18 * * 1-5".'),
        });
      }
    }
  });
