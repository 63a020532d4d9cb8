import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../support/model';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ci-report-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const run = (...args: string[]) => {
  const { status, stdout } = spawnSync(process.execPath, [join(root, '.ci/report.js'), ...args], {
    encoding: 'utf8',
  });
  return { status, stdout };
};

/** A report of jest: suites with their seconds, and the log of those that are red. */
const jestReport = (suites: Record<string, { seconds: number; message?: string }>, counts = {}): string =>
  JSON.stringify({
    numPassedTests: 3,
    numFailedTests: 0,
    numRuntimeErrorTestSuites: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    ...counts,
    testResults: Object.entries(suites).map(([name, { seconds, message = '' }]) => ({
      name: join(root, name),
      startTime: 1_000,
      endTime: 1_000 + seconds * 1_000,
      status: message ? 'failed' : 'passed',
      message,
    })),
  });
const surefire = `[ERROR]   WebTest.answers:12->ask:40 expected: <200> but was: <500>
[INFO] Tests run: 4, Failures: 0, Errors: 0, Skipped: 1, Time elapsed: 2.5 s -- in dev.PodsTest
[INFO] Tests run: 2, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.5 s <<< FAILURE! -- in dev.WebTest
lab/jenkins: Tests run: 6, Failures: 1, Errors: 0, Skipped: 1
`;

test('each suite is told with its seconds, the slowest first, over the reports of all runners', () => {
  const unit = write(
    'unit.json',
    jestReport({ 'test/a.test.ts': { seconds: 1.25 }, 'test/b.test.ts': { seconds: 12 } }),
  );
  expect(run('suites', unit, write('jvm.log', surefire), join(folder, 'not-made.json')).stdout).toBe(
    [
      '    12.0 s  test/b.test.ts',
      '     2.5 s  dev.PodsTest',
      '     1.3 s  test/a.test.ts',
      '     0.5 s  dev.WebTest  FAILED',
      '',
    ].join('\n'),
  );
});

test("a red suite shows the end of its own log, and no other suite's", () => {
  const long = Array.from({ length: 200 }, (_, line) => `line ${line}`).join('\n');
  const report = write(
    'unit.json',
    jestReport({ 'test/green.test.ts': { seconds: 1 }, 'test/red.test.ts': { seconds: 1, message: long } }),
  );
  const { stdout } = run('failures', report, write('unit.log', 'everything'));
  expect(stdout.trim().split('\n')).toHaveLength(61);
  expect(stdout).toContain('-- the end of test/red.test.ts\nline 140\n');
  expect(stdout.trimEnd()).toMatch(/line 199$/);
  expect(stdout).not.toMatch(/green|everything|line 139/);
});

test('a stage that is red without a red suite shows the end of its log', () => {
  const report = write('unit.json', jestReport({ 'test/green.test.ts': { seconds: 1 } }));
  expect(run('failures', report, write('unit.log', 'types are wrong\n')).stdout).toContain('types are wrong');
});

test('the last line alone holds the counts of all runners; a red one makes the exit code 1', () => {
  write('unit.json', jestReport({}, { numPassedTests: 10 }));
  write('lab.json', jestReport({}, { numPassedTests: 5, numRuntimeErrorTestSuites: 1 }));
  write('jvm.log', surefire);
  const { status, stdout } = run('summary', folder, write('stages.tsv', '7\t0\tnpm ci\n130\t1\tthe lab\n'));
  expect(stdout).toBe(
    [
      '\n== stages\n     7 s  passed  npm ci\n   130 s  FAILED  the lab\n',
      '== what failed\nWebTest.answers\n    expected: <200> but was: <500>',
      '19 passed, 2 failed, 1 skipped\n',
    ].join('\n'),
  );
  expect(status).toBe(1);
});

test('the end names each failed test and what it says, a suite that could not run among them, and not too many', () => {
  const failed = (fullName: string) => ({
    status: 'failed',
    fullName,
    failureMessages: [
      '\u001b[2mexpect(\u001b[22mreceived).toBe(1)\n\nError: line one\n  Expected: 1\n    at x.ts:1\n',
    ],
  });
  const suite = (name: string, assertionResults: unknown[]) => ({
    name: join(root, name),
    startTime: 0,
    endTime: 1,
    status: 'failed',
    message: '● Test suite failed to run\n\n  Cannot find module x\n',
    assertionResults,
  });
  const counts = { numPassedTests: 1, numFailedTests: 31, numRuntimeErrorTestSuites: 1 };
  const one = { status: 'passed', fullName: 'right', failureMessages: [] };
  write(
    'unit.json',
    JSON.stringify({
      ...JSON.parse(jestReport({}, counts)),
      testResults: [
        suite('test/a.test.ts', []),
        suite('test/b.test.ts', [one, failed('a thing does'), ...Array(30).fill(failed('more'))]),
      ],
    }),
  );
  const lines = run('summary', folder, write('stages.tsv', '')).stdout.trimEnd().split('\n');
  const said = '    Error: line one | Expected: 1';
  expect(lines.slice(3, 8)).toEqual([
    '== what failed',
    'test/a.test.ts',
    '    Cannot find module x',
    'test/b.test.ts › a thing does',
    said,
  ]);
  expect(lines.slice(-2)).toEqual(['and 20 more, above', '1 passed, 32 failed']);
});

test('all green is exit code 0; a red stage without a red test counts; nothing that ran is no success', () => {
  write('unit.json', jestReport({}, { numPassedTests: 10 }));
  const last = (stages: string) => {
    const { status, stdout } = run('summary', folder, write('stages.tsv', stages));
    return [status, stdout.trimEnd().split('\n').at(-1)];
  };
  expect(last('7\t0\tnpm ci\n')).toEqual([0, '10 passed, 0 failed']);
  expect(last('7\t0\tnpm ci\n9\t1\tno trace of the lab\n')).toEqual([1, '10 passed, 1 failed']);
  rmSync(join(folder, 'unit.json'));
  expect(last('7\t1\tnpm ci\n')).toEqual([1, '0 passed, 1 failed']);
});
