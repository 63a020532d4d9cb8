import { jobFolder } from '../../stacks/gitlab';

/**
 * Where GitLab reaches a module's Jenkins job: the gitlab-plugin's path.
 * @param jenkins its address, and the group that its jobs' folder is called by
 */
export const hookUrl = (jenkins: { readonly url: string; readonly group: string }, module: string): string =>
  `${jenkins.url}/project/${jobFolder(jenkins)}/${module}`;

export const hookTokenPurpose = (module: string): string => `hook/${module}`;
