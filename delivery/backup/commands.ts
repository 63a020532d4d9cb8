import { type Command, Option } from 'commander';
import { loadCatalog } from '../../catalog/load';
import { exitCode, Failure } from '../../clients/failure';
import { kubeconfigHere } from '../../clients/kubeconfig';
import { PodExec } from '../../clients/pod-exec';
import { type KindResult, pushBackup } from '../../clients/pushgateway';
import { loadStack } from '../../stacks/load';
import { wholeNumber } from '../../text/arguments';
import { openRegistry } from '../open-registry';
import { historyStart } from '../registry-gc';
import { readSettings } from '../settings';
import { backUp, type Outcome } from './run';
import { type Kind, kinds } from './snapshots';
import { type GitLabPlace, sourcesOf } from './sources';
import { openVault } from './vault';

/** What the commands share with the rest of `delivery`. */
export interface Shell {
  readonly context: () => Omit<GitLabPlace, 'topologyProject'> & { readonly say: (line: string) => void };
  readonly result: (value: unknown, line: string) => void;
}

/** How each kind ended. A run for one module says nothing of when all of a kind was backed up. */
function kindResults(
  outcomes: readonly Outcome[],
  wanted: readonly Kind[],
  whole: boolean,
  now: number,
): KindResult[] {
  return wanted.map((kind) => {
    const failed = outcomes.some((outcome) => outcome.kind === kind && outcome.result === 'failed');
    return { kind, failed, ...(whole && !failed ? { at: now } : {}) };
  });
}

const environmentOf = (): string => readSettings(['SWITCHYARD_ENVIRONMENT']).SWITCHYARD_ENVIRONMENT;

const keepOption = (unit: string, count: number): Option =>
  new Option(`--keep-${unit} <number>`, `${unit} snapshots of each item that stay`)
    .argParser(wholeNumber)
    .default(count);

/** Adds the commands of backups; each says on stdout what became of every item. */
export function addBackupCommands(top: Command, shell: Shell): void {
  top
    .command('backup')
    .description('Back up what is not code. Exit 1 when an item failed; the others are stored all the same.')
    .addOption(new Option('--kind <name...>', 'kinds to back up; default: all').choices(kinds))
    .option('--module <name>', 'only what concerns one module')
    .option(
      '--release-days <number>',
      'days that a release counts after a ledger last named it',
      wholeNumber,
      365,
    )
    .action(async (options: { kind?: Kind[]; module?: string; releaseDays: number }) => {
      const settings = readSettings(['SWITCHYARD_CATALOG', 'SWITCHYARD_STACKS']);
      const environment = environmentOf();
      const catalog = loadCatalog(settings.SWITCHYARD_CATALOG);
      if (options.module && !catalog.modules.some(({ name }) => name === options.module)) {
        throw new Failure(exitCode.input, `--module: "${options.module}" is no module of the catalog.`);
      }
      const wanted = options.kind ?? kinds;
      const note = (line: string): void => {
        process.stderr.write(`${line}\n`);
      };
      const measured = (results: readonly KindResult[]): Promise<void> =>
        pushBackup({ url: process.env.METRICS_PUSHGATEWAY, environment, kinds: results }, note);
      const outcomes = await backUp({
        restic: openVault(environment),
        say: note,
        sources: sourcesOf(
          {
            environment,
            catalog,
            settings: loadStack(settings.SWITCHYARD_STACKS, environment),
            module: options.module,
            since: historyStart(Math.floor(Date.now() / 1000), options.releaseDays),
            gitlab: () => ({
              ...shell.context(),
              topologyProject: process.env.SWITCHYARD_TOPOLOGY_PROJECT || undefined,
            }),
            registry: () => openRegistry(readSettings(['REGISTRY', 'REGISTRY_PLAIN_HTTP'])),
            exec: async () => new PodExec(await kubeconfigHere()),
            env: process.env,
          },
          wanted,
        ),
      }).catch(async (error: unknown) => {
        // Nothing was read: no kind has been backed up.
        await measured(wanted.map((kind) => ({ kind, failed: true })));
        throw error;
      });
      await measured(
        kindResults(outcomes, wanted, options.module === undefined, Math.floor(Date.now() / 1000)),
      );
      const count = (result: string): number =>
        outcomes.filter((outcome) => outcome.result === result).length;
      const absent = outcomes.flatMap(({ item, result }) => (result === 'absent' ? item : []));
      const line = [
        `backup: ${count('stored')} stored, ${count('unchanged')} unchanged, ${count('failed')} failed`,
        ...(absent.length > 0 ? [`absent where they belong: ${absent.join(', ')}`] : []),
      ].join('; ');
      shell.result({ outcomes }, line);
      if (count('failed') > 0) {
        const names = outcomes.flatMap(({ kind, item, result }) =>
          result === 'failed' ? `${kind} ${item}` : [],
        );
        throw new Failure(exitCode.red, `not backed up: ${names.join(', ')}.`, 'Why stands with each above.');
      }
    });

  top
    .command('backup-verify')
    .description('Read back every byte of the backup, then drop what is too old. Exit 1 when it is damaged.')
    .addOption(keepOption('daily', 14))
    .addOption(keepOption('weekly', 8))
    .addOption(keepOption('monthly', 12))
    .action(async (options: { keepDaily: number; keepWeekly: number; keepMonthly: number }) => {
      const restic = openVault(environmentOf());
      await restic.check();
      const { removed } = await restic.forget({
        daily: options.keepDaily,
        weekly: options.keepWeekly,
        monthly: options.keepMonthly,
      });
      const { snapshots } = await restic.holdings();
      shell.result(
        { snapshots: snapshots.length, removed },
        `backup-verify: read back whole; ${snapshots.length} snapshots, ${removed} dropped`,
      );
    });
}
