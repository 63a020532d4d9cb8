import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { Stack } from '@pulumi/pulumi/automation';
import { findModule, type Module, parseCatalog } from '../../../catalog/load';
import {
  ModuleProduction,
  type ModuleProductionSpec,
} from '../../../components/production/module-production';
import { catalogTexts } from '../../support/model';
import { acceptingStack } from './accepting';

// The Job of a migration by the real engine: it stays as it ran for as long as its release does, whatever the module's file says
// by then, and is made anew for another release, with all that it says then. The provider accepts everything.
jest.setTimeout(300_000);

const JOB = 'kubernetes:batch/v1:Job';
const DEPLOYMENT = 'kubernetes:apps/v1:Deployment';

let folder: string;
let stack: Stack;
let shop: Module;
let release: ModuleProductionSpec['release'];

const moduleOf = (more: string): Module => {
  const text = `description: sells\nowners: [ada]\nservices: [{ kind: cache, version: "1.0" }]\n${more}`;
  return findModule(parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': text } }), 'shop');
};
const releaseOf = (digit: string, migrate?: true) => ({
  image: `harbor.test/shop@sha256:${digit.repeat(64)}`,
  commit: digit.repeat(40),
  ...(migrate ? { migrate } : {}),
});

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'migrations-'));
  stack = await acceptingStack(folder, ['kubernetes'], async () => {
    new ModuleProduction(
      'orders',
      {
        environment: 'test',
        namespace: 'prod-shop',
        module: shop,
        services: parseCatalog(catalogTexts).services,
        release,
        registry: { address: 'harbor.test', pull: { user: 'robot', password: pulumi.secret('pull') } },
        seed: 'a seed for tests, long enough to be one',
      },
      { provider: new k8s.Provider('cluster', { context: 'one' }) },
    );
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Kept {
  readonly type: string;
  readonly urn: string;
  readonly dependencies?: readonly string[];
  readonly inputs: {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly template: { readonly spec: { readonly containers: readonly Container[] } } };
  };
}
interface Container {
  readonly image: string;
  readonly command?: readonly string[];
  readonly resources: { readonly requests: { readonly cpu: string } };
}

/** What the state has of a kind. */
async function kept(type: string): Promise<Kept[]> {
  const { deployment } = await stack.exportStack();
  return (deployment as { resources: Kept[] }).resources.filter((resource) => resource.type === type);
}
/** Name of the Job, the first digit of its image, its command and what it asks for. */
const jobs = async () =>
  (await kept(JOB)).map(({ inputs: { metadata, spec } }) => {
    const [container] = spec.template.spec.containers;
    return [
      metadata.name,
      container?.image.at(-1),
      container?.command?.[0],
      container?.resources.requests.cpu,
    ];
  });
const changes = async (): Promise<Record<string, number | undefined>> => {
  const { same: _same, ...changed } = (await stack.up()).summary.resourceChanges ?? {};
  return changed;
};

test('it runs once for a release, whatever changes besides, and once more for the next; none is made for what is put back', async () => {
  shop = moduleOf('production: { migrate: [first] }\n');
  release = releaseOf('a', true);
  await stack.up();
  expect(await jobs()).toEqual([['shop-migrate-aaaaaaaaaaaa', 'a', 'first', '100m']]);
  const [job] = await kept(JOB);
  expect((await kept(DEPLOYMENT))[0]?.dependencies).toContain(job?.urn);
  expect(await changes()).toEqual({});

  // Another size is a rollout of the module, and no migration.
  shop = moduleOf('resources: { cpu: 200m, memory: 64Mi }\nproduction: { migrate: [second] }\n');
  expect(await changes()).toEqual({ update: 1 });
  expect(await jobs()).toEqual([['shop-migrate-aaaaaaaaaaaa', 'a', 'first', '100m']]);

  release = releaseOf('b', true);
  expect(await changes()).toEqual({ replace: 1, update: 1 });
  expect(await jobs()).toEqual([['shop-migrate-bbbbbbbbbbbb', 'b', 'second', '200m']]);

  release = releaseOf('a');
  expect(await changes()).toEqual({ delete: 1, update: 1 });
  expect(await jobs()).toEqual([]);
  expect(await changes()).toEqual({});
});
