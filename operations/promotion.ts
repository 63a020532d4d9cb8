import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LEDGER_PROJECT } from '../catalog/ledger';
import type { Problem } from '../catalog/problems';
import { certificatePurpose } from '../components/jenkins/names';
import { loadModel, located } from '../components/load';
import { missingOrigin } from '../components/promotion';
import { Secrets } from '../components/shared/secrets';
import { copyImage } from '../delivery/copy-image';
import { promote, prove } from '../delivery/promotion';
import { dataStays } from '../delivery/releases';
import { projectPath } from '../stacks/gitlab';
import { loadStack } from '../stacks/load';
import { repositoryRoot } from '../stacks/registry';
import type { StackSettings } from '../stacks/schema';
import { missingSecrets, secretSources, seedProblems } from '../stacks/secrets';
import { questionFor } from './confirm';
import type { CommonOptions, Outcome } from './outcome';
import { foldersHere } from './place';
import { passwordVariable, registryOf } from './registry';
import { asked, gitlabOf, known, placeOf } from './releases';
import type { Terminal } from './terminal';

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

/** `promote`: said again after a kill it goes on, and after the merge of its merge request it rolls out. */
export async function promotion(
  environment: string,
  module: string,
  options: PromoteOptions,
  terminal: Terminal,
): Promise<Outcome> {
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
  const propose = options.mergeRequest === true;
  const { nothingDone, operate, requireSecrets } = await import('./operate');
  // Nothing is written that could not be rolled out.
  if (!propose) requireSecrets(folders, model, [module]);
  const seeds = seedsOf({ folders, settings, origin });
  const place = placeOf(model);
  const project = projectPath(settings.gitlab, module);
  const request = {
    ...place,
    module,
    project,
    registry: repositoryRoot(settings),
    from: {
      environment: origin.environment,
      ledgerProject: `${origin.gitlab.group}/${LEDGER_PROJECT}`,
      registry: repositoryRoot(origin),
      key: secretOf(origin, seeds.origins),
    },
    force: options.force === true,
    migrates: model.modules.some(
      ({ name, production }) => name === module && production.migrate !== undefined,
    ),
    ...(options.commit === undefined ? {} : { commit: options.commit }),
  };
  const registries = {
    from: registryOf(origin, 'pull', seeds.origins),
    to: registryOf(settings, 'push', seeds.own),
  };
  const repository = `modules/${module}`;
  const context = {
    gitlab,
    gitlabUrl: settings.gitlab.url,
    token: process.env[secretSources.gitlabToken] ?? '',
    say: (line: string) => terminal.note(line),
  };
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-promote-'));
  const promoted = await asked(
    promote(
      gitlab,
      request,
      {
        prove: (wanted) => prove(context, request, wanted, folder),
        copy: async (digest, tag) => {
          const done = await copyImage(registries.from, registries.to, { repository, digest, tag });
          if (done === 'copied')
            terminal.note(`image: ${repository}@${digest} is in ${request.registry} now`);
        },
        keep: (digest, tag) => registries.to.tag(repository, digest, tag),
        before: async (release, current) => {
          const [to, from] = [release, current].map((one) => one?.commit.slice(0, 12) ?? 'nothing');
          terminal.note(
            to === from
              ? `${module} is ${to} in ${environment} already, and will be rolled out`
              : `${module} will go from ${from} to ${to} (!${release.mergeRequest}) in ${environment}, as it runs in ${origin.environment}`,
          );
          const stays = current && dataStays(release, current);
          if (stays !== undefined) terminal.note(stays);
          // Whoever merges it is asked then.
          if (options.yes || propose) return;
          const question = questionFor('promote to', environment, settings.confirm);
          const answer = process.stdin.isTTY ? await terminal.ask(question.text) : undefined;
          if (answer === undefined || !question.accepts(answer.trim())) throw nothingDone('promote');
        },
      },
      propose,
    ),
  ).finally(() => rmSync(folder, { recursive: true, force: true }));
  const { release, from, written, proposed } = promoted;
  const commit = release.commit.slice(0, 12);
  const document = { module, release, ...(from ? { from } : {}), promotedFrom: origin.environment, written };
  if (proposed !== undefined) {
    const url = `${settings.gitlab.url}/${place.ledgerProject}/-/merge_requests/${proposed}`;
    return {
      document: { ...document, proposed: { mergeRequest: proposed, url } },
      lines: [
        `${module} ${commit} is proposed for ${environment}: ${url}`,
        `once it is merged: switchyard up ${environment} --only ${module}`,
      ],
    };
  }
  terminal.note(`ledger: ${environment} ${module} is ${commit} ${written ? 'now' : 'already'}`);
  const rolledOut = await operate('up', environment, { only: module, yes: true }, terminal);
  return {
    ...rolledOut,
    document: { ...rolledOut.document, ...document },
    lines: [
      ...rolledOut.lines,
      `${module} is ${commit} in ${environment}, promoted from ${origin.environment}`,
    ],
  };
}

/** What an environment signs certificates with. */
const secretOf = ({ environment, secrets }: StackSettings, seed: string): string =>
  new Secrets(seed, environment, secrets.versions).secret(certificatePurpose(environment));
