import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { exitCode, Failure } from '../../clients/failure';
import { parseJson } from '../../text/json';
import type { Shell } from '../preview/commands';
import { readUntrusted } from '../preview/session';
import { readSettings } from '../settings';
import { startWords } from '../start-words';
import { driftPaths } from './files';
import { type Decision, driftSchema, keepIssue } from './issue';
import { lookForDrift } from './run';
import { closeUnseen, keepUnseen } from './unseen';

const words: Readonly<Record<Decision['do'], string>> = {
  nothing: 'stays as it is',
  open: 'is opened',
  edit: 'is edited',
  reopen: 'is reopened',
  close: 'is closed',
};

/** Adds the commands of the job that looks for drift. */
export function addDriftCommands(top: Command, shell: Shell): void {
  top
    .command('drift-run')
    .description('In the Pod that may only read: compare what is there with what was applied.')
    .requiredOption('--environment <name>', 'environment to look at')
    .option('--timeout <minutes>', 'after which the look counts as failed', '25')
    .action(async (options: { environment: string; timeout: string }) => {
      const { GITLAB_TOKEN, SWITCHYARD_STACKS, ...variables } = readSettings([
        'GITLAB_TOKEN',
        'SWITCHYARD_STACKS',
        'SWITCHYARD_CATALOG',
        'SWITCHYARD_LIBRARY',
        'GITLAB_URL',
        'SWITCHYARD_GITLAB_GROUP',
        'SWITCHYARD_TOPOLOGY_PROJECT',
      ]);
      const said = await lookForDrift({
        environment: options.environment,
        paths: driftPaths(shell.workspace(), options.environment),
        timeoutMs: Number(options.timeout) * 60_000,
        stacks: SWITCHYARD_STACKS,
        gitlabToken: GITLAB_TOKEN,
        variables,
      });
      shell.result({ environment: options.environment }, `${said}looked at ${options.environment}`);
    });

  /** What the look left. @throws Failure (exit 1) when that is nothing, or of something else */
  const readRecord = (environment: string) => {
    const paths = driftPaths(shell.workspace(), environment);
    const note = readUntrusted(paths.note);
    const parsed = driftSchema.safeParse(parseJson(readUntrusted(paths.report) ?? ''));
    if (note === undefined || !parsed.success || parsed.data.environment !== environment) {
      throw new Failure(
        exitCode.red,
        `${paths.record}: holds no report on ${environment}.`,
        'Run `delivery drift-run` first, and see its log.',
      );
    }
    return { note, drift: parsed.data, whole: paths.whole };
  };

  top
    .command('drift-found')
    .description('Say whether a look found drift. Exit 5 when it did.')
    .requiredOption('--environment <name>', 'environment that was looked at')
    .action(({ environment }: { environment: string }) => {
      const { resources } = readRecord(environment).drift;
      shell.result({ environment, drifted: resources.length }, `${resources.length} resource(s) drifted`);
      if (resources.length > 0) throw new Failure(exitCode.drift, `${environment} is not as it was applied.`);
    });

  top
    .command('drift-report')
    .description('Keep the issues about an environment’s drift. Exit 5 when there is some.')
    .requiredOption('--environment <name>', 'environment that was looked at')
    .option('--unseen', 'it could not be looked at: keep the issue that says so', false)
    .action(async ({ environment, unseen }: { environment: string; unseen: boolean }) => {
      const settings = readSettings(['BUILD_URL', 'SWITCHYARD_TOPOLOGY_PROJECT']);
      const { gitlab, group } = shell.context();
      const project = `${group}/${settings.SWITCHYARD_TOPOLOGY_PROJECT}`;
      const build = settings.BUILD_URL;
      if (unseen) {
        const start = startWords(shell.workspace());
        const kept = await keepUnseen(gitlab, project, { environment, build, start });
        shell.result({ environment, ...kept }, `issue ${project}#${kept.iid} ${words[kept.did]}`);
        return;
      }
      const { note, drift, whole } = readRecord(environment);
      writeFileSync(whole, note);
      await closeUnseen(gitlab, project, { environment, build });
      const { did, iid } = await keepIssue(gitlab, project, {
        drift,
        note,
        build,
        artifact: basename(whole),
      });
      const count = drift.resources.length;
      const issue = iid === undefined ? 'no issue is needed' : `issue ${project}#${iid} ${words[did]}`;
      shell.result({ environment, drifted: count, did, iid }, `${count} resource(s) drifted; ${issue}`);
      if (count > 0) {
        throw new Failure(exitCode.drift, `${environment} is not as it was applied; ${issue}.`);
      }
    });
}
