import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { Stack } from '@pulumi/pulumi/automation';
import { findModule } from '../../../catalog/load';
import { ModuleTests } from '../../../components/testing/module-tests';
import { Box, volume } from '../../support/box';
import { testModel } from '../../support/model';
import { acceptingStack } from './accepting';

// Components and declarations that get other names, by the real engine: what its state knows by the old URN is what the
// program means by the new one. The providers accept everything.
jest.setTimeout(300_000);

const SEED = 'a seed for tests, long enough to be one';

let folder: string;
let stack: Stack;
/** What the program makes by now. */
let make: (opts: pulumi.ComponentResourceOptions) => void;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'renames-'));
  stack = await acceptingStack(folder, ['kubernetes'], async () =>
    make({ provider: new k8s.Provider('cluster', { context: 'one' }) }),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  await stack.destroy();
});

/** URNs in the state, below the stack's own. */
async function urns(): Promise<string[]> {
  const { deployment } = await stack.exportStack();
  const { resources = [] } = deployment as {
    resources?: readonly { readonly urn: string; readonly type: string }[];
  };
  return resources.flatMap(({ urn, type }) => (type.startsWith('pulumi:') ? [] : [urn])).sort();
}

const changes = async (): Promise<Record<string, number | undefined>> =>
  (await stack.up()).summary.resourceChanges ?? {};

const tests = (name: string, opts: pulumi.ComponentResourceOptions): ModuleTests => {
  const { catalog } = testModel();
  return new ModuleTests(
    name,
    {
      environment: 'staging',
      namespace: 'test-shop',
      module: findModule(catalog, 'shop'),
      services: catalog.services,
      registry: { address: 'harbor.test', pull: { user: 'robot', password: pulumi.secret('pull') } },
      jenkins: { namespace: 'ci', serviceAccount: 'jenkins', url: 'http://jenkins.ci.svc:8080' },
      reaper: { name: 'reaper', namespace: 'ci-reaper' },
      delivery: { name: 'delivery', namespace: 'ci-agents' },
      seed: SEED,
    },
    opts,
  );
};

test('a component with another name is what it was, with all that its name is in', async () => {
  make = (opts) => tests('shop-tests', opts);
  await stack.up();
  const before = await urns();
  expect(before.length).toBeGreaterThan(8);
  // What would be without: every part is made anew, and the old one deleted.
  make = (opts) => tests('tests-of-shop', opts);
  const { changeSummary } = await stack.preview();
  expect([changeSummary.create, changeSummary.delete]).toEqual([before.length, before.length]);
  make = (opts) => tests('tests-of-shop', { ...opts, aliases: [{ name: 'shop-tests' }] });
  expect(Object.keys(await changes())).toEqual(['same']);
  expect(await urns()).toEqual(before.map((urn) => urn.replace('::shop-tests', '::tests-of-shop')).sort());
  // The state has the new names only: the alias may go.
  make = (opts) => tests('tests-of-shop', opts);
  expect(Object.keys(await changes())).toEqual(['same']);
});

test('a component of another type and a declaration of another name, both at once, are what they were', async () => {
  make = (opts) => void new Box([volume('storage')], opts, 'switchyard:test:Crate');
  await stack.up();
  make = (opts) =>
    void new Box([volume('data', ['storage'])], {
      ...opts,
      aliases: [{ type: 'switchyard:test:Crate' }],
    });
  expect(Object.keys(await changes())).toEqual(['same']);
  expect(await urns()).toEqual([
    'urn:pulumi:test::switchyard::switchyard:test:Box$kubernetes:core/v1:PersistentVolumeClaim::data',
    'urn:pulumi:test::switchyard::switchyard:test:Box::box',
  ]);
});

test('what is below a component that another one holds by now is what it was', async () => {
  make = (opts) => void new Box([volume('box-data')], opts);
  await stack.up();
  make = ({ provider }) => {
    const around = new pulumi.ComponentResource('switchyard:test:Around', 'around');
    const aliases = [{ parent: pulumi.rootStackResource }];
    new Box([volume('box-data')], { provider, parent: around, aliases });
  };
  const { create, same, ...others } = await changes();
  expect([create, others]).toEqual([1, {}]);
  expect(same).toBeGreaterThanOrEqual(2);
});
