import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ProblemsError } from '../../catalog/problems';
import { askGitLab, FOUND_VARIABLE, LEDGER_VARIABLE } from '../../components/ask-gitlab';
import { topologyBoxes } from '../../components/boxes';
import { defaultFolders, loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import type { Declaration } from '../../components/shared/declaration';
import { referencesIn, shown } from '../../components/shared/references';
import { brokenRules } from '../../rules/assert';
import { parseStack } from '../../stacks/load';
import { cascYaml } from '../support/jenkins';
import { modelOf, root, stackText, stackWith, testModel } from '../support/model';

const modelWith = (setting: string): Model =>
  testModel({
    settings: parseStack(
      `${stackText}  switchyard:topologyProject: ${setting}\n`,
      'stacks/Pulumi.test.yaml',
      'test',
    ),
  });
const on = modelWith('{}');
const all = (model: Model) => topologyBoxes(model).flatMap(({ declarations }) => [...declarations]);
const named = (model: Model, name: string) =>
  shown(all(model).find((declaration) => declaration.name === name)) as Declaration | undefined;
/** Arguments of a declaration that must be there, in the shape that a test looks at. */
function argsOf<T>(model: Model, name: string): T {
  const found = named(model, name);
  if (!found) throw new Error(`nothing is declared as ${name}`);
  return found.args as unknown as T;
}
const textOf = (model: Model, names: RegExp) =>
  JSON.stringify(
    all(model)
      .filter(({ name }) => names.test(name))
      .map(({ args }) => args),
  );

interface Casc {
  jenkins: { clouds: { kubernetes: { templates: { name: string; namespace: string; yaml: string }[] } }[] };
  jobs: { script: string }[];
}
const casc = (model: Model) => parse(cascYaml(model)) as Casc;
const podOf = (model: Model, name: string) => {
  const found = casc(model).jenkins.clouds[0]?.kubernetes.templates.find(
    (template) => template.name === name,
  );
  return found && (parse(found.yaml) as { spec: Record<string, unknown> });
};

test('a stack that does not ask for it has none of it', () => {
  const without = testModel();
  expect(all(without).filter(({ name }) => /topology|preview|apply|drift|gitlab-watcher/.test(name))).toEqual(
    [],
  );
  expect(JSON.stringify(casc(without))).not.toMatch(/topologyPipeline|topologyDrift|SWITCHYARD_TOPOLOGY/);
});

test('everything needed is declared before, and every name is used once', () => {
  const seen = new Set<string>();
  for (const declaration of all(on)) {
    for (const needed of declaration.dependsOn ?? []) expect(seen).toContain(needed);
    for (const reference of referencesIn(declaration.args))
      if (reference.kind === 'output') expect(seen).toContain(reference.resource);
    expect(seen).not.toContain(declaration.name);
    seen.add(declaration.name);
  }
});

test('merging needs a green preview, and the hook goes to the job with a token', () => {
  expect(named(on, 'gitlab-topology')?.args).toMatchObject({
    path: 'topology',
    onlyAllowMergeIfPipelineSucceeds: true,
  });
  expect(named(on, 'gitlab-topology-hook')?.args).toEqual({
    project: '«output:gitlab-topology:id»',
    url: 'https://jenkins.test/project/switchyard/topology',
    token: '«secret:hook/topology»',
    pushEvents: true,
    pushEventsBranchFilter: 'main',
    mergeRequestsEvents: true,
    enableSslVerification: true,
  });
});

test("the job's pipeline stands in the configuration: no file of a merge request runs with credentials", () => {
  const job = casc(on).jobs.find(({ script }) => script.includes('topologyPipeline('))?.script ?? '';
  expect(job).toContain("pipelineJob('switchyard/topology')");
  expect(job).toContain("topologyPipeline(apply: 'automatic', own: 'test', modules: ['shop'])");
  expect(job).toContain('secretToken("${HOOK_TOKEN_TOPOLOGY}")');
  expect(job).not.toMatch(/scriptPath|cpsScm|gitlabSourceBranch/);
});

test('the preview Pod has no Secret, no credential in its environment, and an account that reads no Secret', () => {
  const pod = podOf(on, 'preview');
  const { imagePullSecrets, ...spec } = pod?.spec ?? {};
  expect(imagePullSecrets).toEqual([{ name: 'registry-pull' }]);
  expect(spec).toMatchObject({ serviceAccountName: 'previewer' });
  // The folder of the account's token alone is called so.
  expect(JSON.stringify(spec).replaceAll('/var/run/secrets/', '')).not.toMatch(/secret|envFrom/i);
  const role = named(on, 'preview-reader')?.args as unknown as {
    rules: { resources: string[]; verbs: string[] }[];
  };
  const resources = role.rules.flatMap((rule) => rule.resources);
  expect(resources).toContain('deployments');
  for (const never of ['*', 'secrets', 'configmaps', 'pods', 'pods/exec', 'pods/log'])
    expect(resources).not.toContain(never);
  expect(new Set(role.rules.flatMap(({ verbs }) => verbs))).toEqual(new Set(['get', 'list']));
  expect(textOf(on, /^preview-(reading|account|kubeconfig)/)).not.toContain('cluster-admin');
});

test('a merge request’s program has a container without account, kubeconfig, network or Jenkins’ workspace', () => {
  interface Container {
    readonly name: string;
    readonly command?: readonly string[];
    readonly env: readonly { readonly name: string; readonly value: string }[];
    readonly volumeMounts: readonly {
      readonly name: string;
      readonly mountPath: string;
      readonly readOnly?: boolean;
    }[];
  }
  const spec = podOf(on, 'preview')?.spec as unknown as {
    containers: Container[];
    volumes: { name: string; emptyDir?: { sizeLimit?: string } }[];
  };
  expect(spec).toMatchObject({ automountServiceAccountToken: false });
  expect(spec).not.toHaveProperty('shareProcessNamespace');
  const [preview, program, jnlp] = ['preview', 'program', 'jnlp'].map((name) =>
    spec.containers.find((container) => container.name === name),
  );
  const mounts = (container?: Container) =>
    (container?.volumeMounts ?? []).map(({ name, mountPath, readOnly }) => [
      name,
      mountPath,
      readOnly === true,
    ]);
  expect(program?.command?.[0]).toBe('confined');
  expect(program?.env.map(({ name }) => name).sort()).toEqual(['HOME', 'SWITCHYARD_HANDOVER']);
  expect(mounts(program).sort()).toEqual([
    ['given', '/handover/given', true],
    ['left', '/handover/left', false],
    // Jenkins' plugin would mount its workspace there.
    ['program-home', '/home/jenkins/agent', false],
    ['program-tmp', '/tmp', false],
  ]);
  // What it writes is read by the engine's container alone, and as nothing but files.
  expect(mounts(preview)).toEqual(
    expect.arrayContaining([
      ['given', '/handover/given', false],
      ['left', '/handover/left', true],
      ['account', '/var/run/secrets/kubernetes.io/serviceaccount', true],
    ]),
  );
  for (const other of [preview, jnlp])
    expect(mounts(other).filter(([name]) => String(name).startsWith('program'))).toEqual([]);
  for (const { name, emptyDir } of spec.volumes)
    if (emptyDir) expect([name, emptyDir.sizeLimit]).toEqual([name, expect.stringMatching(/i$/)]);
});

test('the only secret in the namespace of previews is that which pulls images', () => {
  const secrets = all(on).filter(
    ({ type, args }) =>
      type === 'kubernetes:core/v1:Secret' && JSON.stringify(args).includes('"namespace":"ci-preview"'),
  );
  expect(secrets.map(({ name }) => name)).toEqual(['preview-pull']);
});

test('previews reach names, API servers and Jenkins by their ports, and no other port', () => {
  const fence = named(on, 'preview-egress')?.args as unknown as
    | { spec: { egress: { ports: { port: number }[] }[] } }
    | undefined;
  expect(fence?.spec.egress.flatMap(({ ports }) => ports.map(({ port }) => port))).toEqual([
    53, 53, 8080, 443, 6443,
  ]);
});

test('applying has an account of its own that may do all, and none where people apply', () => {
  expect(named(on, 'apply-all')?.args).toMatchObject({
    roleRef: { kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'applier', namespace: 'ci-apply' }],
  });
  expect(named(on, 'apply-environment')?.args).toMatchObject({
    stringData: { GITLAB_TOKEN: '«given:GITLAB_TOKEN»' },
  });
  const manual = modelWith('{ apply: manual }');
  expect(textOf(manual, /./)).not.toMatch(/cluster-admin|ci-apply/);
  expect(podOf(manual, 'apply')).toBeUndefined();
  expect(podOf(manual, 'preview')).toBeDefined();
});

test('the delivery Pod knows the project and the environments in their order', () => {
  const text = JSON.stringify(
    podOf(modelWith('{ path: platform, environments: [staging, production] }'), 'delivery'),
  );
  expect(text).toContain('{"name":"SWITCHYARD_TOPOLOGY_PROJECT","value":"platform"}');
  expect(text).toContain('{"name":"SWITCHYARD_TOPOLOGY_ENVIRONMENTS","value":"staging,production"}');
});

test.each(['{}', '{ apply: manual }'])('every rule holds with %s', (setting) => {
  expect(brokenRules(modelWith(setting))).toEqual([]);
});

test('the Pods of previews may reach Jenkins through its fence, and those of applying where there are any', () => {
  const fenced = (setting: string) =>
    textOf(
      testModel({
        settings: parseStack(
          `${stackWith({ jenkins: 'ingress: { host: jenkins.test }' })}  switchyard:topologyProject: ${setting}\n`,
          'stacks/Pulumi.test.yaml',
          'test',
        ),
      }),
      /^jenkins-allow-/,
    );
  expect(fenced('{}')).toContain(
    '"values":["ci-agents","ci-build","ci-deploy","ci-preview","ci-drift","ci-apply","ci-reconciler"]',
  );
  expect(fenced('{ apply: manual }')).toContain(
    '"values":["ci-agents","ci-build","ci-deploy","ci-preview","ci-drift","ci-reconciler"]',
  );
});

describe('the look for drift', () => {
  test('is started by the clock, at night or when the stack says, in UTC, and by no hook', () => {
    const jobOf = (model: Model) =>
      casc(model).jobs.find(({ script }) => script.includes('topologyDrift('))?.script ?? '';
    expect(jobOf(on)).toContain("pipelineJob('switchyard/topology-drift')");
    expect(jobOf(on)).toContain("topologyDrift(environment: 'test', parts: true)");
    expect(jobOf(on)).toContain("cron { spec('TZ=UTC\\n47 3 * * *') }");
    expect(jobOf(modelWith('{ drift: "*/20 * * * 1-5" }'))).toContain("spec('TZ=UTC\\n*/20 * * * 1-5')");
    expect(jobOf(on)).not.toMatch(/gitlab \{|secretToken|parameters/);
  });

  test('has a token of GitLab and an account of the cluster that may read, and nothing else', () => {
    expect(named(on, 'gitlab-watcher')?.args).toMatchObject({
      accessLevel: 'maintainer',
      scopes: ['read_api', 'read_repository'],
    });
    const { stringData } = argsOf<{ stringData: object }>(on, 'drift-environment');
    expect(stringData).toEqual({ GITLAB_TOKEN: '«output:gitlab-watcher:token»' });
    const spec = podOf(on, 'drift')?.spec;
    expect(spec).toMatchObject({ serviceAccountName: 'watcher' });
    expect(JSON.stringify(spec).match(/"secret(Ref|Name|KeyRef)":[^}]*/g)).toEqual([
      '"secretRef":{"name":"drift-environment"',
    ]);
    const { rules } = argsOf<{ rules: { resources: string[]; verbs: string[] }[] }>(on, 'drift-reader');
    expect(new Set(rules.flatMap(({ verbs }) => verbs))).toEqual(new Set(['get', 'list']));
    const resources = rules.flatMap((rule) => rule.resources);
    for (const never of ['*', 'secrets', 'pods/exec', 'pods/log']) expect(resources).not.toContain(never);
    const bindings = all(on).filter(({ args }) => JSON.stringify(args).includes('"name":"watcher"'));
    expect(bindings.map(({ name }) => name).sort()).toEqual(['drift-account', 'drift-reading']);
  });

  test('may read each kind that the topology declares, by the right API group', () => {
    const { rules } = argsOf<{ rules: { apiGroups: string[]; resources: string[] }[] }>(on, 'drift-reader');
    const may = (group: string, resource: string) =>
      rules.some(({ apiGroups, resources }) => apiGroups.includes(group) && resources.includes(resource));
    expect(may('', 'configmaps') && may('apps', 'statefulsets') && may('batch', 'cronjobs')).toBe(true);
    expect(may('rbac.authorization.k8s.io', 'clusterrolebindings')).toBe(true);
    expect(may('networking.k8s.io', 'ingresses') && may('policy', 'poddisruptionbudgets')).toBe(true);
  });

  test('reaches names, API servers, GitLab, Jenkins, and a Pushgateway that the stack names', () => {
    const ports = (settings: string) => {
      const text = `${stackText}  switchyard:topologyProject: {}\n${settings}`;
      const model = testModel({ settings: parseStack(text, 'stacks/Pulumi.test.yaml', 'test') });
      const { spec } = argsOf<{ spec: { egress: { ports: { port: number }[] }[] } }>(model, 'drift-egress');
      return spec.egress.flatMap((rule) => rule.ports.map(({ port }) => port));
    };
    expect(ports('')).toEqual([53, 53, 8080, 443, 6443]);
    expect(ports('  switchyard:metrics: { pushgateway: "http://push.test:9091" }\n')).toEqual([
      53, 53, 8080, 443, 6443, 9091,
    ]);
    expect(
      ports('  switchyard:metrics: { pushgateway: "http://push.monitoring:9091", namespace: monitoring }\n'),
    ).toEqual([53, 53, 8080, 443, 6443, 9091]);
  });
});

test('a production cluster of its own is not taken for this one', () => {
  expect(named(on, 'preview-kubeconfig')?.args).toMatchObject({
    data: { config: expect.not.stringContaining('two') },
  });
});

const ONE = 'ci: { context: one }, production: { context: one }';

/** Loads a stack with these settings as a file of an environment, beside other files. */
function loaded(
  text: string,
  others: Readonly<Record<string, string>> = {},
  catalog = join(root, 'catalog'),
): Model | string[] {
  const stacks = mkdtempSync(join(tmpdir(), 'stacks-'));
  try {
    writeFileSync(join(stacks, 'Pulumi.test.yaml'), text);
    for (const [name, other] of Object.entries(others))
      writeFileSync(join(stacks, `Pulumi.${name}.yaml`), other);
    return loadModel({ ...defaultFolders(root), stacks, catalog }, 'test');
  } catch (error) {
    if (error instanceof ProblemsError) return error.problems.map(({ key }) => key ?? '');
    throw error;
  } finally {
    rmSync(stacks, { recursive: true, force: true });
  }
}

test('the library has the pipeline of the topology only where a job runs it', () => {
  const library = (text: string) => Object.keys((loaded(text) as Model).library).join(' ');
  expect(library(stackWith({ clusters: ONE }))).not.toContain('topologyPipeline');
  expect(library(`${stackWith({ clusters: ONE })}  switchyard:topologyProject: {}\n`)).toContain(
    'vars/topologyPipeline.groovy',
  );
});

test.each([
  ['config.topologyProject.path', stackWith({ clusters: ONE }), '{ path: orders }'],
  ['config.topologyProject.apply', stackText, '{}'],
  [
    'config.clusters.ci.kubeconfig',
    stackWith({ clusters: 'ci: { context: one, kubeconfig: KUBE }, production: { context: two }' }),
    '{ apply: manual }',
  ],
  [
    'config.gitlab.group.existing',
    stackWith({ clusters: ONE, gitlab: 'group: { existing: team/ci }, botTokenExpires: "2030-01-01"' }),
    '{}',
  ],
  [
    'config.gitlab.projects',
    stackWith({
      clusters: ONE,
      gitlab: 'projects: { orders: { existing: old/orders } }, botTokenExpires: "2030-01-01"',
    }),
    '{}',
  ],
  [
    'config.jenkins.existing',
    stackWith({ clusters: ONE, jenkins: 'existing: { namespace: jenkins }' }),
    '{}',
  ],
])('what previews cannot do is refused: %s', (key, stack, setting) => {
  expect(loaded(`${stack}  switchyard:topologyProject: ${setting}\n`)).toEqual([key]);
});

test('a module that has the name of the job that looks for drift is refused', () => {
  const catalog = mkdtempSync(join(tmpdir(), 'catalog-'));
  try {
    cpSync(join(root, 'catalog', 'services'), join(catalog, 'services'), { recursive: true });
    mkdirSync(join(catalog, 'modules'));
    const module = 'description: another\nowners: [ada]\nport: 8080\n';
    writeFileSync(join(catalog, 'modules', 'topology-drift.yaml'), module);
    const text = stackWith({ clusters: ONE });
    expect(loaded(`${text}  switchyard:topologyProject: {}\n`, {}, catalog)).toEqual([
      'config.topologyProject.path',
    ]);
    expect(
      loaded(`${text}  switchyard:topologyProject: { path: platform }\n`, {}, catalog),
    ).not.toBeInstanceOf(Array);
  } finally {
    rmSync(catalog, { recursive: true, force: true });
  }
});

const CREDENTIALS =
  'variables: { SWITCHYARD_SEED: STAGING_SEED, GITLAB_TOKEN: STAGING_TOKEN, PULUMI_CONFIG_PASSPHRASE: STAGING_PASS }, previewKubeconfig: STAGING_READ, applyKubeconfig: STAGING_ALL';
const STAGING = stackWith({
  clusters: 'ci: { context: stage }, production: { context: stage }',
  gitlab: 'group: staging',
}).replace('environment: test', 'environment: staging');
const PREVIEWED = `${STAGING}  switchyard:previewedBy: test\n`;
const twoWith = (
  setting = `{ environments: [staging, test], credentials: { staging: { ${CREDENTIALS} } } }`,
  staging = PREVIEWED,
) => loaded(`${stackWith({ clusters: ONE })}  switchyard:topologyProject: ${setting}\n`, { staging });

describe('another environment', () => {
  const model = twoWith() as Model;
  const pod = (name: string) => JSON.stringify(podOf(model, name));

  test('has Pods of its own, with its credentials by the names that it knows, and none of this one’s', () => {
    expect(pod('state-staging')).toContain('"secretName":"kubeconfig-staging"');
    expect(pod('state-staging')).toContain('"envFrom":[{"secretRef":{"name":"environment-staging"}}]');
    expect(pod('apply-staging')).toContain('"envFrom":[{"secretRef":{"name":"environment-staging"}}]');
    expect(pod('apply-staging')).not.toMatch(/apply-environment|serviceAccountName|"configMap"/);
    expect(pod('state-staging')).not.toMatch(
      /state-environment|serviceAccountName|"configMap":{"name":"kubeconfig"/,
    );
    expect(named(model, 'apply-environment-staging')?.args).toMatchObject({
      metadata: { namespace: 'ci-apply', name: 'environment-staging' },
      stringData: {
        SWITCHYARD_SEED: '«key:staging:»',
        GITLAB_TOKEN: '«given:STAGING_TOKEN»',
        PULUMI_CONFIG_PASSPHRASE: '«given:STAGING_PASS»',
      },
    });
    expect(named(model, 'apply-kubeconfig-staging')?.args).toMatchObject({
      stringData: { config: '«given:STAGING_ALL»' },
    });
    // This one's Pods stay as they are.
    for (const name of ['state', 'preview', 'apply'])
      expect(pod(name)).toBe(JSON.stringify(podOf(twoWith('{}') as Model, name)));
    expect(brokenRules(model)).toEqual([]);
  });

  test('has previews with a kubeconfig that may only read, and no other Secret in their namespace', () => {
    const { containers, ...spec } = podOf(model, 'preview-staging')?.spec ?? {};
    expect(JSON.stringify(containers)).not.toMatch(/secret|envFrom/i);
    expect(spec).not.toHaveProperty('serviceAccountName');
    expect(spec).toMatchObject({ automountServiceAccountToken: false });
    const texts = textOf(model, /^preview-/);
    expect(texts).toContain('«given:STAGING_READ»');
    expect(texts).not.toMatch(/STAGING_(ALL|SEED|TOKEN|PASS)/);
  });

  test('has no Pod that may change it where people apply', () => {
    const manual = twoWith(
      `{ apply: manual, environments: [staging, test], credentials: { staging: { ${CREDENTIALS} } } }`,
    ) as Model;
    expect(podOf(manual, 'apply-staging')).toBeUndefined();
    expect(textOf(manual, /./)).not.toContain('«given:STAGING_ALL»');
    expect(podOf(manual, 'preview-staging')).toBeDefined();
  });

  const at = 'config.topologyProject.credentials.staging';
  test.each([
    ['without credentials', '{ environments: [staging] }', PREVIEWED, [at]],
    ['with credentials for none', `{ credentials: { staging: { ${CREDENTIALS} } } }`, PREVIEWED, [at]],
    [
      'without a kubeconfig to apply with',
      `{ environments: [staging], credentials: { staging: { ${CREDENTIALS.split(', applyKubeconfig')[0]} } } }`,
      PREVIEWED,
      [`${at}.applyKubeconfig`],
    ],
    [
      'with variables that are not named',
      '{ environments: [staging], credentials: { staging: { previewKubeconfig: A, applyKubeconfig: B } } }',
      PREVIEWED,
      [`${at}.variables`, `${at}.variables`, `${at}.variables`],
    ],
    ['that does not say so', undefined, STAGING, ['config.topologyProject.environments']],
    [
      'that is not there',
      `{ environments: [stagin], credentials: { stagin: { ${CREDENTIALS} } } }`,
      PREVIEWED,
      ['config.topologyProject.environments'],
    ],
    [
      'named twice',
      `{ environments: [staging, staging], credentials: { staging: { ${CREDENTIALS} } } }`,
      PREVIEWED,
      ['config.topologyProject.environments'],
    ],
  ])('%s is refused', (_what, setting, staging, keys) => {
    const faults = twoWith(setting, staging);
    expect(new Set(faults as string[])).toEqual(new Set(keys));
    expect(faults).toHaveLength(keys.length);
  });

  test('may keep its seed and its token in its own file', () => {
    const secured = `${PREVIEWED}  switchyard:seed: { secure: v1:abc }\n  switchyard:gitlabToken: { secure: v1:abc }\n`;
    const own = '{ variables: { PULUMI_CONFIG_PASSPHRASE: A }, previewKubeconfig: B, applyKubeconfig: C }';
    expect(twoWith(`{ environments: [staging], credentials: { staging: ${own} } }`, secured)).toHaveProperty(
      'settings',
    );
  });

  test('that is previewed elsewhere is held to what previews can see', () => {
    const previewed = (keys: Parameters<typeof stackWith>[0]) =>
      loaded(`${stackWith({ clusters: ONE, ...keys })}  switchyard:previewedBy: home\n`);
    expect(previewed({ gitlab: 'group: { existing: team/ci }, botTokenExpires: "2030-01-01"' })).toEqual([
      'config.gitlab.group.existing',
    ]);
    expect(previewed({ jenkins: 'existing: { namespace: jenkins }' })).toHaveProperty('settings');
  });
});

test('a preview asks GitLab nothing, and a user who is new in it is a stand-in', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'given-'));
  const before = { ...process.env };
  try {
    process.env[LEDGER_VARIABLE] = join(folder, 'ledger.yaml');
    process.env[FOUND_VARIABLE] = join(folder, 'found.json');
    writeFileSync(join(folder, 'ledger.yaml'), 'modules: {}\n');
    writeFileSync(join(folder, 'found.json'), '{ "user:ada": "7" }');
    const members = 'members: { ada: maintainer, bob: developer }, botTokenExpires: "2030-01-01"';
    const token = () => Promise.reject(new Error('a preview has no token'));
    const asked = await askGitLab(modelOf({ clusters: ONE, gitlab: members }), undefined, token);
    expect(asked).toEqual({ found: { 'user:ada': '7', 'user:bob': '0' }, releases: {} });
  } finally {
    process.env = before;
    rmSync(folder, { recursive: true, force: true });
  }
});
