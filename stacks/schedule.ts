import { z } from 'zod';
import { say } from './shapes';

const SHAPE = /^([0-9*,/-]+ ){4}[0-9*,/-]+$/;

/** What each of the five fields may hold, as Kubernetes' CronJobs and Jenkins both take it. */
const FIELDS: readonly (readonly [name: string, from: number, to: number])[] = [
  ['minute', 0, 59],
  ['hour', 0, 23],
  ['day of the month', 1, 31],
  ['month', 1, 12],
  ['day of the week', 0, 6],
];

/** `*`, `7`, `1-5`, and steps of what is more than one. */
const PART = /^(?:\*|\d+-\d+)(?:\/\d+)?$|^\d+$/;

/** Most days of each month. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

interface Part {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

function read(part: string, from: number, to: number): Part {
  const [first = 0, last = first] = (/^\d+(?:-\d+)?/.exec(part)?.[0] ?? `${from}-${to}`)
    .split('-')
    .map(Number);
  return { first, last, step: Number(/\/(\d+)$/.exec(part)?.[1] ?? 1) };
}

/**
 * A step that is longer than its field only looks like one: it means the first value alone, and one that no integer of Go
 * holds is refused by the API server (`mustParseInt` of robfig/cron, by which CronJobs go).
 */
function partFault(part: string, name: string, from: number, to: number): string | undefined {
  const { first, last, step } = read(part, from, to);
  const steps = step >= 1 && step <= to - from + 1;
  const fits = PART.test(part) && from <= first && first <= last && last <= to && steps;
  return fits ? undefined : `has "${part}" for the ${name}, which is from ${from} to ${to}`;
}

/** Values of each field of a schedule that has no fault. */
function valuesOf(schedule: string): readonly number[][] {
  return schedule.split(' ').map((field, index) => {
    const [, from = 0, to = 0] = FIELDS[index] ?? [];
    const values = field.split(',').flatMap((part) => {
      const { first, last, step } = read(part, from, to);
      return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, at) => first + at * step);
    });
    return [...new Set(values)].sort((a, b) => a - b);
  });
}

/** Whether a field says nothing of its own, as robfig/cron tells it: a list of all its values does not. */
const isOpen = (field = ''): boolean => field.split(',').some((part) => /^\*(?:\/0*1)?$/.test(part));

/** Days after which the calendar begins again, leap years among them. */
const CYCLE = 4 * 365 + 1;
const DAY_MINUTES = 24 * 60;
const DAY_MS = DAY_MINUTES * 60_000;

/**
 * Minutes of the longest pause that a CronJob's schedule makes between two runs. Where a day of the month and one of the
 * week are both said, either will do, as Kubernetes has it.
 * @param schedule that {@link cronSchedule} takes
 */
export function longestPause(schedule: string): number {
  const [minutes = [], hours = [], days = [], months = [], weekdays = []] = valuesOf(schedule);
  const times = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute));
  const first = times[0] ?? 0;
  const last = times.at(-1) ?? 0;
  const within = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  const [, , dayField, , weekdayField] = schedule.split(' ');
  const both = isOpen(dayField) || isOpen(weekdayField);
  const runs = (day: number): boolean => {
    const date = new Date(day * DAY_MS);
    const [inMonth, inWeek] = [days.includes(date.getUTCDate()), weekdays.includes(date.getUTCDay())];
    return months.includes(date.getUTCMonth() + 1) && (both ? inMonth && inWeek : inMonth || inWeek);
  };
  // Two cycles, so that what lies between the last day of one and the first of the next is there too.
  const found = Array.from({ length: 2 * CYCLE }, (_, day) => day).filter(runs);
  const between = found.slice(1).map((day, index) => day - (found[index] ?? 0));
  return [...within, ...[...new Set(between)].map((gap) => gap * DAY_MINUTES + first - last)].reduce(
    (most, pause) => Math.max(most, pause),
    0,
  );
}

/** Five cron fields in numbers. Names, `@daily` and Jenkins' `H` mean nothing, or something else, in the other of the two. */
export const cronSchedule = z
  .string()
  .regex(SHAPE, {
    error: say('is not a schedule', 'Write five cron fields in UTC, e.g. "15 3 * * *".'),
    abort: true,
  })
  .superRefine((schedule, context) => {
    const fault = (what: string, remedy: string): void =>
      context.addIssue({ code: 'custom', message: say(what, remedy), continue: false });
    const fields = schedule.split(' ');
    const faults = FIELDS.flatMap(([name, from, to], index) =>
      (fields[index] ?? '').split(',').flatMap((part) => partFault(part, name, from, to) ?? []),
    );
    for (const what of faults) fault(what, 'Write e.g. "15 3 * * *" or "*/20 8-18 * * 1-5".');
    if (faults.length > 0) return;
    const [, , days = [], months = []] = valuesOf(schedule);
    const most = Math.max(...months.map((month) => DAYS[month - 1] ?? 0));
    if ((days[0] ?? 0) > most)
      fault(
        `says day ${days[0]}, which none of its months has`,
        `Write a day up to ${most}, or further months.`,
      );
  });
