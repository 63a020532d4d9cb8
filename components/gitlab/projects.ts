import type * as pulumi from '@pulumi/pulumi';
import { NO_CI_CONFIG } from '../../catalog/status';
import type { GitLabSettings } from '../../stacks/gitlab';
import type { ArgsByType, Declaration } from '../shared/declaration';
import { handle, outputOf } from '../shared/handle';
import { inputRef, type Ref, secretRef } from '../shared/references';
import type { MergeRules } from './merging';

export const BRANCH = 'main';
export const projectHandle = (name: string) => handle('gitlab:index/project:Project', name);
/** The group of a {@link GitLab}, by the component's name. */
export const groupHandle = (gitlab: string) => handle('gitlab:index/group:Group', `${gitlab}-group`);
/** Id of a topology's group. */
export const group = outputOf(groupHandle('gitlab'), 'id');

/** An id that is known only at run time stands as a reference where the package wants a number. */
export const numeric = (reference: string | Ref): Ref<number> => reference as unknown as Ref<number>;

/** Where projects of ours are, and what becomes of them. */
export interface ProjectPlace {
  /** Id of the group. */
  readonly group: pulumi.Input<string>;
  /** `immediate`: GitLab removes them for good. */
  readonly deletion?: GitLabSettings['deletion'];
}

/** A project of ours in the group. */
export function project(
  { group, deletion }: ProjectPlace,
  name: string,
  description: string,
  path: string,
  settings: Partial<ArgsByType['gitlab:index/project:Project']> = {},
): Declaration {
  return {
    type: 'gitlab:index/project:Project',
    name,
    provider: 'gitlab',
    args: {
      name: path,
      path,
      namespaceId: numeric(inputRef('group', group)),
      description,
      visibilityLevel: 'private',
      defaultBranch: BRANCH,
      initializeWithReadme: true,
      // On by default on self-managed: a root Dockerfile then makes a pipeline that no runner takes, and our status joins it.
      autoDevopsEnabled: false,
      // Its objects would be in no build and no backup: GitLab says so at the push.
      lfsEnabled: false,
      // GitLab otherwise keeps a deleted project for weeks, under another name.
      permanentlyDeleteOnDestroy: (deletion ?? 'immediate') === 'immediate',
      ...settings,
    },
  };
}

/** A project that was there before: read, never changed or deleted. */
export const existingProject = (name: string, id: pulumi.Input<string>): Declaration => ({
  type: 'gitlab:index/project:Project',
  name,
  provider: 'gitlab',
  args: {},
  existing: inputRef('existing', id),
});

/** How merge requests of a module's project are merged. */
export function mergeSettings(rules: MergeRules): Partial<ArgsByType['gitlab:index/project:Project']> {
  return {
    mergeMethod: rules.mergeMethod ?? 'merge',
    squashOption: rules.squash ?? 'default_off',
    onlyAllowMergeIfPipelineSucceeds: true,
    ...(rules.resolveDiscussions ? { onlyAllowMergeIfAllDiscussionsAreResolved: true } : {}),
    removeSourceBranchAfterMerge: true,
    sharedRunnersEnabled: false,
    ciConfigPath: NO_CI_CONFIG,
  };
}

/** Protection of a project's main branch. Code owners need Premium. */
export function protectedMain(
  name: string,
  projectName: string,
  levels: {
    readonly push: 'no one' | 'maintainer';
    readonly merge?: 'developer' | 'maintainer';
    readonly codeOwners?: boolean;
  },
): Declaration {
  return {
    type: 'gitlab:index/branchProtection:BranchProtection',
    name,
    provider: 'gitlab',
    args: {
      project: outputOf(projectHandle(projectName), 'id'),
      branch: BRANCH,
      pushAccessLevel: levels.push,
      mergeAccessLevel: levels.merge ?? 'maintainer',
      allowForcePush: false,
      ...(levels.codeOwners ? { codeOwnerApprovalRequired: true } : {}),
    },
  };
}

/** Tells a project's Jenkins job about pushes and merge requests. */
export const hook = (projectName: string, url: string, tokenPurpose: string): Declaration => ({
  type: 'gitlab:index/projectHook:ProjectHook',
  name: `${projectName}-hook`,
  provider: 'gitlab',
  args: {
    project: outputOf(projectHandle(projectName), 'id'),
    url,
    token: secretRef(tokenPurpose),
    pushEvents: true,
    pushEventsBranchFilter: BRANCH,
    mergeRequestsEvents: true,
    enableSslVerification: url.startsWith('https:'),
  },
});

/** Tells the `delivery` command that it may rebase what stands on an older main. */
export const rebasing = ({ rebase }: Pick<GitLabSettings, 'rebase'>): { name: string; value: string }[] =>
  rebase === 'bot' ? [{ name: 'SWITCHYARD_GITLAB_REBASE', value: 'true' }] : [];

/** Tells the `delivery` command where modules' projects are that do not lie in the group under the module's name. */
export function existingProjects({
  projects,
}: Pick<GitLabSettings, 'projects'>): { name: string; value: string }[] {
  const pairs = Object.entries(projects).map(([module, { existing }]) => `${module}=${existing}`);
  return pairs.length > 0 ? [{ name: 'SWITCHYARD_GITLAB_PROJECTS', value: pairs.sort().join(',') }] : [];
}
