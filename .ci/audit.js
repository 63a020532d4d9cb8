/*
 * Has a package that people install a known flaw? Asks the registry by `npm audit`, and says so in one line:
 *
 *   node .ci/audit.js [<report>]    <report> is written as jest writes its own: one test, passed, failed or skipped
 *
 * It is skipped where the registry says that it has no audits (404, 405, 501 for npm's question), and for no other reason: a
 * registry that is not there, or does not answer as npm's does, is a failure. Ends with 1 when it failed.
 */
const { spawnSync } = require('node:child_process');
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const SEVERE = ['high', 'critical'];
/** What a server says that does not know the question. */
const NO_AUDITS = [404, 405, 501];

/** @returns whether it passed, and why */
function judge({ stdout, stderr, error }) {
  let answer;
  try {
    answer = JSON.parse(stdout) ?? {};
  } catch {
    return ['failed', `npm audit said nothing: ${error?.message ?? stderr.trim()}`];
  }
  if (answer.vulnerabilities) {
    const bad = Object.values(answer.vulnerabilities).filter(({ severity }) => SEVERE.includes(severity));
    return bad.length === 0
      ? ['passed', 'no package that people install has a high or critical flaw']
      : ['failed', `${bad.map(({ name, severity }) => `${name} (${severity})`).join(', ')}: see npm audit`];
  }
  const said = answer.message ?? answer.error?.summary ?? 'no vulnerabilities, and no error';
  return NO_AUDITS.includes(answer.statusCode)
    ? ['skipped', `this registry has no audits (${said}); ask the public registry before a release`]
    : ['failed', `the registry did not answer: ${said}`];
}

const startTime = Date.now();
const [status, why] = judge(
  spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd: root, encoding: 'utf8' }),
);
console.log(`npm audit ${status}: ${why}`);

const [report] = process.argv.slice(2);
if (report)
  writeFileSync(
    report,
    JSON.stringify({
      numPassedTests: Number(status === 'passed'),
      numFailedTests: Number(status === 'failed'),
      numPendingTests: Number(status === 'skipped'),
      numTodoTests: 0,
      numRuntimeErrorTestSuites: 0,
      testResults: [
        {
          name: __filename,
          startTime,
          endTime: Date.now(),
          status: status === 'failed' ? 'failed' : 'passed',
          message: status === 'failed' ? why : '',
          assertionResults: [
            {
              fullName: 'npm audit knows of no high or critical flaw',
              status: status === 'skipped' ? 'pending' : status,
              failureMessages: [why],
            },
          ],
        },
      ],
    }),
  );
process.exitCode = status === 'failed' ? 1 : 0;
