export interface Stage {
  readonly why: string;
  /** Suites, each by its path below this folder and without `.test.ts`. */
  readonly lanes: readonly (readonly string[])[];
}

/**
 * Which of the lab's suites run side by side.
 *
 * A stage begins when the one before it has ended. In a stage its lanes run side by side, the suites of a lane one after the
 * other. The first lane has what changes the lab's own environment, or counts what it holds. What stands in the others
 * has a place of its own (a namespace, a GitLab, an API server, an environment with a `namespacePrefix`, a module that the
 * first lane does not count), or only looks at what the first lane leaves as it is meanwhile. It waits more than it works, so
 * that three lanes do not take longer on two processors than two.
 *
 * `nights.json` names the suites that `npm run test:lab` leaves to nights, each with what it proves the same by.
 */
export const STAGES: readonly Stage[] = [
  {
    // `existing` marks all that is in the registry and its namespace before it begins, and wants to find it so at its end.
    why: 'what leaves images, catalog and cluster-wide objects of the lab as they are',
    lanes: [
      ['e2e/backup', 'e2e/rotate', 'e2e/previews', 'e2e/drift'],
      ['e2e/existing', 'e2e/own-repository', 'e2e/render', 'e2e/registry', 'e2e/identities', 'e2e/cleanup'],
    ],
  },
  {
    why: 'the environment `lab` as people use it; beside it what has a place of its own in the lab',
    lanes: [
      [
        'e2e/plain-pulumi',
        // It shuts out of the registry whoever pulls an agent's image.
        'e2e/pod-start',
        'e2e/new-module',
        'e2e/services',
        'e2e/scaling',
        'e2e/storage',
        'e2e/environments',
        'e2e/hostile',
        'e2e/hostile-build',
        'e2e/queue',
        'e2e/undo',
        'e2e/deploy-killed',
        'e2e/kills',
      ],
      // The hooks of a module that `hostile` does not use are as they were before `hostile-build` looks at all of them.
      ['e2e/reconcile'],
      ['e2e/provider-kubernetes', 'e2e/images', 'e2e/plugins-gitlab', 'e2e/jenkins'],
    ],
  },
  {
    // The last one measures how long it takes to come back: what runs beside it makes that longer, not shorter.
    why: 'the lab is destroyed, its machine killed, everything burnt',
    lanes: [['e2e/storm', 'e2e/topology', 'e2e/machine', 'e2e/rebuild']],
  },
];

/** What needs the lab's programs only: one after the other, beside all stages. The longest come first. */
export const BESIDE: readonly string[] = [
  'programs/backup-restic',
  'programs/preview-engine',
  'programs/policy',
  'programs/backup-commands',
  'programs/backup-repositories',
  'programs/backup-run',
  'programs/refusals',
  'programs/preview-compile',
  'programs/migrations',
  'programs/adopting',
  'programs/renames',
  'programs/approvals',
  'programs/build-bases',
  'programs/growth',
  'programs/own-repository',
  'programs/two-clusters',
  'programs/parts',
  'programs/rebuild-engine',
  'programs/rotate-mongodb',
];
