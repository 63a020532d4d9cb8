import { dataHeld } from '../../../clients/engine-steps';
import { keptByGitLab, losing, StepGatherer } from '../../../operations/engine/steps';
import { parseUrn } from '../../../operations/engine/urns';
import { begins, ends, fails, type StepOf, urnOf } from '../../support/events';

const gather = (...events: Parameters<StepGatherer['take']>[0][]) => {
  const gatherer = new StepGatherer();
  for (const event of events) gatherer.take(event);
  return gatherer.all();
};

const claim: StepOf = {
  op: 'replace',
  box: 'registry',
  boxName: 'registry',
  type: 'kubernetes:core/v1:PersistentVolumeClaim',
  name: 'registry-storage',
  before: { spec: { resources: { requests: { storage: '100Gi' } } } },
  after: { spec: { resources: { requests: { storage: '200Gi' } } } },
};

test('a URN says name, kind and box', () => {
  expect(parseUrn(urnOf('gitlab', 'gitlab:index/project:Project', 'gitlab-shop'))).toEqual({
    urn: urnOf('gitlab', 'gitlab:index/project:Project', 'gitlab-shop'),
    name: 'gitlab-shop',
    type: 'gitlab:index/project:Project',
    kind: 'GitLab Project',
    box: 'gitlab',
  });
  expect(parseUrn('urn:pulumi:lab::switchyard::pulumi:pulumi:Stack::switchyard-lab')).toMatchObject({
    kind: 'Stack',
    box: 'topology',
  });
});

test('the three steps of a replacement are one, with what changed and the data that goes', () => {
  const steps = gather(
    ends({ ...claim, op: 'create-replacement', detailed: ['spec.resources.requests.storage'] }, true),
    ends(claim, true),
    ends({ ...claim, op: 'delete-replaced', after: undefined }, true),
  );
  expect(steps).toEqual([
    {
      ...parseUrn(urnOf('registry', claim.type, claim.name)),
      operation: 'replace',
      state: 'planned',
      boxName: 'registry',
      properties: ['spec.resources.requests.storage'],
      data: 'a volume of 100Gi with all that is on it',
      protected: false,
    },
  ]);
  expect(losing(steps)).toHaveLength(1);
});

test('without a detailed difference the inputs tell what changes', () => {
  const [step] = gather(ends({ ...claim, op: 'update' }));
  expect(step).toMatchObject({
    operation: 'update',
    properties: ['spec.resources.requests.storage'],
    state: 'done',
  });
  expect(step?.data).toBeUndefined();
});

test('boxes, providers, the stack and unchanged resources are no steps', () => {
  const type = 'kubernetes:core/v1:Secret';
  expect(
    gather(
      ends({ op: 'create', type: 'switchyard:jenkins:Jenkins', name: 'jenkins' }),
      ends({ op: 'create', type: 'pulumi:providers:kubernetes', name: 'ci-cluster' }),
      ends({ op: 'create', type: 'pulumi:pulumi:Stack', name: 'switchyard-test' }),
      ends({ op: 'same', type, name: 'one' }),
      ends({ op: 'refresh', type, name: 'two' }),
    ),
  ).toEqual([]);
});

test('what failed and what was cut off is told from what is done', () => {
  const secret = (name: string): StepOf => ({
    op: 'create',
    type: 'kubernetes:core/v1:Secret',
    name,
    after: {},
  });
  const steps = gather(
    begins(secret('a')),
    begins(secret('b')),
    begins(secret('c')),
    ends(secret('a')),
    fails(secret('b')),
  );
  expect(steps.map(({ name, state }) => [name, state])).toEqual([
    ['a', 'done'],
    ['b', 'failed'],
    ['c', 'begun'],
  ]);
});

test.each([
  ['kubernetes:core/v1:PersistentVolumeClaim', {}, /volume/],
  [
    'kubernetes:apps/v1:StatefulSet',
    { spec: { volumeClaimTemplates: [{ spec: { resources: { requests: { storage: '1Gi' } } } }] } },
    /volumes of 1Gi per Pod/,
  ],
  ['kubernetes:core/v1:Namespace', { metadata: { name: 'prod-shop' } }, /all that is in prod-shop/],
  ['gitlab:index/project:Project', {}, /repository/],
  ['gitlab:index/group:Group', {}, /all projects/],
])('%s holds data', (type, inputs, said) => {
  expect(dataHeld(type, inputs)).toMatch(said);
});

test.each([
  ['kubernetes:apps/v1:Deployment', {}],
  ['kubernetes:apps/v1:StatefulSet', { spec: { replicas: 1 } }],
  ['kubernetes:core/v1:Secret', {}],
  ['gitlab:index/projectHook:ProjectHook', {}],
  ['docker:index/image:Image', {}],
])('%s can be made again from the program', (type, inputs) => {
  expect(dataHeld(type, inputs)).toBeUndefined();
});

test('a destroy says what GitLab keeps for its days: the group at the top level, and projects where none goes at once', () => {
  const gone = (type: string, name: string): StepOf => ({
    ...{ op: 'delete', box: 'gitlab', boxName: 'gitlab', name, before: {} },
    type: `gitlab:index/${type}`,
  });
  const group = gone('group:Group', 'gitlab-group');
  const project = gone('project:Project', 'gitlab-shop');
  const told = (settings: Parameters<typeof keptByGitLab>[1], ...events: Parameters<typeof gather>) =>
    keptByGitLab(gather(...events), settings);
  const ofGroup =
    'GitLab keeps the group shop as shop-deletion_scheduled-<id> for its days. The next up makes a new one.';
  const ofProjects =
    'GitLab keeps the projects of shop as <path>-deletion_scheduled-<id> for its days. The next up makes new ones.';
  const at = (group: string, deletion: 'immediate' | 'scheduled' = 'immediate') => ({ group, deletion });
  const both = [ends(group), ends(project)];
  expect(told(at('shop'), ...both)).toEqual([ofGroup]);
  expect(told(at('shop', 'scheduled'), ...both)).toEqual([ofGroup, ofProjects]);
  expect(told(at('company/shop', 'scheduled'), ...both)).toEqual([
    ofProjects.replace('of shop', 'of company/shop'),
  ]);
  expect(told(at('company/shop'), ...both)).toEqual([]);
  // What is only planned, or did not go, is not kept.
  expect(told(at('shop'), ends(group, true))).toEqual([]);
  expect(told(at('shop'), begins(group), fails(group))).toEqual([]);
});
