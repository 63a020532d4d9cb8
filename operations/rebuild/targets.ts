import { z } from 'zod';
import type { GitLabApi } from '../../clients/gitlab-api';
import { type Model, testedModules } from '../../components/model';
import { names } from '../../components/shared/naming';
import type { Kind } from '../../delivery/backup/snapshots';
import { isOneCluster } from '../../stacks/clusters';
import { projectPath } from '../../stacks/gitlab';
import { EXIT, Refusal } from '../cli/refusal';
import type { ClusterRole } from '../outside/clients';

/** What a rebuild fills. */
export const targetNames = ['gitlab', 'ci', 'production'] as const;
export type TargetName = (typeof targetNames)[number];

/** Where the data of each kind goes. */
export const targetOf: Readonly<Record<Exclude<Kind, 'state'>, TargetName>> = {
  repositories: 'gitlab',
  registry: 'ci',
  jenkins: 'ci',
  databases: 'production',
};

/** A project of the topology: its item in backups, and its full path in GitLab. */
export interface TopologyProject {
  readonly item: string;
  readonly path: string;
}

/** Its own projects; those of modules whose releases are promoted are another environment's. */
export function projectsOf(model: Model): TopologyProject[] {
  const { settings } = model;
  const { group } = settings.gitlab;
  const own = [
    names.ledgerProject,
    names.libraryProject,
    ...(settings.topologyProject ? [settings.topologyProject.path] : []),
  ].map((path) => `${group}/${path}`);
  const paths = [...own, ...testedModules(model).map(({ name }) => projectPath(settings.gitlab, name))];
  return paths.map((path) => ({
    path,
    item: path.startsWith(`${group}/`) ? path.slice(group.length + 1) : path,
  }));
}

export interface Looking {
  readonly gitlab: Pick<GitLabApi, 'get'>;
  /** Names of the namespaces of this environment in a cluster. */
  readonly namespaces: (role: ClusterRole) => Promise<readonly string[]>;
}

/** What lives: target → what was found there. A target that is empty is not in it. */
export type Alive = ReadonlyMap<TargetName, readonly string[]>;

/** Looks whether GitLab and the clusters are empty of this environment. */
export async function lookAround(model: Model, looking: Looking): Promise<Alive> {
  const alive = new Map<TargetName, readonly string[]>();
  const made = projectsOf(model).filter(
    ({ path }) => !Object.values(model.settings.gitlab.projects).some(({ existing }) => existing === path),
  );
  const found: string[] = [];
  for (const { path } of made) {
    if ((await looking.gitlab.get(`projects/${encodeURIComponent(path)}`)) !== undefined) found.push(path);
  }
  if (found.length > 0) alive.set('gitlab', found);
  const ci = await looking.namespaces('ci');
  const production = isOneCluster(model.settings.clusters) ? ci : await looking.namespaces('production');
  if (ci.length > 0) alive.set('ci', ci);
  if (production.length > 0) alive.set('production', production);
  return alive;
}

export const namespaceNames = (objects: readonly unknown[]): string[] =>
  z
    .array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) }))
    .parse(objects)
    .map(({ metadata }) => metadata.name);

/**
 * Targets by the words of the command line: `cluster` is both clusters.
 * @throws Refusal for another word
 */
export function targetsNamed(option: string, words: readonly string[] = []): TargetName[] {
  return words.flatMap((word): TargetName[] => {
    if (word === 'cluster') return ['ci', 'production'];
    const known = targetNames.find((name) => name === word);
    if (known) return [known];
    throw new Refusal(`${option}: "${word}" is none of gitlab, cluster, ci and production.`, EXIT.badInput);
  });
}

/**
 * What lives must be named: to be restored over, or to be left alone.
 * @throws Refusal that says what lives, and how to go on
 */
export function permitted(
  alive: Alive,
  over: readonly TargetName[],
  keep: readonly TargetName[],
): { readonly over: TargetName[]; readonly keep: TargetName[] } {
  const both = over.find((name) => keep.includes(name));
  if (both) throw new Refusal(`--over and --keep both name ${both}. Choose one.`, EXIT.badInput);
  const unnamed = [...alive.keys()].filter((name) => !over.includes(name) && !keep.includes(name));
  if (unnamed.length > 0) {
    const found = unnamed.map((name) => {
      const things = alive.get(name) ?? [];
      return `${name} (${things.slice(0, 3).join(', ')}${things.length > 3 ? ` and ${things.length - 3} more` : ''})`;
    });
    throw new Refusal(
      `Something lives in ${found.join(' and in ')}. Nothing was done. Say --keep ${unnamed.join(' ')} to leave it as it is and rebuild what is missing around it, or --over ${unnamed.join(' ')} to put the backup in its place.`,
      EXIT.badInput,
    );
  }
  const living = (chosen: readonly TargetName[]) => [...new Set(chosen)].filter((name) => alive.has(name));
  return { over: living(over), keep: living(keep) };
}
