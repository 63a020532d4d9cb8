import { readFileSync, statSync } from 'node:fs';
import { CsvError, type InfoRecord, parse } from 'csv-parse/sync';
import { didYouMean, type Problem, ProblemsError } from '../../catalog/problems';
import { scalingTimes } from '../../catalog/scaling';

/** Requests per second over time. */
export interface Trace {
  /** One value every `scalingTimes.scrape` seconds. */
  readonly qps: readonly number[];
  /** Seconds between two rows of the file. */
  readonly step: number;
}

const COLUMNS = ['time', 'qps'] as const;
const LARGEST_FILE = 64 * 1024 * 1024;
/** A month takes a proposal about a minute. */
const MOST_SECONDS = 31 * 86_400;
const MOST_FAULTS = 20;
/** Years after 5138: such a number counts milliseconds. */
const MOST_TIME = 1e11;

const TIMES = 'Write seconds, or "2026-11-28T12:00:00Z".';

/** Seconds of a time as a file writes it; UTC where it names no zone. */
function secondsOf(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) < MOST_TIME ? Number(text) : undefined;
  const [, day, clock, zone] =
    /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? [];
  const parsed = day === undefined ? Number.NaN : Date.parse(`${day}T${clock}${zone ?? 'Z'}`);
  return Number.isNaN(parsed) ? undefined : parsed / 1000;
}

const qpsOf = (text: string): number | undefined =>
  /^\d+(\.\d*)?(e[+-]?\d+)?$/i.test(text) && Number(text) <= 1e9 ? Number(text) : undefined;

interface Row {
  readonly line: number;
  readonly time: number;
  readonly qps: number;
}

type Fault = (line: number, key: string | undefined, what: string, remedy: string) => void;

/** The records of a file with the lines at which they end. */
function recordsOf(text: string, file: string): { readonly record: string[]; readonly line: number }[] {
  try {
    const records = parse(text, {
      bom: true,
      trim: true,
      skip_empty_lines: true,
      relax_column_count: true,
      info: true,
    }) as unknown as { record: string[]; info: InfoRecord }[];
    return records.map(({ record, info }) => ({ record, line: info.lines }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = typeof error.lines === 'number' ? error.lines : undefined;
    const what = `is not CSV: ${error.code.toLowerCase().replace(/^csv_/, '').replaceAll('_', ' ')}.`;
    throw new ProblemsError([{ file, line, what, remedy: 'Write "time,qps", then a row for each time.' }]);
  }
}

function rowsOf(text: string, file: string, fault: Fault): Row[] {
  const [head, ...records] = recordsOf(text, file);
  if (!head) {
    fault(1, undefined, 'is empty.', 'Write "time,qps", then a row for each time.');
    return [];
  }
  const [time = -1, qps = -1] = COLUMNS.map((name) => {
    const at = head.record.indexOf(name);
    if (at < 0) fault(head.line, name, 'is no column of the first row.', didYouMean(name, head.record));
    return at;
  });
  if (time < 0 || qps < 0) return [];
  return records.flatMap(({ record, line }): Row[] => {
    const [timeText = '', qpsText = ''] = [record[time], record[qps]];
    const row = { line, time: secondsOf(timeText), qps: qpsOf(qpsText) };
    if (row.time === undefined) fault(line, 'time', `"${timeText}" is no time.`, TIMES);
    if (row.qps === undefined) {
      if (qpsText === '') fault(line, 'qps', 'is missing.', 'Record it, or replay a part without gaps.');
      else fault(line, 'qps', `"${qpsText}" is no number of requests per second.`, 'Write "12.5".');
    }
    return row.time === undefined || row.qps === undefined ? [] : [row as Row];
  });
}

/** The usual distance of two rows, and a fault for each pair that is not so far apart. */
function stepOf(rows: readonly Row[], fault: Fault): number {
  const distances = rows.slice(1).map(({ time }, index) => time - (rows[index]?.time ?? 0));
  const step = [...distances].sort((a, b) => a - b)[Math.floor(distances.length / 2)] ?? 0;
  for (const [index, distance] of distances.entries()) {
    const line = rows[index + 1]?.line ?? 1;
    if (distance <= 0) fault(line, 'time', 'is not after the row before.', 'Sort the rows, each time once.');
    else if (step > 0 && distance > 1.5 * step)
      fault(
        line,
        'time',
        `${+(distance - step).toFixed(3)} s are missing before it: rows are ${+step.toFixed(3)} s apart.`,
        'Record them, or replay a part without gaps.',
      );
  }
  return step;
}

/** Values at even steps: means of what the rows say, each until the next one. */
function sampled(rows: readonly Row[], step: number): number[] {
  const begin = rows[0]?.time ?? 0;
  const end = (rows.at(-1)?.time ?? 0) + step - begin;
  const size = scalingTimes.scrape;
  const values: number[] = [];
  let row = 0;
  for (let from = 0; from + size <= end + 1e-6; from += size) {
    let sum = 0;
    for (let at = from; at < from + size - 1e-9; ) {
      const next = (rows[row + 1]?.time ?? Number.POSITIVE_INFINITY) - begin;
      const until = Math.min(from + size, next);
      sum += (rows[row]?.qps ?? 0) * (until - at);
      at = until;
      if (at >= next) row++;
    }
    values.push(sum / size);
  }
  return values;
}

/**
 * Parses a trace: CSV with a first row that names the columns `time` (seconds, or ISO 8601) and `qps`.
 * @throws ProblemsError with a fault for each row that is not a time with its rate, and for each gap
 */
export function parseTrace(text: string, file: string): Trace {
  const problems: Problem[] = [];
  const fault: Fault = (line, key, what, remedy) => problems.push({ file, line, key, what, remedy });
  const rows = rowsOf(text, file, fault);
  const whole = problems.length === 0;
  // A row that is faulty itself would look like a gap as well.
  const step = whole ? stepOf(rows, fault) : 0;
  if (whole && rows.length < 2)
    fault(rows[0]?.line ?? 1, undefined, 'has fewer than two rows.', 'Record for longer.');
  const seconds = (rows.at(-1)?.time ?? 0) + step - (rows[0]?.time ?? 0);
  if (problems.length === 0 && seconds > MOST_SECONDS)
    fault(
      rows.at(-1)?.line ?? 1,
      'time',
      `the trace is ${Math.ceil(seconds / 86_400)} days long, and the most is 31.`,
      'Replay a part of it.',
    );
  if (problems.length === 0 && seconds < scalingTimes.scrape)
    fault(
      rows.at(-1)?.line ?? 1,
      'time',
      `the trace is shorter than ${scalingTimes.scrape} s.`,
      'Record for longer.',
    );
  if (problems.length > MOST_FAULTS) {
    const more = problems.length - MOST_FAULTS;
    problems.splice(MOST_FAULTS, more, {
      file,
      what: `${more} more faults like these.`,
      remedy: 'Is it the right file?',
    });
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return { qps: sampled(rows, step), step };
}

/** @throws ProblemsError when the file cannot be read, or is not a trace */
export function readTrace(file: string): Trace {
  const refused = (what: string, remedy: string) => new ProblemsError([{ file, what, remedy }]);
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > LARGEST_FILE)
      throw refused(`has ${size} bytes, and the most is ${LARGEST_FILE}.`, 'Replay a part of it.');
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof ProblemsError) throw error;
    throw refused(
      `cannot be read: ${(error as NodeJS.ErrnoException).code}.`,
      'Name a CSV file with the columns "time" and "qps".',
    );
  }
  return parseTrace(text, file);
}
