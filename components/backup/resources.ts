import { BACKUP_FOLDER, type BackupKind } from '../../stacks/backup';
import { readingToken } from '../gitlab/access';
import type { Declaration } from '../shared/declaration';
import { execRole } from '../shared/exec-role';
import { repositoryFiles } from '../shared/files';
import { type Handle, handle, outputOf } from '../shared/handle';
import { deliveryJob, type JobInputs } from '../shared/job';
import { fencedNamespace, namespaceHandle, object, pullSecretHandle, retained } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { inputRef, type Ref } from '../shared/references';
import { dockerConfig } from '../shared/registry-login';
import { keptUntilRotated } from '../shared/rotation';
import type { BackupCluster, BackupSpec } from './backup';
import { fromSecret, KEY_PURPOSE, RELEASE_SECRET, repositorySecrets, SCRATCH } from './environment';

const SECRET = 'backup';
const CLAIM = 'backup';

/** Seconds: the first run reads all there is. */
const LONGEST_BACKUP = 6 * 3600;
const LONGEST_VERIFY = 12 * 3600;

/** Restic keeps its index in memory, and a Node program feeds it. */
const resources = { requests: { cpu: '50m', memory: '256Mi' }, limits: { memory: '1Gi' } };

const about = ({ environment }: BackupSpec) => ({
  name: names.backup,
  component: 'backup',
  environment,
  purpose: 'backup',
});

const within = (spec: BackupSpec, name: string) => ({
  namespace: spec.namespace,
  name,
  labels: labels(about(spec)),
});

/** Names of the resources by cluster: a production cluster of its own gets a second set. */
const prefixOf = (name: string, role: BackupCluster): string => (role === 'ci' ? name : `${name}-production`);

const readerHandle = (name: string) =>
  handle('gitlab:index/groupAccessToken:GroupAccessToken', `${name}-reader`);
const claimHandle = (name: string) => handle('kubernetes:core/v1:PersistentVolumeClaim', `${name}-storage`);
const accountHandle = (prefix: string) => handle('kubernetes:core/v1:ServiceAccount', `${prefix}-account`);
const accessHandle = (prefix: string) => handle('kubernetes:core/v1:Secret', `${prefix}-access`);

/** The jobs' own token: it reads all projects, and may change nothing. */
const reader = (name: string, { gitlab, group }: BackupSpec): Declaration => ({
  ...readerHandle(name),
  provider: 'gitlab',
  args: readingToken(gitlab, {
    group: inputRef('group', group),
    name: 'switchyard-backup',
    accessLevel: 'reporter',
  }),
});

function claim(name: string, spec: BackupSpec): Declaration[] {
  if (!spec.settings.claim) return [];
  const { storage, storageClass } = spec.settings.claim;
  const declared = claimHandle(name);
  return [
    object(
      declared.type,
      declared.name,
      'ci',
      within(spec, CLAIM),
      {
        spec: {
          accessModes: ['ReadWriteOnce'],
          ...(storageClass ? { storageClassName: storageClass } : {}),
          resources: { requests: { storage } },
        },
      },
      // No `destroy` takes the backups along, whatever else it takes.
      { dependsOn: [namespaceHandle(name)], ...retained },
    ),
  ];
}

/** The catalog and the stack file, which say what there is to copy. */
const files = (name: string, spec: BackupSpec, role: BackupCluster): Declaration[] =>
  repositoryFiles(spec.files, {
    prefix: prefixOf(name, role),
    namespace: spec.namespace,
    provider: role,
    labels: labels(about(spec)),
  });

/** The repository opens with the key that it was given. */
const keyKept = (spec: BackupSpec) => keptUntilRotated(spec, KEY_PURPOSE, ['stringData.RESTIC_PASSWORD']);

/** Namespace, account and Secret in one cluster. It stands alone: who may start Pods beside it could read the key. */
function access(name: string, spec: BackupSpec, role: BackupCluster): Declaration[] {
  const prefix = prefixOf(name, role);
  const after = { dependsOn: [namespaceHandle(prefix)] };
  const { backend, registry } = spec;
  const sources: Record<string, string | Ref> =
    role === 'ci'
      ? {
          GITLAB_TOKEN: outputOf(readerHandle(name), 'token'),
          '.dockerconfigjson': dockerConfig(registry.address, registry.pull),
          ...Object.fromEntries(
            Object.entries(backend.variables).map(([variable, value]): [string, string | Ref] => [
              variable,
              inputRef(variable, value),
            ]),
          ),
        }
      : {};
  const keeps = spec.settings.claim !== undefined && role === 'ci';
  return [
    ...fencedNamespace({
      prefix,
      namespace: spec.namespace,
      provider: role,
      labels: about(spec),
      quota: { pods: 4, cpu: '2', memory: '4Gi', disk: '88Gi', claims: keeps ? 1 : 0 },
      egress: spec.egress[role],
      // A namespace takes its claims along when it goes.
      retain: keeps,
      pullFrom: registry,
    }),
    ...files(name, spec, role),
    object(
      accountHandle(prefix).type,
      accountHandle(prefix).name,
      role,
      within(spec, names.backup),
      { automountServiceAccountToken: false },
      after,
    ),
    object(
      accessHandle(prefix).type,
      accessHandle(prefix).name,
      role,
      within(spec, SECRET),
      { stringData: { ...repositorySecrets(spec), ...sources } },
      { ...after, ...keyKept(spec) },
    ),
  ];
}

function job(
  name: string,
  spec: BackupSpec,
  role: BackupCluster,
  what: 'backup' | 'verify',
  inputs: Pick<JobInputs, 'args' | 'deadline' | 'env' | 'files' | 'schedule' | 'secrets'>,
): Declaration {
  const prefix = prefixOf(name, role);
  const mounted = spec.settings.claim;
  const needs: (Handle | string)[] = [
    accessHandle(prefix),
    accountHandle(prefix),
    pullSecretHandle(prefix),
    ...(inputs.files ? files(name, spec, role) : []),
    ...(mounted ? [claimHandle(name)] : []),
  ];
  return object(
    'kubernetes:batch/v1:CronJob',
    what === 'backup' ? `${prefix}-job` : `${prefix}-${what}-job`,
    role,
    within(spec, what),
    {
      spec: deliveryJob({
        ...inputs,
        image: spec.deliveryImage,
        labels: labels(about(spec)),
        account: names.backup,
        env: [
          { name: 'RESTIC_CACHE_DIR', value: `${SCRATCH}/cache` },
          { name: 'TMPDIR', value: SCRATCH },
          ...spec.repository,
          ...fromSecret(SECRET, Object.keys(repositorySecrets(spec))),
          ...(inputs.env ?? []),
        ],
        resources,
        scratch: { mountPath: SCRATCH, sizeLimit: '20Gi' },
        ...(mounted ? { claim: { name: CLAIM, mountPath: BACKUP_FOLDER } } : {}),
      }),
    },
    { dependsOn: needs },
  );
}

function backupJob(
  name: string,
  spec: BackupSpec,
  role: BackupCluster,
  kinds: readonly BackupKind[],
): Declaration {
  const { backend } = spec;
  const opens = kinds.includes('state') ? Object.keys(backend.variables) : [];
  const ci: Partial<JobInputs> =
    role === 'ci'
      ? {
          env: [
            ...spec.sources,
            ...fromSecret(SECRET, ['GITLAB_TOKEN', ...opens]),
            { name: 'DOCKER_CONFIG', value: '/access' },
            { name: 'PULUMI_BACKEND_URL', value: backend.url },
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
  return job(name, spec, role, 'backup', {
    schedule: spec.settings.schedule,
    args: [
      'backup',
      ...kinds.flatMap((kind) => ['--kind', kind]),
      // As far back as retention keeps images.
      ...(kinds.includes('registry') ? ['--release-days', String(spec.releaseDays)] : []),
    ],
    deadline: LONGEST_BACKUP,
    files: spec.files,
    ...ci,
  });
}

function verifyJob(name: string, spec: BackupSpec): Declaration {
  const { daily, weekly, monthly } = spec.settings.keep;
  return job(name, spec, 'ci', 'verify', {
    schedule: spec.settings.verify,
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
function afterReleases(name: string, spec: BackupSpec): Declaration[] {
  if (!spec.releases) return [];
  const { namespace, after } = spec.releases;
  return [
    object(
      'kubernetes:core/v1:Secret',
      `release-${name}-access`,
      'ci',
      { namespace, name: RELEASE_SECRET, labels: labels(about(spec)) },
      { stringData: repositorySecrets(spec) },
      { dependsOn: [after], ...keyKept(spec) },
    ),
  ];
}

/** Lets the jobs copy Jenkins' home. */
function jenkinsRole({ environment, jenkins, kinds, namespace }: BackupSpec): Declaration[] {
  if (!jenkins || !kinds.ci.includes('jenkins')) return [];
  const account = { name: names.backup, namespace };
  return execRole(jenkins.prefix, 'ci', { environment, namespace: jenkins.namespace }, account, jenkins.pods);
}

/**
 * What copies everything that is not code, on a schedule and after each release.
 * @param name of the component: what the names of all declarations begin with
 */
export function backupDeclarations(name: string, spec: BackupSpec): Declaration[] {
  const { kinds } = spec;
  return [
    reader(name, spec),
    ...access(name, spec, 'ci'),
    ...claim(name, spec),
    ...jenkinsRole(spec),
    ...afterReleases(name, spec),
    backupJob(name, spec, 'ci', kinds.ci),
    verifyJob(name, spec),
    ...(kinds.production.length > 0
      ? [...access(name, spec, 'production'), backupJob(name, spec, 'production', kinds.production)]
      : []),
  ];
}
