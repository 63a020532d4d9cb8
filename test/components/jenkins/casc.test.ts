import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { cascText } from '../../../components/jenkins/casc';
import { referencesIn } from '../../../components/shared/references';
import { readSettings } from '../../../delivery/settings';
import { parseStack } from '../../../stacks/load';
import { defaultImages } from '../../../stacks/schema';
import { casc as cascOf, cascYaml } from '../../support/jenkins';
import { root, stackWith, testModel } from '../../support/model';
import { argsOf, modelWith } from './support';

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
    readonly containers: {
      readonly name: string;
      readonly image?: unknown;
      readonly resources: { limits: { memory?: string } };
      readonly volumeMounts: { readonly name: string; readonly mountPath: string }[];
    }[];
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
      local: {
        allowsSignup: false,
        users: [
          { id: 'admin', password: '${ADMIN_PASSWORD}' },
          { id: 'reconciler', password: '${RECONCILER_PASSWORD}' },
        ],
      },
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

test('the connection to GitLab has its time-outs, and the library is no change of every job', () => {
  expect(casc().unclassified).toMatchObject({
    // gitlab-plugin, GitLabConnection: either one missing is a null that is unboxed at each use.
    gitLabConnectionConfig: { connections: [{ connectionTimeout: 10, readTimeout: 10 }] },
    globalLibraries: { libraries: [{ name: 'switchyard', includeInChangesets: false }] },
  });
});

test('Job DSL is opened to nobody: scripts of configuration as code need no opening', () => {
  expect(casc().security).not.toHaveProperty('globalJobDslSecurityConfiguration');
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
      namespaces: 'ci-agents\nci-build\nci-deploy\ntest-shop',
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
      { name: 'build', namespace: 'ci-build', podRetention: 'never', activeDeadlineSeconds: 7800 },
      { name: 'deploy', namespace: 'ci-deploy', podRetention: 'never', activeDeadlineSeconds: 5400 },
      { name: 'state', namespace: 'ci-deploy', podRetention: 'never', activeDeadlineSeconds: 3600 },
    ]);
  });

  test("connect to Jenkins by its own agent's image, and work in ours, which needs no Java", () => {
    const images = cloud().templates.map(({ yaml }) =>
      (parse(yaml) as AgentPod).spec.containers.map(({ name, image }) => [name === 'jnlp', image]),
    );
    for (const containers of images) {
      const agents = containers.filter(([jnlp]) => jnlp).map(([, image]) => image);
      expect(agents).toEqual([defaultImages.inboundAgent]);
      expect(containers.filter(([jnlp]) => !jnlp).map(([, image]) => image)).not.toContain(agents[0]);
    }
  });

  test("keep the commands' state where the agent, which unpacks stashes, does not reach it", () => {
    const [delivery, , deploy] = cloud().templates.map(({ yaml }) => parse(yaml) as AgentPod);
    const mounted = (pod: AgentPod | undefined) =>
      pod?.spec.containers.map(({ name, volumeMounts }) => [
        name,
        volumeMounts.filter((mount) => mount.name === 'state').map(({ mountPath }) => mountPath),
      ]);
    expect(mounted(delivery)).toEqual([
      ['delivery', ['/state']],
      ['jnlp', []],
    ]);
    expect(JSON.stringify(delivery?.spec.containers)).toContain(
      '{"name":"SWITCHYARD_STATE","value":"/state"}',
    );
    expect(delivery?.spec.volumes).toContainEqual({ name: 'state', emptyDir: { sizeLimit: '64Mi' } });
    expect(mounted(deploy)).toEqual([
      ['deploy', []],
      ['jnlp', []],
    ]);
  });

  test('keep what a build hands over there too, so much as the registry takes of one, and may fill no more', () => {
    const settings = parseStack(
      stackWith({ registry: 'builds: { each: 6Gi, unreleased: 20Gi }' }),
      'stacks/Pulumi.test.yaml',
      'test',
    );
    const model = testModel({ settings });
    const [delivery] = cloud(model).templates.map(({ yaml }) => parse(yaml) as AgentPod);
    const containers = delivery?.spec.containers ?? [];
    const holders = containers.filter(({ volumeMounts }) =>
      volumeMounts.some(({ name, mountPath }) => name === 'handed' && mountPath === '/handed'),
    );
    expect(holders.map(({ name }) => name)).toEqual(['delivery']);
    expect(holders[0]).toMatchObject({
      env: expect.arrayContaining([
        { name: 'SWITCHYARD_HANDED', value: '/handed' },
        { name: 'SWITCHYARD_BUILD_MOST', value: '6Gi' },
        { name: 'SWITCHYARD_UNRELEASED_MOST', value: '20Gi' },
      ]),
      // Beside what each agent may fill.
      resources: { limits: { 'ephemeral-storage': '11Gi' } },
    });
    expect(delivery?.spec.volumes).toContainEqual({ name: 'handed', emptyDir: { sizeLimit: '7Gi' } });
    // So many agents, each with this container and the one beside it.
    expect(argsOf('kubernetes:core/v1:ResourceQuota', model, 'agents-quota')).toMatchObject({
      spec: { hard: { 'limits.ephemeral-storage': `${settings.jenkins.maximumAgents * (11 + 10)}Gi` } },
    });
  });

  test('are limited in every container, and only a rollout, and who watches test Pods, has a service account', () => {
    const pods = cloud().templates.map(({ yaml }) => parse(yaml) as AgentPod);
    for (const { spec } of pods) {
      expect(spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of spec.containers) {
        expect(container).toMatchObject({
          resources: { requests: { cpu: expect.any(String), memory: expect.any(String) } },
        });
        expect(container.resources.limits.memory).toMatch(/^[0-9]+[MG]i$/);
        // The one exception, with its reasons beside it; the next test says what it is all the same.
        if (container.name === 'buildkitd') continue;
        expect(container).toMatchObject({
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        });
      }
      // The workspace that Jenkins would add, with an end to it; and where the agent writes, its root being read-only.
      for (const [name, sizeLimit] of [
        ['workspace-volume', '8Gi'],
        ['agent-tmp', '1Gi'],
        ['agent-home', '1Gi'],
      ]) {
        expect(spec.volumes).toContainEqual({ name, emptyDir: { sizeLimit } });
      }
      expect(spec.containers.find(({ name }) => name === 'jnlp')?.volumeMounts).toEqual([
        { name: 'agent-tmp', mountPath: '/tmp' },
        { name: 'agent-home', mountPath: '/home/jenkins/.jenkins' },
      ]);
    }
    expect(pods.map(({ spec }) => [spec.automountServiceAccountToken, spec.serviceAccountName])).toEqual([
      // The next test says what is mounted of it.
      [false, 'delivery'],
      [false, undefined],
      // The pipeline gives it its module's.
      [true, undefined],
      [true, 'state'],
    ]);
  });

  test('that take a merge request through its tests have a token for their commands, and none for the agent beside them', () => {
    const template = cloud().templates.find(({ name }) => name === 'delivery');
    const { spec } = parse(template?.yaml ?? '') as {
      spec: AgentPod['spec'] & { volumes: { name: string; projected?: object }[] };
    };
    expect(spec.volumes.find(({ name }) => name === 'account')?.projected).toEqual({
      sources: [
        { serviceAccountToken: { path: 'token', expirationSeconds: 3600 } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      ],
    });
    const holders = spec.containers.filter(({ volumeMounts }) =>
      volumeMounts?.some(({ name }) => name === 'account'),
    );
    expect(holders.map(({ name }) => name)).toEqual(['delivery']);
  });

  test('that take a build’s image are told what it may fill: what the build itself may', () => {
    const template = cloud(modelWith('buildCache: 30Gi')).templates.find(({ name }) => name === 'delivery');
    const { spec } = parse(template?.yaml ?? '') as {
      spec: { containers: { name: string; env?: object[] }[] };
    };
    const env = spec.containers.flatMap(({ name, env = [] }) => (name === 'delivery' ? env : []));
    expect(env).toContainEqual({ name: 'SWITCHYARD_IMAGE_DISK', value: '30Gi' });
    expect(readSettings(['SWITCHYARD_IMAGE_DISK'], { SWITCHYARD_IMAGE_DISK: '30Gi' })).toEqual({
      SWITCHYARD_IMAGE_DISK: 30 * 2 ** 30,
    });
  });

  test('that build images hold nothing of value, end with their build, and are neither root nor privileged', () => {
    const template = cloud(modelWith('buildCache: 30Gi')).templates.find(({ name }) => name === 'build');
    const { spec } = parse(template?.yaml ?? '') as AgentPod & {
      spec: { volumes: Record<string, unknown>[]; hostNetwork?: boolean };
    };
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(spec.hostNetwork).toBeUndefined();
    // Neither a Secret nor a volume that another Pod could see; and each has its end.
    expect(spec.volumes).toEqual([
      { name: 'config', configMap: { name: 'buildkitd' } },
      { name: 'state', emptyDir: { sizeLimit: '30Gi' } },
      { name: 'workspace-volume', emptyDir: { sizeLimit: '8Gi' } },
      { name: 'agent-tmp', emptyDir: { sizeLimit: '1Gi' } },
      { name: 'agent-home', emptyDir: { sizeLimit: '1Gi' } },
    ]);
    expect(template?.yaml).not.toMatch(/secretKeyRef|secretRef|privileged: true|hostPath/);
    expect(spec.containers.find(({ name }) => name === 'buildkitd')).toMatchObject({
      securityContext: { runAsNonRoot: true, runAsUser: 1000 },
      resources: { limits: { memory: '4Gi', 'ephemeral-storage': '40Gi' } },
    });
  });
});

describe('jobs', () => {
  test('are one for each module of the catalog, in the group’s folder', () => {
    const scripts = casc().jobs.map(({ script }) => script);
    expect(scripts).toHaveLength(3);
    expect(scripts[0]).toBe("folder('switchyard') { description('Modules') }\n");
    expect(scripts[1]).toMatch(/^pipelineJob\('switchyard\/shop'\) \{\n {2}description\('sells'\)\n/);
    expect(casc(testModel({ modules: [] })).jobs).toHaveLength(1);
  });

  test('one of all modules goes back to an earlier release, with what people choose and write as its parameters', () => {
    const [, , script = ''] = casc().jobs.map((job) => job.script);
    expect(script).toMatch(/^pipelineJob\('switchyard\/module_rollback'\) \{/);
    expect(script).toContain("choiceParam('MODULE', ['shop'], 'The module')");
    expect(script).toContain(
      'modulePipeline(module: params.MODULE, rollback: [to: params.TO, hold: params.HOLD], parts: true)',
    );
    // No hook starts it.
    expect(script).not.toContain('triggers');
  });

  test('have their triggers before their first run, and name their token', () => {
    const script = casc().jobs[1]?.script ?? '';
    expect(script).toContain('secretToken("${HOOK_TOKEN_SHOP}")');
    expect(script).not.toContain('acceptGitLabMR');
  });

  // gitlab-plugin, MergeRequestHookTriggerHandlerFactory: `never` would reject every update, a second push included.
  test('build each new commit at once, and no edit of a title or a label', () => {
    const script = casc().jobs[1]?.script ?? '';
    expect(script).toContain('  quietPeriod(0)\n');
    const [, triggers = ''] = script.split('    pipelineTriggers {\n      triggers {\n        gitlab {\n');
    expect(triggers).toContain("triggerOpenMergeRequestOnPush('source')");
    expect(triggers).toContain('triggerOnlyIfNewCommitsPushed(true)');
    expect(triggers).toContain('triggerOnApprovedMergeRequest(true)');
    // Outside `properties` the block is deprecated (job-dsl).
    expect(script).not.toMatch(/^ {2}triggers \{/m);
  });

  test('hold their whole pipeline, sandboxed: nothing of a repository says where it runs', () => {
    const script = casc().jobs[1]?.script ?? '';
    expect(script.slice(script.indexOf('  definition {'))).toBe(
      [
        '  definition {',
        '    cps {',
        "      script('''@Library('switchyard') _",
        '',
        "modulePipeline(module: 'shop', parts: true)",
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

  // KubernetesLauncher: the queue item of a Pod that cannot start stays, and a new Pod is made, for ever.
  test('waits for no second agent without an end', () => {
    const waits = files.flatMap(
      (file) =>
        code(file)
          .match(/^ *node\(.*$/gm)
          ?.map((line) => `${file}: ${line.trim()}`) ?? [],
    );
    expect(waits.sort()).toEqual([
      "modulePipeline.groovy: node('delivery') {",
      "modulePipeline.groovy: node('delivery') {",
      'modulePipeline.groovy: node(POD_LABEL) {',
      'onAgent.groovy: node(label) {',
      "topologyDrift.groovy: node('delivery') {",
      "topologyPipeline.groovy: node('delivery') {",
      "topologyPipeline.groovy: node('delivery') {",
    ]);
    expect(code('modulePipeline.groovy')).toMatch(
      /timeout\(time: minutes \+ 30, unit: 'MINUTES'\) \{\s*left = testWatched\(/,
    );
  });

  test('runs only the delivery image’s own commands with them', () => {
    const commands = files.flatMap((file) =>
      [...code(file).matchAll(/\btrusted\((['"])(.*?)\1/g)].map(([, , command = '']) => command),
    );
    expect(commands.length).toBeGreaterThan(8);
    for (const command of commands) {
      const itself = command.replace(/^timeout 300 /, '');
      expect(itself).toMatch(/^((delivery|switchyard|mkdir -p) [^&|]*( && )?)+$/);
    }
  });

  test('runs what a merge request brings in the Pods of its build and its tests only, without them', () => {
    const body = code('modulePipeline.groovy').split(/^(?=void|int|def |Map|List)/m);
    const tests = body.find((method) => method.startsWith('Map<String, String> test(')) ?? '';
    expect(tests).toContain("sh(script: 'sh .switchyard/given/run.sh', returnStatus: true)");
    expect(tests).not.toContain('trusted');
    const image = body.find((method) => method.startsWith('int imageOnce(')) ?? '';
    const pod = image.slice(image.indexOf("onAgent('build'"), image.indexOf('finally'));
    expect(pod).toContain("sh(script: 'sh .switchyard/build/run.sh', returnStatus: true)");
    expect(pod).not.toMatch(/trusted|withCredentials/);
    const watch = body.find((method) => method.startsWith('Map<String, String> testWatched(')) ?? '';
    expect(watch).not.toContain('trusted');
    expect(body.filter((method) => /\bsh\(/.test(method))).toEqual([image, watch, tests]);
  });

  test('stashes no checkout, whose links it would follow, and nothing that foreign code left', () => {
    const stashed = files.flatMap((file) =>
      [...code(file).matchAll(/\bstash\(name: (['"])(.*?)\1, includes: (['"])(.*?)\3/g)].map(
        ([, , name, , includes]) => `${file} ${name}: ${includes}`,
      ),
    );
    expect(stashed).toEqual([
      'modulePipeline.groovy given: .switchyard/given/**',
      // Sources as an archive, and a script.
      'modulePipeline.groovy build: .switchyard/build/**',
      // Made where the state is read, before anything foreign runs.
      'topologyDrift.groovy given-${at}-${round}: ${folder}/given/**',
      'topologyDrift.groovy about-${at}-${round}: ${folder}/about.json',
      'topologyPipeline.groovy source: .switchyard/given/source.tar',
      // Of plain files that `delivery unpack` made there.
      'topologyPipeline.groovy scrubbed-${environment}: ${folder}/record/**,${folder}/leaked',
      'topologyPipeline.groovy given-${environment}-${round}: ${folder}/given/**',
      'topologyPipeline.groovy about-${environment}-${round}: ${folder}/about.json,${folder}/basis',
      'topologyPipeline.groovy source: .switchyard/given/source.tar',
    ]);
    expect(files.flatMap((file) => [...code(file).matchAll(/\bstash\(/g)])).toHaveLength(stashed.length);
  });
});

test('no secret stands in it: only names of secrets, and the digest of an image', () => {
  const references = referencesIn(cascText(cascOf(modelWith('metrics: {}'))));
  expect(new Set(references.map((reference) => JSON.stringify(reference)))).toEqual(
    new Set([JSON.stringify({ kind: 'output', resource: 'delivery-image', property: 'repoDigest' })]),
  );
});
