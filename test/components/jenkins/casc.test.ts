import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { casc as cascOf, cascText, cascYaml } from '../../../components/jenkins/casc';
import { referencesIn } from '../../../components/shared/references';
import { root, testModel } from '../../support/model';
import { modelWith } from './support';

interface Template {
  readonly name: string;
  readonly namespace: string;
  readonly activeDeadlineSeconds: number;
  readonly podRetention: string;
  readonly yaml: string;
}
interface Casc {
  readonly jenkins: {
    readonly clouds: {
      readonly kubernetes: {
        readonly containerCapStr: string;
        readonly garbageCollection: { readonly namespaces: string; readonly timeout: number };
        readonly templates: readonly Template[];
        readonly [key: string]: unknown;
      };
    }[];
    readonly [key: string]: unknown;
  };
  readonly unclassified: { readonly prometheusConfiguration: object; readonly [key: string]: unknown };
  readonly security: object;
  readonly jobs: readonly { readonly script: string }[];
}
const casc = (model = testModel()) => parse(cascYaml(model)) as Casc;
const cloud = (model = testModel()) => {
  const found = casc(model).jenkins.clouds[0]?.kubernetes;
  if (!found) throw new Error('no cloud');
  return found;
};
interface AgentPod {
  readonly spec: {
    readonly automountServiceAccountToken: boolean;
    readonly serviceAccountName?: string;
    readonly containers: { readonly name: string; readonly resources: { limits: { memory?: string } } }[];
    readonly [key: string]: unknown;
  };
}

test('Jenkins builds nothing itself, lets nobody sign up, and keeps its TCP port shut', () => {
  const { jenkins, security } = casc();
  expect(jenkins).toMatchObject({
    numExecutors: 0,
    mode: 'EXCLUSIVE',
    slaveAgentPort: -1,
    crumbIssuer: { standard: {} },
    securityRealm: {
      local: { allowsSignup: false, users: [{ id: 'admin', password: '${ADMIN_PASSWORD}' }] },
    },
  });
  expect(security).toMatchObject({
    apiToken: { creationOfLegacyTokenEnabled: false, tokenGenerationOnCreationEnabled: false },
  });
});

test('who is not logged in reads nothing, unless the stack says so', () => {
  const strategy = (model = modelWith()) => casc(model).jenkins.authorizationStrategy;
  expect(strategy()).toEqual({ loggedInUsersCanDoAnything: { allowAnonymousRead: false } });
  expect(strategy(modelWith('anonymousRead: true'))).toEqual({
    loggedInUsersCanDoAnything: { allowAnonymousRead: true },
  });
});

test('metrics are open to Prometheus where wanted, and ask for a login elsewhere', () => {
  expect(casc().unclassified.prometheusConfiguration).toMatchObject({ useAuthenticatedEndpoint: true });
  expect(casc(modelWith('metrics: {}')).unclassified.prometheusConfiguration).toEqual({
    path: 'prometheus',
    useAuthenticatedEndpoint: false,
    collectingMetricsPeriodInSeconds: 60,
    collectDiskUsage: false,
  });
});

test('no option stands there that a newer Jenkins refuses', () => {
  expect(cascYaml(testModel())).not.toMatch(/excludeClientIPFromCrumb|agentProtocols|credentials:$/m);
});

describe('agents', () => {
  test('come over WebSocket inside the cluster, as many as the stack allows', () => {
    expect(cloud()).toMatchObject({
      namespace: 'ci-agents',
      jenkinsUrl: 'http://jenkins.ci.svc:8080',
      webSocket: true,
      restrictedPssSecurityContext: true,
      containerCapStr: '20',
    });
    expect(cloud()).not.toHaveProperty('jenkinsTunnel');
    expect(cloud(modelWith('maximumAgents: 60')).containerCapStr).toBe('60');
  });

  test('that are left behind are collected in every namespace where they run', () => {
    expect(cloud().garbageCollection).toEqual({
      namespaces: 'ci-agents\nci-deploy\ntest-shop',
      timeout: 600,
    });
  });

  test('go after each build, and after a deadline whatever happens', () => {
    expect(
      cloud().templates.map(({ name, namespace, podRetention, activeDeadlineSeconds }) => ({
        name,
        namespace,
        podRetention,
        activeDeadlineSeconds,
      })),
    ).toEqual([
      { name: 'delivery', namespace: 'ci-agents', podRetention: 'never', activeDeadlineSeconds: 36000 },
      { name: 'deploy', namespace: 'ci-deploy', podRetention: 'never', activeDeadlineSeconds: 3600 },
    ]);
  });

  test('are limited in every container, and only a rollout has a service account', () => {
    const pods = cloud().templates.map(({ yaml }) => parse(yaml) as AgentPod);
    for (const { spec } of pods) {
      expect(spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of spec.containers) {
        expect(container).toMatchObject({
          resources: { requests: { cpu: expect.any(String), memory: expect.any(String) } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        });
        expect(container.resources.limits.memory).toMatch(/^[0-9]+[MG]i$/);
      }
      expect(spec.volumes).toContainEqual({ name: 'tmp', emptyDir: { sizeLimit: '2Gi' } });
    }
    expect(pods.map(({ spec }) => [spec.automountServiceAccountToken, spec.serviceAccountName])).toEqual([
      [false, undefined],
      [true, 'deployer'],
    ]);
  });
});

describe('jobs', () => {
  test('are one for each module of the catalog, in the group’s folder', () => {
    const scripts = casc().jobs.map(({ script }) => script);
    expect(scripts).toHaveLength(2);
    expect(scripts[0]).toBe("folder('switchyard') { description('Modules') }\n");
    expect(scripts[1]).toMatch(/^pipelineJob\('switchyard\/shop'\) \{\n {2}description\('sells'\)\n/);
    expect(casc(testModel({ modules: [] })).jobs).toHaveLength(1);
  });

  test('have their triggers before their first run, and name their token', () => {
    const script = casc().jobs[1]?.script ?? '';
    expect(script).toContain('secretToken("${HOOK_TOKEN_SHOP}")');
    expect(script).not.toContain('acceptGitLabMR');
  });

  test('hold their whole pipeline, sandboxed: nothing of a repository says where it runs', () => {
    const script = casc().jobs[1]?.script ?? '';
    expect(script.slice(script.indexOf('  definition {'))).toBe(
      [
        '  definition {',
        '    cps {',
        "      script('''@Library('switchyard') _",
        '',
        "modulePipeline(module: 'shop')",
        "''')",
        '      sandbox(true)',
        '    }',
        '  }',
        '}',
        '',
      ].join('\n'),
    );
    expect(cascYaml(testModel())).not.toMatch(/cpsScm|scriptPath|gitlabSourceBranch|Jenkinsfile/);
  });

  test('take a description with quotes as text', () => {
    const [module] = testModel().modules;
    if (!module) throw new Error('no module');
    const model = testModel({ modules: [{ ...module, description: "Ada's \\ shop'); evil('" }] });
    expect(casc(model).jobs[1]?.script).toContain("description('Ada\\'s \\\\ shop\\'); evil(\\'')\n");
  });
});

describe('the shared library', () => {
  const vars = join(root, 'delivery', 'library', 'vars');
  const files = readdirSync(vars).filter((file) => file.endsWith('.groovy'));
  const text = (file: string) => readFileSync(join(vars, file), 'utf8');
  const code = (file: string) => text(file).replace(/\/\/.*$/gm, '');

  test('binds credentials in one place, around one command, and never around a Pod', () => {
    expect(files.filter((file) => /withCredentials|credentialsId/.test(code(file)))).toEqual([
      'trusted.groovy',
    ]);
    expect(code('trusted.groovy')).not.toMatch(/\b(node|podTemplate|container|stage|body|Closure)\b/);
  });

  test('runs only the delivery image’s own commands with them', () => {
    const commands = files.flatMap((file) =>
      [...code(file).matchAll(/\btrusted\((['"])(.*?)\1/g)].map(([, , command = '']) => command),
    );
    expect(commands.length).toBeGreaterThan(8);
    for (const command of commands) {
      const itself = command.replace('test -z \\$RESTIC_REPOSITORY || timeout 300 ', '');
      expect(itself).toMatch(/^((delivery|switchyard|mkdir -p) [^&|]*( && )?)+$/);
    }
  });

  test('runs what a merge request brings in the test Pod only, without them', () => {
    const body = code('modulePipeline.groovy').split(/^(?=void|int|def )/m);
    const tests = body.find((method) => method.startsWith('void test(')) ?? '';
    expect(tests).toContain("sh(script: 'sh ../.switchyard/test.sh', returnStatus: true)");
    expect(tests).not.toContain('trusted');
    expect(body.filter((method) => /\bsh\(/.test(method))).toEqual([tests]);
  });
});

test('no secret stands in it: only names of secrets, and the digest of an image', () => {
  const references = referencesIn(cascText(cascOf(modelWith('metrics: {}'))));
  expect(new Set(references.map((reference) => JSON.stringify(reference)))).toEqual(
    new Set([JSON.stringify({ kind: 'output', resource: 'delivery-image', property: 'repoDigest' })]),
  );
});
