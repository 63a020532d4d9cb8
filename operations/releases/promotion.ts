import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LEDGER_PROJECT, type Release } from '../../catalog/ledger';
import type { Problem } from '../../catalog/problems';
import type { Registry } from '../../clients/registry';
import { certificatePurpose } from '../../components/jenkins/names';
import { loadModel, located } from '../../components/load';
import { missingOrigin } from '../../components/promotion';
import { Secrets } from '../../components/shared/secrets';
import { copyImage } from '../../delivery/copy-image';
import { type Deployment, reportPromotion } from '../../delivery/deploy';
import { LEDGER_BRANCH } from '../../delivery/ledger';
import { type Promoted, type PromotionRequest, promote, prove } from '../../delivery/promotion';
import { dataStays } from '../../delivery/releases';
import { undo } from '../../delivery/undo';
import type { Undone } from '../../delivery/undo-note';
import { readPodWords } from '../../delivery/unsteady';
import type { Context } from '../../delivery/verify';
import { projectPath } from '../../stacks/gitlab';
import { loadStack } from '../../stacks/load';
import { repositoryRoot } from '../../stacks/registry';
import type { StackSettings } from '../../stacks/schema';
import { missingSecrets, secretSources, seedProblems } from '../../stacks/secrets';
import { plainText } from '../../text/terminal';
import { questionFor } from '../cli/confirm';
import type { CommonOptions, Outcome } from '../cli/outcome';
import { EXIT } from '../cli/refusal';
import type { Terminal } from '../cli/terminal';
import { passwordVariable, registryOf } from '../outside/clients';
import { foldersHere } from '../place';
import { asked, gitlabOf, known, placeOf } from './releases';
import { rollOut } from './roll-out';

// `promote`: what serves in one environment into another's ledger, then the rollout. What is done to the ledgers, delivery does.

export interface PromoteOptions extends CommonOptions {
  readonly commit?: string;
  readonly force?: boolean;
  readonly mergeRequest?: boolean;
  readonly yes?: boolean;
}

/** The seeds of both environments. @throws ProblemsError with every secret that is missing, and each seed that is none */
function seedsOf(
  {
    folders,
    settings,
    origin,
  }: { folders: Parameters<typeof located>[0] } & Record<'settings' | 'origin', StackSettings>,
  variables: NodeJS.ProcessEnv = process.env,
): { readonly own: string; readonly origins: string } {
  const { environment, promotion } = settings;
  const named = promotion?.seedFrom ?? secretSources.seed;
  const pull = passwordVariable(origin, 'pull');
  const push = passwordVariable(settings, 'push');
  const place = 'config.promotion.seedFrom';
  const needed = [
    ...(push === undefined
      ? [{ variable: secretSources.seed, place: 'seed' }]
      : [{ variable: push, place: 'config.registry.existing.push.passwordFrom' }]),
    ...(named === secretSources.seed && push === undefined ? [] : [{ variable: named, place }]),
  ];
  const ofOrigin =
    pull === undefined ? [] : [{ variable: pull, place: 'config.registry.existing.pull.passwordFrom' }];
  const problems: Problem[] = [
    ...missingSecrets(environment, needed, () => false),
    ...missingSecrets(origin.environment, ofOrigin, () => false),
  ];
  const own = variables[secretSources.seed] ?? '';
  const origins = variables[named] ?? '';
  if (push === undefined && own) problems.push(...seedProblems(environment, own));
  if (origins && named !== secretSources.seed)
    problems.push(
      ...seedProblems(origin.environment, origins).map(({ what }) => ({
        file: `stacks/Pulumi.${environment}.yaml`,
        key: place,
        what: what.replace(secretSources.seed, named),
        remedy: `Give the seed of "${origin.environment}".`,
      })),
    );
  if (problems.length > 0) throw located(folders, problems);
  return { own, origins };
}

/** Two environments, read and checked, and what a promotion from one to the other is told. */
interface Opened {
  readonly settings: StackSettings;
  readonly origin: StackSettings;
  readonly request: PromotionRequest;
  readonly context: Context;
  readonly registries: Readonly<Record<'from' | 'to', Registry>>;
}

/** @throws ProblemsError, or a Refusal, for whatever is missing or wrong before anybody is asked */
async function open(
  environment: string,
  module: string,
  options: PromoteOptions,
  terminal: Terminal,
): Promise<Opened> {
  const folders = foldersHere();
  const model = loadModel(folders, environment);
  const { settings } = model;
  known(model, module);
  if (!settings.promotion)
    throw located(folders, [
      {
        file: `stacks/Pulumi.${environment}.yaml`,
        key: 'config.promotion',
        what: 'is missing: what is merged is released here, and nothing is promoted.',
        remedy: 'Write "switchyard:promotion: { from: … }": see docs/production.md.',
      },
    ]);
  const missing = missingOrigin(folders.stacks, settings);
  if (missing.length > 0) throw located(folders, missing);
  const origin = loadStack(folders.stacks, settings.promotion.from);
  const gitlab = gitlabOf(model);
  const { requireSecrets } = await import('../engine/operate');
  // Nothing is written that could not be rolled out.
  if (!options.mergeRequest) requireSecrets(folders, model, [module]);
  const seeds = seedsOf({ folders, settings, origin });
  return {
    settings,
    origin,
    request: {
      ...placeOf(model),
      module,
      project: projectPath(settings.gitlab, module),
      registry: repositoryRoot(settings),
      from: {
        environment: origin.environment,
        ledgerProject: `${origin.gitlab.group}/${LEDGER_PROJECT}`,
        registry: repositoryRoot(origin),
        key: keyOf(origin, seeds.origins),
      },
      force: options.force === true,
      migrates: model.modules.some(
        ({ name, production }) => name === module && production.migrate !== undefined,
      ),
      ...(options.commit === undefined ? {} : { commit: options.commit }),
    },
    context: {
      gitlab,
      gitlabUrl: settings.gitlab.url,
      token: process.env[secretSources.gitlabToken] ?? '',
      say: (line) => terminal.note(line),
    },
    registries: {
      from: registryOf(origin, 'pull', seeds.origins),
      to: registryOf(settings, 'push', seeds.own),
    },
  };
}

/** What an environment signs certificates with. */
const keyOf = ({ environment, secrets }: StackSettings, seed: string): string =>
  new Secrets(seed, environment, secrets.versions).secret(certificatePurpose(environment));

const shown = (release: Release | undefined): string => release?.commit.slice(0, 12) ?? 'nothing';

/** Into the ledger, or proposed for it. */
async function put(
  { settings, origin, request, context, registries }: Opened,
  options: PromoteOptions,
  folder: string,
  terminal: Terminal,
): Promise<Promoted> {
  const { environment, module } = request;
  const repository = `modules/${module}`;
  const propose = options.mergeRequest === true;
  return promote(
    context.gitlab,
    request,
    {
      prove: (wanted) => prove(context, request, wanted, folder),
      copy: async (digest, tag) => {
        const done = await copyImage(registries.from, registries.to, { repository, digest, tag });
        if (done === 'copied') terminal.note(`image: ${repository}@${digest} is in ${request.registry} now`);
      },
      keep: (digest, tag) => registries.to.tag(repository, digest, tag),
      before: async (release, current) => {
        const [to, from] = [shown(release), shown(current)];
        terminal.note(
          to === from
            ? `${module} is ${to} in ${environment} already, and will be rolled out`
            : `${module} will go from ${from} to ${to} (!${release.mergeRequest}) in ${environment}, as it runs in ${origin.environment}`,
        );
        const stays = current && dataStays(release, current);
        if (stays !== undefined) terminal.note(stays);
        // Whoever merges it says yes then.
        if (options.yes || (propose && to !== from)) return;
        const question = questionFor('promote to', environment, settings.confirm);
        const answer = process.stdin.isTTY ? await terminal.ask(question.text) : undefined;
        const { nothingDone } = await import('../engine/operate');
        if (answer === undefined || !question.accepts(answer.trim())) throw nothingDone('promote');
      },
    },
    propose,
  );
}

/** The rollout of what the ledger says by now, and what was before where it does not hold. */
async function rollOutPromoted(
  { request, context }: Opened,
  { release, undone: before }: Promoted,
  folder: string,
  terminal: Terminal,
): Promise<{ readonly outcome: Outcome; readonly undone?: Undone['undone'] }> {
  const { environment, ledgerProject, module, project } = request;
  const { operate } = await import('../engine/operate');
  const up = () => operate('up', environment, { only: module, yes: true }, terminal);
  if (before) return { outcome: await up(), undone: { why: before.why } };
  const { commit, mergeRequest, image } = release;
  const deployment: Deployment = {
    ...{ module, project, environment, commit, branch: LEDGER_BRANCH },
    ...{ mergeRequest, image, by: 'promotion' },
  };
  const said = join(folder, 'unsteady.json');
  const { outcome, undone } = await rollOut({
    up,
    judge: async () => {
      const { judge } = await import('../judge');
      const { exitCode, lines } = await judge(environment, module, { out: said });
      for (const line of lines) terminal.note(line);
      return { holds: exitCode !== EXIT.unsteady, words: readPodWords(said) };
    },
    undo: (words) => undo(context, ledgerProject, deployment, undefined, words),
  });
  await reportPromotion(context, undone ?? deployment).catch((error: Error) =>
    terminal.note(`the commit's status could not be posted: ${error.message.split('\n')[0]}`),
  );
  return { outcome, ...(undone ? { undone: undone.undone } : {}) };
}

/** `promote`: said again after a kill it goes on, and after the merge of its merge request it rolls out. */
export async function promotion(
  environment: string,
  module: string,
  options: PromoteOptions,
  terminal: Terminal,
): Promise<Outcome> {
  const opened = await open(environment, module, options, terminal);
  const { origin, request, settings } = opened;
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-promote-'));
  try {
    const promoted = await asked(put(opened, options, folder, terminal));
    const { release, from, written, proposed } = promoted;
    const commit = shown(release);
    const about = { module, release, ...(from ? { from } : {}), promotedFrom: origin.environment, written };
    if (proposed !== undefined) {
      const url = `${settings.gitlab.url}/${request.ledgerProject}/-/merge_requests/${proposed}`;
      return {
        document: { ...about, proposed: { mergeRequest: proposed, url } },
        lines: [
          `${module} ${commit} is proposed for ${environment}: ${url}`,
          `once it is merged: switchyard promote ${environment} ${module} --commit ${commit}`,
        ],
      };
    }
    if (!promoted.undone)
      terminal.note(`ledger: ${environment} ${module} is ${commit} ${written ? 'now' : 'already'}`);
    const { outcome, undone } = await asked(rollOutPromoted(opened, promoted, folder, terminal));
    return {
      ...outcome,
      ...(undone ? { exitCode: EXIT.unsteady } : {}),
      document: { ...outcome.document, ...about, ...(undone ? { undone } : {}) },
      lines: [
        ...outcome.lines,
        undone
          ? `${module} ${commit} is undone in ${environment}: ${plainText(undone.why)}; to try it again, say --force`
          : `${module} is ${commit} in ${environment}, promoted from ${origin.environment}`,
      ],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
