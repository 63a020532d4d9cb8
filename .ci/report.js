/*
 * What .ci/run says of its runners, from their reports:
 *
 *   node .ci/report.js suites <report>…             each test file's seconds, slowest first
 *   node .ci/report.js failures <report> [<log>]    the end of each red suite's own log; of <log> where none is red
 *   node .ci/report.js summary <folder> <stages>    the stages' table, what was skipped and the failed tests in two lines each,
 *                                                   then the counts of all runners as the last line: who sees the end
 *                                                   only sees what is wrong, and what was not asked
 *
 * A report is the JSON of jest, or a *.log of lab/jenkins/test.sh. <stages> has a line for each stage: its seconds, its
 * exit code and its name, tabs between. `summary` ends with 1 unless something passed and nothing failed.
 */
const { existsSync, readdirSync, readFileSync } = require('node:fs');
const { join, relative } = require('node:path');
const { stripVTControlCharacters } = require('node:util');

const TAIL = 60;
const NAMED = 12;
const WIDTH = 160;
const root = join(__dirname, '..');
const seconds = (value) => `${value.toFixed(1).padStart(8)} s`;
const tail = (text) => text.trimEnd().split('\n').slice(-TAIL).join('\n');

/** One test file of one runner. */
function suitesOfJest(report) {
  return report.testResults.map(({ name, startTime, endTime, status, message }) => ({
    name: relative(root, name),
    seconds: Math.max(0, endTime - startTime) / 1000,
    red: status === 'failed',
    message,
  }));
}

/** Surefire's line of a class: `Tests run: 3, Failures: 0, …, Time elapsed: 0.2 s -- in dev.switchyard.PodsTest`. */
function suitesOfSurefire(log) {
  const line =
    /Tests run: \d+, Failures: (\d+), Errors: (\d+), Skipped: \d+, Time elapsed: ([\d.]+) s.*?in (\S+)/g;
  return [...log.matchAll(line)].map(([, failures, errors, elapsed, name]) => ({
    name,
    seconds: Number(elapsed),
    red: Number(failures) + Number(errors) > 0,
    message: '',
  }));
}

function suitesOf(file) {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  return file.endsWith('.json') ? suitesOfJest(JSON.parse(text)) : suitesOfSurefire(text);
}

/** Surefire's line of a failed test at its end: `[ERROR]   PodsTest.waits:12->until:40 expected: <1> but was: <2>`. */
function failedInSurefire(log) {
  return [...log.matchAll(/^\[ERROR\] {2,}([\w$]+\.[\w$]+)(?::\S+)?(?: (.*))?$/gm)].map(
    ([, test, said = '']) => ({
      test,
      said,
    }),
  );
}

/** Each failed test of a report: where it stands, and its first three lines that are not about the matcher. */
function failedTests(file) {
  const text = readFileSync(file, 'utf8');
  if (!file.endsWith('.json')) return failedInSurefire(text);
  return JSON.parse(text).testResults.flatMap(({ name, status, message, assertionResults = [] }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    const where = relative(root, name);
    if (failed.length === 0 && status === 'failed') return [{ test: where, said: firstWords(message) }];
    return failed.map(({ fullName, failureMessages }) => ({
      test: `${where} › ${fullName}`,
      said: firstWords(failureMessages.join('\n')),
    }));
  });
}

/** Each skipped test of a report, and its reason where that is said. */
function skippedTests(file) {
  if (!file.endsWith('.json')) return [];
  return JSON.parse(readFileSync(file, 'utf8')).testResults.flatMap(({ name, assertionResults = [] }) =>
    assertionResults
      .filter((test) => test.status === 'pending')
      .map(({ fullName, failureMessages }) => ({
        test: `${relative(root, name)} › ${fullName}`,
        said: firstWords(failureMessages.join('\n')),
      })),
  );
}

/** The first of some tests, each with what was said of it. */
function list(title, tests) {
  if (tests.length > 0) console.log(`\n== ${title}`);
  for (const { test, said } of tests.slice(0, NAMED)) {
    console.log(test.slice(0, WIDTH));
    if (said) console.log(`    ${said.slice(0, WIDTH)}`);
  }
  if (tests.length > NAMED) console.log(`and ${tests.length - NAMED} more, above`);
}

function firstWords(message) {
  const lines = stripVTControlCharacters(message)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line && !/^(at |expect\(|●)/.test(line));
  return lines.slice(0, 3).join(' | ');
}

function countsOf(file) {
  const text = readFileSync(file, 'utf8');
  if (file.endsWith('.json')) {
    const report = JSON.parse(text);
    return {
      passed: report.numPassedTests,
      // A suite that could not run at all has no failed test of its own.
      failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  }
  const all = [...text.matchAll(/Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)/g)].at(-1);
  if (!all) return { passed: 0, failed: 0, skipped: 0 };
  const [run, failures, errors, skipped] = all.slice(1).map(Number);
  return { passed: run - failures - errors - skipped, failed: failures + errors, skipped };
}

function suites(files) {
  const all = files.flatMap(suitesOf).sort((a, b) => b.seconds - a.seconds || (a.name < b.name ? -1 : 1));
  for (const { name, seconds: took, red } of all)
    console.log(`${seconds(took)}  ${name}${red ? '  FAILED' : ''}`);
}

function failures(report, log) {
  const red = suitesOf(report).filter((suite) => suite.red && suite.message);
  for (const { name, message } of red) console.log(`\n-- the end of ${name}\n${tail(message)}`);
  if (red.length === 0 && log && existsSync(log))
    console.log(`\n-- the end of the log\n${tail(readFileSync(log, 'utf8'))}`);
}

function summary(folder, stagesFile) {
  const stages = existsSync(stagesFile)
    ? readFileSync(stagesFile, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split('\t'))
    : [];
  console.log('\n== stages');
  for (const [took, code, name] of stages)
    console.log(`${took.padStart(6)} s  ${code === '0' ? 'passed' : 'FAILED'}  ${name}`);
  const total = { passed: 0, failed: 0, skipped: 0 };
  const reports = readdirSync(folder)
    .filter((name) => name.endsWith('.json') || name === 'jvm.log')
    .sort()
    .map((name) => join(folder, name));
  for (const report of reports) {
    for (const [kind, count] of Object.entries(countsOf(report))) total[kind] += count;
  }
  list('what was skipped', reports.flatMap(skippedTests));
  list('what failed', reports.flatMap(failedTests));
  // A stage may fail without a failed test: types, the lab itself, what it leaves behind.
  if (total.failed === 0) total.failed = stages.filter(([, code]) => code !== '0').length;
  const skipped = total.skipped ? `, ${total.skipped} skipped` : '';
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

const [command, ...rest] = process.argv.slice(2);
const commands = {
  suites: () => suites(rest),
  failures: () => failures(rest[0], rest[1]),
  summary: () => summary(rest[0], rest[1]),
};
if (!commands[command])
  throw new Error(`report.js: "${command}" is none of ${Object.keys(commands).join(', ')}`);
process.exitCode = commands[command]() ?? 0;
