import { LEDGER_PROJECT } from '../../catalog/ledger';
/** Physical names that the outside world needs fixed: Jenkins, the registry and people refer to them. */
export const names = {
  ciNamespace: 'ci',
  agentsNamespace: 'ci-agents',
  deployNamespace: 'ci-deploy',
  buildNamespace: 'ci-build',
  /** Agents that preview and apply merge requests on this repository itself. */
  previewNamespace: 'ci-preview',
  applyNamespace: 'ci-apply',
  /** Agents that look for drift. */
  driftNamespace: 'ci-drift',
  registryNamespace: 'registry',
  /** Where what removes expired test objects runs. */
  reaperNamespace: 'ci-reaper',
  /** Where what holds the key of all backups runs; its account has the same name. */
  backupNamespace: 'backup',
  backup: 'backup',
  testNamespace: (module: string) => `test-${module}`,
  productionNamespace: (module: string) => `prod-${module}`,
  pullSecret: 'registry-pull',
  ledgerProject: LEDGER_PROJECT,
  libraryProject: 'pipeline-library',
  deployer: 'deployer',
  previewer: 'previewer',
  applier: 'applier',
  watcher: 'watcher',
  reaper: 'reaper',
  /** Puts production's Pods before tests and builds where they share nodes. */
  productionPriority: 'switchyard-production',
  /** Registry users: who may push, who may only pull. */
  pushUser: 'push',
  pullUser: 'pull',
} as const;

export interface LabelInputs {
  readonly name: string;
  readonly component: string;
  readonly environment: string;
  readonly module?: string;
  readonly purpose?: string;
}

/** Labels of everything that we make; clean-up touches only what carries them. */
export function labels({
  name,
  component,
  environment,
  module,
  purpose,
}: LabelInputs): Record<string, string> {
  return {
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/part-of': 'switchyard',
    'app.kubernetes.io/managed-by': 'pulumi',
    'switchyard.dev/environment': environment,
    ...(module ? { 'switchyard.dev/module': module } : {}),
    ...(purpose ? { 'switchyard.dev/purpose': purpose } : {}),
  };
}

/** The labels by which Services and workloads select: never more, since selectors cannot change. */
export const selector = (name: string, component: string): Record<string, string> => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/component': component,
});
