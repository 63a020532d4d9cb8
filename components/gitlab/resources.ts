import { entryOf } from '../../catalog/entry';
import type { Module } from '../../catalog/load';
import { jobFolder } from '../../stacks/gitlab';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { names } from '../shared/naming';
import { foundRef, outputRef } from '../shared/references';
import { botToken, deployKeys, groupMembers, labels, ownerMembers } from './access';
import { approvalResources } from './approvals';
import { BRANCH, existingProject, hook, mergeSettings, project, protectedMain } from './projects';

/** Where GitLab reaches a module's Jenkins job: the gitlab-plugin's path. */
export const hookUrl = (model: Model, module: string): string =>
  `${model.settings.jenkins.url}/project/${jobFolder(model.settings.gitlab)}/${module}`;

export const hookTokenPurpose = (module: string): string => `hook/${module}`;

function groupItself({ settings: { gitlab } }: Model): Declaration {
  const common = { type: 'gitlab:index/group:Group', name: 'gitlab-group', provider: 'gitlab' } as const;
  if (gitlab.groupExists)
    return { ...common, args: { path: gitlab.group }, existing: foundRef('group', gitlab.group) };
  return {
    ...common,
    args: {
      name: gitlab.group,
      path: gitlab.group,
      description: 'Made by Switchyard',
      visibilityLevel: 'private',
      // Removed at once is what GitLab refuses to a group at the top level (lib/api/groups.rb): it is scheduled, under a name
      // that leaves its own free for the next `up`, and is empty by then.
    },
  };
}

/** The group, the bot, the release ledger and the pipeline library: what all modules share. */
export function gitlabSharedResources(model: Model): Declaration[] {
  const { gitlab } = model.settings;
  return [
    groupItself(model),
    botToken(gitlab),
    ...groupMembers(gitlab),
    project(gitlab, 'gitlab-ledger', 'What runs where: one file an environment', names.ledgerProject),
    protectedMain('gitlab-ledger-main', 'gitlab-ledger', { push: 'maintainer' }),
    project(gitlab, 'gitlab-library', 'Jenkins shared library, written by Switchyard', names.libraryProject),
    protectedMain('gitlab-library-main', 'gitlab-library', { push: 'maintainer' }),
    ...Object.keys(model.library)
      .sort()
      .map(
        (path): Declaration => ({
          type: 'gitlab:index/repositoryFile:RepositoryFile',
          name: `gitlab-library-${path.replace(/[^A-Za-z0-9]+/g, '-')}`,
          provider: 'gitlab',
          args: {
            project: outputRef('gitlab-library', 'id'),
            branch: BRANCH,
            filePath: path,
            content: Buffer.from(model.library[path] ?? '').toString('base64'),
            encoding: 'base64',
            commitMessage: `Update ${path}`,
            authorName: 'Switchyard',
            authorEmail: 'switchyard@localhost',
          },
          dependsOn: ['gitlab-library-main'],
        }),
      ),
  ];
}

/** One module's project with its main branch, its hook, and who may do what. */
export function gitlabModuleResources(model: Model, module: Module): Declaration[] {
  const { gitlab } = model.settings;
  const name = `gitlab-${module.name}`;
  const existing = entryOf(gitlab.projects, module.name)?.existing;
  return [
    existing === undefined
      ? project(gitlab, name, module.description, module.name, mergeSettings(gitlab))
      : existingProject(name, existing),
    protectedMain(`${name}-main`, name, {
      push: 'no one',
      merge: gitlab.mergeRole,
      codeOwners: gitlab.tier !== 'free' && gitlab.approvals?.codeOwners === true,
    }),
    hook(name, hookUrl(model, module.name), hookTokenPurpose(module.name)),
    ...approvalResources(gitlab, name),
    ...ownerMembers(gitlab, module, name),
    ...deployKeys(gitlab, module, name),
    ...labels(gitlab, name),
  ];
}
