import { parse } from 'yaml';
import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import type { Declaration } from '../../components/shared/declaration';
import { needsOf } from '../../components/shared/order';
import { shown } from '../../components/shared/references';
import { cascYaml } from '../support/jenkins';
import { modelOf } from '../support/model';

const all = (model: Model): Declaration[] =>
  topologyBoxes(model).flatMap(({ declarations }) => [...declarations]);
const find = (model: Model, name: string) =>
  shown(all(model).find((declaration) => declaration.name === name)) as Declaration | undefined;
/** Arguments as plain data. */
const argsOf = <T>(model: Model, name: string): T => {
  const found = find(model, name);
  if (!found) throw new Error(`no "${name}"`);
  return found.args as T;
};
const names = (model: Model): string[] => all(model).map(({ name }) => name);

/** Nothing may wait for, or take an output of, what is not declared before it. */
function expectWhole(model: Model): void {
  const seen = new Set<string>();
  for (const declaration of all(model)) {
    for (const needed of needsOf(declaration))
      expect({ by: declaration.name, needed, there: seen.has(needed) }).toMatchObject({ there: true });
    expect(seen.has(declaration.name)).toBe(false);
    seen.add(declaration.name);
  }
}

describe('an existing group and project', () => {
  const model = modelOf({
    gitlab: 'group: { existing: team/ci }, projects: { shop: { existing: old/shop } }',
  });

  test('are read by their numbers and never written', () => {
    expect(find(model, 'gitlab-group')).toEqual({
      type: 'gitlab:index/group:Group',
      name: 'gitlab-group',
      provider: 'gitlab',
      args: { path: 'team/ci' },
      existing: '«found:group:team/ci»',
    });
    expect(find(model, 'gitlab-shop')).toEqual({
      type: 'gitlab:index/project:Project',
      name: 'gitlab-shop',
      provider: 'gitlab',
      args: {},
      existing: '«found:project:old/shop»',
    });
    expectWhole(model);
  });

  test('have around them what Switchyard makes: bot, ledger, library, protection, hook', () => {
    expect(find(model, 'gitlab-ledger')).not.toHaveProperty('existing');
    expect(find(model, 'gitlab-shop-main')?.args).toMatchObject({ project: '«output:gitlab-shop:id»' });
    expect(find(model, 'gitlab-shop-hook')?.args).toMatchObject({
      project: '«output:gitlab-shop:id»',
      url: 'https://jenkins.test/project/team-ci/shop',
    });
  });

  test('are where Jenkins and the delivery command look for them', () => {
    const casc = cascYaml(model);
    const { jobs } = parse(casc) as { jobs: { script: string }[] };
    expect(jobs[0]?.script).toContain("folder('team-ci')");
    expect(jobs[1]?.script).toContain("pipelineJob('team-ci/shop')");
    expect(casc).toContain('SWITCHYARD_GITLAB_PROJECTS');
    expect(casc).toContain('shop=old/shop');
    expect(casc).toContain('https://gitlab.test/team/ci/pipeline-library.git');
    expect(cascYaml(modelOf({}))).not.toContain('SWITCHYARD_GITLAB_PROJECTS');
  });
});

describe('an existing registry', () => {
  const model = modelOf({
    registry:
      'existing: { pull: { user: "robot$pull", passwordFrom: PULL }, push: { user: "robot$push", passwordFrom: PUSH } }',
  });

  test('is not made, and nothing waits for it', () => {
    expect(topologyBoxes(model).find(({ box }) => box === 'registry')?.declarations).toEqual([]);
    expectWhole(model);
  });

  test('is pushed to by its own user, and deploys know its pull password', () => {
    expect(find(model, 'delivery-image')?.args).toMatchObject({
      imageName: 'registry.test:5000/switchyard/delivery',
      registry: {
        server: 'https://registry.test:5000',
        username: 'robot$push',
        password: '«secret:registry/push»',
      },
    });
    expect(find(model, 'deploy-environment')?.args).toMatchObject({
      stringData: { PULL: '«given:PULL»' },
    });
    expect(JSON.stringify(find(model, 'deploy-environment')?.args)).not.toMatch(/PUSH|SEED|PASSPHRASE/);
    expect(find(model, 'jenkins-keys-shop')?.args).toMatchObject({
      stringData: { text: '«key:service/shop»' },
    });
  });

  test('keeps our repositories below the path that it gives us, and the login for the whole of it', () => {
    const below = modelOf({
      registry:
        'existing: { path: platform/ci, pull: { user: a, passwordFrom: PULL }, push: { user: b, passwordFrom: PUSH } }',
    });
    expect(find(below, 'delivery-image')?.args).toMatchObject({
      imageName: 'registry.test:5000/platform/ci/switchyard/delivery',
      registry: { server: 'https://registry.test:5000' },
    });
    const registry = (text: string) => /name: REGISTRY\n\s+value: (.*)/.exec(text)?.[1];
    expect(registry(cascYaml(below))).toBe('registry.test:5000/platform/ci');
    expect(registry(cascYaml(model))).toBe('registry.test:5000');
    expect(JSON.stringify(find(below, 'testing-shop-pull')?.args)).toContain('registry.test:5000');
    expect(JSON.stringify(find(below, 'testing-shop-pull')?.args)).not.toContain('platform/ci');
  });
});

describe('clusters', () => {
  const two = modelOf({});
  const one = modelOf({ clusters: 'ci: { context: one }, production: { context: one }' });

  test('one cluster: a deploy Pod uses its own account, and nothing is kept', () => {
    expect(find(one, 'deploy-kubeconfig')?.type).toBe('kubernetes:core/v1:ConfigMap');
    const { data } = argsOf<{ data: { config: string } }>(one, 'deploy-kubeconfig');
    expect(parse(data.config)).toMatchObject({
      clusters: [{ cluster: { server: 'https://kubernetes.default.svc' } }],
      'current-context': 'one',
    });
    expect(names(one).filter((name) => name.startsWith('deployer-'))).toEqual([]);
    expect(find(one, 'deploy-account-shop')?.args).toMatchObject({
      metadata: { name: 'deployer-shop', namespace: 'ci-deploy' },
    });
    expectWhole(one);
  });

  test('two clusters: production has an account for deploys, whose token lies in the ci cluster', () => {
    expect(find(two, 'deployer-token')).toMatchObject({
      type: 'kubernetes:core/v1:Secret',
      provider: 'production',
      args: {
        type: 'kubernetes.io/service-account-token',
        metadata: {
          namespace: 'ci-deploy',
          annotations: { 'kubernetes.io/service-account.name': 'deployer' },
        },
      },
    });
    const secret = find(two, 'deploy-kubeconfig');
    expect(secret).toMatchObject({
      type: 'kubernetes:core/v1:Secret',
      provider: 'ci',
      args: {
        data: {
          token: '«output:deployer-token:data.token»',
          'ca.crt': '«output:deployer-token:data.ca.crt»',
        },
      },
    });
    const { stringData } = argsOf<{ stringData: { config: string } }>(two, 'deploy-kubeconfig');
    expect(parse(stringData.config)).toEqual({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'cluster',
          cluster: { server: 'https://two.test:6443', 'certificate-authority': '/kubeconfig/ca.crt' },
        },
      ],
      users: [{ name: 'deployer', user: { tokenFile: '/kubeconfig/token' } }],
      contexts: [{ name: 'two', context: { cluster: 'cluster', user: 'deployer', namespace: 'ci-deploy' } }],
      'current-context': 'two',
    });
    expectWhole(two);
  });

  test('the account that production binds is the one that exists in its cluster', () => {
    for (const [model, account, name, provider] of [
      [one, 'deploy-account-shop', 'deployer-shop', 'ci'],
      [two, 'deployer-account', 'deployer', 'production'],
    ] as const) {
      expect(find(model, account)).toMatchObject({
        provider,
        args: { metadata: { name, namespace: 'ci-deploy' } },
      });
      expect(find(model, 'production-shop-deployer-binding')?.args).toMatchObject({
        subjects: [{ kind: 'ServiceAccount', name, namespace: 'ci-deploy' }],
      });
    }
  });

  test('the deploy Pod mounts what there is', () => {
    const mapped = /configMap:\s+name: deploy-kubeconfig\s/;
    expect(cascYaml(one)).toMatch(mapped);
    expect(cascYaml(two)).toContain('secretName: deploy-kubeconfig');
    expect(cascYaml(two)).not.toMatch(mapped);
  });

  test('without a server in the stack it is the one of the kubeconfig', () => {
    const model = modelOf({ clusters: 'ci: { context: one }, production: { context: two }' });
    expect(JSON.stringify(find(model, 'deploy-kubeconfig')?.args)).toContain('«found:server:production»');
  });

  test('what runs in production is never asked of the ci cluster', () => {
    const production = topologyBoxes(two).filter(({ box }) => box === 'production');
    for (const { declarations } of production)
      for (const { provider } of declarations) expect(provider).toBe('production');
  });
});

describe('an existing Jenkins', () => {
  const model = modelOf({ jenkins: 'existing: { namespace: tools, serviceAccount: controller }' });

  test('gets no controller, no namespace and no image from Switchyard', () => {
    const namespaces = all(model).map(({ args }) =>
      'metadata' in args ? (args.metadata as { namespace?: string }).namespace : undefined,
    );
    expect(namespaces).not.toContain('ci');
    expect(names(model)).not.toContain('jenkins-namespace');
    expect(names(model)).not.toContain('jenkins-controller');
    expect(names(model)).not.toContain('jenkins-image');
    expectWhole(model);
  });

  test('finds its credentials, jobs and hook tokens in its own namespace', () => {
    expect(find(model, 'jenkins-bot-token')?.args).toMatchObject({
      metadata: { namespace: 'tools', labels: { 'jenkins.io/credentials-type': 'secretText' } },
    });
    expect(find(model, 'jenkins-hook-tokens')?.args).toMatchObject({
      metadata: { namespace: 'tools' },
      stringData: { HOOK_TOKEN_SHOP: '«secret:hook/shop»' },
    });
    const { data } = argsOf<{ data: Record<string, string> }>(model, 'jenkins-jobs');
    expect(parse(data['switchyard-jobs.yaml'] ?? '')).toEqual({
      jobs: (parse(cascYaml(model)) as { jobs: unknown }).jobs,
    });
    expect(JSON.stringify(all(model))).not.toContain('«secret:jenkins/admin»');
  });

  interface Agents {
    readonly jenkins: { readonly clouds: { readonly kubernetes: Record<string, unknown> }[] };
    readonly unclassified: object;
  }
  const agentsOf = (of: Model): Agents => {
    const { data } = argsOf<{ data: Record<string, string> }>(of, 'jenkins-agents');
    return parse(data['switchyard-agents.yaml'] ?? '') as Agents;
  };

  test('is handed its agents, GitLab and the library in lists that can stand beside its own', () => {
    const agents = agentsOf(model);
    expect(find(model, 'jenkins-agents')?.args).toMatchObject({
      metadata: { namespace: 'tools', name: 'switchyard-agents' },
    });
    // A single value would be one too many in a Jenkins that has it already.
    expect(Object.keys(agents)).toEqual(['jenkins', 'unclassified']);
    expect(Object.keys(agents.jenkins)).toEqual(['clouds']);
    expect(agents.unclassified).toEqual({
      gitLabConnectionConfig: { connections: [expect.objectContaining({ name: 'gitlab' })] },
      globalLibraries: { libraries: [expect.objectContaining({ name: 'switchyard' })] },
    });
    expect(agents.jenkins.clouds).toHaveLength(1);
    expect(agents.jenkins.clouds[0]?.kubernetes).toMatchObject({
      name: 'switchyard',
      namespace: 'ci-agents',
      jenkinsUrl: 'http://jenkins.tools.svc:8080',
      templates: [{ name: 'delivery' }, { name: 'build' }, { name: 'deploy' }, { name: 'state' }],
    });
    expect(JSON.stringify(agents)).toContain('«output:delivery-image:repoDigest»');
    expect(names(modelOf({}))).not.toContain('jenkins-agents');
  });

  test('is reached by agents at the address that the stack names', () => {
    const named = modelOf({ jenkins: 'existing: { namespace: tools, agentsUrl: "http://ci.tools.svc" }' });
    expect(agentsOf(named).jenkins.clouds[0]?.kubernetes.jenkinsUrl).toBe('http://ci.tools.svc');
  });

  test('starts test Pods by our cloud, whichever others it has', () => {
    expect(cascYaml(model)).toContain("modulePipeline(module: 'shop', cloud: 'switchyard', parts: true)");
    expect(cascYaml(modelOf({}))).toContain("modulePipeline(module: 'shop', parts: true)");
  });

  test('is what the network policies of tests let their agents reach', () => {
    const { spec } = argsOf<{ spec: { egress: object[] } }>(model, 'testing-shop-egress');
    expect(spec.egress).toContainEqual({
      to: [
        {
          namespaceSelector: {
            matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['tools'] }],
          },
        },
      ],
      ports: [{ protocol: 'TCP', port: 8080 }],
    });
    expect(JSON.stringify(all(model))).not.toContain('"values":["ci"]');
  });

  test('may start Pods in the namespaces of agents and tests, by its own account, and nowhere else', () => {
    const bindings = all(model).filter(({ name }) => /-agents-binding$/.test(name));
    expect(bindings.map(({ name }) => name).sort()).toEqual([
      'agents-agents-binding',
      'build-agents-binding',
      'deploy-agents-binding',
      'testing-shop-agents-binding',
    ]);
    for (const { args } of bindings)
      expect(args).toMatchObject({
        subjects: [{ kind: 'ServiceAccount', name: 'controller', namespace: 'tools' }],
      });
    expect(JSON.stringify(find(model, 'production-shop-deployer-binding')?.args)).not.toContain('controller');
  });
});
