import type { Module } from '../../catalog/load';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { names } from '../shared/naming';
import { outputRef, secretRef } from '../shared/references';

const BRANCH = 'main';
const group = outputRef('gitlab-group', 'id');

function project(
  name: string,
  description: string,
  path: string,
  settings: Extract<Declaration, { type: 'gitlab:index/project:Project' }>['args'] = {},
): Declaration {
  return {
    type: 'gitlab:index/project:Project',
    name,
    provider: 'gitlab',
    args: {
      name: path,
      path,
      namespaceId: group as unknown as number,
      description,
      visibilityLevel: 'private',
      defaultBranch: BRANCH,
      initializeWithReadme: true,
      ...settings,
    },
  };
}

function protectedMain(name: string, projectName: string, push: 'no one' | 'maintainer'): Declaration {
  return {
    type: 'gitlab:index/branchProtection:BranchProtection',
    name,
    provider: 'gitlab',
    args: {
      project: outputRef(projectName, 'id'),
      branch: BRANCH,
      pushAccessLevel: push,
      mergeAccessLevel: 'maintainer',
      allowForcePush: false,
    },
  };
}

/** Where GitLab reaches a module's Jenkins job: the gitlab-plugin's path. */
export const hookUrl = (model: Model, module: string): string =>
  `${model.settings.jenkins.url}/project/${model.settings.gitlab.group}/${module}`;

export const hookTokenPurpose = (module: string): string => `hook/${module}`;

/** The group, the bot, the release ledger and the pipeline library: what all modules share. */
export function gitlabSharedResources(model: Model): Declaration[] {
  const { gitlab } = model.settings;
  return [
    {
      type: 'gitlab:index/group:Group',
      name: 'gitlab-group',
      provider: 'gitlab',
      args: {
        name: gitlab.group,
        path: gitlab.group,
        description: 'Made by Switchyard',
        visibilityLevel: 'private',
        // GitLab otherwise keeps a deleted group for weeks under another path, and the next `up` finds it in the way.
        permanentlyRemoveOnDelete: true,
      },
    },
    {
      type: 'gitlab:index/groupAccessToken:GroupAccessToken',
      name: 'gitlab-bot',
      provider: 'gitlab',
      args: {
        group,
        name: 'switchyard-bot',
        // One bot for all posts: GitLab takes a status of the same name from another user for a retry.
        accessLevel: 'maintainer',
        scopes: ['api', 'read_repository', 'write_repository'],
        expiresAt: gitlab.botTokenExpires,
      },
    },
    project('gitlab-ledger', 'What runs where: one file an environment', names.ledgerProject),
    protectedMain('gitlab-ledger-main', 'gitlab-ledger', 'maintainer'),
    project('gitlab-library', 'Jenkins shared library, written by Switchyard', names.libraryProject),
    protectedMain('gitlab-library-main', 'gitlab-library', 'maintainer'),
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

/** This repository's own project, where the stack asks for it: like a module's, with a person's button to merge. */
export function topologyProjectResources(model: Model): Declaration[] {
  const path = model.settings.topologyProject?.path;
  if (path === undefined) return [];
  return [
    project('gitlab-topology', 'The topology itself: code, catalog and stacks', path, {
      // It gets its content by a push of this repository, whose history is not that of a generated README; and GitLab
      // takes a default branch only with one.
      initializeWithReadme: false,
      defaultBranch: undefined,
      mergeMethod: model.settings.gitlab.mergeMethod,
      onlyAllowMergeIfPipelineSucceeds: true,
      removeSourceBranchAfterMerge: true,
      sharedRunnersEnabled: false,
    }),
    // A maintainer brings the first commit. What is pushed later without a merge request is not applied.
    protectedMain('gitlab-topology-main', 'gitlab-topology', 'maintainer'),
    hook('gitlab-topology', hookUrl(model, path), hookTokenPurpose(path)),
  ];
}

function hook(name: string, url: string, purpose: string): Declaration {
  return {
    type: 'gitlab:index/projectHook:ProjectHook',
    name: `${name}-hook`,
    provider: 'gitlab',
    args: {
      project: outputRef(name, 'id'),
      url,
      token: secretRef(purpose),
      pushEvents: true,
      pushEventsBranchFilter: BRANCH,
      mergeRequestsEvents: true,
      enableSslVerification: url.startsWith('https:'),
    },
  };
}

/** One module's project, protected main branch and hook. */
export function gitlabModuleResources(model: Model, module: Module): Declaration[] {
  const name = `gitlab-${module.name}`;
  return [
    project(name, module.description, module.name, {
      mergeMethod: model.settings.gitlab.mergeMethod,
      onlyAllowMergeIfPipelineSucceeds: true,
      removeSourceBranchAfterMerge: true,
      sharedRunnersEnabled: false,
    }),
    protectedMain(`${name}-main`, name, 'no one'),
    hook(name, hookUrl(model, module.name), hookTokenPurpose(module.name)),
  ];
}
