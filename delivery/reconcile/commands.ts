import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { emptyLedger, LEDGER_PROJECT, parseLedger } from '../../catalog/ledger';
import { exitCode, Failure } from '../../clients/failure';
import { Cluster, podToken } from '../../clients/kubernetes-in-pod';
import { readAgentStart } from '../agent-start';
import { LEDGER_BRANCH, ledgerFile } from '../ledger';
import { readSettings } from '../settings';
import type { Context } from '../verify';
import { Jenkins } from './jenkins';
import { Reconciler } from './reconciler';
import { reconcileForever } from './run';
import { askTurns } from './turns';

/** What the command shares with the rest of `delivery`. */
interface Shell {
  readonly context: () => Context & { readonly group: string };
}

/** The token that a job's hook is checked by, each in a file of the job's name. */
function hookTokenOf(folder: string): (job: string) => string {
  return (job) => {
    const file = join(folder, job);
    try {
      return readFileSync(file, 'utf8').trim();
    } catch {
      throw new Failure(exitCode.input, `${file}: cannot be read.`, 'Run `switchyard up`: it writes it.');
    }
  };
}

export function addReconcileCommand(top: Command, shell: Shell): void {
  top
    .command('reconcile')
    .description(
      'Start what a lost hook did not start, end what broke off, tell what gets no agent; once a minute. Runs in a Pod.',
    )
    .option('--once', 'look once, and end', false)
    .option('--alive <file>', 'file that is written at each look')
    .action(async (options: { once: boolean; alive?: string }) => {
      const settings = readSettings([
        'JENKINS_ADDRESS',
        'JENKINS_USER',
        'SWITCHYARD_JENKINS_SHARED',
        'SWITCHYARD_JENKINS_URL',
        'SWITCHYARD_JOB_FOLDER',
        'SWITCHYARD_HOOK_TOKENS',
        'SWITCHYARD_WATCHED',
        'SWITCHYARD_ENVIRONMENT',
        'SWITCHYARD_AGENT_NAMESPACE',
        'SWITCHYARD_AGENTS',
        'SWITCHYARD_AGENT_MINUTES',
      ]);
      const { gitlab, gitlabUrl, group, say } = shell.context();
      const folder = settings.SWITCHYARD_JOB_FOLDER;
      const root = settings.SWITCHYARD_JENKINS_URL.replace(/\/+$/, '');
      const ledgerProject = `${group}/${LEDGER_PROJECT}`;
      const path = ledgerFile(settings.SWITCHYARD_ENVIRONMENT);
      const minutes = settings.SWITCHYARD_AGENT_MINUTES;
      const reconciler = new Reconciler({
        gitlab,
        jenkins: new Jenkins({
          url: settings.JENKINS_ADDRESS,
          login: settings.JENKINS_USER
            ? { user: settings.JENKINS_USER, password: readSettings(['JENKINS_PASSWORD']).JENKINS_PASSWORD }
            : undefined,
          folder,
          shared: settings.SWITCHYARD_JENKINS_SHARED,
        }),
        watched: settings.SWITCHYARD_WATCHED,
        ledger: async () => {
          const found = await gitlab.file(ledgerProject, path, LEDGER_BRANCH);
          return found ? parseLedger(found.text, `${ledgerProject}/${path}`) : emptyLedger;
        },
        turns: askTurns(
          gitlab,
          gitlabUrl,
          settings.SWITCHYARD_WATCHED.map(({ project }) => project),
        ),
        jobsUrl: `${root}/job/${folder}/job/`,
        hookPath: (job) => `${new URL(root).pathname.replace(/\/$/, '')}/project/${folder}/${job}`,
        hookToken: hookTokenOf(settings.SWITCHYARD_HOOK_TOKENS),
        agents: {
          most: settings.SWITCHYARD_AGENTS,
          minutes,
          // What was said when the wait began counts, and that is seen a minute later.
          words: () =>
            readAgentStart(
              new Cluster({ token: podToken() }),
              settings.SWITCHYARD_AGENT_NAMESPACE,
              minutes,
              Date.now() - 2 * 60_000,
            ),
        },
        say,
      });
      if (options.once) {
        await reconciler.look();
        return;
      }
      const stop = new AbortController();
      // As the first process of its container it gets no signal that it does not ask for.
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
      await reconcileForever(reconciler, { signal: stop.signal, alive: options.alive });
    });
}
