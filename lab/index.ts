import '../operations/cli/node';
import './installed';

import { Command } from 'commander';
import { kubeconfigPath } from './cluster';
import { GITLAB_URL } from './gitlab';
import { PRODUCTION_URL } from './journey';
import { stopMachine } from './machine';
import { preflight } from './machine/preflight';
import { runSteps, type StepResult } from './run';
import { labSteps } from './sequence';
import { elapsed, LabError, lockLab } from './steps';
import { JENKINS_URL } from './topology';

/** How to look at what a step made. */
const look: Readonly<Record<string, string>> = {
  cluster: `KUBECONFIG=${kubeconfigPath()} kubectl get pods --all-namespaces`,
  gitlab: `${GITLAB_URL}/api/v4/version`,
  topology: `${JENKINS_URL}/api/json`,
  journey: `${PRODUCTION_URL}/version`,
};

function table(results: readonly StepResult[]): string {
  const rows = results.map((result) => [
    result.title,
    result.skipped ? 'already done' : elapsed(result.milliseconds),
    look[result.name] ?? '',
  ]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const program = new Command('lab').description('the whole topology on this machine').showHelpAfterError();
program
  .command('up', { isDefault: true })
  .description('set up everything and let the example travel from a push to production')
  .action(async () => {
    preflight();
    const release = lockLab();
    const results = await runSteps(labSteps());
    process.stdout.write(`\n${table(results)}\n`);
    release();
  });
program
  .command('down')
  .description('leave no process, mount, interface or file of ours; keeps the built toolchain')
  .action(async () => {
    const release = lockLab();
    await stopMachine();
    release();
    process.stdout.write('the lab is gone; the built toolchain is kept\n');
  });

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof LabError || error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
});
