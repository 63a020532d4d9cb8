import type { GitLabSettings } from '../../stacks/gitlab';
import { existingProjects } from '../gitlab/projects';
import { inputRef, type Ref, secretRef } from '../shared/references';
import type { BackupSpec } from './backup';

/** A variable of a container: a value, or a key of a Secret. */
export type Variable =
  | { readonly name: string; readonly value: string }
  | {
      readonly name: string;
      readonly valueFrom: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
    };

/** Room for restic's cache and for bundles and images on their way. */
export const SCRATCH = '/scratch';

/** Disk of the Pods that back up what was just released: their scratch, and all that they may fill. */
export const RELEASE_DISK = { scratch: '8Gi', all: '12Gi' } as const;

/** Secret of the Pods that back up what was just released: it opens the repository. */
export const RELEASE_SECRET = 'backup-access';

/** Keys of the bucket under names of their own: the state backend's, which stand beside them, may be others. */
export const BUCKET_KEYS = { accessKey: 'BACKUP_ACCESS_KEY', secretKey: 'BACKUP_SECRET_KEY' } as const;

/** Purpose of the secret that encrypts backups, and that the seed gives. */
export const KEY_PURPOSE = 'backup/key';

/** What opens the repository, by the variable that `delivery` reads. */
export function repositorySecrets({
  credentials,
}: Pick<BackupSpec, 'credentials'>): Record<string, string | Ref> {
  return {
    RESTIC_PASSWORD: secretRef(KEY_PURPOSE),
    ...(credentials
      ? {
          [BUCKET_KEYS.accessKey]: inputRef('credentials.accessKey', credentials.accessKey),
          [BUCKET_KEYS.secretKey]: inputRef('credentials.secretKey', credentials.secretKey),
        }
      : {}),
  };
}

/** Where repositories and images are read from. */
export interface Sources {
  readonly gitlab: { readonly url: string; readonly group: string } & Pick<GitLabSettings, 'projects'>;
  /** `repositories`: below which all images stand. */
  readonly registry: { readonly repositories: string; readonly scheme: 'https' | 'http' };
  /** The topology's own repository, where it is a project of the group. */
  readonly topologyProject?: { readonly path: string };
}

/** {@link Sources}, by the variables that `delivery` reads. */
export function sourceVariables({ gitlab, registry, topologyProject }: Sources): Variable[] {
  return [
    { name: 'GITLAB_URL', value: gitlab.url },
    { name: 'REGISTRY', value: registry.repositories },
    { name: 'REGISTRY_PLAIN_HTTP', value: String(registry.scheme === 'http') },
    { name: 'SWITCHYARD_GITLAB_GROUP', value: gitlab.group },
    ...(topologyProject ? [{ name: 'SWITCHYARD_TOPOLOGY_PROJECT', value: topologyProject.path }] : []),
    ...existingProjects(gitlab),
  ];
}

/** A variable from each key of a Secret. */
export const fromSecret = (secret: string, keys: readonly string[]): Variable[] =>
  keys.map((key) => ({ name: key, valueFrom: { secretKeyRef: { name: secret, key } } }));
