import type { EngineEvent } from '@pulumi/pulumi/automation';
import {
  adoptedDeployment,
  asPending,
  type PlannedCreate,
  PlannedCreates,
  withoutProviders,
  withPlannedInputs,
} from '../../../operations/rebuild/adopt';

const urn = (type: string, name: string) =>
  `urn:pulumi:lab::switchyard::switchyard:index:Topology$${type}::${name}`;
const provider = (type: string, name: string) => `${urn(`pulumi:providers:${type}`, name)}::0f0e0d`;
const namespace: PlannedCreate = {
  urn: urn('kubernetes:core/v1:Namespace', 'registry-namespace'),
  type: 'kubernetes:core/v1:Namespace',
  inputs: { metadata: { name: 'registry' } },
  provider: provider('kubernetes', 'ci-cluster'),
  parent: urn('switchyard:registry:Registry', 'registry'),
  protect: false,
};

const event = (op: string, planned: PlannedCreate): EngineEvent =>
  ({
    sequence: 0,
    timestamp: 0,
    resourcePreEvent: {
      metadata: {
        op,
        urn: planned.urn,
        type: planned.type,
        provider: planned.provider,
        new: {
          type: planned.type,
          urn: planned.urn,
          id: '',
          parent: planned.parent,
          provider: planned.provider,
          inputs: planned.inputs,
          outputs: {},
        },
      },
    },
  }) as unknown as EngineEvent;

test('only real resources that would be made are looked for', () => {
  const creates = new PlannedCreates();
  creates.take(event('create', namespace));
  creates.take(event('create', namespace));
  creates.take(event('same', { ...namespace, urn: urn(namespace.type, 'other') }));
  creates.take(event('create', { ...namespace, urn: urn('switchyard:x:X', 'x'), type: 'switchyard:x:X' }));
  creates.take(
    event('create', {
      ...namespace,
      urn: urn('pulumi:providers:kubernetes', 'p'),
      type: 'pulumi:providers:kubernetes',
    }),
  );
  expect(creates.all()).toEqual([namespace]);
});

test('secrets, which events do not tell, are left to the run that follows', () => {
  const creates = new PlannedCreates();
  const hidden = { '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270' };
  const inputs = { url: 'https://x', token: hidden, list: [hidden, 'b'], data: { a: hidden, c: 'd' } };
  creates.take(event('create', { ...namespace, inputs }));
  expect(creates.all()[0]?.inputs).toEqual({ url: 'https://x', list: ['b'], data: { c: 'd' } });
});

test('what the state knows of a type is told to whoever looks, so that a second one is not taken for the lost one', () => {
  const resources = [
    { urn: urn(namespace.type, 'a'), type: namespace.type, id: 'ci' },
    { urn: urn('kubernetes:core/v1:Secret', 'b'), type: 'kubernetes:core/v1:Secret', id: 'ci/b' },
  ];
  const pending = asPending(namespace, { resources });
  expect(pending).toMatchObject({ provider: 'ci-cluster', known: ['ci'], inputs: namespace.inputs });
});

test('a resource that exists joins the others with its id, under its box and its provider', () => {
  const before = { manifest: {}, resources: [{ urn: 'stack', type: 'pulumi:pulumi:Stack' }] };
  expect(adoptedDeployment(before, [{ ...namespace, id: 'registry' }])).toEqual({
    manifest: {},
    resources: [
      { urn: 'stack', type: 'pulumi:pulumi:Stack' },
      {
        urn: namespace.urn,
        type: namespace.type,
        custom: true,
        id: 'registry',
        inputs: namespace.inputs,
        outputs: namespace.inputs,
        parent: namespace.parent,
        provider: namespace.provider,
      },
    ],
  });
  const [, taken] = adoptedDeployment(before, [{ ...namespace, protect: true, id: 'registry' }])
    .resources as Record<string, unknown>[];
  expect(taken).toMatchObject({ protect: true });
  const applied = { ...namespace, id: 'registry', fieldManager: 'pulumi-kubernetes-4f' };
  const [, again] = adoptedDeployment(before, [applied]).resources as Record<string, unknown>[];
  expect(again).toMatchObject({ outputs: { ...namespace.inputs, __fieldManager: 'pulumi-kubernetes-4f' } });
  expect(again).not.toHaveProperty('fieldManager');
});

test('what a cluster adds by itself does not look like a field to take away; secrets stay as they were read', () => {
  const claim = {
    ...namespace,
    urn: urn('kubernetes:core/v1:PersistentVolumeClaim', 'jenkins-home'),
    type: 'kubernetes:core/v1:PersistentVolumeClaim',
    inputs: { spec: { accessModes: ['ReadWriteOnce'] } },
  };
  const secret = {
    ...namespace,
    urn: urn('kubernetes:core/v1:Secret', 's'),
    type: 'kubernetes:core/v1:Secret',
  };
  const live = {
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'standard', volumeName: 'pvc-1' },
  };
  const other = {
    urn: 'other',
    type: 'kubernetes:core/v1:Service',
    inputs: { spec: { clusterIP: '10.0.0.1' } },
  };
  const { resources } = withPlannedInputs(
    {
      resources: [
        { urn: claim.urn, type: claim.type, inputs: live, outputs: live },
        { urn: secret.urn, type: secret.type, inputs: { data: { a: 'b' } } },
        other,
      ],
    },
    [claim, { ...secret, inputs: {} }],
  );
  expect(resources).toEqual([
    { urn: claim.urn, type: claim.type, inputs: claim.inputs, outputs: live },
    { urn: secret.urn, type: secret.type, inputs: { data: { a: 'b' } } },
    other,
  ]);
});

test('what stood in an empty GitLab leaves the state, and nothing else refers to it', () => {
  const project = {
    urn: urn('gitlab:index/project:Project', 'gitlab-orders'),
    type: 'gitlab:index/project:Project',
    id: '7',
    provider: provider('gitlab', 'gitlab'),
  };
  const gitlabProvider = { urn: urn('pulumi:providers:gitlab', 'gitlab'), type: 'pulumi:providers:gitlab' };
  const secret = {
    urn: urn('kubernetes:core/v1:Secret', 'token'),
    type: 'kubernetes:core/v1:Secret',
    provider: provider('kubernetes', 'ci-cluster'),
    dependencies: [project.urn, namespace.urn],
    propertyDependencies: { stringData: [project.urn], metadata: [namespace.urn] },
    deletedWith: project.urn,
  };
  const { deployment, dropped } = withoutProviders(
    {
      secrets_providers: { type: 'passphrase' },
      resources: [gitlabProvider, project, secret],
      pending_operations: [{ type: 'creating', resource: project }],
    },
    new Set(['gitlab', 'docker']),
  );
  expect(dropped).toEqual([project.urn]);
  expect(deployment).toEqual({
    secrets_providers: { type: 'passphrase' },
    resources: [
      gitlabProvider,
      {
        urn: secret.urn,
        type: secret.type,
        provider: secret.provider,
        dependencies: [namespace.urn],
        propertyDependencies: { stringData: [], metadata: [namespace.urn] },
      },
    ],
    pending_operations: [],
  });
});
