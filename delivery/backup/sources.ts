import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { entryOf } from '../../catalog/entry';
import { LEDGER_PROJECT } from '../../catalog/ledger';
import { type Catalog, type Module, modulesOf } from '../../catalog/load';
import type { PodExec } from '../../clients/pod-exec';
import type { Registry } from '../../clients/registry';
import type { NamespaceSettings } from '../../stacks/namespaces';
import type { StackSettings } from '../../stacks/schema';
import { readLedgers } from '../registry-gc';
import { cloneUrl } from '../verify';
import { type Database, databaseItems, databasePlace } from './kinds/databases';
import { jenkinsItems, jenkinsPlace } from './kinds/jenkins';
import { imageItems } from './kinds/registry';
import { type Project, repositoryItems } from './kinds/repositories';
import { stateItems } from './kinds/state';
import type { Environment } from './program';
import type { KindSource } from './run';
import type { Kind } from './snapshots';

const LIBRARY = 'pipeline-library';

/** Every database of some modules that stands in their cluster and can be dumped, by module and service. */
export const databasesOf = (
  settings: NamespaceSettings,
  modules: readonly Module[],
  services: Catalog['services'],
): Database[] =>
  modules.flatMap((module) =>
    module.services.flatMap((use) => {
      const backup = entryOf(services, use.kind)?.backup;
      if (use.existing || !backup || 'none' in backup) return [];
      const place = databasePlace(settings, module.name, use.name);
      return [{ module: module.name, service: use.name, place, backup }];
    }),
  );

/** Where GitLab is, and what of it is ours. */
export interface GitLabPlace {
  readonly gitlabUrl: string;
  readonly token: string;
  readonly group: string;
  /** Path of a module's project. */
  readonly projectOf: (module: string) => string;
  /** Path below the group of the project that holds this repository, where there is one. */
  readonly topologyProject?: string;
}

/**
 * The projects of a stack: the ledger first, then the modules', the library, and this repository's own. Where releases are
 * promoted, the modules' are another environment's.
 */
export function projectsOf(
  place: GitLabPlace,
  catalog: Catalog,
  settings: Pick<StackSettings, 'modules' | 'promotion'>,
): (Project & { readonly module?: string })[] {
  const { gitlabUrl, token, group, projectOf, topologyProject } = place;
  const project = (path: string, module?: string) => ({
    item: path.startsWith(`${group}/`) ? path.slice(group.length + 1) : path,
    remote: { url: cloneUrl(gitlabUrl, path), token },
    ...(module ? { module } : {}),
  });
  return [
    project(`${group}/${LEDGER_PROJECT}`),
    ...(settings.promotion ? [] : modulesOf(catalog, settings.modules)).map(({ name }) =>
      project(projectOf(name), name),
    ),
    project(`${group}/${LIBRARY}`),
    ...(topologyProject ? [project(`${group}/${topologyProject}`)] : []),
  ];
}

export interface SourcesRequest {
  readonly environment: string;
  readonly catalog: Catalog;
  readonly settings: Pick<StackSettings, 'modules' | 'namespacePrefix' | 'promotion'>;
  /** Only what concerns one module: its project and the ledger, its images, its databases. */
  readonly module?: string;
  /** Start of the time in which a ledger's history counts; Unix seconds. */
  readonly since: number;
  readonly gitlab: () => GitLabPlace;
  readonly registry: () => Registry;
  readonly exec: () => Promise<PodExec>;
  /** For pulumi. */
  readonly env: Environment;
}

/** What there is to back up of each kind. Nothing is asked before its kind's turn comes. */
export function sourcesOf(request: SourcesRequest, wanted: readonly Kind[]): KindSource[] {
  const { catalog, settings, module } = request;
  const ours = (name: string | undefined): boolean => module === undefined || name === module;
  const items: Record<Kind, KindSource['items']> = {
    repositories: async () =>
      repositoryItems(
        projectsOf(request.gitlab(), catalog, settings).filter(
          (project) => ours(project.module) || project.item === LEDGER_PROJECT,
        ),
      ),
    registry: async () => {
      const { gitlabUrl, token, group } = request.gitlab();
      const folder = mkdtempSync(join(tmpdir(), 'switchyard-ledger-'));
      try {
        const remote = { url: cloneUrl(gitlabUrl, `${group}/${LEDGER_PROJECT}`), token };
        const { images } = await readLedgers(remote, folder, request.since);
        return imageItems(
          request.registry(),
          [...images].filter((image) => ours(image.slice('modules/'.length, image.indexOf('@')))),
        );
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    databases: async () =>
      databaseItems(
        await request.exec(),
        databasesOf(settings, modulesOf(catalog, settings.modules), catalog.services).filter((database) =>
          ours(database.module),
        ),
      ),
    jenkins: async () => jenkinsItems(await request.exec(), jenkinsPlace(settings)),
    state: async () => stateItems(request.environment, request.env),
  };
  return wanted.map((kind) => ({ kind, items: items[kind], whole: module === undefined }));
}
