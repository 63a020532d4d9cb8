/**
 * Who reaches what. docs/security.md shows this as one table (`test/lab/identities.test.ts` holds the two equal), and
 * `identities.test.ts` tries each cell that has something to try on the running lab: all that an identity may, and as
 * much that it may not.
 *
 * A Kubernetes request is `verb resource[/part][.group] [namespace [name]]`; one to the stores `LIST`, `GET`, `PUT` or
 * `DELETE` and `state` or `backups`, that bucket or an object in it (`store-request.ts`); any other is `METHOD path`.
 */
export interface Cell {
  /** For people. */
  readonly says: string;
  /**
   * Whom a request is made as: a service account as `namespace/name`, a user of the registry, a token of GitLab's, a
   * login of Jenkins; elsewhere than in Kubernetes, `namespace/name` is the Secret that the identity's Pod is given, with
   * what stands in it. Without it the cell is not tried.
   */
  readonly as?: string;
  /** Suite of `test/lab/programs` that tries it, since the lab has no such account. @default the lab's `identities` */
  readonly in?: 'two-clusters';
  readonly may?: readonly string[];
  readonly mayNot?: readonly string[];
}

export const SYSTEMS = ['kubernetes', 'registry', 'gitlab', 'jenkins', 'stores'] as const;
export type System = (typeof SYSTEMS)[number];

export interface Identity extends Readonly<Record<System, Cell>> {
  readonly name: string;
  /** What it is, and what it holds. */
  readonly is: string;
}

/** Prefix of the namespaces of accounts that the lab lacks, which are made for the time of the test. */
export const MADE = 'identities';

const none: Cell = { says: 'nothing' };
const agent: Cell = {
  says: 'its own agent’s connection, by a secret that is no other agent’s and no login (tried in `hostile-build`, of a build and of delivery)',
};
/** An account without a role, and no Pod of its own has its token. */
const nothing = (as: string): Cell => ({
  says: 'nothing',
  as,
  mayNot: [
    'list secrets ci',
    'list secrets ci-deploy',
    'list secrets prod-orders',
    'list pods prod-orders',
    'create pods prod-orders',
    `create pods ${as.split('/')[0]}`,
    `list secrets ${as.split('/')[0]}`,
    `create pods/exec ${as.split('/')[0]}`,
    'list namespaces',
    'list nodes',
    'create clusterrolebindings.rbac.authorization.k8s.io',
  ],
});

const MEASURING = `${MADE}-autoscaling`;
/** Production of a module that scales. */
const SCALED = `${MADE}-prod-shop`;
/** Public certificates by which an aggregated API server knows who asks. */
const AUTHENTICATION = 'configmaps kube-system extension-apiserver-authentication';
const ASKS_ABOUT_OTHERS = [
  'create tokenreviews.authentication.k8s.io',
  'create subjectaccessreviews.authorization.k8s.io',
];
const at = (namespace: string, ...asked: readonly string[]): string[] =>
  asked.map((what) => `${what} ${namespace}`);
const READS_PODS = at(SCALED, 'list pods', 'get pods');
const OTHERS = 'prod-orders test-orders ci ci-deploy ci-apply registry backup kube-system'.split(' ');
/** What somebody would try who has taken over a Pod that measures. */
const MEASURES_ONLY = [
  // Everywhere at once.
  ...['list secrets', 'list configmaps', 'list pods', 'list namespaces', 'list nodes', 'get nodes/proxy'],
  // Where other things are.
  ...OTHERS.flatMap((namespace) => at(namespace, 'list secrets', 'list pods', 'create pods')),
  ...at('kube-system', 'list configmaps', 'get configmaps'),
  `update ${AUTHENTICATION}`,
  // With the Pods that they see, and beside these.
  ...at(SCALED, 'get pods/log', 'get pods/exec', 'create pods/exec', 'create pods/portforward'),
  ...at(SCALED, 'get pods/proxy', 'create pods', 'update pods', 'delete pods'),
  ...at(SCALED, 'update pods/ephemeralcontainers'),
  ...at(SCALED, 'list secrets', 'list configmaps', 'update services', 'update deployments.apps'),
  // At home, where the adapter's key is.
  ...at(MEASURING, 'list secrets', 'get secrets', 'list configmaps', 'update configmaps', 'list pods'),
  ...at(MEASURING, 'create pods', 'create pods/exec', 'get services/proxy', 'update deployments.apps'),
  // To become more, or somebody else.
  `update roles.rbac.authorization.k8s.io ${SCALED} metrics-reader`,
  ...[SCALED, MEASURING, 'kube-system', 'prod-orders'].flatMap((namespace) =>
    at(namespace, 'create rolebindings.rbac.authorization.k8s.io'),
  ),
  'create clusterroles.rbac.authorization.k8s.io',
  'update clusterroles.rbac.authorization.k8s.io',
  'create clusterrolebindings.rbac.authorization.k8s.io',
  ...[MEASURING, 'ci-apply', 'kube-system'].flatMap((namespace) =>
    at(namespace, 'create serviceaccounts/token'),
  ),
  ...['impersonate users', 'impersonate serviceaccounts ci-apply'],
  'create certificatesigningrequests.certificates.k8s.io',
  // To stand in the way of what others ask.
  'update apiservices.apiregistration.k8s.io',
  'create mutatingwebhookconfigurations.admissionregistration.k8s.io',
  ...['create namespaces', 'update namespaces'],
];

const ALL_OF = (store: 'state' | 'backups'): string[] =>
  ['LIST', 'GET', 'PUT', 'DELETE'].map((verb) => `${verb} ${store}`);
const STATE = ALL_OF('state');
const BACKUPS = ALL_OF('backups');

const ORDERS = '/projects/switchyard%2Forders';
const LEDGER = '/projects/switchyard%2Frelease-ledger';
const LIBRARY = '/projects/switchyard%2Fpipeline-library';
const TOPOLOGY = '/projects/switchyard%2Ftopology';
const JOB = '/job/switchyard/job/orders';
/** Of a merge request that is merged already: nothing comes of it, and it is asked who may. */
const MERGES = `PUT ${ORDERS}/merge_requests/1/merge`;

/** What Jenkins binds around the commands that only read. */
const reading: Cell = {
  says: 'the group’s projects as a Reporter sees them, to read',
  as: 'reader',
  may: [`GET ${ORDERS}`, `GET ${ORDERS}/merge_requests`, `GET ${LEDGER}`, `GET ${TOPOLOGY}`],
  mayNot: [
    `POST ${ORDERS}/repository/commits`,
    `POST ${LEDGER}/repository/commits`,
    `POST ${LIBRARY}/repository/commits`,
    `POST ${ORDERS}/issues`,
    `GET ${ORDERS}/hooks`,
    `GET ${ORDERS}/variables`,
    'GET /groups/switchyard/access_tokens',
    'PUT /groups/switchyard',
  ],
};

export const IDENTITIES: readonly Identity[] = [
  {
    name: 'module author',
    is: 'a person with the role Developer in a module’s project',
    kubernetes: none,
    registry: { says: 'nothing', as: '', mayNot: ['GET /v2/', 'GET /v2/modules/orders/tags/list'] },
    gitlab: {
      says: 'the module’s project, but not its main branch; no other project',
      as: 'author',
      may: [`GET ${ORDERS}`, `GET ${ORDERS}/merge_requests`],
      mayNot: [
        `POST ${ORDERS}/repository/commits`,
        `GET ${ORDERS}/hooks`,
        `GET ${LEDGER}`,
        `GET ${LIBRARY}`,
        `GET ${TOPOLOGY}`,
        'GET /groups/switchyard/access_tokens',
      ],
    },
    jenkins: {
      says: 'what people may; a hook without the module’s token starts nothing',
      as: '',
      mayNot: ['POST /project/switchyard/orders'],
    },
    stores: none,
  },
  {
    name: 'topology author',
    is: 'a person with the role Developer in the topology’s project; Maintainers merge there',
    kubernetes: none,
    registry: none,
    gitlab: {
      says: 'the topology’s project, but not its main branch; no module',
      as: 'topology-author',
      may: [`GET ${TOPOLOGY}`],
      mayNot: [
        `POST ${TOPOLOGY}/repository/commits`,
        `GET ${TOPOLOGY}/hooks`,
        `GET ${ORDERS}`,
        `GET ${LEDGER}`,
      ],
    },
    jenkins: none,
    stores: none,
  },
  {
    name: 'test Pod',
    is: 'a merge request’s tests and its service containers, in the module’s test namespace; no token in the Pod',
    kubernetes: nothing('test-orders/tests'),
    registry: { says: 'nothing; nodes pull its images' },
    gitlab: none,
    jenkins: agent,
    stores: none,
  },
  {
    name: 'build',
    is: 'a merge request’s Dockerfile, in a Pod of its own; no token in the Pod',
    kubernetes: nothing('ci-build/default'),
    registry: {
      says: 'base images, to read; what it makes goes through the gate',
      as: 'build',
      may: ['GET /v2/'],
      mayNot: [
        'GET /v2/_catalog',
        'GET /v2/modules/orders/tags/list',
        'POST /v2/modules/orders/blobs/uploads/',
      ],
    },
    gitlab: none,
    jenkins: agent,
    stores: none,
  },
  {
    name: 'delivery',
    is: 'the commands that merge and release, in `ci-agents`; a token of GitLab’s, the certificate key and one module’s registry login, bound around single commands',
    kubernetes: {
      says: 'to tell why a Pod does not start: lists Pods and events in test namespaces, events in those of agents; nothing else',
      as: 'ci-agents/delivery',
      may: [
        'list pods test-orders',
        'list events test-orders',
        'list events ci-deploy',
        'list events ci-build',
        'list events ci-preview',
        'list events ci-drift',
        'list events ci-apply',
      ],
      mayNot: [
        'list pods ci-deploy',
        'list pods ci-agents',
        'list events ci',
        'get pods/log test-orders',
        'create pods test-orders',
        'delete pods test-orders',
        'create pods/exec test-orders',
        'list secrets test-orders',
        'list secrets ci-agents',
        'list secrets ci',
        'list pods prod-orders',
        'list events prod-orders',
        'create pods ci-agents',
        'list nodes',
        'create clusterrolebindings.rbac.authorization.k8s.io',
      ],
    },
    registry: {
      says: 'one module’s repository, to read and push; base images, to read; it deletes nothing',
      as: 'ci/registry-orders',
      may: ['GET /v2/modules/orders/tags/list', 'POST /v2/modules/orders/blobs/uploads/'],
      mayNot: [
        'DELETE /v2/modules/orders/manifests/identities',
        'GET /v2/modules/billing/tags/list',
        'POST /v2/modules/billing/blobs/uploads/',
        'GET /v2/_catalog',
        'GET /v2/switchyard/delivery/tags/list',
      ],
    },
    gitlab: {
      says: 'as the bot, around what writes or knows the bot’s notes; as who only reads around `preview-watch`; nothing around what speaks with a build',
      as: 'bot',
      may: [`GET ${ORDERS}/merge_requests`, MERGES, `GET ${LEDGER}`, `GET ${LIBRARY}`],
      mayNot: [`POST ${ORDERS}/repository/commits`, 'PUT /groups/switchyard', 'GET /application/settings'],
    },
    jenkins: agent,
    stores: none,
  },
  {
    name: 'deploy',
    is: '`switchyard up --only`, in `ci-deploy`, with the account of one module; what `deployEnvironment` names, around its commands a token of GitLab’s that reads, and around `up` the keys of that module’s production and what opens its part of the state; no login at the backups’ store',
    kubernetes: {
      says: 'the module’s production namespace: workloads, Services, Secrets, ConfigMaps; its Pods to look at; no claims, roles; no other module’s',
      as: 'ci-deploy/deployer-orders',
      may: [
        'create deployments.apps prod-orders',
        'delete statefulsets.apps prod-orders',
        'list secrets prod-orders',
        'list pods prod-orders',
      ],
      mayNot: [
        'list secrets prod-billing',
        'update services prod-billing',
        'update deployments.apps prod-billing',
        'list nodes',
        'create pods prod-orders',
        'create pods/exec prod-orders',
        'delete persistentvolumeclaims prod-orders',
        'create rolebindings.rbac.authorization.k8s.io prod-orders',
        'create namespaces',
        'list secrets ci',
        'list secrets ci-deploy',
        'list secrets ci-apply',
        'list secrets registry',
        'list secrets backup',
        'create deployments.apps registry',
        'create pods ci-apply',
        'create clusterrolebindings.rbac.authorization.k8s.io',
      ],
    },
    registry: {
      says: 'everything, to read: the keys of its module give the login for pulls; the release’s digest was promoted by delivery',
      as: 'ci/keys-orders',
      may: ['GET /v2/modules/orders/tags/list', 'GET /v2/modules/billing/tags/list', 'GET /v2/_catalog'],
      mayNot: [
        'POST /v2/modules/orders/blobs/uploads/',
        'POST /v2/modules/billing/blobs/uploads/',
        'DELETE /v2/modules/orders/manifests/identities',
      ],
    },
    gitlab: reading,
    jenkins: agent,
    stores: {
      says: 'the state’s bucket, to change as well: it opens its module’s part there; no backups',
      as: 'ci-deploy/deploy-environment',
      may: STATE,
      mayNot: BACKUPS,
    },
  },
  {
    name: 'state',
    is: 'what takes the secrets out of the state for previews and drift, and cuts it for deploys, in `ci-deploy`; what opens the whole state, the environment’s key, and around its commands a token of GitLab’s that reads',
    kubernetes: {
      says: 'kinds without secrets, to read',
      as: 'ci-deploy/state',
      may: ['list nodes', 'list deployments.apps prod-orders'],
      mayNot: [
        'list secrets prod-orders',
        'list secrets ci-deploy',
        'update deployments.apps prod-orders',
        'list pods prod-orders',
        'create pods ci-deploy',
      ],
    },
    registry: {
      says: 'everything: it has the environment’s key',
      as: 'ci-deploy/state-environment',
      may: ['GET /v2/_catalog', 'GET /v2/modules/billing/tags/list', 'GET /v2/switchyard/delivery/tags/list'],
    },
    gitlab: {
      ...reading,
      says: `${reading.says}; the state that it opens holds the bot’s token, and that of whoever ran \`up\``,
    },
    jenkins: {
      says: 'everything: it has the environment’s key',
      as: 'ci-deploy/state-environment',
      may: ['GET /me/api/json'],
    },
    stores: {
      says: 'the state’s bucket, to change as well, and opens all in it; no backups',
      as: 'ci-deploy/state-environment',
      may: STATE,
      mayNot: BACKUPS,
    },
  },
  {
    name: 'preview program',
    is: 'the program of a merge request on the topology, in a container of `ci-preview`; placeholders in the place of all secrets, no account, no network',
    kubernetes: none,
    registry: none,
    gitlab: none,
    jenkins: none,
    stores: none,
  },
  {
    name: 'preview',
    is: 'the engine that previews it, in the container beside it; a state without secrets',
    kubernetes: {
      says: 'kinds without secrets, to read',
      as: 'ci-preview/previewer',
      may: [
        'list deployments.apps prod-orders',
        'list nodes',
        'list rolebindings.rbac.authorization.k8s.io ci',
      ],
      mayNot: [
        'list secrets prod-orders',
        'list secrets ci-preview',
        'list secrets ci-apply',
        'list configmaps ci',
        'list pods prod-orders',
        'get pods/log prod-orders',
        'create pods ci-preview',
        'create pods/exec ci',
        'update deployments.apps prod-orders',
        'create namespaces',
      ],
    },
    registry: none,
    gitlab: none,
    jenkins: agent,
    stores: none,
  },
  {
    name: 'apply',
    is: 'the merged program of the topology, in `ci-apply`; every secret that a person brings',
    kubernetes: {
      says: 'everything (cluster-admin)',
      as: 'ci-apply/applier',
      may: [
        'list secrets prod-orders',
        'create namespaces',
        'create clusterrolebindings.rbac.authorization.k8s.io',
        'delete persistentvolumeclaims ci',
      ],
    },
    registry: {
      says: 'everything: it has the seed',
      as: 'ci-apply/apply-environment',
      may: ['GET /v2/_catalog', 'GET /v2/modules/billing/tags/list'],
    },
    gitlab: {
      says: 'everything that the token `GITLAB_TOKEN` may; in the lab an administrator’s',
      as: 'ci-apply/apply-environment',
      may: ['GET /groups/switchyard/access_tokens', 'GET /application/settings'],
    },
    jenkins: {
      says: 'everything: it has the seed',
      as: 'ci-apply/apply-environment',
      may: ['GET /me/api/json'],
    },
    stores: {
      says: 'both buckets, to change as well',
      as: 'ci-apply/apply-environment',
      may: [...STATE, ...BACKUPS],
    },
  },
  {
    name: 'drift',
    is: 'the nightly look, in `ci-drift`; a GitLab token that reads, placeholders in the place of all other secrets',
    kubernetes: {
      says: 'every kind of the topology but Secrets, to read',
      as: 'ci-drift/watcher',
      may: [
        'list configmaps prod-orders',
        'list pods prod-orders',
        'list clusterroles.rbac.authorization.k8s.io',
      ],
      mayNot: [
        'list secrets prod-orders',
        'list secrets ci-drift',
        'create pods ci-drift',
        'update deployments.apps prod-orders',
        'delete pods prod-orders',
        'create pods/exec prod-orders',
      ],
    },
    registry: none,
    gitlab: {
      says: 'the group’s projects as a Maintainer sees them, to read',
      as: 'watcher',
      may: [`GET ${ORDERS}/hooks`, `GET ${LEDGER}`, `GET ${TOPOLOGY}`],
      mayNot: [
        `POST ${ORDERS}/repository/commits`,
        `POST ${ORDERS}/issues`,
        'GET /groups/switchyard/access_tokens',
      ],
    },
    jenkins: agent,
    stores: none,
  },
  {
    name: 'reaper',
    is: 'what removes expired test objects, in `ci-reaper`',
    kubernetes: {
      says: 'test namespaces: list and delete Pods and claims',
      as: 'ci-reaper/reaper',
      may: ['list pods test-orders', 'delete pods test-orders'],
      mayNot: [
        'list secrets test-orders',
        'get secrets test-orders',
        'delete secrets test-orders',
        'create pods test-orders',
        'create pods/exec test-orders',
        'list pods prod-orders',
        'delete pods prod-orders',
        'list secrets prod-orders',
        'delete pods ci',
      ],
    },
    registry: none,
    gitlab: none,
    jenkins: none,
    stores: none,
  },
  {
    name: 'reconciler',
    is: 'what makes good for lost hooks, in `ci-reconciler`; the bot’s token and the tokens of the hooks',
    kubernetes: {
      ...nothing('ci-reconciler/reconciler'),
      says: 'events of the first agents’ namespace, to list: why none starts',
      may: ['list events ci-agents'],
    },
    registry: none,
    gitlab: {
      says: 'as the bot',
      as: 'ci-reconciler/reconciler',
      may: [`GET ${ORDERS}/merge_requests`, `GET ${ORDERS}/hooks`],
      mayNot: ['PUT /groups/switchyard', 'GET /groups/switchyard/access_tokens'],
    },
    jenkins: {
      says: 'starts each job by the token of its hook; reads builds where anybody may',
      as: 'ci-reconciler/hook-tokens',
      may: ['POST /project/switchyard/orders', `GET ${JOB}/api/json`],
      mayNot: ['POST /project/switchyard/billing', `POST ${JOB}/build`],
    },
    stores: none,
  },
  {
    name: 'release backup',
    is: 'the copy of what was released, in `ci-backup`; the key of all backups and the bucket’s, and around its command a token of GitLab’s that reads',
    kubernetes: nothing('ci-backup/default'),
    registry: {
      says: 'images, to read',
      as: 'ci-backup/registry-pull',
      may: ['GET /v2/modules/orders/tags/list'],
      mayNot: ['POST /v2/modules/orders/blobs/uploads/'],
    },
    gitlab: reading,
    jenkins: agent,
    stores: {
      says: 'the backups’ bucket: reads, adds, overwrites, deletes; no state',
      as: 'ci-backup/backup-access',
      may: BACKUPS,
      mayNot: STATE,
    },
  },
  {
    name: 'backup',
    is: 'the scheduled backup, in `backup`; the key of all backups and the bucket’s',
    kubernetes: {
      says: 'commands in the Pods that it dumps, named one by one',
      as: 'backup/backup',
      may: ['list pods prod-orders', 'list pods ci'],
      mayNot: [
        'create pods/exec prod-orders',
        'create pods prod-orders',
        'delete pods prod-orders',
        'list secrets prod-orders',
        'list secrets ci',
        'list pods ci-apply',
      ],
    },
    registry: {
      says: 'images, to read',
      as: 'backup/backup',
      may: ['GET /v2/modules/orders/tags/list', 'GET /v2/modules/billing/tags/list'],
      mayNot: ['POST /v2/modules/orders/blobs/uploads/'],
    },
    gitlab: {
      says: 'repositories of the group, to read',
      as: 'backup/backup',
      may: [`GET ${ORDERS}`, `GET ${LEDGER}`],
      mayNot: [
        `POST ${ORDERS}/repository/commits`,
        `POST ${LEDGER}/repository/commits`,
        `POST ${ORDERS}/issues`,
        'GET /groups/switchyard/access_tokens',
      ],
    },
    jenkins: { says: 'its home, by a command in its Pod' },
    stores: {
      says: 'both buckets, to change as well; it opens no state (tried with all that it holds)',
      as: 'backup/backup',
      may: [...STATE, ...BACKUPS],
    },
  },
  {
    name: 'Prometheus',
    is: 'where a module scales, in `autoscaling`: asks its Pods for their load',
    kubernetes: {
      says: 'Pods, to read, in the namespaces of modules that scale',
      as: `${MEASURING}/prometheus`,
      may: READS_PODS,
      mayNot: [...MEASURES_ONLY, ...ASKS_ABOUT_OTHERS, `get ${AUTHENTICATION}`],
    },
    registry: none,
    gitlab: none,
    jenkins: none,
    stores: none,
  },
  {
    name: 'metrics adapter',
    is: 'prometheus-adapter, beside it: answers autoscalers; the key of its own certificate',
    kubernetes: {
      says: 'the same; it asks the API server whose a token is and who may what, and reads the public certificates by which it knows who asks',
      as: `${MEASURING}/metrics-adapter`,
      may: [...READS_PODS, ...ASKS_ABOUT_OTHERS, `get ${AUTHENTICATION}`],
      mayNot: MEASURES_ONLY,
    },
    registry: none,
    gitlab: none,
    jenkins: none,
    stores: none,
  },
  {
    name: 'deploy, in a cluster of its own',
    is: 'where `clusters.production` is another cluster than `ci`: one account there, of the rollouts of all modules; its token is a Secret of `ci-deploy` in the ci cluster',
    kubernetes: {
      says: 'in that cluster the modules’ production namespaces, as **deploy** its one; in the ci cluster nothing: its token is none there',
      as: 'ci-deploy/deployer',
      in: 'two-clusters',
      may: at(
        'prod-shop',
        ...[
          'create deployments.apps',
          'delete statefulsets.apps',
          'list secrets',
          'list pods',
          'list deployments.apps',
        ],
      ),
      mayNot: [
        ...['list secrets', 'list pods', 'list deployments.apps', 'list namespaces', 'list nodes'],
        ...at('prod-shop', 'create pods', 'create pods/exec', 'delete persistentvolumeclaims'),
        ...at('prod-shop', 'create rolebindings.rbac.authorization.k8s.io', 'create serviceaccounts/token'),
        ...['ci-deploy', 'backup', 'kube-system'].flatMap((namespace) =>
          at(
            namespace,
            'list secrets',
            'create pods',
            'create deployments.apps',
            'create serviceaccounts/token',
          ),
        ),
        ...[
          'create namespaces',
          'delete namespaces',
          'impersonate users',
          'impersonate serviceaccounts backup',
        ],
        'create clusterrolebindings.rbac.authorization.k8s.io',
      ],
    },
    registry: { says: 'as **deploy**' },
    gitlab: { says: 'as **deploy**' },
    jenkins: { says: 'as **deploy**' },
    stores: { says: 'as **deploy**' },
  },
  {
    name: 'backup, in a cluster of its own',
    is: 'the scheduled backup of what production has there, in `backup`',
    kubernetes: {
      says: 'as **backup**, in that cluster',
      as: 'backup/backup',
      in: 'two-clusters',
      may: at('prod-shop', 'list pods'),
      mayNot: [
        ...['list secrets', 'list pods', 'list namespaces', 'list nodes'],
        ...at(
          'prod-shop',
          'create pods/exec',
          'create pods',
          'delete pods',
          'list secrets',
          'update deployments.apps',
        ),
        ...at('ci-deploy', 'list secrets', 'create serviceaccounts/token'),
        ...at('backup', 'list secrets', 'create pods', 'create serviceaccounts/token'),
        ...['create namespaces', 'impersonate users', 'create clusterrolebindings.rbac.authorization.k8s.io'],
      ],
    },
    registry: { says: 'as **backup**' },
    gitlab: { says: 'as **backup**' },
    jenkins: none,
    stores: { says: 'as **backup**' },
  },
  {
    name: 'another environment',
    is: 'its accounts and logins are these rows again, in its own cluster, or with a `namespacePrefix` in this one',
    kubernetes: {
      says: 'nothing of this one: each of its bindings, but those of **apply** and of who looks, names its own accounts in its own namespaces (held by `test/lab/identities.test.ts` on what is declared; `environments` runs one beside the lab)',
    },
    registry: { says: 'its own logins, derived from its own key; the registry’s where `registry` is shared' },
    gitlab: { says: 'its own group' },
    jenkins: { says: 'its own' },
    stores: { says: 'its own login, or its own part of a bucket, which the store does not hold apart' },
  },
  {
    name: 'Jenkins controller',
    is: 'the one Pod in `ci`; all of Jenkins’ credentials',
    kubernetes: {
      says: 'its own credentials; Pods in the agents’ and test namespaces, with the accounts there: whoever takes it over has what deploy and apply have',
      as: 'ci/jenkins',
      may: [
        'list secrets ci',
        'create pods test-orders',
        'create pods/exec test-orders',
        'create pods ci-agents',
        'create pods ci-build',
        'create pods ci-deploy',
        'create pods ci-preview',
        'create pods ci-apply',
      ],
      mayNot: [
        'create pods ci',
        'list secrets ci-agents',
        'list secrets ci-deploy',
        'list secrets ci-apply',
        'list secrets test-orders',
        'list secrets prod-orders',
        'list pods prod-orders',
        'create pods prod-orders',
        'create pods registry',
        'create pods backup',
        'create deployments.apps ci',
        'create clusterrolebindings.rbac.authorization.k8s.io',
      ],
    },
    registry: {
      says: 'everything, to read, by any module’s keys; to push, each module’s login; by the Pods that it may start, what state and apply have',
      as: 'ci/keys-orders',
      may: ['GET /v2/modules/orders/tags/list', 'GET /v2/modules/billing/tags/list', 'GET /v2/_catalog'],
    },
    gitlab: {
      says: 'as the bot',
      as: 'ci/gitlab-bot',
      may: [`GET ${ORDERS}/hooks`],
      mayNot: ['PUT /groups/switchyard', 'GET /application/settings'],
    },
    jenkins: { says: 'everything: it is Jenkins' },
    stores: { says: 'the state’s bucket through the agents that it may start' },
  },
  {
    name: 'bot token',
    is: 'the group’s access token `switchyard-bot`, role Maintainer',
    kubernetes: none,
    registry: none,
    gitlab: {
      says: 'the group’s projects as a Maintainer: merges, statuses, notes, the ledger; not the group itself',
      as: 'bot',
      may: [`GET ${ORDERS}`, `GET ${LEDGER}`, `GET ${LIBRARY}`, `GET ${ORDERS}/hooks`],
      mayNot: [
        `POST ${ORDERS}/repository/commits`,
        'GET /groups/switchyard/access_tokens',
        'PUT /groups/switchyard',
        'POST /users',
        'GET /application/settings',
      ],
    },
    jenkins: none,
    stores: none,
  },
  {
    name: 'registry users',
    is: '`push` (the topology itself, and what removes old images), `pull` (nodes), `push-<module>` (delivery), `build` (builds)',
    kubernetes: {
      says: 'who removes old images: a request to collect, and the registry’s restart',
      as: 'registry/registry-retention',
      may: ['list configmaps registry', 'delete pods registry'],
      mayNot: ['list secrets registry', 'create pods registry', 'create pods/exec registry', 'list pods ci'],
    },
    registry: {
      says: '`pull` reads everything and writes nothing; each other as above (`registry-rights.ts` has some sixty requests more)',
      as: 'pull',
      may: ['GET /v2/', 'GET /v2/modules/orders/tags/list', 'GET /v2/modules/billing/tags/list'],
      mayNot: ['POST /v2/modules/orders/blobs/uploads/'],
    },
    gitlab: {
      says: 'who removes old images reads the ledger and merge requests',
      as: 'retention',
      may: [`GET ${LEDGER}`, `GET ${ORDERS}/merge_requests`],
      mayNot: [`POST ${LEDGER}/repository/commits`, `GET ${ORDERS}/hooks`, `POST ${ORDERS}/issues`],
    },
    jenkins: none,
    stores: none,
  },
  {
    name: 'people',
    is: 'whoever logs in; with `jenkins.login` by their groups, else all as `admin`',
    kubernetes: none,
    registry: none,
    gitlab: {
      says: 'their role; merging to main asks for `mergeRole`: a Developer does not where it is Maintainer',
      as: 'author',
      may: [`GET ${ORDERS}/merge_requests`],
      mayNot: [MERGES, `POST ${ORDERS}/repository/commits`],
    },
    jenkins: {
      says: 'who is not logged in: nothing, or reading with `anonymousRead` (the lab has it); roles of `jenkins.login` are not tried, since nobody can log in to the stand-in by a provider',
      as: '',
      may: [`GET ${JOB}/api/json`],
      mayNot: ['GET /me/api/json', `POST ${JOB}/build`, 'POST /reload-configuration-as-code/'],
    },
    stores: none,
  },
];

const shown = ({ says, as, in: suite, may = [], mayNot = [] }: Cell): string => {
  if (as === undefined) return says;
  const counts = [
    ...(may.length > 0 ? [`${may.length} allowed`] : []),
    ...(mayNot.length > 0 ? [`${mayNot.length} refused`] : []),
  ];
  return `${says} _(tried${suite ? ` in \`${suite}\`` : ''}: ${counts.join(', ')})_`;
};

/** The table of docs/security.md. */
export const identityTable = (): string =>
  [
    '| identity | what it is | Kubernetes | registry | GitLab | Jenkins | stores |',
    '|---|---|---|---|---|---|---|',
    ...IDENTITIES.map(
      (one) => `| **${one.name}** | ${one.is} | ${SYSTEMS.map((system) => shown(one[system])).join(' | ')} |`,
    ),
  ].join('\n');
