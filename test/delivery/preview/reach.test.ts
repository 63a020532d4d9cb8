import { isOwnSource } from '../../../catalog/program';
import { affectedEnvironments, type Covered } from '../../../delivery/preview/affected';

const staging: Covered = { name: 'staging', stacks: ['staging'], modules: undefined };
const production: Covered = { name: 'production', stacks: ['production'], modules: ['orders'] };
const covered = [staging, production];
const reach = (...paths: string[]) => affectedEnvironments(paths, covered, () => true).environments;

test.each([
  [['stacks/Pulumi.production.yaml'], ['production']],
  [['catalog/modules/orders.yaml'], ['staging', 'production']],
  [['catalog/modules/other.yaml'], ['staging']],
  [['catalog/services/mysql.yaml'], ['staging', 'production']],
  [['components/jenkins/casc.ts'], ['staging', 'production']],
  [['index.ts'], ['staging', 'production']],
  [['package-lock.json'], ['staging', 'production']],
  [['a-file-that-nobody-knows'], ['staging', 'production']],
  [['docs/lab.md', 'README.md', 'test/x.test.ts', 'lab/index.ts'], []],
  [['stacks/Pulumi.unknown.yaml'], []],
  [[], []],
])('%p affects %p', (paths, environments) => {
  expect(reach(...paths)).toEqual(environments);
});

test.each([
  ['lab/index.ts', ['staging', 'production']],
  ['docs/addresses.ts', ['staging', 'production']],
  ['jest.config.js', ['staging', 'production']],
  ['test/topology.test.js', []],
  ['docs/lab.md', []],
])('in a repository that installs Switchyard %p affects %p', (path, environments) => {
  const { environments: affected } = affectedEnvironments([path], covered, () => true, isOwnSource);
  expect(affected).toEqual(environments);
});

test('the environment that previews another is affected by what that one is: its Pods work from those files too', () => {
  const holder = { ...production, stacks: ['production', 'staging'], modules: undefined };
  const affected = (path: string) => affectedEnvironments([path], [staging, holder], () => true).environments;
  expect(affected('stacks/Pulumi.staging.yaml')).toEqual(['staging', 'production']);
  expect(affected('catalog/modules/other.yaml')).toEqual(['staging', 'production']);
  expect(affected('stacks/Pulumi.production.yaml')).toEqual(['production']);
});

test('an environment whose stack file goes is told apart, and not previewed', () => {
  const gone = affectedEnvironments(['stacks/Pulumi.staging.yaml'], covered, (name) => name !== 'staging');
  expect(gone).toEqual({ environments: [], removed: ['staging'] });
});
