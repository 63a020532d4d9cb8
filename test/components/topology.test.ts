import * as pulumi from '@pulumi/pulumi';
import { topologyBoxes } from '../../components/boxes';
import { deriveSecret } from '../../components/shared/secrets';
import { Topology } from '../../components/topology';
import { testModel } from '../support/model';

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  readonly provider?: string;
}

const SEED = 'a seed for tests, long enough to be one';

async function registeredBy(only?: readonly string[]): Promise<Registered[]> {
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
  const topology = new Topology('switchyard', {
    model: testModel(),
    seed: pulumi.secret(SEED),
    gitlabToken: pulumi.secret('root-token'),
    given,
    only,
  });
  await new Promise((resolve) => topology.urn.apply(resolve));
  await pulumi.runtime.disconnect();
  return registered;
}

/** The mark by which Pulumi's wire format tells a secret. */
const SECRET_MARK = '1b47061264138c4ac30d75fd1eb44270';

test('each declaration is registered once, by an explicit provider', async () => {
  const registered = await registeredBy();
  const expected = topologyBoxes(testModel()).flatMap((box) => box.declarations.map(({ name }) => name));
  const resources = registered.filter(
    ({ type }) => !type.startsWith('switchyard:') && !type.startsWith('pulumi:'),
  );
  expect(resources.map(({ name }) => name).sort()).toEqual([...expected].sort());
  for (const { name, provider } of resources)
    expect({ name, provider }).toEqual({
      name,
      provider: expect.stringMatching(/::(ci-cluster|production-cluster|gitlab|docker)::/),
    });
});

test('the hook token arrives wrapped as a secret, with the derived value', async () => {
  const hook = (await registeredBy()).find(({ name }) => name === 'gitlab-shop-hook');
  expect(JSON.stringify(hook?.inputs.token)).toContain(SECRET_MARK);
  expect(JSON.stringify(hook?.inputs.token)).toContain(deriveSecret(SEED, 'hook/shop'));
});

test('a deploy of one module touches nothing but its production box', async () => {
  const registered = await registeredBy(['shop']);
  const names = registered
    .filter(({ type }) => /^(kubernetes|gitlab|docker):/.test(type))
    .map(({ name }) => name);
  expect(names).toContain('production-shop-workload');
  expect(names.filter((name) => !name.startsWith('production-shop'))).toEqual([]);
});
