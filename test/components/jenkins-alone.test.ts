import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { Jenkins, type JenkinsSpec } from '../../components/jenkins/jenkins';
import { jenkinsDeclarations } from '../../components/jenkins/resources';
import { IN_PLACE } from '../../components/shared/in-place';
import { referencesIn, textsIn } from '../../components/shared/references';
import { Secrets } from '../../components/shared/secrets';
import { registeredBy, secretTexts } from '../support/registered';

const SEED = 'a seed for tests, long enough to be one';

/** What docs/components/jenkins.md begins with. */
const spec = {
  environment: 'staging',
  url: 'https://jenkins.example.com',
  modules: [{ name: 'orders' }],
  gitlab: {
    url: 'https://gitlab.example.com',
    group: 'shop',
    botToken: pulumi.secret('bot-token'),
    readerToken: pulumi.secret('reader-token'),
  },
  registry: {
    address: 'harbor.example.com',
    pull: { user: 'puller', password: pulumi.secret('pull-password') },
    push: { user: 'pusher', password: pulumi.secret('push-password') },
  },
  image: 'harbor.example.com/ci/jenkins:1',
  deliveryImage: 'harbor.example.com/ci/delivery:1',
} satisfies JenkinsSpec;

const program = (more: Partial<JenkinsSpec> = {}) =>
  new Jenkins(
    'jenkins',
    { ...spec, ...more, seed: pulumi.secret(SEED) },
    { provider: new k8s.Provider('cluster', { context: 'somewhere', ...IN_PLACE }) },
  );

test('a Jenkins alone: nothing of GitLab, nothing to build, all by the provider that it was given', async () => {
  let jenkins: Jenkins | undefined;
  const registered = await registeredBy(() => {
    jenkins = program();
    return jenkins;
  });
  const children = registered.filter(({ type }) => /^(kubernetes|gitlab|docker):/.test(type));
  expect(children.every(({ type }) => type.startsWith('kubernetes:'))).toBe(true);
  expect(children.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'jenkins-controller',
      'jenkins-casc',
      'agents-namespace',
      'build-config',
      'reconciler',
    ]),
  );
  expect(new Set(registered.map(({ type, name }) => `${type} ${name}`)).size).toBe(registered.length);
  expect(jenkins?.hookUrl('orders')).toBe('https://jenkins.example.com/project/shop/orders');
  expect(jenkins?.url).toBe('http://jenkins.ci.svc:8080');
});

test('what it was given and what it derives stands in Secrets that are marked as such', async () => {
  const registered = await registeredBy(() => program());
  const hook = new Secrets(SEED, 'staging').secret('hook/orders');
  expect(secretTexts(registered, 'jenkins-bot-token')).toEqual({ text: 'bot-token' });
  expect(secretTexts(registered, 'jenkins-reader-token')).toEqual({ text: 'reader-token' });
  expect(secretTexts(registered, 'jenkins-registry-orders')).toEqual({
    username: 'pusher',
    password: 'push-password',
  });
  expect(secretTexts(registered, 'jenkins-casc-secrets')).toMatchObject({ HOOK_TOKEN_ORDERS: hook });
  // Nobody gave keys of a production, nor a state to cut.
  expect(registered.map(({ name }) => name)).not.toContain('jenkins-keys-orders');
  expect(registered.map(({ name }) => name)).not.toContain('jenkins-part-orders');
  expect(registered.map(({ name }) => name)).not.toContain('state-environment');
});

test('beside a Jenkins of others it looks at builds as the user that it was given, whose token is marked', async () => {
  const existing = { namespace: 'tools', serviceAccount: 'jenkins' };
  const reader = { user: 'looker', password: pulumi.secret('looker-token') };
  const registered = await registeredBy(() => program({ existing, reader }));
  expect(secretTexts(registered, 'reconciler-access')).toEqual({
    gitlab: 'bot-token',
    jenkins: 'looker-token',
  });
  expect(JSON.stringify(registered.find(({ name }) => name === 'reconciler'))).toContain('looker');
  const without = await registeredBy(() => program({ existing }));
  expect(without.map(({ name }) => name)).not.toContain('reconciler');
});

test('it refers to no resource of another component', () => {
  const declarations = jenkinsDeclarations(spec);
  const own = new Set(declarations.map(({ name }) => name));
  const foreign = declarations.flatMap(({ name, args, dependsOn = [] }) =>
    [
      ...dependsOn,
      ...referencesIn(args).flatMap((reference) => (reference.kind === 'output' ? [reference.resource] : [])),
    ]
      .filter((needed) => !own.has(needed))
      .map((needed) => `${name} needs ${needed}`),
  );
  expect(foreign).toEqual([]);
  expect([...textsIn(declarations)].length).toBeGreaterThan(100);
});

test.each<[string, Partial<JenkinsSpec>]>([
  ['a Jenkins that is there already', { existing: { namespace: 'tools', serviceAccount: 'jenkins' } }],
  [
    'a user of that one',
    {
      existing: { namespace: 'tools', serviceAccount: 'jenkins' },
      reader: { user: 'looker', password: 'token' },
    },
  ],
  ['a prefix', { namespacePrefix: 'eu' }],
  ['a production cluster of its own', { production: { context: 'two', server: 'https://two.test' } }],
])('with %s every declaration has a name of its own', (_what, more) => {
  const names = jenkinsDeclarations({ ...spec, ...more }).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
