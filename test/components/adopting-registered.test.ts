import * as pulumi from '@pulumi/pulumi';
import type { Model } from '../../components/model';
import { Topology } from '../../components/topology';
import { modelOf } from '../support/model';

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  /** Set when it is read and not made. */
  readonly id?: string;
}

async function registeredBy(
  model: Model,
  given: Record<string, string>,
  found: Record<string, string> = {},
): Promise<Map<string, Registered>> {
  const registered = new Map<string, Registered>();
  await pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs, id }) => {
      registered.set(name, { type, name, inputs, id });
      const data = name === 'deployer-token' ? { data: { token: 'dG9r', 'ca.crt': 'Y2E=' } } : {};
      return {
        id: id || `${name}-id`,
        state: { ...inputs, ...data, repoDigest: `${name}@sha256:0`, token: 'issued-token' },
      };
    },
    call: ({ inputs }) => inputs,
  });
  const secrets = { PULUMI_CONFIG_PASSPHRASE: 'p', SWITCHYARD_SEED: 's', ...given };
  const topology = new Topology('switchyard', {
    model,
    seed: pulumi.secret('a seed for tests, long enough to be one'),
    gitlabToken: pulumi.secret('root-token'),
    given: Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, pulumi.secret(value)])),
    found,
    reach: async () => undefined,
  });
  await new Promise((resolve) => topology.urn.apply(resolve));
  await pulumi.runtime.disconnect();
  return registered;
}

/** The mark by which Pulumi's wire format tells a secret. */
const SECRET_MARK = '1b47061264138c4ac30d75fd1eb44270';

// Registering a whole topology takes a second: one without anything that was there before, one in which everything was.
let made: Map<string, Registered>;
let adopted: Map<string, Registered>;

beforeAll(async () => {
  made = await registeredBy(modelOf({}), {});
  adopted = await registeredBy(
    modelOf({
      gitlab: 'group: { existing: team/ci }, projects: { shop: { existing: old/shop } }',
      registry:
        'existing: { pull: { user: reader, passwordFrom: PULL }, push: { user: writer, passwordFrom: PUSH } }',
      clusters:
        'ci: { context: one, kubeconfig: CI_CONFIG }, production: { context: two, server: "https://two.test" }',
    }),
    { PULL: 'pull-word', PUSH: 'push-word', CI_CONFIG: 'kind: Config' },
    { 'group:team/ci': '3', 'project:old/shop': '7' },
  );
});

test('an existing group and project are read by their numbers, and what hangs on them takes these numbers', () => {
  expect(adopted.get('gitlab-group')).toMatchObject({ id: '3', inputs: {} });
  expect(adopted.get('gitlab-shop')).toMatchObject({ id: '7', inputs: {} });
  expect(adopted.get('gitlab-ledger')).toMatchObject({ id: '', inputs: { namespaceId: '3' } });
  expect(adopted.get('gitlab-bot')?.inputs).toMatchObject({ group: '3' });
  expect(adopted.get('gitlab-shop-hook')?.inputs).toMatchObject({ project: '7' });
});

test('without anything to adopt, nothing is read', () => {
  expect([...made.values()].filter(({ id }) => id)).toEqual([]);
});

test("an existing registry's logins take the place of the derived ones, as secrets", () => {
  const login = (name: string) =>
    JSON.stringify(adopted.get(name)?.inputs.data, (_key, value: unknown) =>
      typeof value === 'string' && value !== SECRET_MARK ? Buffer.from(value, 'base64').toString() : value,
    );
  const auth = (user: string, password: string) => Buffer.from(`${user}:${password}`).toString('base64');
  expect(login('jenkins-registry-shop')).toMatch(/push-word.*writer/);
  expect(login('production-shop-pull')).toContain(auth('reader', 'pull-word'));
  expect(login('testing-shop-pull')).toContain(auth('reader', 'pull-word'));
  expect(login('jenkins-registry-shop')).toContain(SECRET_MARK);
  expect(JSON.stringify(adopted.get('delivery-image')?.inputs.registry)).toContain('push-word');
});

test('each cluster has its own credentials where the stack names them, and other credentials replace nothing', () => {
  const ci = adopted.get('ci-cluster')?.inputs ?? {};
  expect(ci).toMatchObject({ context: 'one', clusterIdentifier: 'one' });
  expect(JSON.stringify(ci.kubeconfig)).toContain(SECRET_MARK);
  expect(JSON.stringify(ci.kubeconfig)).toContain('kind: Config');
  const production = adopted.get('production-cluster')?.inputs ?? {};
  expect(production).toMatchObject({ context: 'two' });
  expect(production).not.toHaveProperty('kubeconfig');
  expect(production).not.toHaveProperty('clusterIdentifier');
});

test("the deployer's token of production reaches the ci cluster as it is, as a secret", () => {
  const { data } = made.get('deploy-kubeconfig')?.inputs ?? {};
  expect(JSON.stringify(data)).toContain('dG9r');
  expect(JSON.stringify(data)).toContain('"ca.crt"');
  expect(JSON.stringify(data)).toContain('Y2E=');
  expect(JSON.stringify(data)).toContain(SECRET_MARK);
});
