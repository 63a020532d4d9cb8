import { GitLabApi } from '../../clients/gitlab-api';
import type { StackSettings } from '../../stacks/schema';

/** The environment's GitLab. People wait for its answers. */
export const gitlabApiOf = ({ gitlab }: Pick<StackSettings, 'gitlab'>, token: string): GitLabApi =>
  new GitLabApi({ url: gitlab.url, token, policy: { attempts: 4 } });
