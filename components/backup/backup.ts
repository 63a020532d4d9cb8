import type * as pulumi from '@pulumi/pulumi';
import type { BackupKind, BackupSettings } from '../../stacks/backup';
import type { RepositoryFiles } from '../../stacks/files';
import type { TokenLifetime } from '../gitlab/access';
import { Component, type RuntimeArgs } from '../shared/component';
import type { Handle } from '../shared/handle';
import { namespaceHandle } from '../shared/kubernetes';
import { typeToken } from '../shared/naming';
import type { EgressRule } from '../shared/network';
import type { RegistryEndpoint } from '../shared/registry-login';
import type { Versions } from '../shared/secrets';
import type { Variable } from './environment';
import { backupDeclarations } from './resources';

/** A cluster by its role. */
export type BackupCluster = 'ci' | 'production';

/** What a {@link Backup} is made of; plain where it decides which resources exist. */
export interface BackupSpec {
  /** Name of the environment: a label of everything, and part of what the repository's key is derived by. */
  readonly environment: string;
  /** Namespace, which the component makes in each cluster that has jobs; its account has the name `backup`. */
  readonly namespace: string;
  /** Repository, schedules (five cron fields, UTC), how many copies are kept, and the volume if it is on one. */
  readonly settings: Pick<BackupSettings, 'claim' | 'keep' | 'schedule' | 'verify'>;
  /** Keys of the repository's bucket. @default none */
  readonly credentials?: {
    readonly accessKey: pulumi.Input<string>;
    readonly secretKey: pulumi.Input<string>;
  };
  /** What is backed up from which cluster; one without a kind has nothing of this, but for `ci`. */
  readonly kinds: Readonly<Record<BackupCluster, readonly BackupKind[]>>;
  /** Where the jobs may connect to besides DNS. */
  readonly egress: Readonly<Record<BackupCluster, readonly EgressRule[]>>;
  /** The delivery image, by its digest. */
  readonly deliveryImage: pulumi.Input<string>;
  /** Where the jobs' image is pulled from, and where images are copied from. */
  readonly registry: RegistryEndpoint;
  /** Days that a release's image stays in backups. */
  readonly releaseDays: number;
  /** When the token ends by which repositories are copied. */
  readonly gitlab: TokenLifetime;
  /** Id of the GitLab group. */
  readonly group: pulumi.Input<string>;
  /** Variables that say where the repository is. */
  readonly repository: readonly Variable[];
  /** Variables that say where repositories and images are read from. */
  readonly sources: readonly Variable[];
  /** The state: where it is, and the variables that open it. */
  readonly backend: {
    readonly url: string;
    readonly variables: Readonly<Record<string, pulumi.Input<string>>>;
  };
  /** The catalog and the stack files, which say what there is to copy. */
  readonly files: RepositoryFiles;
  /** Where a Jenkins runs whose home is copied. @default nowhere */
  readonly jenkins?: {
    readonly prefix: string;
    readonly namespace: string;
    readonly pods: readonly string[];
  };
  /** Where agents back up what was just released, and what must be there before. @default nowhere */
  readonly releases?: { readonly namespace: string; readonly after: Handle };
  /** Versions of secrets that were rotated, by purpose. @default each has its first */
  readonly versions?: Versions;
  /** Purposes whose new secrets this run brings in. @default none: the repository opens with the key that it has */
  readonly rotating?: readonly string[];
}

export type BackupArgs = BackupSpec & RuntimeArgs;

/** What copies everything that is not code, on a schedule and after each release. */
export class Backup extends Component {
  /** Name of the namespace, known once that exists. */
  readonly namespace: pulumi.Output<string>;

  constructor(name: string, args: BackupArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('backup'), name, backupDeclarations(name, args), args, opts);
    this.namespace = this.resource(namespaceHandle(name)).metadata.name;
    this.registerOutputs({ namespace: this.namespace });
  }
}
