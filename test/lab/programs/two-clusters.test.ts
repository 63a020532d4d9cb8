import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AppsV1Api, CoreV1Api, KubeConfig, RbacAuthorizationV1Api } from '@kubernetes/client-node';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, PulumiCommand, type Stack } from '@pulumi/pulumi/automation';
import { parse, stringify } from 'yaml';
import { topologyBoxes } from '../../../components/boxes';
import type { Model } from '../../../components/model';
import { Topology } from '../../../components/topology';
import { toolPath } from '../../../lab/toolchain';
import { productionUrns } from '../../../operations/engine/urns';
import { modelOf, released } from '../../support/model';
import { kubernetesOutcome, type Outcome } from '../e2e/answers';
import { IDENTITIES } from '../e2e/identities-data';
import { askKubernetes } from '../e2e/kubernetes-ask';
import { acceptingProviders } from './accepting';
import { type HollowCluster, startHollowCluster } from './hollow-cluster';

// Two clusters by configuration only. Each has an API server, etcd and controllers of its own and knows no credential
// of the other; GitLab and Docker are providers that accept everything.

jest.setTimeout(400_000);

const REDEPLOYED = {
  image: `registry.test:5000/modules/shop@sha256:${'c'.repeat(64)}`,
  commit: 'd'.repeat(40),
};

let folder: string;
let ci: HollowCluster;
let production: HollowCluster;
let stack: Stack;
let releases: Model['releases'] = { shop: released };
let only: string[] | undefined;

const inFolder = (...parts: string[]) => path.join(folder, ...parts);

const model = (): Model => {
  const made = modelOf({
    clusters: `ci: { context: tools }, production: { context: shops, server: "${production.server}" }`,
    jenkins: 'onDelete: delete',
    registry: 'onDelete: delete',
    backup: 'repository: "s3:https://s3.test/backup"',
  });
  const { settings } = made;
  const kept = { ...settings.production, onDelete: 'delete' as const };
  return { ...made, settings: { ...settings, production: kept }, releases };
};

async function program(): Promise<void> {
  const made = model();
  new Topology('switchyard', {
    model: made,
    seed: pulumi.secret('a seed for tests, long enough to be one'),
    gitlabToken: pulumi.secret('root-token'),
    given: Object.fromEntries(
      made.settings.deployEnvironment.map((name) => [name, pulumi.secret(`value of ${name}`)]),
    ),
    only,
    reach: async () => {},
  });
}

/** One file with both contexts, as a person has it. */
function bothKubeconfigs(): string {
  const [first, second] = [ci, production].map(({ kubeconfig }) => JSON.parse(kubeconfig.exportConfig()));
  const joined = Object.fromEntries(
    ['clusters', 'users', 'contexts'].map((key) => [key, [...first[key], ...second[key]]]),
  );
  const file = inFolder('kubeconfig');
  writeFileSync(file, JSON.stringify({ ...first, ...joined, 'current-context': '' }), { mode: 0o600 });
  return file;
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'two-clusters-'));
  for (const name of ['bin', 'home', 'work', 'state']) mkdirSync(inFolder(name));
  [ci, production] = await Promise.all([
    startHollowCluster('tools', folder),
    startHollowCluster('shops', folder),
  ]);
  symlinkSync(
    toolPath('pulumi-resource-kubernetes'),
    path.join(inFolder('bin'), 'pulumi-resource-kubernetes'),
  );
  await acceptingProviders(folder, ['gitlab', 'docker']);
  stack = await LocalWorkspace.createOrSelectStack(
    { stackName: 'test', projectName: 'switchyard', program },
    {
      workDir: inFolder('work'),
      pulumiHome: inFolder('home'),
      pulumiCommand: await PulumiCommand.get({ root: folder, skipVersionCheck: true }),
      envVars: {
        PATH: `${inFolder('bin')}${path.delimiter}${process.env.PATH ?? ''}`,
        KUBECONFIG: bothKubeconfigs(),
        PULUMI_CONFIG_PASSPHRASE: 'test',
        PULUMI_BACKEND_URL: `file://${inFolder('state')}`,
        PULUMI_SKIP_UPDATE_CHECK: 'true',
      },
    },
  );
});

afterAll(async () => {
  await Promise.all([ci?.stop(), production?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

const OWN = /^(default|kube-.*)$/;
const namespacesOf = async ({ core }: HollowCluster): Promise<string[]> =>
  (await core.listNamespace()).items
    .map(({ metadata }) => metadata?.name ?? '')
    .filter((name) => !OWN.test(name))
    .sort();

/** Namespaces that the declarations of one role make. */
const declared = (role: string): string[] =>
  topologyBoxes(model())
    .flatMap(({ declarations }) => [...declarations])
    .filter(({ type, provider }) => type === 'kubernetes:core/v1:Namespace' && provider === role)
    .map(({ args }) => (args as { metadata: { name: string } }).metadata.name)
    .sort();

const shopImages = async (): Promise<(string | undefined)[]> => {
  const { spec } = await production.apps.readNamespacedDeployment({ namespace: 'prod-shop', name: 'shop' });
  return spec?.template.spec?.containers.map(({ image }) => image) ?? [];
};

test('up fills each cluster with what its role has, and with nothing of the other', async () => {
  await stack.up();
  expect(await namespacesOf(ci)).toEqual(declared('ci'));
  expect(await namespacesOf(production)).toEqual(declared('production'));
  expect(await namespacesOf(ci)).not.toContain('prod-shop');
  expect(await namespacesOf(production)).not.toContain('ci');
  expect(await shopImages()).toContain(released.image);
});

test('neither cluster knows the credential of the other', async () => {
  const [own] = JSON.parse(ci.kubeconfig.exportConfig()).users;
  const stranger = new KubeConfig();
  stranger.loadFromString(
    JSON.stringify({
      ...JSON.parse(production.kubeconfig.exportConfig()),
      users: [{ ...own, name: 'shops' }],
    }),
  );
  await expect(stranger.makeApiClient(CoreV1Api).listNamespace()).rejects.toMatchObject({ code: 401 });
});

test('a second up changes nothing', async () => {
  const { summary } = await stack.up();
  expect(Object.keys(summary.resourceChanges ?? {})).toEqual(['same']);
});

/** What a deploy Pod finds in its volume: the kubeconfig with the token and the authority beside it. */
async function deployersKubeconfig(): Promise<string> {
  const { data = {} } = await ci.core.readNamespacedSecret({
    namespace: 'ci-deploy',
    name: 'deploy-kubeconfig',
  });
  const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString();
  mkdirSync(inFolder('deploy'), { recursive: true });
  for (const key of ['token', 'ca.crt']) writeFileSync(inFolder('deploy', key), text(key), { mode: 0o600 });
  const config = parse(text('config').replaceAll('/kubeconfig/', `${inFolder('deploy')}/`));
  writeFileSync(inFolder('deploy', 'config'), stringify(config), { mode: 0o600 });
  return inFolder('deploy', 'config');
}

test('with what the ci cluster keeps for deploy jobs, a release reaches production and nothing else does', async () => {
  const file = await deployersKubeconfig();
  const before = await namespacesOf(ci);
  releases = { shop: REDEPLOYED };
  only = ['shop'];
  const { workspace } = stack;
  const people = workspace.envVars;
  workspace.envVars = { ...people, KUBECONFIG: file };
  const { summary } = await stack.up({ target: productionUrns('test', model(), ['shop']) });
  workspace.envVars = people;
  only = undefined;
  expect(summary.resourceChanges).not.toHaveProperty('delete');
  expect(await shopImages()).toContain(REDEPLOYED.image);
  expect(await namespacesOf(ci)).toEqual(before);

  const deployer = new KubeConfig();
  deployer.loadFromString(
    JSON.stringify({
      ...JSON.parse(production.kubeconfig.exportConfig()),
      users: [{ name: 'shops', user: { token: readFileSync(inFolder('deploy', 'token'), 'utf8') } }],
    }),
  );
  const core = deployer.makeApiClient(CoreV1Api);
  const refused = { code: 403 };
  await expect(core.listNamespacedSecret({ namespace: 'kube-system' })).rejects.toMatchObject(refused);
  await expect(core.listNamespacedSecret({ namespace: 'ci-deploy' })).rejects.toMatchObject(refused);
  await expect(core.deleteNamespace({ name: 'prod-shop' })).rejects.toMatchObject(refused);
  const apps = deployer.makeApiClient(AppsV1Api);
  await expect(apps.listNamespacedDeployment({ namespace: 'prod-shop' })).resolves.toBeDefined();
  await expect(apps.listDeploymentForAllNamespaces()).rejects.toMatchObject(refused);
});

describe('the accounts of a production cluster of its own, as the identities’ table has them', () => {
  const rows = IDENTITIES.flatMap(({ kubernetes }) => (kubernetes.in === 'two-clusters' ? [kubernetes] : []));

  /** What the ci cluster keeps for deploys; else a token of the account, as its Pods have one. */
  async function tokenOf(as: string): Promise<string> {
    if (as === 'ci-deploy/deployer') {
      await deployersKubeconfig();
      return readFileSync(inFolder('deploy', 'token'), 'utf8');
    }
    const [namespace = '', name = ''] = as.split('/');
    const { status } = await production.core.createNamespacedServiceAccountToken({
      namespace,
      name,
      body: { spec: { audiences: [] } },
    });
    return status?.token ?? '';
  }
  const of = ({ server }: HollowCluster, name: string) => ({
    server,
    ca: readFileSync(inFolder(name, 'ca.crt')),
  });

  test('are all in the table', async () => {
    const { items } = await production.core.listServiceAccountForAllNamespaces();
    const accounts = items.map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`);
    expect(accounts.filter((name) => !/^kube-|^default\/|\/default$/.test(name)).sort()).toEqual(
      rows.map(({ as }) => as).sort(),
    );
  });

  test.each(rows.map(({ as = '' }) => as))('%s may what it says, and nothing that it refuses', async (as) => {
    const { may = [], mayNot = [] } = rows.find((row) => row.as === as) ?? {};
    const token = await tokenOf(as);
    const found: [string, Outcome][] = [];
    for (const what of [...may, ...mayNot])
      found.push([what, kubernetesOutcome(await askKubernetes(of(production, 'shops'), token, what))]);
    expect(found).toEqual([...may.map((what) => [what, 'may']), ...mayNot.map((what) => [what, 'may not'])]);
    // The other cluster does not know whom it asks for.
    expect(await askKubernetes(of(ci, 'tools'), token, 'list pods')).toBe(401);
  });

  test('are refused nothing that an administrator is', async () => {
    const admin = 'kube-system/identities-administrator';
    const [namespace = '', name = ''] = admin.split('/');
    const rbac = production.kubeconfig.makeApiClient(RbacAuthorizationV1Api);
    const metadata = { name };
    await production.core.createNamespacedServiceAccount({ namespace, body: { metadata } });
    await rbac.createClusterRoleBinding({
      body: {
        metadata,
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
        subjects: [{ kind: 'ServiceAccount', namespace, name }],
      },
    });
    try {
      const token = await tokenOf(admin);
      const access = of(production, 'shops');
      for (const what of new Set(rows.flatMap(({ mayNot = [] }) => mayNot)))
        expect([what, kubernetesOutcome(await askKubernetes(access, token, what))]).not.toEqual([
          what,
          'may not',
        ]);
    } finally {
      await rbac.deleteClusterRoleBinding({ name });
      await production.core.deleteNamespacedServiceAccount({ namespace, name });
    }
  });
});

test("after the deploy a person's up has nothing to do", async () => {
  const { summary } = await stack.up();
  expect(Object.keys(summary.resourceChanges ?? {})).toEqual(['same']);
});

test('destroy empties both', async () => {
  await stack.destroy();
  expect(await namespacesOf(ci)).toEqual([]);
  expect(await namespacesOf(production)).toEqual([]);
});
