import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { z } from 'zod';
import { isOwnSource } from '../../catalog/program';
import { exitCode, Failure } from '../../clients/failure';
import { heldFiles } from '../../stacks/files';
import { loadStack, readableStack } from '../../stacks/load';
import { readSettings, type Settings } from '../settings';
import { packSource } from '../source';
import { startWords } from '../start-words';
import { readSealed, writeSealed } from '../state';
import type { Context } from '../verify';
import type { Covered } from './affected';
import { imageCompiler } from './compile';
import {
  cancelPreview,
  checkCurrent,
  compareRecord,
  finishApply,
  finishPreview,
  type Outcome,
  postApply,
  reportPreview,
  startApply,
  startPreview,
} from './flow';
import { handoverPaths } from './handover';
import { planSchema, type SeenPlan } from './plan';
import { runProgram } from './program';
import { runMerged, runPreview } from './run';
import {
  doneFile,
  previewBinding,
  previewPaths,
  readBasis,
  readSession,
  sessionFile,
  writeSession,
} from './session';

/** What the commands share with the rest of `delivery`. */
export interface Shell {
  readonly context: () => Context & { readonly group: string };
  readonly workspace: () => string;
  readonly result: (value: unknown, line: string) => void;
}

/** The checkout inside the workspace. */
const SOURCE = 'source';
/** Exit code of `switchyard up --basis` where something else is recorded by now. */
export const MOVED = 9;
/** Between two looks at whether a newer commit came, and between two looks for the end. */
const WATCH_MS = 5_000;
const DONE_MS = 250;
/** Of a timer that keeps a process from ending by itself: waiting for a signal does not. */
const STAY_MS = 3_600_000;

const planFile = (workspace: string, environment: string): string =>
  join(previewPaths(workspace, environment).folder, 'seen.json');

const environmentsFile = (workspace: string): string =>
  join(workspace, '.switchyard', 'preview', 'environments');
const verdictFile = (workspace: string, environment: string): string =>
  join(previewPaths(workspace, environment).folder, 'verdict');
const outcomeFile = (workspace: string, environment: string): string =>
  join(previewPaths(workspace, environment).folder, 'applied');

const outcomeSchema = z.enum(['applied', 'stopped']);
const writeOutcome = (workspace: string, environment: string, outcome: Outcome): void =>
  writeSealed(outcomeFile(workspace, environment), 'apply-outcome', previewBinding(environment), outcome);

const readSeen = (workspace: string, environment: string): SeenPlan =>
  readSealed(
    planFile(workspace, environment),
    'apply-plan',
    previewBinding(environment),
    planSchema,
    'Run `delivery apply-source` first.',
  );

/** Packs the checkout for the Pods that run it; none of them needs its history. */
async function givePods(workspace: string): Promise<void> {
  const given = join(workspace, '.switchyard', 'given');
  mkdirSync(given, { recursive: true });
  await packSource(workspace, SOURCE, join(given, 'source.tar'), [`${SOURCE}/.git`]);
}

const coveredBy = (names: readonly string[], stacks: string): Covered[] =>
  names.map((name) => ({
    name,
    ...heldFiles(loadStack(stacks, name), (other) => readableStack(stacks, other)),
  }));

type Names = 'BUILD_URL' | 'gitlabAfter' | 'gitlabBefore' | 'gitlabBranch' | 'gitlabMergeRequestIid';

function inputs<K extends Names>(names: readonly K[]) {
  const settings: Settings<K> = readSettings(names);
  const topology = readSettings([
    'SWITCHYARD_STACKS',
    'SWITCHYARD_TOPOLOGY_PROJECT',
    'SWITCHYARD_TOPOLOGY_ENVIRONMENTS',
  ]);
  const covered = coveredBy(topology.SWITCHYARD_TOPOLOGY_ENVIRONMENTS, topology.SWITCHYARD_STACKS);
  // In a repository that installs Switchyard any folder may hold sources of the program.
  const isSource = imageCompiler().product === undefined ? undefined : isOwnSource;
  return { settings, path: topology.SWITCHYARD_TOPOLOGY_PROJECT, reach: { covered, isSource } };
}

const certificateKey = (): string => readSettings(['SWITCHYARD_CERTIFICATE_KEY']).SWITCHYARD_CERTIFICATE_KEY;

/** Adds the commands of this repository's own pipeline: previews of merge requests, and applying what was merged. */
export function addPreviewCommands(top: Command, shell: Shell): void {
  top
    .command('preview-source')
    .description('Post the statuses as pending, check out the merge result, find the affected environments.')
    .action(async () => {
      const { settings, path, reach } = inputs(['BUILD_URL', 'gitlabMergeRequestIid']);
      const { group, ...context } = shell.context();
      const workspace = shell.workspace();
      rmSync(join(workspace, '.switchyard', 'preview'), { recursive: true, force: true });
      const request = {
        project: `${group}/${path}`,
        mergeRequest: settings.gitlabMergeRequestIid,
        build: settings.BUILD_URL,
        folder: join(workspace, SOURCE),
        ...reach,
      };
      const session = await startPreview(context, request, async (started) => {
        await givePods(workspace);
        mkdirSync(dirname(environmentsFile(workspace)), { recursive: true });
        writeFileSync(environmentsFile(workspace), started.environments.join('\n'));
        // Last: without it `preview-finish` leaves the statuses alone.
        writeSession(workspace, started);
      });
      shell.result(session, `affected: ${session.environments.join(', ') || 'no environment'}`);
    });

  top
    .command('preview-run')
    .description(
      'In the fenced Pod: preview the merge result on a state without secrets, by this image’s engine.',
    )
    .requiredOption('--environment <name>', 'environment to preview')
    .option('--timeout <minutes>', 'after which it counts as failed', '20')
    .action(async (options: { environment: string; timeout: string }) => {
      const workspace = shell.workspace();
      const code = await runPreview({
        source: join(workspace, SOURCE),
        environment: options.environment,
        paths: previewPaths(workspace, options.environment),
        handover: readSettings(['SWITCHYARD_HANDOVER']).SWITCHYARD_HANDOVER,
        timeoutMs: Number(options.timeout) * 60_000,
      });
      // Its verdict is made elsewhere: here only the failure to run it at all is one.
      shell.result({ code }, `the preview ended with ${code}`);
    });

  top
    .command('preview-program')
    .description(
      'Beside it, without a network: run the merge result’s own program for that engine, and stay.',
    )
    .action(async () => {
      const { SWITCHYARD_HANDOVER: handover } = readSettings(['SWITCHYARD_HANDOVER']);
      await runProgram(handoverPaths(handover));
      // Jenkins ends an agent when one of its containers has ended; this one ends with the Pod.
      const stay = setInterval(() => undefined, STAY_MS);
      await new Promise((resolve) => process.once('SIGTERM', resolve).once('SIGINT', resolve));
      clearInterval(stay);
    });

  top
    .command('preview-watch')
    .description('Wait until the preview is done. Exit 4 as soon as a newer commit makes it useless.')
    .action(async () => {
      const workspace = shell.workspace();
      const session = readSession(workspace);
      const context = shell.context();
      for (let asked = 0; !existsSync(doneFile(workspace)); await sleep(DONE_MS)) {
        if (Date.now() - asked < WATCH_MS) continue;
        await checkCurrent(context, session);
        asked = Date.now();
      }
    });

  top
    .command('preview-report')
    .description('Post one environment’s note and status. Exit 1 when it is red, 4 when a newer commit came.')
    .requiredOption('--environment <name>', 'environment that was previewed')
    .action(async (options: { environment: string }) => {
      const workspace = shell.workspace();
      const session = readSession(workspace);
      const green = await reportPreview(
        shell.context(),
        workspace,
        session,
        options.environment,
        certificateKey(),
      );
      const { environment } = options;
      writeSealed(verdictFile(workspace, environment), 'preview-verdict', previewBinding(environment), green);
      if (!green)
        throw new Failure(exitCode.red, `the preview of ${options.environment} is red; see its note.`);
      shell.result({ green }, `reported: ${options.environment} is green`);
    });

  top
    .command('preview-finish')
    .description(
      'End the aggregate status. Exit 1 when an environment is red or broke off, 4 when superseded.',
    )
    .action(async () => {
      const workspace = shell.workspace();
      if (!existsSync(sessionFile(workspace))) {
        // `preview-source` has ended what it posted.
        throw new Failure(exitCode.red, 'the merge result was not made.', 'See the log above.');
      }
      const session = readSession(workspace);
      const context = shell.context();
      mkdirSync(dirname(doneFile(workspace)), { recursive: true });
      writeFileSync(doneFile(workspace), '');
      try {
        await checkCurrent(context, session);
      } catch (error) {
        const superseded = error instanceof Failure && error.code === exitCode.nothing;
        if (superseded) await cancelPreview(context, session, error.message);
        throw error;
      }
      const verdicts = session.environments.flatMap((environment) => {
        const file = verdictFile(workspace, environment);
        if (!existsSync(file)) return [];
        const kept = readSealed(file, 'preview-verdict', previewBinding(environment), z.boolean(), '');
        return [[environment, kept]];
      });
      const green = await finishPreview(
        context,
        session,
        Object.fromEntries(verdicts),
        startWords(workspace),
      );
      if (!green) throw new Failure(exitCode.red, 'the merge request is blocked: an environment is red.');
      shell.result({ green }, 'the preview is green');
    });

  const applying = () => {
    const { settings, path, reach } = inputs(['BUILD_URL', 'gitlabAfter', 'gitlabBefore', 'gitlabBranch']);
    const { group, ...context } = shell.context();
    const request = {
      project: `${group}/${path}`,
      commit: settings.gitlabAfter,
      before: settings.gitlabBefore,
      branch: settings.gitlabBranch,
      build: settings.BUILD_URL,
      folder: join(shell.workspace(), SOURCE),
      ...reach,
      key: certificateKey(),
    };
    return { context, request };
  };

  top
    .command('apply-source')
    .description('Check out a merged commit, and find the plans that its reviewers saw.')
    .action(async () => {
      const workspace = shell.workspace();
      rmSync(join(workspace, '.switchyard', 'preview'), { recursive: true, force: true });
      const { context, request } = applying();
      const { plans, mergeRequest } = await startApply(context, request, async (found) => {
        for (const plan of found.plans) {
          const { environment } = plan;
          writeSealed(planFile(workspace, environment), 'apply-plan', previewBinding(environment), plan);
        }
        await givePods(workspace);
        mkdirSync(dirname(environmentsFile(workspace)), { recursive: true });
        writeFileSync(
          environmentsFile(workspace),
          found.plans.map(({ environment }) => environment).join('\n'),
        );
      });
      const names = plans.map(({ environment }) => environment);
      shell.result(names, `!${mergeRequest}: to be applied: ${names.join(', ') || 'nothing'}`);
    });

  top
    .command('apply-run')
    .description(
      'In the apply Pod: run the merged program’s `up`, which leaves images as they are. Exit 3 when something was changed since the comparison.',
    )
    .requiredOption('--environment <name>', 'environment to apply')
    .action(async ({ environment }: { environment: string }) => {
      const source = join(shell.workspace(), SOURCE);
      const basis = readBasis(previewPaths(shell.workspace(), environment).basis);
      const how = ['--lock-timeout', '20', '--lease', '--yes', '--without-images', '--basis', basis];
      const code = await runMerged(source, ['up', environment, ...how]);
      if (code === MOVED)
        throw new Failure(exitCode.again, `${environment} was changed since it was compared.`);
      if (code !== 0) throw new Failure(exitCode.red, `up of ${environment} failed (${code}).`);
    });

  top
    .command('apply-check')
    .description('Compare what would be done now with what reviewers saw. Exit 1 when it is something else.')
    .requiredOption('--environment <name>', 'environment to apply')
    .action(async (options: { environment: string }) => {
      const workspace = shell.workspace();
      const { context, request } = applying();
      const compared = compareRecord(workspace, readSeen(workspace, options.environment));
      if (!compared.same) {
        writeOutcome(workspace, options.environment, 'stopped');
        await postApply(context, request, options.environment, 'failed', `not applied: ${compared.why}`);
        throw new Failure(
          exitCode.red,
          `${options.environment} is not applied: ${compared.why}.`,
          'Nothing was changed. Open a merge request for a fresh preview, or run `switchyard up` by hand.',
        );
      }
      await postApply(context, request, options.environment, 'running', 'applying what was previewed');
      shell.result(compared, `${options.environment}: the plan is what was previewed`);
    });

  top
    .command('apply-report')
    .description('Post what came of `switchyard up`. Exit 1 when it failed.')
    .requiredOption('--environment <name>', 'environment that was applied')
    .requiredOption('--exit-code <number>', 'exit code of `delivery apply-run`')
    .action(async (options: { environment: string; exitCode: string }) => {
      const { context, request } = applying();
      const done = options.exitCode === '0';
      const moved = options.exitCode === String(exitCode.again);
      writeOutcome(shell.workspace(), options.environment, done ? 'applied' : 'stopped');
      await postApply(
        context,
        request,
        options.environment,
        done ? 'success' : 'failed',
        done
          ? 'applied as previewed'
          : moved
            ? 'not applied: something was released or changed after each comparison; run it again'
            : `\`switchyard up\` failed (exit code ${options.exitCode}); see the log`,
      );
      if (!done)
        throw new Failure(
          exitCode.red,
          moved
            ? `${options.environment} was changed after each comparison: nothing was applied.`
            : `${options.environment} was not applied whole.`,
          moved ? 'Run it again.' : 'See the log above.',
        );
      shell.result({ done }, `${options.environment} is applied`);
    });

  top
    .command('apply-finish')
    .description('End the statuses of what was not applied because something before it was not.')
    .action(async () => {
      const workspace = shell.workspace();
      const { context, request } = applying();
      const environments = readFileSync(environmentsFile(workspace), 'utf8').split('\n').filter(Boolean);
      const outcomes = Object.fromEntries(
        environments.map((environment): [string, Outcome | undefined] => {
          const file = outcomeFile(workspace, environment);
          if (!existsSync(file)) return [environment, undefined];
          const binding = previewBinding(environment);
          return [environment, readSealed(file, 'apply-outcome', binding, outcomeSchema, '')];
        }),
      );
      const stopped = await finishApply(context, request, environments, outcomes);
      shell.result({ stopped }, stopped === undefined ? 'all is applied' : `stopped at ${stopped}`);
    });
}
