import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { Registry } from '../../components/registry/registry';
import { registryDeclarations } from '../../components/registry/resources';
import { IN_PLACE } from '../../components/shared/in-place';
import { Secrets } from '../../components/shared/secrets';
import { registeredBy, secretTexts, settled, waitsFor } from '../support/registered';

const SEED = 'a seed for tests, long enough to be one';
const ARGS = { environment: 'production', namespace: 'images', address: 'registry.example.com' };

const warned: string[] = [];
beforeEach(() => {
  warned.length = 0;
  jest.spyOn(pulumi.log, 'warn').mockImplementation(async (text) => void warned.push(text));
});
afterEach(() => jest.restoreAllMocks());

test.each([
  [
    'a provider without the options',
    () => ({ provider: new k8s.Provider('cluster', { context: 'somewhere' }) }),
    /^images: the provider of its cluster has no enableConfigMapMutable and no enableSecretMutable, .* \.\.\.IN_PLACE/,
  ],
  [
    'one with half of them',
    () => ({ provider: new k8s.Provider('cluster', { enableConfigMapMutable: true }) }),
    /has no enableSecretMutable, /,
  ],
  ['the default one', () => ({}), /has no enableConfigMapMutable and no enableSecretMutable, /],
])('that %s deletes Secrets to change them is told', async (_which, opts, text) => {
  await registeredBy(() => new Registry('images', { ...ARGS, seed: SEED }, opts()));
  expect(warned).toEqual([expect.stringMatching(text)]);
});

test('a registry alone: its children stand below it, by the provider that it was given', async () => {
  const registered = await registeredBy(() => {
    const provider = new k8s.Provider('cluster', { context: 'somewhere', ...IN_PLACE });
    return new Registry('images', { ...ARGS, seed: SEED }, { provider });
  });
  expect(warned).toEqual([]);
  const { inputs } = registered.find(({ type }) => type === 'pulumi:providers:kubernetes') ?? {};
  expect(inputs).toMatchObject({ enableSecretMutable: 'true', enableConfigMapMutable: 'true' });
  const children = registered.filter(({ type }) => type.startsWith('kubernetes:'));
  expect(children.map(({ name }) => name).sort()).toEqual(
    registryDeclarations('images', ARGS)
      .map(({ name }) => name)
      .sort(),
  );
  for (const { name, parent, provider } of children)
    expect({ name, parent, provider }).toEqual({
      name,
      parent: expect.stringMatching(/switchyard:registry:Registry::images$/),
      provider: expect.stringMatching(/pulumi:providers:kubernetes::cluster::/),
    });
  expect(waitsFor(registered, 'images-deployment')).toEqual([
    'images-config',
    'images-credentials',
    'images-storage',
  ]);
});

test('its outputs are addresses and logins, which are what its users file holds', async () => {
  let pull: string | undefined;
  let namespace: string | undefined;
  let secret = false;
  const registered = await registeredBy(() => {
    const registry = new Registry('images', { ...ARGS, seed: SEED });
    expect(registry.url).toBe('https://registry.example.com');
    expect(registry.pull.user).toBe('pull');
    const password = pulumi.output(registry.pull.password);
    password.apply((value) => {
      pull = value;
    });
    pulumi.isSecret(password).then((is) => {
      secret = is;
    });
    registry.namespace?.apply((value) => {
      namespace = value;
    });
    return registry;
  });
  expect(pull).toBe(new Secrets(SEED, 'production').secret('registry/pull'));
  expect({ namespace, secret }).toEqual({ namespace: 'images', secret: true });
  const { htpasswd } = secretTexts(registered, 'images-credentials');
  expect(htpasswd?.split('\n')).toContain(new Secrets(SEED, 'production').htpasswd('pull', 'registry/pull'));
});

test('keys of a bucket may come late, and reach the Secret as they are', async () => {
  const registered = await registeredBy(
    () =>
      new Registry('images', {
        ...ARGS,
        seed: SEED,
        s3: {
          bucket: 'images',
          region: 'eu-central-1',
          credentials: { accessKey: 'AK', secretKey: pulumi.secret(Promise.resolve('SK')) },
        },
      }),
  );
  expect(secretTexts(registered, 'images-credentials')).toMatchObject({ accessKey: 'AK', secretKey: 'SK' });
  expect(registered.map(({ type }) => type)).not.toContain('kubernetes:core/v1:PersistentVolumeClaim');
});

test('of a registry that is there already nothing is made, and its logins are those that were given', async () => {
  const login = (user: string) => ({ user, password: pulumi.secret(`of ${user}`) });
  let password: Promise<string> | undefined;
  const registered = await registeredBy(() => {
    const registry = new Registry('images', {
      environment: 'production',
      address: 'harbor.example.com',
      existing: { pull: login('robot'), push: login('pusher') },
      seed: SEED,
    });
    expect(registry.namespace).toBeUndefined();
    password = settled(pulumi.output(registry.pull.password));
    return registry;
  });
  expect(await password).toBe('of robot');
  expect(registered.map(({ type }) => type)).toEqual(['switchyard:registry:Registry']);
});
