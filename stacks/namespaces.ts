import type { StackSettings } from './schema';

/** What of a stack decides how its namespaces are called. */
export type NamespaceSettings = Pick<StackSettings, 'namespacePrefix'>;

/** A name that a cluster has once, as this environment uses it: environments on one cluster differ by their prefix. */
export const clusterWide = ({ namespacePrefix }: NamespaceSettings, name: string): string =>
  namespacePrefix === undefined ? name : `${namespacePrefix}-${name}`;

/** The namespaces of an environment; the outside world refers to them, so they are fixed by the stack alone. */
export function namespacesOf(settings: NamespaceSettings) {
  const own = (name: string) => clusterWide(settings, name);
  return {
    /** Jenkins itself. */
    ci: own('ci'),
    agents: own('ci-agents'),
    deploy: own('ci-deploy'),
    build: own('ci-build'),
    /** Agents that preview and apply merge requests on this repository itself. */
    preview: own('ci-preview'),
    apply: own('ci-apply'),
    /** Agents that look for drift. */
    drift: own('ci-drift'),
    /** Agents that back up what was just released. */
    releaseBackup: own('ci-backup'),
    registry: own('registry'),
    /** Where what removes expired test objects runs. */
    reaper: own('ci-reaper'),
    /** Where what starts builds whose hook was lost runs. */
    reconciler: own('ci-reconciler'),
    /** What tells autoscalers how much there is to do. */
    autoscaling: own('autoscaling'),
    /** Where what holds the key of all backups runs; its account has the same name. */
    backup: own('backup'),
    test: (module: string) => own(`test-${module}`),
    production: (module: string) => own(`prod-${module}`),
  };
}

/** Puts production's Pods before tests and builds where they share nodes. */
export const productionPriority = (settings: NamespaceSettings): string =>
  clusterWide(settings, 'switchyard-production');
