import * as gitlab from '@pulumi/gitlab';
import * as pulumi from '@pulumi/pulumi';
import { GitLab } from '../../components/gitlab/gitlab';
import { GitLabModule } from '../../components/gitlab/gitlab-module';
import { gitlabModuleDeclarations } from '../../components/gitlab/resources';
import { Secrets } from '../../components/shared/secrets';
import { registeredBy } from '../support/registered';

const SEED = 'a seed for tests, long enough to be one';

/** What docs/components/gitlab.md begins with. */
function program() {
  const provider = new gitlab.Provider('gitlab', { token: pulumi.secret('root') });
  const shared = { environment: 'staging', seed: pulumi.secret(SEED) };
  const code = new GitLab(
    'code',
    { ...shared, group: 'shop', library: { 'vars/x.groovy': '' } },
    { provider },
  );
  const orders = new GitLabModule(
    'orders',
    {
      ...shared,
      module: 'orders',
      description: 'takes orders',
      group: code.group,
      hookUrl: 'https://jenkins.example.com/project/shop/orders',
      owners: [{ user: 'ada', id: '7', role: 'maintainer' }],
    },
    { provider },
  );
  return orders;
}

test('a group and a project alone, wired by outputs; names begin with the component of the group', async () => {
  const registered = await registeredBy(program);
  const ours = registered.filter(({ type }) => type.startsWith('gitlab:'));
  expect(ours.map(({ name }) => name).sort()).toEqual([
    'code-bot',
    'code-group',
    'code-ledger',
    'code-ledger-main',
    'code-library',
    'code-library-main',
    'code-library-vars-x-groovy',
    'code-reader',
    'gitlab-orders',
    'gitlab-orders-hook',
    'gitlab-orders-main',
    'gitlab-orders-owner-ada',
  ]);
});

test('a module that is said to have a queue has its labels, one more where people merge', () => {
  const labels = (more: { readonly queue?: boolean; readonly merge?: 'manual' | 'automatic' }) =>
    gitlabModuleDeclarations({
      environment: 'staging',
      module: 'orders',
      description: 'takes orders',
      group: '7',
      hookUrl: 'https://jenkins.example.com/project/shop/orders',
      ...more,
    }).flatMap(({ name }) => (name.includes('-label-') ? [name] : []));
  expect(labels({ merge: 'manual' })).toEqual([]);
  expect(labels({ queue: true })).toEqual(['gitlab-orders-label-first']);
  expect(labels({ queue: true, merge: 'automatic' })).toEqual(['gitlab-orders-label-first']);
  expect(labels({ queue: true, merge: 'manual' })).toEqual([
    'gitlab-orders-label-first',
    'gitlab-orders-label-merge',
  ]);
});

test("the hook's token is the one that a Jenkins of the same seed derives", async () => {
  const registered = await registeredBy(program);
  const hook = registered.find(({ name }) => name === 'gitlab-orders-hook');
  expect(JSON.stringify(hook)).toContain(new Secrets(SEED, 'staging').secret('hook/orders'));
});
