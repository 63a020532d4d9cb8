import * as gitlab from '@pulumi/gitlab';
import * as pulumi from '@pulumi/pulumi';
import { GitLab } from '../../components/gitlab/gitlab';
import { GitLabModule } from '../../components/gitlab/gitlab-module';
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

test("the hook's token is the one that a Jenkins of the same seed derives", async () => {
  const registered = await registeredBy(program);
  const hook = registered.find(({ name }) => name === 'gitlab-orders-hook');
  expect(JSON.stringify(hook)).toContain(new Secrets(SEED, 'staging').secret('hook/orders'));
});
