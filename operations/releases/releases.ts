import { LEDGER_PROJECT } from '../../catalog/ledger';
import { didYouMean } from '../../catalog/problems';
import { exitCode, Failure } from '../../clients/failure';
import { GitLab } from '../../clients/gitlab';
import { loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { dataStays, listReleases, type ReleaseRow, rollBack } from '../../delivery/releases';
import { secretSources } from '../../stacks/secrets';
import { plainText } from '../../text/terminal';
import { questionFor } from '../cli/confirm';
import type { CommonOptions, Outcome } from '../cli/outcome';
import { EXIT, Refusal } from '../cli/refusal';
import { columns } from '../cli/table';
import type { Terminal } from '../cli/terminal';
import { foldersHere } from '../place';

// `releases` and `rollback`: the ledger as people read it, and going back in it. What is done to it, delivery does too.

/** @throws Refusal without a token: GitLab tells strangers that there is no ledger */
export function gitlabOf({ settings }: Model): GitLab {
  const token = process.env[secretSources.gitlabToken];
  if (token) return new GitLab({ url: settings.gitlab.url, token });
  throw new Refusal(
    `${secretSources.gitlabToken} is not set: the release ledger is read, and changed, by it.`,
    EXIT.badInput,
  );
}

export const placeOf = ({ settings }: Model) => ({
  ledgerProject: `${settings.gitlab.group}/${LEDGER_PROJECT}`,
  environment: settings.environment,
});

/** @throws Refusal for a module that the environment does not have */
export function known({ modules, settings }: Model, name: string): void {
  const names = modules.map((module) => module.name);
  if (names.includes(name)) return;
  throw new Refusal(
    `there is no module "${name}" in ${settings.environment}. ${didYouMean(name, names)}`.trim(),
    EXIT.badInput,
  );
}

/** What delivery says of bad input is bad input here. */
export async function asked<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Refusal(error.message, error.code === exitCode.input ? EXIT.badInput : EXIT.failed);
  }
}

const standing = ({ state, held, promotedFrom, why }: ReleaseRow): string => {
  const text = [state, ...(held ? ['held'] : []), ...(promotedFrom ? [`from ${promotedFrom}`] : [])].join(
    ', ',
  );
  return why && why !== state ? `${text}: ${why}` : text;
};

export const releaseLines = (environment: string, rows: readonly ReleaseRow[]): string[] =>
  rows.length === 0
    ? [`nothing was released to ${environment} yet`]
    : columns([
        ['module', 'commit', 'digest', 'mr', 'when', 'who', 'state'],
        ...rows.map((row) => [
          row.module,
          row.commit.slice(0, 12),
          row.image?.split('@sha256:')[1]?.slice(0, 12) ?? '-',
          row.mergeRequest === undefined ? '-' : `!${row.mergeRequest}`,
          row.at ?? '-',
          plainText(row.by ?? '-'),
          plainText(standing(row)),
        ]),
      ]);

/** `releases`: what was released, newest first. */
export async function releases(environment: string, module?: string): Promise<Outcome> {
  const model = loadModel(foldersHere(), environment);
  if (module !== undefined) known(model, module);
  const rows = await asked(listReleases(gitlabOf(model), placeOf(model), module));
  return { document: { releases: rows }, lines: releaseLines(environment, rows) };
}

export interface RollbackOptions extends CommonOptions {
  readonly to?: string;
  readonly hold?: boolean;
  readonly yes?: boolean;
}

/** `rollback`: an earlier release into the ledger, then the rollout. Said again after a kill it goes on. */
export async function rollback(
  environment: string,
  module: string,
  options: RollbackOptions,
  terminal: Terminal,
): Promise<Outcome> {
  const model = loadModel(foldersHere(), environment);
  known(model, module);
  const { nothingDone, operate } = await import('../engine/operate');
  const hold = options.hold === true;
  const { release, from, written } = await asked(
    rollBack(
      gitlabOf(model),
      { ...placeOf(model), module, hold, ...(options.to === undefined ? {} : { to: options.to }) },
      async (target, current) => {
        const [to, before] = [target, current].map(({ commit }) => commit.slice(0, 12));
        terminal.note(
          to === before
            ? `${module} is ${to} already${target.hold ? '; it will be held' : ''}`
            : `${module} will go from ${before} to ${to} (!${target.mergeRequest})${target.hold ? ', and be held' : ''}`,
        );
        const stays = dataStays(target, current);
        if (stays !== undefined) terminal.note(stays);
        if (options.yes) return;
        const question = questionFor('rollback', environment, model.settings.confirm);
        const answer = process.stdin.isTTY ? await terminal.ask(question.text) : undefined;
        if (answer === undefined || !question.accepts(answer.trim())) throw nothingDone('rollback');
      },
    ),
  );
  terminal.note(
    written
      ? `ledger: ${environment} ${module} is ${release.commit.slice(0, 12)} now`
      : `ledger: ${environment} ${module} is ${release.commit.slice(0, 12)} already`,
  );
  const rolledOut = await operate('up', environment, { only: module, yes: true }, terminal);
  return {
    ...rolledOut,
    document: { ...rolledOut.document, module, release, from, written },
    lines: [
      ...rolledOut.lines,
      `${module} is ${release.commit.slice(0, 12)} in ${environment}${hold ? ', and held' : '; the next merge goes forward again'}`,
    ],
  };
}
