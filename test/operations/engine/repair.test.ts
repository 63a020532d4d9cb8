import {
  type OpenChange,
  openChanges,
  type PendingCreate,
  pendingCreates,
  settle,
  settledDeployment,
  untilEnded,
  type World,
} from '../../../operations/engine/repair';

const urn = (type: string, name: string) =>
  `urn:pulumi:lab::switchyard::switchyard:index:Topology$${type}::${name}`;
const providerRef = (type: string, name: string) =>
  `urn:pulumi:lab::switchyard::switchyard:index:Topology$pulumi:providers:${type}::${name}::0f0e0d`;

test('only creations count, each once, with the name of their provider', () => {
  const resource = {
    urn: urn('kubernetes:core/v1:Secret', 'credentials'),
    type: 'kubernetes:core/v1:Secret',
    inputs: { metadata: { name: 'credentials' } },
    provider: providerRef('kubernetes', 'production-cluster'),
  };
  const found = pendingCreates({
    pending_operations: [
      { type: 'creating', resource },
      { type: 'creating', resource },
      { type: 'updating', resource: { ...resource, urn: urn('kubernetes:core/v1:Secret', 'other') } },
    ],
  });
  expect(found).toEqual([expect.objectContaining({ urn: resource.urn, provider: 'production-cluster' })]);
  expect(pendingCreates({ resources: [] })).toEqual([]);
});

const create = (type: string, inputs: Record<string, unknown>, provider = 'ci-cluster'): PendingCreate => ({
  urn: urn(type, 'x'),
  type,
  inputs,
  provider,
  known: [],
});

function world(
  answers: Record<string, unknown>,
  objects: readonly string[] = [],
): World & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    object: async (cluster, { apiVersion, kind, metadata }) => {
      const key = `${cluster} ${apiVersion} ${kind} ${metadata.namespace ?? '-'}/${metadata.name}`;
      asked.push(key);
      return objects.includes(key) ? { metadata } : undefined;
    },
    gitlab: async (path) => {
      asked.push(path);
      return answers[path];
    },
    removeFromGitlab: async (path) => {
      asked.push(`DELETE ${path}`);
    },
  };
}

test('an object of a cluster is found in the cluster of its role, by group, version, kind and name', async () => {
  const there = world({}, ['production apps/v1 Deployment prod-shop/shop', 'ci v1 Namespace -/ci']);
  const deployment = create(
    'kubernetes:apps/v1:Deployment',
    { metadata: { name: 'shop', namespace: 'prod-shop' } },
    'production-cluster',
  );
  expect(await settle(deployment, there)).toEqual({ id: 'prod-shop/shop' });
  expect(await settle(create('kubernetes:core/v1:Namespace', { metadata: { name: 'ci' } }), there)).toEqual({
    id: 'ci',
  });
  expect(
    await settle(create('kubernetes:core/v1:Namespace', { metadata: { name: 'other' } }), there),
  ).toBeUndefined();
});

test.each([
  ['gitlab:index/group:Group', { path: 'acme' }, { 'groups/acme': { id: 7 } }, '7'],
  [
    'gitlab:index/project:Project',
    { name: 'shop', namespaceId: 7 },
    {
      'groups/7/projects?search=shop': [
        { id: 8, path: 'shop-old' },
        { id: 9, path: 'shop' },
      ],
    },
    '9',
  ],
  [
    'gitlab:index/projectHook:ProjectHook',
    { project: '9', url: 'http://ci/project/acme/shop' },
    {
      'projects/9/hooks': [
        { id: 3, url: 'http://other' },
        { id: 4, url: 'http://ci/project/acme/shop' },
      ],
    },
    '9:4',
  ],
  [
    'gitlab:index/branchProtection:BranchProtection',
    { project: '9', branch: 'main' },
    { 'projects/9/protected_branches/main': { name: 'main' } },
    '9:main',
  ],
  [
    'gitlab:index/repositoryFile:RepositoryFile',
    { project: '9', branch: 'main', filePath: 'vars/a.groovy' },
    { 'projects/9/repository/files/vars%2Fa.groovy?ref=main': { file_name: 'a.groovy' } },
    '9:main:vars/a.groovy',
  ],
  [
    'gitlab:index/projectLabel:ProjectLabel',
    { project: '9', name: 'urgent' },
    {
      'projects/9/labels?per_page=100': [
        { id: 1, name: 'other' },
        { id: 2, name: 'urgent' },
      ],
    },
    '9:2',
  ],
  [
    'gitlab:index/deployKey:DeployKey',
    { project: '9', title: 'mirror' },
    { 'projects/9/deploy_keys?per_page=100': [{ id: 5, title: 'mirror' }] },
    '9:5',
  ],
  [
    'gitlab:index/projectMembership:ProjectMembership',
    { project: '9', userId: 11 },
    { 'projects/9/members/11': { id: 11 } },
    '9:11',
  ],
  [
    'gitlab:index/groupMembership:GroupMembership',
    { groupId: 7, userId: 11 },
    { 'groups/7/members/11': { id: 11 } },
    '7:11',
  ],
])('%s is found where GitLab has it, and nowhere else', async (type, inputs, answers, id) => {
  expect(await settle(create(type, inputs, 'gitlab'), world(answers))).toEqual({ id });
  expect(await settle(create(type, inputs, 'gitlab'), world({}))).toBeUndefined();
});

test('a token whose value is lost is revoked; the one that the state knows stays', async () => {
  const tokens = [
    { id: 1, name: 'bot', active: true },
    { id: 2, name: 'bot', active: true },
    { id: 3, name: 'bot', active: false },
    { id: 4, name: 'other', active: true },
  ];
  const there = world({ 'groups/7/access_tokens': tokens });
  const pending = {
    ...create('gitlab:index/groupAccessToken:GroupAccessToken', { group: '7', name: 'bot' }),
    known: ['7:1'],
  };
  expect(await settle(pending, there)).toBeUndefined();
  expect(there.asked.filter((path) => path.startsWith('DELETE'))).toEqual([
    'DELETE groups/7/access_tokens/2',
  ]);
});

test('changes and deletions that were under way are known, each resource once', () => {
  const resource = (name: string) => ({
    urn: urn('kubernetes:core/v1:Secret', name),
    type: 'kubernetes:core/v1:Secret',
    inputs: { metadata: { name } },
    provider: providerRef('kubernetes', 'ci-cluster'),
  });
  const operations = [
    { type: 'updating', resource: resource('a') },
    { type: 'deleting', resource: resource('b') },
    { type: 'deleting', resource: resource('b') },
    { type: 'creating', resource: resource('c') },
  ];
  expect(openChanges({ pending_operations: operations })).toEqual([
    { ...resource('a'), provider: 'ci-cluster', deleting: false },
    { ...resource('b'), provider: 'ci-cluster', deleting: true },
  ]);
});

describe('a deletion that was begun', () => {
  const change = (type: string, deleting = true): OpenChange => ({
    urn: urn(type, 'x'),
    type,
    inputs: { metadata: { name: 'prod-shop' } },
    provider: 'production-cluster',
    deleting,
  });
  /** A cluster in which the object is seen so many times, ending or not. */
  const seen = (times: number, ending: boolean, deletionTimestamp: unknown = new Date(0)) => {
    let left = times;
    const metadata = { name: 'prod-shop', ...(ending ? { deletionTimestamp } : {}) };
    return { ...world({}), object: async () => (left-- > 0 ? { metadata } : undefined) };
  };
  const pauses = async (type: string, there: World, deleting?: boolean) => {
    let count = 0;
    await untilEnded(change(type, deleting), there, async () => {
      count++;
    });
    return count;
  };

  test('is waited for until the object is gone, whether the client tells a time or a text', async () => {
    expect(await pauses('kubernetes:core/v1:Namespace', seen(3, true))).toBe(3);
    expect(await pauses('kubernetes:core/v1:Namespace', seen(3, true, '1970-01-01T00:00:00Z'))).toBe(3);
  });

  test('is not waited for where the cluster never heard of it, nor for ever', async () => {
    expect(await pauses('kubernetes:core/v1:Namespace', seen(3, false))).toBe(0);
    expect(await pauses('kubernetes:core/v1:Namespace', seen(9999, true))).toBe(300);
  });

  test('is not asked about where it is a change, or GitLab’s', async () => {
    const nobody = world({});
    expect(await pauses('kubernetes:core/v1:Namespace', nobody, false)).toBe(0);
    expect(await pauses('gitlab:index/project:Project', nobody)).toBe(0);
    expect(nobody.asked).toEqual([]);
  });
});

describe('an object that server-side apply made', () => {
  const claim = create('kubernetes:core/v1:PersistentVolumeClaim', {
    metadata: { name: 'a', namespace: 'b' },
  });
  const entry = (manager: string, operation: string, time?: unknown, subresource?: string) => ({
    manager,
    operation,
    ...(time === undefined ? {} : { time }),
    ...(subresource === undefined ? {} : { subresource }),
    fieldsV1: { 'f:spec': {} },
  });
  const existing = (managedFields?: readonly unknown[]) =>
    settle(claim, {
      ...world({}),
      object: async (_, { metadata }) => ({ metadata: { ...metadata, managedFields } }),
    });
  const [earlier, later] = ['2026-11-28T10:00:00Z', '2026-11-28T11:00:00Z'];

  test('keeps the name that its fields were applied under, as JSON and as the client reads it', async () => {
    const others = [
      entry('kubelet', 'Update', later, 'status'),
      entry('kubectl', 'Apply', later),
      entry('pulumi-kubernetes', 'Update', later),
      entry('pulumi-kubernetes-scale', 'Apply', later, 'scale'),
    ];
    for (const time of [earlier, new Date(earlier), undefined]) {
      expect(await existing([entry('pulumi-kubernetes-4f', 'Apply', time), ...others])).toEqual({
        id: 'b/a',
        fieldManager: 'pulumi-kubernetes-4f',
      });
    }
    expect(await existing(others)).toEqual({ id: 'b/a' });
    expect(await existing()).toEqual({ id: 'b/a' });
  });

  test('keeps of several names the last', async () => {
    const names = [
      entry('pulumi-kubernetes-b', 'Apply', later),
      entry('pulumi-kubernetes-a', 'Apply', earlier),
    ];
    for (const order of [names, [...names].reverse()]) {
      expect(await existing(order)).toEqual({ id: 'b/a', fieldManager: 'pulumi-kubernetes-b' });
    }
  });

  test('has it in the state, where its provider looks for it', () => {
    const made = { urn: 'urn:a', type: 't', inputs: { spec: {} } };
    const deployment = { pending_operations: [{ type: 'creating', resource: made }] };
    const found = new Map([['urn:a', { id: 'b/a', fieldManager: 'pulumi-kubernetes-4f' }]]);
    expect(settledDeployment(deployment, found).resources).toEqual([
      { ...made, provider: '', id: 'b/a', outputs: { spec: {}, __fieldManager: 'pulumi-kubernetes-4f' } },
    ]);
  });
});

test('an image is made anew, and nobody is asked', async () => {
  const nobody = world({});
  expect(await settle(create('docker:index/image:Image', { imageName: 'a/b' }), nobody)).toBeUndefined();
  expect(nobody.asked).toEqual([]);
});

test('a settled deployment holds what was found, forgets the rest, and leaves other operations alone', () => {
  const made = { urn: 'urn:a', type: 't', inputs: { name: 'a' }, parent: 'urn:box' };
  const lost = { urn: 'urn:b', type: 't', inputs: { name: 'b' } };
  const updating = { type: 'updating', resource: { urn: 'urn:c', type: 't', inputs: {}, provider: '' } };
  const deployment = {
    manifest: { time: 'then' },
    resources: [{ urn: 'urn:box', type: 'box' }],
    pending_operations: [
      { type: 'creating', resource: made },
      { type: 'creating', resource: lost },
      updating,
    ],
  };
  expect(settledDeployment(deployment, new Map([['urn:a', { id: '7' }]]))).toEqual({
    manifest: { time: 'then' },
    resources: [
      { urn: 'urn:box', type: 'box' },
      { ...made, provider: '', id: '7', outputs: { name: 'a' } },
    ],
    pending_operations: [updating],
  });
});

describe('a replacement that was killed while it was made', () => {
  const made = { urn: 'urn:a', type: 't', inputs: { name: 'new' } };
  const taken = (id: string) => ({ ...made, provider: '', id, outputs: made.inputs });
  const user = { urn: 'urn:user', type: 't', id: '9' };
  const settled = (old: Record<string, unknown>, id: string) =>
    settledDeployment(
      {
        resources: [{ urn: 'urn:a', type: 't', id: '1', ...old }, user],
        pending_operations: [{ type: 'creating', resource: made }],
      },
      new Map([['urn:a', { id }]]),
    ).resources;

  test('takes the place of what was deleted before it: a URN stands once, and before what depends on it', () => {
    expect(settled({ pendingReplacement: true }, '1')).toEqual([taken('1'), user]);
  });

  test('takes the place of what has its id', () => {
    expect(settled({}, '1')).toEqual([taken('1'), user]);
  });

  test('leaves what it was made beside to be deleted by the next run', () => {
    expect(settled({}, '2')).toEqual([taken('2'), { urn: 'urn:a', type: 't', id: '1', delete: true }, user]);
    expect(settled({ delete: true }, '2')).toEqual([
      { urn: 'urn:a', type: 't', id: '1', delete: true },
      user,
      taken('2'),
    ]);
  });

  test('and when it was not made, the next run makes it', () => {
    const old = { urn: 'urn:a', type: 't', id: '1', pendingReplacement: true };
    const deployment = { resources: [old], pending_operations: [{ type: 'creating', resource: made }] };
    expect(settledDeployment(deployment, new Map()).resources).toEqual([old]);
  });
});
