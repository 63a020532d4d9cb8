import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { watcher } from './access';
import { approvalResources } from './approvals';
import { hookTokenPurpose, hookUrl } from './hooks';
import { hook, mergeSettings, project, protectedMain } from './projects';

/** This repository's own project, where the stack asks for it: like a module's, with a person's button to merge. */
export function topologyProjectDeclarations(model: Model): Declaration[] {
  const { gitlab, topologyProject } = model.settings;
  if (!topologyProject) return [];
  const { path } = topologyProject;
  const name = 'gitlab-topology';
  return [
    project(gitlab, name, 'The topology itself: code, catalog and stacks', path, {
      // It gets its content by a push of this repository, whose history is not that of a generated README; and GitLab
      // takes a default branch only with one.
      initializeWithReadme: false,
      defaultBranch: undefined,
      ...mergeSettings(gitlab),
    }),
    // A maintainer brings the first commit. What is pushed later without a merge request is not applied.
    protectedMain(`${name}-main`, name, { push: 'maintainer', merge: gitlab.mergeRole }),
    hook(name, hookUrl(model, path), hookTokenPurpose(path)),
    ...approvalResources(gitlab, name),
    watcher(gitlab),
  ];
}
