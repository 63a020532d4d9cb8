import { z } from 'zod';
import { namespaceName, subdomain } from '../catalog/shapes';
import { cronSchedule, longestPause } from './schedule';
import { httpUrl, quantity, say, secretVariable, urlFault } from './shapes';

/** Where the volume of `backup.claim` is mounted in the Pods that back up. */
export const BACKUP_FOLDER = '/backup';

/** What is backed up, in the order of a run: every digest that the ledger names is read after the ledger is. */
export const backupKinds = ['repositories', 'registry', 'databases', 'jenkins', 'state'] as const;
export type BackupKind = (typeof backupKinds)[number];

/** Snapshots of an item that stay, by their age; the latest one always does. */
const kept = z.number().int().min(0).max(3650);

/** How long a rebuild may take, and how much it may lose. */
const targets = z.strictObject({
  /** Minutes from an empty cluster to a canary merge request in production. */
  rtoMinutes: z.number().int().min(1).max(10_080).default(60),
  /** Minutes of databases' and Jenkins' writes that may be lost; what was merged and released never is. */
  rpoMinutes: z.number().int().min(1).max(43_200).default(1440),
});

/** What is not code, kept outside of what it is a copy of: see docs/components/backup.md. */
export const backupSchema = z
  .strictObject({
    /**
     * Where restic keeps it, without the environment, which is added: `s3:https://host/bucket/path`, or a folder below
     * `/backup`, on the volume of `claim`.
     */
    repository: z
      .string()
      .regex(
        /^(s3:https?:\/\/[^/@?#\s]+\/[^@?#\s]*[^/@?#\s]|\/backup(\/[a-z0-9._-]+)*)$/,
        say(
          'is neither a bucket nor a folder below /backup',
          'Write "s3:https://s3.eu-central-1.amazonaws.com/bucket/switchyard", or "/backup" with a claim.',
        ),
      ),
    /** How often all is backed up: five cron fields, UTC. */
    schedule: cronSchedule.default('17 * * * *'),
    /** How often all that is kept is read back and what is too old is removed: five cron fields, UTC. */
    verify: cronSchedule.default('41 4 * * 0'),
    /** How many snapshots of an item stay. */
    keep: z
      .strictObject({
        /** Of as many days, the last of each. */
        daily: kept.default(14),
        /** Of as many weeks, the last of each. */
        weekly: kept.default(8),
        /** Of as many months, the last of each. */
        monthly: kept.default(12),
      })
      .prefault({}),
    /** Hours after the last success at which a kind counts as late: at least what `schedule` leaves between two. */
    maximumAgeHours: z.number().int().min(1).max(8760).default(3),
    /** A volume for a `repository` that is a folder: one that other machines keep, such as NFS. @default none */
    claim: z
      .strictObject({
        /** Size of the volume. */
        storage: quantity,
        /** Class of that volume. @default the cluster's */
        storageClass: subdomain.optional(),
      })
      .optional(),
    /**
     * Environment variables of whoever runs `up` that hold the bucket's keys, and none of `deployEnvironment`: what rolls
     * out must not reach the backups. @default none: no Pod reaches what tells nodes who they are
     */
    credentialsFrom: z.strictObject({ accessKey: secretVariable, secretKey: secretVariable }).optional(),
    /** What a drill must stay below. */
    targets: targets.prefault({}),
  })
  .superRefine(({ repository, claim, credentialsFrom, maximumAgeHours, schedule }, context) => {
    const folder = repository.startsWith('/');
    // No shape at all was told already.
    const address = /^s3:(https?:.*)$/.exec(repository)?.[1];
    const fault = (key: string, what: string, remedy: string): void =>
      context.addIssue({ code: 'custom', path: [key], message: say(what, remedy) });
    const wrong =
      address === undefined
        ? undefined
        : URL.canParse(address)
          ? urlFault(address)
          : (['is no address', 'Write "s3:https://host/bucket/path".'] as const);
    if (wrong) fault('repository', ...wrong);
    if (folder && !claim) {
      fault('repository', 'is a folder without a volume', 'Add claim: { storage: 100Gi }, or name a bucket.');
    }
    if (!folder && claim) fault('claim', 'is unused: repository is a bucket', 'Leave it out.');
    const pause = longestPause(schedule);
    if (pause > maximumAgeHours * 60)
      fault(
        'maximumAgeHours',
        `is ${maximumAgeHours}, and schedule leaves up to ${Math.ceil(pause / 60)} hours between two backups: each would be late before the next`,
        `Write ${Math.min(8760, Math.ceil(pause / 60) + 1)} or more, or back up more often.`,
      );
    if (folder && credentialsFrom)
      fault('credentialsFrom', 'is unused: repository is a folder', 'Leave it out.');
  });

export type BackupSettings = z.infer<typeof backupSchema>;

/** Whether what was released is backed up at once: not onto a volume, which only one namespace can mount. */
export const backsUpReleases = (backup: BackupSettings | undefined): backup is BackupSettings =>
  backup !== undefined && !backup.claim;

/** Where metrics of jobs that end are sent. */
export const metricsSchema = z.strictObject({
  /** A Prometheus Pushgateway, as Pods reach it. */
  pushgateway: httpUrl,
  /** Namespace that it runs in, which is all that the fences open for it. @default an address outside of the cluster */
  namespace: namespaceName.optional(),
});

/** The repository of one environment, in restic's syntax. */
export const backupRepository = (repository: string, environment: string): string =>
  `${repository}/${environment}`;
