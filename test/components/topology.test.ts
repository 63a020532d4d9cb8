import * as pulumi from '@pulumi/pulumi';
import { topologyBoxes } from '../../components/boxes';
import { Secrets } from '../../components/shared/secrets';
import { Topology } from '../../components/topology';
import { testModel } from '../support/model';

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  readonly provider?: string;
}

const SEED = 'a seed for tests, long enough to be one';

async function registeredBy(
  only?: readonly string[],
  reach: (url: string) => Promise<void> = async () => undefined,
  opts?: pulumi.ComponentResourceOptions,
): Promise<Registered[]> {
  const registered: Registered[] = [];
  await pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs, provider }) => {
      registered.push({ type, name, inputs, provider });
      return {
        id: `${name}-id`,
        state: { ...inputs, repoDigest: `${name}@sha256:0`, token: 'issued-token' },
      };
    },
    call: ({ inputs }) => inputs,
  });
  const given = Object.fromEntries(
    testModel().settings.deployEnvironment.map((name) => [name, pulumi.secret(`value of ${name}`)]),
  );
  const topology = new Topology(
    'switchyard',
    {
      model: testModel(),
      seed: pulumi.secret(SEED),
      gitlabToken: pulumi.secret('root-token'),
      given,
      only,
      reach,
    },
    opts,
  );
  await new Promise((resolve) => topology.urn.apply(resolve));
  await pulumi.runtime.disconnect();
  return registered;
}

/** The mark by which Pulumi's wire format tells a secret. */
const SECRET_MARK = '1b47061264138c4ac30d75fd1eb44270';

/** What a machine may say of clusters and daemons, which is not the topology's. */
const AMBIENT = { KUBECONFIG: '/machine/kubeconfig', DOCKER_HOST: 'unix:///machine/docker.sock' };

// One whole topology, which takes a second to register, serves all tests of it.
let whole: Registered[];
/** Addresses that were asked whether they answer. */
const asked: string[] = [];
/** Name, `protect` and `retainOnDelete` of what has one of them. */
const kept: [string, boolean | undefined, boolean | undefined][] = [];
let ambientAfterwards: NodeJS.ProcessEnv;

beforeAll(async () => {
  const seesOptions: pulumi.ResourceTransformation = ({ name, opts }) => {
    const { protect, retainOnDelete } = opts as pulumi.CustomResourceOptions;
    if (protect || retainOnDelete) kept.push([name, protect, retainOnDelete]);
    return undefined;
  };
  const before = { ...process.env };
  Object.assign(process.env, AMBIENT);
  try {
    whole = await registeredBy(
      undefined,
      async (url) => {
        asked.push(url);
      },
      { transformations: [seesOptions] },
    );
    ambientAfterwards = { ...process.env };
  } finally {
    process.env = before;
  }
});

test('each declaration is registered once, by an explicit provider', () => {
  const expected = topologyBoxes(testModel()).flatMap((box) => box.declarations.map(({ name }) => name));
  const resources = whole.filter(
    ({ type }) => !type.startsWith('switchyard:') && !type.startsWith('pulumi:'),
  );
  expect(resources.map(({ name }) => name).sort()).toEqual([...expected].sort());
  for (const { name, provider } of resources)
    expect({ name, provider }).toEqual({
      name,
      provider: expect.stringMatching(/::(ci-cluster|production-cluster|gitlab|docker)::/),
    });
});

test('an image is pushed only when its registry answers', () => {
  const images = whole.filter(({ type }) => type === 'docker:index/image:Image');
  expect(images.map(({ name }) => name).sort()).toEqual(['delivery-image', 'jenkins-image']);
  const { scheme, address } = testModel().settings.registry;
  expect(asked).toEqual([`${scheme}://${address}/v2/`, `${scheme}://${address}/v2/`]);
});

test('both clusters are written by server-side apply, their Secrets and ConfigMaps changed in place', () => {
  const clusters = whole.filter(({ type }) => type === 'pulumi:providers:kubernetes');
  // A provider's inputs go over the wire as JSON.
  const inPlace = {
    enableServerSideApply: 'true',
    enableConfigMapMutable: 'true',
    enableSecretMutable: 'true',
  };
  expect(Object.fromEntries(clusters.map(({ name, inputs }) => [name, inputs]))).toEqual({
    'ci-cluster': { ...inPlace, context: testModel().settings.clusters.ci.context },
    'production-cluster': { ...inPlace, context: testModel().settings.clusters.production.context },
  });
});

test("a provider's state holds nothing of the machine that runs the program", () => {
  const providers = whole.filter(({ type }) => type.startsWith('pulumi:providers:'));
  expect(providers).toHaveLength(4);
  expect(JSON.stringify(providers)).not.toContain('/machine/');
  expect(ambientAfterwards).toMatchObject(AMBIENT);
});

test('what must outlive the stack is registered protected and retained, and nothing else is', () => {
  const declared = topologyBoxes(testModel())
    .flatMap((box) => [...box.declarations])
    .filter(({ protect, retainOnDelete }) => protect || retainOnDelete)
    .map(({ name, protect, retainOnDelete }) => [name, protect, retainOnDelete]);
  expect([...kept].sort()).toEqual(declared.sort());
  expect(kept).toContainEqual(['jenkins-home', true, true]);
});

test('the hook token arrives wrapped as a secret, with the derived value', () => {
  const hook = whole.find(({ name }) => name === 'gitlab-shop-hook');
  expect(JSON.stringify(hook?.inputs.token)).toContain(SECRET_MARK);
  expect(JSON.stringify(hook?.inputs.token)).toContain(new Secrets(SEED, 'test').secret('hook/shop'));
});

test('a deploy of one module touches nothing but its production box', async () => {
  const registered = await registeredBy(['shop']);
  const names = registered
    .filter(({ type }) => /^(kubernetes|gitlab|docker):/.test(type))
    .map(({ name }) => name);
  expect(names).toContain('production-shop-workload');
  expect(names.filter((name) => !name.startsWith('production-shop'))).toEqual([]);
});
