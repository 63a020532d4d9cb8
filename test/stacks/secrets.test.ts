import { missingSecrets, neededSecrets } from '../../stacks/secrets';

const needed = neededSecrets(['PULUMI_CONFIG_PASSPHRASE', 'SWITCHYARD_SEED']);

test('an environment needs the named secrets once, and what its deploys hand on', () => {
  expect(needed).toEqual([
    { key: 'seed', variable: 'SWITCHYARD_SEED' },
    { key: 'gitlabToken', variable: 'GITLAB_TOKEN' },
    { variable: 'PULUMI_CONFIG_PASSPHRASE' },
  ]);
});

test('each missing one is a fault with file, key and remedy; its value is never asked for', () => {
  const problems = missingSecrets('lab', needed, (key) => key === 'gitlabToken', { SWITCHYARD_SEED: '' });
  expect(problems).toEqual([
    {
      file: 'stacks/Pulumi.lab.yaml',
      key: 'seed',
      what: 'the secret SWITCHYARD_SEED is missing.',
      remedy: expect.stringContaining('pulumi config set --secret switchyard:seed'),
    },
    {
      file: 'stacks/Pulumi.lab.yaml',
      key: 'config.deployEnvironment',
      what: 'the secret PULUMI_CONFIG_PASSPHRASE is missing.',
      remedy: 'Set PULUMI_CONFIG_PASSPHRASE in the environment of this command.',
    },
  ]);
});

test('nothing is missing when the environment or the stack file has all', () => {
  const variables = { SWITCHYARD_SEED: 's', PULUMI_CONFIG_PASSPHRASE: 'p' };
  expect(missingSecrets('lab', needed, (key) => key === 'gitlabToken', variables)).toEqual([]);
});
