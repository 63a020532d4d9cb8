import type { Declaration } from '../shared/declaration';
import { DEFAULT_LIFETIME, watcher } from './access';
import { approvalResources } from './approvals';
import type { GitLabSpec } from './gitlab';
import { hookTokenPurpose } from './hooks';
import { hook, mergeSettings, type ProjectPlace, project, protectedMain } from './projects';

/** The topology's own project, where it has one: like a module's, with a person's button to merge. */
export function topologyProjectDeclarations(
  component: string,
  place: ProjectPlace,
  { botToken, merging = {}, topologyProject }: GitLabSpec,
): Declaration[] {
  if (!topologyProject) return [];
  const { path, hookUrl } = topologyProject;
  const name = `${component}-topology`;
  return [
    project(place, name, 'The topology itself: code, catalog and stacks', path, {
      // It gets its content by a push of this repository, whose history is not that of a generated README; and GitLab
      // takes a default branch only with one.
      initializeWithReadme: false,
      defaultBranch: undefined,
      ...mergeSettings(merging),
    }),
    // A maintainer brings the first commit. What is pushed later without a merge request is not applied.
    protectedMain(`${name}-main`, name, { push: 'maintainer', merge: merging.mergeRole }),
    hook(name, hookUrl, hookTokenPurpose(path)),
    ...approvalResources(merging, name),
    watcher({ name: component, group: place.group, botToken: botToken ?? DEFAULT_LIFETIME }),
  ];
}
