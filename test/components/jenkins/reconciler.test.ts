import { parse } from 'yaml';
import type { Model } from '../../../components/model';
import { outside } from '../../../components/shared/network';
import { shown } from '../../../components/shared/references';
import { readSettings } from '../../../delivery/settings';
import { parseStack } from '../../../stacks/load';
import { whyNoQueue } from '../../../stacks/merge-queue';
import { stackVariables } from '../../../stacks/secrets';
import {
  cascYaml,
  jenkinsResources,
  queueing,
  reconcilerResources,
  watchedProjects,
} from '../../support/jenkins';
import { stackText, testModel } from '../../support/model';
import { modelWith, OAUTH, OIDC } from './support';

interface Args {
  readonly metadata: { readonly namespace: string };
  readonly spec: {
    readonly strategy: unknown;
    readonly replicas: number;
    readonly egress?: unknown;
    readonly template: {
      readonly spec: {
        readonly automountServiceAccountToken: boolean;
        readonly serviceAccountName?: string;
        readonly containers: readonly {
          readonly command: string[];
          readonly env: { name: string; value?: string }[];
        }[];
      };
    };
  };
  readonly stringData?: Record<string, unknown>;
  readonly rules?: unknown;
  readonly subjects?: unknown;
}
const argsOf = (name: string, model = testModel()): Args => {
  const found = reconcilerResources(model).find((one) => one.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found.args as unknown as Args;
};

test('its account may list the events of the agents’ namespace alone; it never runs twice, and writes at each look that it is alive', () => {
  const { spec, metadata } = argsOf('reconciler');
  expect(metadata.namespace).toBe('ci-reconciler');
  expect([spec.replicas, spec.strategy]).toEqual([1, { type: 'Recreate' }]);
  const pod = spec.template.spec;
  expect([pod.automountServiceAccountToken, pod.serviceAccountName]).toEqual([true, 'reconciler']);
  expect(pod.containers[0]?.command).toEqual(['delivery', 'reconcile', '--alive', '/tmp/reconciled']);
  const kinds = reconcilerResources(testModel()).map(({ type }) => type);
  expect(kinds.filter((type) => type.includes('rbac')).map((type) => type.split(':').at(-1))).toEqual([
    'Role',
    'RoleBinding',
  ]);
  const role = argsOf('agents-reconciler-role');
  expect(role.metadata.namespace).toBe('ci-agents');
  expect(role.rules).toEqual([{ apiGroups: [''], resources: ['events'], verbs: ['list'] }]);
  expect(argsOf('agents-reconciler-binding').subjects).toEqual([
    { kind: 'ServiceAccount', name: 'reconciler', namespace: 'ci-reconciler' },
  ]);
});

test('it reaches GitLab, Jenkins, the API server and DNS, and nothing else', () => {
  expect(argsOf('reconciler-egress').spec.egress).toEqual([
    expect.objectContaining({ ports: expect.arrayContaining([{ protocol: 'UDP', port: 53 }]) }),
    outside(443, 6443),
    {
      to: [
        {
          namespaceSelector: {
            matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['ci'] }],
          },
        },
      ],
      ports: [{ protocol: 'TCP', port: 8080 }],
    },
  ]);
});

test('what it watches is what its program reads', () => {
  const model = testModel({
    settings: parseStack(
      `${stackText}  switchyard:topologyProject: { path: topology, apply: automatic }\n`,
      'stacks/Pulumi.test.yaml',
      'test',
    ),
  });
  const env = Object.fromEntries(
    argsOf('reconciler', model).spec.template.spec.containers[0]?.env.map(({ name, value }) => [
      name,
      value,
    ]) ?? [],
  );
  const { SWITCHYARD_WATCHED } = readSettings(['SWITCHYARD_WATCHED'], env);
  expect(SWITCHYARD_WATCHED).toEqual(watchedProjects(model));
  expect(SWITCHYARD_WATCHED).toEqual([
    {
      job: 'shop',
      project: 'switchyard/shop',
      branch: 'main',
      requests: {
        status: 'switchyard',
        merges: true,
        drafts: false,
        reviewed: true,
        queue: { most: 8, start: 4 },
      },
      heads: { status: 'switchyard', module: 'shop' },
    },
    {
      job: 'topology',
      project: 'switchyard/topology',
      branch: 'main',
      requests: { status: 'switchyard/preview', merges: false, drafts: true },
      heads: { status: 'switchyard/apply' },
      drift: { job: 'topology-drift', environment: 'test' },
    },
  ]);
});

test('its secrets are secrets: the bot’s token, its own password, and one token a job', () => {
  const { stringData = {} } = argsOf('reconciler-access');
  for (const value of Object.values(stringData)) expect(typeof value).toBe('object');
  const tokens = argsOf('reconciler-hook-tokens').stringData ?? {};
  expect(Object.keys(tokens)).toEqual(['shop']);
  for (const value of Object.values(tokens)) expect(typeof value).toBe('object');
});

test('where everybody may read builds it has no user of Jenkins’', () => {
  const open = modelWith('anonymousRead: true');
  expect(Object.keys(argsOf('reconciler-access', open).stringData ?? {})).toEqual(['gitlab']);
  const names = argsOf('reconciler', open).spec.template.spec.containers[0]?.env.map(({ name }) => name);
  expect(names).not.toContain('JENKINS_USER');
  expect(cascYaml(open)).not.toContain('reconciler');
  expect(cascYaml(testModel())).toContain('id: reconciler');
});

test('beside a Jenkins of someone else’s that lets nobody look, and without any job, there is none', () => {
  expect(reconcilerResources(modelWith('existing: { namespace: theirs }'))).toEqual([]);
  expect(reconcilerResources({ ...testModel(), modules: [] })).toEqual([]);
});

const READER = 'reader: { user: switchyard, tokenFrom: JENKINS_TOKEN }';
const envOf = (model: Model) =>
  Object.fromEntries(
    argsOf('reconciler', model).spec.template.spec.containers[0]?.env.map(({ name, value }) => [
      name,
      value,
    ]) ?? [],
  );

test('beside a Jenkins of someone else’s it looks as the user whom its owner gives, or as anybody may', () => {
  const model = modelWith(`existing: { namespace: theirs }, ${READER}`);
  const { JENKINS_USER, SWITCHYARD_JENKINS_SHARED, JENKINS_ADDRESS } = envOf(model);
  expect([JENKINS_USER, SWITCHYARD_JENKINS_SHARED]).toEqual(['switchyard', 'true']);
  expect(JENKINS_ADDRESS).toBe('http://jenkins.theirs.svc:8080');
  expect(shown(argsOf('reconciler-access', model).stringData)).toEqual({
    gitlab: expect.stringContaining('«'),
    jenkins: '«given:JENKINS_TOKEN»',
  });
  // It waits for nothing that is not made.
  const made = new Set(jenkinsResources(model).map(({ name }) => name));
  const needed = reconcilerResources(model).flatMap(({ dependsOn = [] }) => dependsOn);
  expect(needed.filter((name) => !made.has(name))).toEqual([]);

  const open = modelWith('anonymousRead: true, existing: { namespace: theirs }');
  expect(envOf(open)).not.toHaveProperty('JENKINS_USER');
  expect(Object.keys(argsOf('reconciler-access', open).stringData ?? {})).toEqual(['gitlab']);
  // Its configuration as code names no user: that Jenkins' are its owner's.
  expect(cascYaml(model)).not.toMatch(/JENKINS_TOKEN|id: reconciler/);
});

test.each([OIDC, OAUTH])(
  'where people log in by a provider it looks as the user who is named: %s',
  (login) => {
    const model = modelWith(`${READER}, ${login}`);
    expect(envOf(model)).toMatchObject({ JENKINS_USER: 'switchyard' });
    expect(envOf(model)).not.toHaveProperty('SWITCHYARD_JENKINS_SHARED');
    expect(shown(argsOf('reconciler-access', model).stringData)).toMatchObject({
      jenkins: '«given:JENKINS_TOKEN»',
    });
    const casc = cascYaml(model);
    expect(casc).not.toMatch(/JENKINS_TOKEN|id: reconciler/);
    // A user of the provider's is in no group as far as an API token tells: the right is that user's own.
    const { authorizationStrategy } = parse(casc).jenkins;
    expect(authorizationStrategy.globalMatrix.entries).toContainEqual({
      user: { name: 'switchyard', permissions: ['Job/Discover', 'Job/Read', 'Overall/Read', 'View/Read'] },
    });
    expect(whyNoQueue(model.settings, { name: 'shop' })).toBeUndefined();
    expect(reconcilerResources(modelWith(login))).toEqual([]);
  },
);

test('an API token outlives the session at the provider only where the reconciler has one', () => {
  const realm = (model: Model) => parse(cascYaml(model)).jenkins.securityRealm.oic;
  expect(realm(modelWith(`${READER}, ${OIDC}`))).toMatchObject({ allowTokenAccessWithoutOicSession: true });
  expect(realm(modelWith(OIDC))).not.toHaveProperty('allowTokenAccessWithoutOicSession');
});

test('a Jenkins elsewhere is reached at its own port', () => {
  const model = modelWith(`existing: { namespace: theirs, agentsUrl: "https://ci.test:8443" }, ${READER}`);
  expect(argsOf('reconciler-egress', model).spec.egress).toContainEqual(outside(8443));
});

test('whoever brings the reader’s token is asked for it, where the stack says so', () => {
  const { settings } = modelWith(`existing: { namespace: theirs }, ${READER}`);
  expect(stackVariables(settings)).toContainEqual({
    variable: 'JENKINS_TOKEN',
    place: 'config.jenkins.reader.tokenFrom',
  });
});

test('merge requests queue where it runs, and nowhere else: nobody would start what waits', () => {
  const models = [
    testModel(),
    modelWith('anonymousRead: true'),
    modelWith('existing: { namespace: theirs }'),
    modelWith(`existing: { namespace: theirs }, ${READER}`),
    modelWith('anonymousRead: true, existing: { namespace: theirs }'),
    modelWith(OIDC),
    modelWith(`${READER}, ${OIDC}`),
    { ...testModel(), modules: [] },
  ];
  for (const model of models) {
    const runs = reconcilerResources(model).length > 0;
    expect(queueing(model)).toEqual(runs ? [{ name: 'SWITCHYARD_QUEUE', value: 'true' }] : []);
  }
  const manual = {
    ...testModel(),
    modules: testModel().modules.map((one) => ({ ...one, merge: 'manual' as const })),
  };
  // Of what people merge, what they let into the queue by a label.
  expect(watchedProjects(manual)[0]?.requests).toMatchObject({ merges: false, queue: { start: 4 } });
});
