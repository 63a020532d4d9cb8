import { BACKUP_FOLDER, type BackupKind, type BackupSettings, backsUpReleases } from '../../stacks/backup';
import { namespacesOf } from '../../stacks/namespaces';
import { lifetime } from '../gitlab/access';
import { group } from '../gitlab/projects';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { repositoryFiles } from '../shared/files';
import { deliveryJob, type JobInputs } from '../shared/job';
import { dockerConfig, fencedNamespace, object, retained } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { givenRef, outputRef, type Ref } from '../shared/references';
import { keptUntilRotated } from '../shared/rotation';
import {
  backendVariables,
  fromSecret,
  KEY_PURPOSE,
  RELEASE_SECRET,
  repositorySecrets,
  repositoryVariables,
  SCRATCH,
  sourceVariables,
} from './environment';
import { backupKinds } from './kinds';
import { backupEgress } from './network';
import { execRole } from './role';

type Role = 'ci' | 'production';

const SECRET = 'backup';
const CLAIM = 'backup';

/** Seconds: the first run reads all there is. */
const LONGEST_BACKUP = 6 * 3600;
const LONGEST_VERIFY = 12 * 3600;

/** Restic keeps its index in memory, and a Node program feeds it. */
const resources = { requests: { cpu: '50m', memory: '256Mi' }, limits: { memory: '1Gi' } };

const about = (model: Model) => ({
  name: names.backup,
  component: 'backup',
  environment: model.settings.environment,
  purpose: 'backup',
});

const within = (model: Model, name: string) => ({
  namespace: namespacesOf(model.settings).backup,
  name,
  labels: labels(about(model)),
});

/** Names of this box's resources by cluster: a production cluster of its own gets a second set. */
const prefixOf = (role: Role): string => (role === 'ci' ? 'backup' : 'backup-production');

/** The only token that reads all projects; it may change nothing. */
const reader = (model: Model): Declaration => ({
  type: 'gitlab:index/groupAccessToken:GroupAccessToken',
  name: 'backup-reader',
  provider: 'gitlab',
  args: {
    group,
    name: 'switchyard-backup',
    accessLevel: 'reporter',
    scopes: ['read_api', 'read_repository'],
    ...lifetime(model.settings.gitlab),
  },
});

function claim(model: Model, settings: BackupSettings): Declaration[] {
  if (!settings.claim) return [];
  const { storage, storageClass } = settings.claim;
  return [
    object(
      'kubernetes:core/v1:PersistentVolumeClaim',
      'backup-storage',
      'ci',
      within(model, CLAIM),
      {
        spec: {
          accessModes: ['ReadWriteOnce'],
          ...(storageClass ? { storageClassName: storageClass } : {}),
          resources: { requests: { storage } },
        },
      },
      // No `destroy` takes the backups along, whatever else it takes.
      { dependsOn: ['backup-namespace'], ...retained },
    ),
  ];
}

/** The catalog and the stack file, which say what there is to copy. */
const files = (model: Model, role: Role): Declaration[] =>
  repositoryFiles(model.files, {
    prefix: prefixOf(role),
    namespace: namespacesOf(model.settings).backup,
    provider: role,
    labels: labels(about(model)),
  });

/** The repository opens with the key that it was given. */
const keyKept = (model: Model) => keptUntilRotated(model, KEY_PURPOSE, ['stringData.RESTIC_PASSWORD']);

/** Namespace, account and Secret in one cluster. It stands alone: who may start Pods beside it could read the key. */
function place(model: Model, settings: BackupSettings, role: Role): Declaration[] {
  const prefix = prefixOf(role);
  const after = { dependsOn: [`${prefix}-namespace`] };
  const { registry } = model.settings;
  const sources: Record<string, string | Ref> =
    role === 'ci'
      ? {
          GITLAB_TOKEN: outputRef('backup-reader', 'token'),
          '.dockerconfigjson': dockerConfig(registry.address, names.pullUser),
          ...Object.fromEntries(
            backendVariables(model).map((variable): [string, Ref] => [variable, givenRef(variable)]),
          ),
        }
      : {};
  return [
    ...fencedNamespace({
      prefix,
      namespace: namespacesOf(model.settings).backup,
      provider: role,
      labels: about(model),
      quota: {
        pods: 4,
        cpu: '2',
        memory: '4Gi',
        disk: '88Gi',
        claims: settings.claim && role === 'ci' ? 1 : 0,
      },
      egress: backupEgress(model, role),
      // A namespace takes its claims along when it goes.
      retain: settings.claim !== undefined && role === 'ci',
      pullFrom: registry.address,
    }),
    ...files(model, role),
    object(
      'kubernetes:core/v1:ServiceAccount',
      `${prefix}-account`,
      role,
      within(model, names.backup),
      { automountServiceAccountToken: false },
      after,
    ),
    object(
      'kubernetes:core/v1:Secret',
      `${prefix}-access`,
      role,
      within(model, SECRET),
      { stringData: { ...repositorySecrets(settings), ...sources } },
      { ...after, ...keyKept(model) },
    ),
  ];
}

function job(
  model: Model,
  settings: BackupSettings,
  role: Role,
  name: string,
  inputs: Pick<JobInputs, 'args' | 'deadline' | 'env' | 'files' | 'schedule' | 'secrets'>,
): Declaration {
  const prefix = prefixOf(role);
  return object(
    'kubernetes:batch/v1:CronJob',
    name === 'backup' ? `${prefix}-job` : `${prefix}-${name}-job`,
    role,
    within(model, name),
    {
      spec: deliveryJob({
        ...inputs,
        labels: labels(about(model)),
        account: names.backup,
        env: [
          { name: 'RESTIC_CACHE_DIR', value: `${SCRATCH}/cache` },
          { name: 'TMPDIR', value: SCRATCH },
          ...repositoryVariables(model.settings),
          ...fromSecret(SECRET, Object.keys(repositorySecrets(settings))),
          ...(inputs.env ?? []),
        ],
        resources,
        scratch: { mountPath: SCRATCH, sizeLimit: '20Gi' },
        ...(settings.claim ? { claim: { name: CLAIM, mountPath: BACKUP_FOLDER } } : {}),
      }),
    },
    {
      dependsOn: [
        `${prefix}-access`,
        `${prefix}-account`,
        `${prefix}-pull`,
        ...(inputs.files ? files(model, role).map((declaration) => declaration.name) : []),
        ...(settings.claim ? ['backup-storage'] : []),
      ],
    },
  );
}

function backupJob(
  model: Model,
  settings: BackupSettings,
  role: Role,
  kinds: readonly BackupKind[],
): Declaration {
  const backend = kinds.includes('state') ? backendVariables(model) : [];
  const ci: Partial<JobInputs> =
    role === 'ci'
      ? {
          env: [
            ...sourceVariables(model.settings),
            ...fromSecret(SECRET, ['GITLAB_TOKEN', ...backend]),
            { name: 'DOCKER_CONFIG', value: '/access' },
            { name: 'PULUMI_BACKEND_URL', value: model.settings.backend },
            { name: 'PULUMI_HOME', value: `${SCRATCH}/pulumi` },
          ],
          secrets: [
            {
              name: SECRET,
              mountPath: '/access',
              items: [{ key: '.dockerconfigjson', path: 'config.json' }],
            },
          ],
        }
      : {};
  return job(model, settings, role, 'backup', {
    schedule: settings.schedule,
    args: [
      'backup',
      ...kinds.flatMap((kind) => ['--kind', kind]),
      // As far back as retention keeps images.
      ...(kinds.includes('registry')
        ? ['--release-days', String(model.settings.registry.retention.releaseDays)]
        : []),
    ],
    deadline: LONGEST_BACKUP,
    files: model.files,
    ...ci,
  });
}

function verifyJob(model: Model, settings: BackupSettings): Declaration {
  const { daily, weekly, monthly } = settings.keep;
  return job(model, settings, 'ci', 'verify', {
    schedule: settings.verify,
    args: [
      'backup-verify',
      '--keep-daily',
      String(daily),
      '--keep-weekly',
      String(weekly),
      '--keep-monthly',
      String(monthly),
    ],
    deadline: LONGEST_VERIFY,
  });
}

/**
 * Lets an agent back up what was just released. It does nothing else, and no other agent has this: what may delete
 * backups runs no program that a merge request, a catalog or a release had a part in.
 */
function afterReleases(model: Model, settings: BackupSettings): Declaration[] {
  if (!backsUpReleases(settings)) return [];
  return [
    object(
      'kubernetes:core/v1:Secret',
      'release-backup-access',
      'ci',
      {
        namespace: namespacesOf(model.settings).releaseBackup,
        name: RELEASE_SECRET,
        labels: labels(about(model)),
      },
      { stringData: repositorySecrets(settings) },
      { dependsOn: ['release-backup-namespace'], ...keyKept(model) },
    ),
  ];
}

/** What copies everything that is not code, on a schedule and after each release; nothing where the stack has no `backup`. */
export function backupResources(model: Model): Declaration[] {
  const settings = model.settings.backup;
  if (!settings) return [];
  const kinds = backupKinds(model);
  return [
    reader(model),
    ...place(model, settings, 'ci'),
    ...claim(model, settings),
    ...(kinds.ci.includes('jenkins')
      ? execRole('jenkins', 'ci', model.settings, { namespace: namespacesOf(model.settings).ci }, [
          'jenkins-0',
        ])
      : []),
    ...afterReleases(model, settings),
    backupJob(model, settings, 'ci', kinds.ci),
    verifyJob(model, settings),
    ...(kinds.production.length > 0
      ? [...place(model, settings, 'production'), backupJob(model, settings, 'production', kinds.production)]
      : []),
  ];
}
