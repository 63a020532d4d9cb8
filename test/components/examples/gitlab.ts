import * as gitlab from '@pulumi/gitlab';
import * as pulumi from '@pulumi/pulumi';
import { GitLab, GitLabModule } from 'switchyard';

const config = new pulumi.Config();
const provider = new gitlab.Provider('gitlab', { token: config.requireSecret('gitlabToken') });
const shared = { environment: 'staging', seed: config.requireSecret('seed') };

const code = new GitLab('code', { ...shared, group: 'shop', library: {} }, { provider });

const orders = new GitLabModule(
  'orders',
  {
    ...shared,
    group: code.group,
    module: 'orders',
    description: 'takes orders',
    hookUrl: 'https://jenkins.example.com/project/shop/orders',
    merging: { mergeMethod: 'ff', mergeRole: 'developer' },
  },
  { provider },
);

export const { botToken, readerToken } = code;
export const project = orders.project;
