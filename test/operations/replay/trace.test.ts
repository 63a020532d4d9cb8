import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describeProblem, ProblemsError } from '../../../catalog/problems';
import { parseTrace, readTrace } from '../../../operations/replay/trace';

function faultsOf(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ProblemsError) return error.problems.map(describeProblem);
    throw error;
  }
  return [];
}
const faults = (text: string): string[] => faultsOf(() => parseTrace(text, 'qps.csv'));

test('seconds and dates are both times, columns stand in any order, others are let be', () => {
  const seconds = parseTrace('time,qps\n0,10\n10,20\n20,0\n', 'qps.csv');
  expect(seconds).toEqual({ step: 10, qps: [10, 10, 20, 20, 0, 0] });
  expect(
    parseTrace(
      '\ufeff"qps", node ,time\r\n10,a,2026-11-28T23:59:50\r\n20,b,2026-11-29 00:00:00Z\r\n0,c,2026-11-29T01:00:10+01:00\r\n',
      'qps.csv',
    ),
  ).toEqual(seconds);
});

test('what is denser than a scrape becomes means, and no request is lost', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 }),
      fc.constantFrom(1, 2.5, 5, 15, 60),
      (values, step) => {
        const count = Math.ceil((values.length * 60) / step / 10) * 10;
        const rows = Array.from({ length: count }, (_, index) => values[index % values.length] ?? 0);
        const text = rows.map((qps, index) => `${index * step},${qps}`).join('\n');
        if (rows.length < 2) return;
        const { qps } = parseTrace(`time,qps\n${text}\n`, 'qps.csv');
        const sum = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0);
        expect(sum(qps) * 5).toBeCloseTo(sum(rows) * step, 3);
      },
    ),
    { numRuns: 30 },
  );
});

test('rows that jitter are no gap', () => {
  expect(parseTrace('time,qps\n0,1\n9.6,2\n20.4,3\n30,4\n', 'qps.csv').qps).toHaveLength(7);
});

test('each faulty row is told at its line', () => {
  expect(
    faults('time,qps\n0,1\n60,x\n\n120,NaN\n180,-3\n240,\nnoon,5\n300,7,9\n2026-13-01T00:00:00Z,1\n'),
  ).toEqual([
    'qps.csv:3: qps: "x" is no number of requests per second. Write "12.5".',
    'qps.csv:5: qps: "NaN" is no number of requests per second. Write "12.5".',
    'qps.csv:6: qps: "-3" is no number of requests per second. Write "12.5".',
    'qps.csv:7: qps: is missing. Record it, or replay a part without gaps.',
    'qps.csv:8: time: "noon" is no time. Write seconds, or "2026-11-28T12:00:00Z".',
    'qps.csv:10: time: "2026-13-01T00:00:00Z" is no time. Write seconds, or "2026-11-28T12:00:00Z".',
  ]);
});

test('each gap is told at the row after it, and so is what goes back', () => {
  expect(faults('time,qps\n0,1\n15,1\n30,1\n60,1\n75,1\n75,1\n90,1\n80,1\n105,1\n')).toEqual([
    'qps.csv:5: time: 15 s are missing before it: rows are 15 s apart. Record them, or replay a part without gaps.',
    'qps.csv:7: time: is not after the row before. Sort the rows, each time once.',
    'qps.csv:9: time: is not after the row before. Sort the rows, each time once.',
    'qps.csv:10: time: 10 s are missing before it: rows are 15 s apart. Record them, or replay a part without gaps.',
  ]);
});

test.each([
  ['', 'qps.csv:1: is empty. Write "time,qps", then a row for each time.'],
  ['time;qps\n0;1\n', 'qps.csv:1: time: is no column of the first row. Known: time;qps.'],
  ['time,pqs\n0,1\n', 'qps.csv:1: qps: is no column of the first row. Did you mean "pqs"?'],
  ['time,qps\n0,1\n', 'qps.csv:2: has fewer than two rows. Record for longer.'],
  ['time,qps\n0,1\n1,2\n', 'qps.csv:3: time: the trace is shorter than 5 s. Record for longer.'],
  [
    'time,qps\n0,"1\n60,2\n',
    'qps.csv:3: is not CSV: quote not closed. Write "time,qps", then a row for each time.',
  ],
  [
    'time,qps\n1764288000000,1\n1764288060000,2\n',
    'qps.csv:2: time: "1764288000000" is no time. Write seconds, or "2026-11-28T12:00:00Z".',
  ],
  [
    'time,qps\n0,1\n2678400,2\n',
    'qps.csv:3: time: the trace is 62 days long, and the most is 31. Replay a part of it.',
  ],
])('%j is refused', (text, fault) => {
  expect(faults(text)[0]).toBe(fault);
});

test('a file that is something else altogether is not told of line by line', () => {
  const told = faults(`time,qps\n${'a,b\n'.repeat(5000)}`);
  expect(told).toHaveLength(21);
  expect(told.at(-1)).toBe('qps.csv: 9980 more faults like these. Is it the right file?');
});

test('any text is a trace or has faults with lines, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string(), fc.constantFrom('time,qps\n', '0,1\n', '5,2\n', '"', '\r\n', ',')), {
        maxLength: 12,
      }),
      (parts) => {
        const text = parts.join('');
        try {
          expect(parseTrace(text, 'qps.csv').qps.every((value) => value >= 0)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(ProblemsError);
        }
      },
    ),
  );
});

describe('a file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-replay-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('is read, or told to be none', () => {
    const file = join(folder, 'qps.csv');
    expect(faultsOf(() => readTrace(file))).toEqual([
      `${file}: cannot be read: ENOENT. Name a CSV file with the columns "time" and "qps".`,
    ]);
    expect(faultsOf(() => readTrace(folder))[0]).toContain('cannot be read: EISDIR.');
    writeFileSync(file, 'time,qps\n0,1\n60,2\n');
    expect(readTrace(file).qps).toHaveLength(24);
  });
});
