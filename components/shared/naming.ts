import { LEDGER_PROJECT } from '../../catalog/ledger';
/** Physical names that the outside world needs fixed: Jenkins, the registry and people refer to them. */
export const names = {
  /** Account and objects of the backup jobs. */
  backup: 'backup',
  pullSecret: 'registry-pull',
  ledgerProject: LEDGER_PROJECT,
  libraryProject: 'pipeline-library',
  deployer: 'deployer',
  /** Account of the Pods that roll out one module: it may change that module's production. */
  deployerOf: (module: string) => `deployer-${module}`,
  /** Agents that read the whole state, and their account. */
  state: 'state',
  /** Account of the Pods that take a merge request through its tests: it may see how a test Pod starts. */
  delivery: 'delivery',
  previewer: 'previewer',
  applier: 'applier',
  watcher: 'watcher',
  reaper: 'reaper',
  /** What makes good for lost hooks, and the user of Jenkins that it looks at builds with. */
  reconciler: 'reconciler',
  /** Registry users: who may do everything (the topology itself), who may only pull, who may only pull base images. */
  pushUser: 'push',
  pullUser: 'pull',
  basesUser: 'build',
  /** Who may push to the repository of one module, and read it. */
  modulePushUser: (module: string) => `push-${module}`,
} as const;

/** Type token of a component: `switchyard:<box>:<Kind>`, as in `switchyard:jenkins:Jenkins`. */
export const typeToken = (box: string, kind = `${box.charAt(0).toUpperCase()}${box.slice(1)}`): string =>
  `switchyard:${box}:${kind}`;

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
