import { parse } from 'yaml';
import { topologyBoxes } from '../../components/boxes';
import type { Declaration, ResourceType } from '../../components/shared/declaration';
import { referencesIn, shown } from '../../components/shared/references';
import { cascYaml } from '../support/jenkins';
import { testModel } from '../support/model';

const all = (model = testModel()): Declaration[] =>
  topologyBoxes(model).flatMap((box) => [...box.declarations]);
const argsOf = <T extends ResourceType>(type: T, name: string, model = testModel()) => {
  const found = all(model).find((declaration) => declaration.name === name);
  if (found?.type !== type) throw new Error(`no ${type} "${name}"`);
  return shown(found.args) as Extract<Declaration, { type: T }>['args'];
};

test('every name is used once, and everything needed is declared before', () => {
  const seen = new Set<string>();
  for (const declaration of all()) {
    expect(seen.has(declaration.name)).toBe(false);
    const outputs = referencesIn(declaration.args).flatMap((reference) =>
      reference.kind === 'output' ? [reference.resource] : [],
    );
    for (const needed of [...(declaration.dependsOn ?? []), ...outputs]) {
      expect({ by: declaration.name, needed, declared: seen.has(needed) }).toEqual({
        by: declaration.name,
        needed,
        declared: true,
      });
    }
    seen.add(declaration.name);
  }
});

test('the hook of a module goes to its Jenkins job, with a token, for main and merge requests only', () => {
  expect(argsOf('gitlab:index/projectHook:ProjectHook', 'gitlab-shop-hook')).toEqual({
    project: '«output:gitlab-shop:id»',
    url: 'https://jenkins.test/project/switchyard/shop',
    token: '«secret:hook/shop»',
    pushEvents: true,
    pushEventsBranchFilter: 'main',
    mergeRequestsEvents: true,
    enableSslVerification: true,
  });
});

test('nobody pushes to the main branch of a module, and merging needs a green pipeline', () => {
  expect(argsOf('gitlab:index/branchProtection:BranchProtection', 'gitlab-shop-main')).toMatchObject({
    branch: 'main',
    pushAccessLevel: 'no one',
    allowForcePush: false,
  });
  expect(argsOf('gitlab:index/project:Project', 'gitlab-shop')).toMatchObject({
    onlyAllowMergeIfPipelineSucceeds: true,
  });
});

test('every namespace has quota, limits, default deny and a Pod Security level', () => {
  const declarations = all();
  const namespaces = declarations.filter(
    (declaration) => declaration.type === 'kubernetes:core/v1:Namespace',
  );
  expect(namespaces.length).toBeGreaterThanOrEqual(7);
  for (const { name } of namespaces) {
    const prefix = name.replace(/-namespace$/, '');
    for (const part of ['quota', 'limits', 'deny']) {
      expect(declarations.map((declaration) => declaration.name)).toContain(`${prefix}-${part}`);
    }
  }
  const levels = namespaces.map(({ name, args }) => [
    name,
    (args as { metadata: { labels: Record<string, string> } }).metadata.labels[
      'pod-security.kubernetes.io/enforce'
    ],
  ]);
  expect(levels.filter(([, level]) => level !== 'restricted')).toEqual([['build-namespace', 'privileged']]);
});

test('every container outside the build namespace is unprivileged with a read-only root', () => {
  let containers = 0;
  for (const { name, type, args } of all()) {
    if (
      name === 'build-deployment' ||
      !['kubernetes:apps/v1:Deployment', 'kubernetes:apps/v1:StatefulSet'].includes(type)
    )
      continue;
    const { spec } = args as unknown as {
      spec: { template: { spec: { containers: { securityContext: object }[] } } };
    };
    for (const container of spec.template.spec.containers) {
      containers += 1;
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  }
  expect(containers).toBe(7);
});

test('Jenkins may touch Pods only where its agents run', () => {
  const bindings = all().filter(
    ({ type, args }) =>
      type === 'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding' &&
      JSON.stringify(args).includes('"name":"jenkins-agents"'),
  );
  expect(
    bindings.map(({ args }) => (args as { metadata: { namespace: string } }).metadata.namespace).sort(),
  ).toEqual(['ci-agents', 'ci-build', 'ci-deploy', 'test-shop']);
  expect(all().some(({ type }) => type.includes('Cluster'))).toBe(false);
});

test('a module runs the digest of the ledger, and does not run before its first release', () => {
  const workload = argsOf('kubernetes:apps/v1:Deployment', 'production-shop-workload') as unknown as {
    spec: { template: { spec: { containers: { image: string }[] } } };
  };
  expect(workload.spec.template.spec.containers[0]?.image).toBe(testModel().releases.shop?.image);
  const names = all(testModel({ releases: {} })).map((declaration) => declaration.name);
  expect(names).not.toContain('production-shop-workload');
  expect(names).toContain('production-shop-cache-workload');
});

test("a module's environment names its services and holds no password", () => {
  const text = JSON.stringify(argsOf('kubernetes:apps/v1:Deployment', 'production-shop-workload'));
  expect(argsOf('kubernetes:core/v1:ConfigMap', 'production-shop-environment')).toMatchObject({
    data: { CACHE_HOST: 'cache.prod-shop.svc', CACHE_PORT: '6379', PORT: '8080' },
  });
  expect(text).toContain('{"name":"CACHE_PASSWORD","value":"$(SWITCHYARD_SERVICE_PASSWORD_0)"}');
  expect(text).not.toContain('«secret:service/shop/cache»');
});

test("Jenkins' configuration names secrets and contains none", () => {
  const text = cascYaml(testModel());
  const casc = parse(text) as { jenkins: { numExecutors: number }; jobs: { script: string }[] };
  expect(casc.jenkins.numExecutors).toBe(0);
  expect(casc.jobs).toHaveLength(3);
  expect(casc.jobs[1]?.script).toContain('secretToken("${HOOK_TOKEN_SHOP}")');
  expect(referencesIn(text).map((reference) => reference.kind)).toEqual(
    Array(referencesIn(text).length).fill('output'),
  );
});

test('the same model gives the same declarations, whatever the order of the catalog', () => {
  expect(JSON.stringify(all())).toBe(JSON.stringify(all()));
});
