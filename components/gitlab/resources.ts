import { entryOf } from '../../catalog/entry';
import type { Module } from '../../catalog/load';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { outputOf } from '../shared/handle';
import { names } from '../shared/naming';
import { foundRef } from '../shared/references';
import { bot, deployKeys, groupMembers, labels, ownerMembers, reader } from './access';
import { approvalResources } from './approvals';
import { hookTokenPurpose, hookUrl } from './hooks';
import {
  BRANCH,
  existingProject,
  hook,
  mergeSettings,
  project,
  projectHandle,
  protectedMain,
} from './projects';
import { queueLabels } from './queue';
import { topologyProjectDeclarations } from './topology';

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

/** The group, the bot and its reader, the release ledger and the pipeline library, and the topology's own project. */
export function gitlabDeclarations(model: Model): Declaration[] {
  return [...sharedDeclarations(model), ...topologyProjectDeclarations(model)];
}

/** What all modules share. */
function sharedDeclarations(model: Model): Declaration[] {
  const { gitlab } = model.settings;
  return [
    groupItself(model),
    bot(gitlab),
    reader(gitlab),
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
            project: outputOf(projectHandle('gitlab-library'), 'id'),
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
export function gitlabModuleDeclarations(model: Model, module: Module): Declaration[] {
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
    ...queueLabels(model, module, name),
  ];
}
