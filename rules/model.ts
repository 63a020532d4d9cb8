import { entryOf } from '../catalog/entry';
import type { Module } from '../catalog/load';
import { Failure } from '../clients/failure';
import { topologyBoxes } from '../components/boxes';
import type { Model, Releases } from '../components/model';
import type { Declaration, ProviderRole } from '../components/shared/declaration';
import { names } from '../components/shared/naming';
import { referencesIn } from '../components/shared/references';
import { repositoryOf } from '../delivery/image';
import { testPod } from '../delivery/test-pod';
import { namespacesOf } from '../stacks/namespaces';
import { repositoryRoot } from '../stacks/registry';
import type { Untestable } from './facts';
import type { Item } from './facts/item';
import type { Fields } from './facts/read';

/** Stands for what is read or built later: a digest, so that rules about digests hold for it. */
const DIGEST = `sha256:${'0'.repeat(64)}`;
const COMMIT = '0'.repeat(40);

/** Repository of a module's images, in which delivery puts what it releases. */
export const releaseRepository = ({ settings }: Model, module: string): string =>
  repositoryOf(repositoryRoot(settings), module);

/** The same, and where a module's images lay before its registry moved. */
export const releaseRepositories = (model: Model, module: string): readonly string[] => [
  releaseRepository(model, module),
  ...model.settings.registry.movedFrom.map((root) => repositoryOf(root, module)),
];

/**
 * The model as if every module were released: what a deploy will add is checked before it, and a module that was never
 * deployed is no blind spot.
 */
export function fullyReleased(model: Model): Model {
  const released = Object.keys(model.releases);
  const isWhole = model.modules.every(({ name }) => entryOf(model.releases, name) !== undefined);
  if (isWhole && released.length === model.modules.length) return model;
  const releases: Record<string, Releases[string]> = {};
  for (const { name } of model.modules) {
    releases[name] = entryOf(model.releases, name) ?? {
      image: `${releaseRepository(model, name)}@${DIGEST}`,
      commit: COMMIT,
    };
  }
  return { ...model, releases };
}

/** Roles that name the same cluster in the same way are one cluster. */
function clusterOf(model: Model, role: ProviderRole): string | undefined {
  return role === 'ci' || role === 'production' ? JSON.stringify(model.settings.clusters[role]) : undefined;
}

function linksOf(args: object): Record<string, string[]> {
  const links: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(args)) {
    const resources = referencesIn(value).flatMap((reference) =>
      reference.kind === 'output' ? [reference.resource] : [],
    );
    if (resources.length > 0) links[name] = [...new Set(resources)];
  }
  return links;
}

/** Declarations as the rules read them. */
export function itemsOf(model: Model, declarations: readonly Declaration[], module?: string): Item[] {
  return declarations.map(({ type, name, provider, args }) => ({
    type,
    name,
    provider,
    cluster: clusterOf(model, provider),
    args: { ...args },
    links: linksOf(args),
    ...(module ? { module } : {}),
  }));
}

/** The Pod in which delivery would test a module: no resource, but it takes room, images and names as they do. */
function testItem(model: Model, module: Module): Item {
  const pod = testPod({
    catalog: model.catalog,
    module,
    settings: model.settings,
    certificate: {
      version: 2,
      module: module.name,
      project: `${model.settings.gitlab.group}/${module.name}`,
      projectId: 1,
      mergeRequest: 1,
      sourceBranch: 'to-be-tested',
      targetBranch: 'main',
      baseSha: COMMIT,
      headSha: COMMIT,
      commitEpoch: 0,
      build: model.settings.jenkins.url,
      policy: module.merge,
      image: {
        repository: releaseRepository(model, module.name),
        tag: 'to-be-built',
        digest: DIGEST,
      },
    },
    pullSecrets: [names.pullSecret],
  });
  const args: Fields = {
    ...pod,
    metadata: {
      ...pod.metadata,
      name: `test of ${module.name}`,
      namespace: namespacesOf(model.settings).test(module.name),
    },
  };
  return {
    type: 'kubernetes:core/v1:Pod',
    name: `test-pod-${module.name}`,
    provider: 'ci',
    cluster: clusterOf(model, 'ci'),
    args,
    links: {},
    module: module.name,
    planned: true,
  };
}

/** Everything that the rules look at: the declarations of the whole topology, and each module's test Pod. */
export function modelItems(model: Model): { items: Item[]; untestable: Untestable[] } {
  const whole = fullyReleased(model);
  const items = topologyBoxes(whole).flatMap(({ declarations, module }) =>
    itemsOf(whole, declarations, module),
  );
  const untestable: Untestable[] = [];
  for (const module of whole.modules) {
    try {
      items.push(testItem(whole, module));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      untestable.push({ module: module.name, reason: error.message });
    }
  }
  return { items, untestable };
}
