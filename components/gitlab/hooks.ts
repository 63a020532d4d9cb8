import { jobFolder } from '../../stacks/gitlab';
import type { Model } from '../model';

/** Where GitLab reaches a module's Jenkins job: the gitlab-plugin's path. */
export const hookUrl = (model: Model, module: string): string =>
  `${model.settings.jenkins.url}/project/${jobFolder(model.settings.gitlab)}/${module}`;

export const hookTokenPurpose = (module: string): string => `hook/${module}`;
