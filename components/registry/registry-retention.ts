import type * as pulumi from '@pulumi/pulumi';
import type { GitLabSettings } from '../../stacks/gitlab';
import { Component, type SharedArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import type { ExistingRegistrySpec, RegistrySpec } from './registry';
import { registryRetentionDeclarations } from './retention';

/** What a {@link RegistryRetention} is made of. */
export interface RegistryRetentionSpec {
  /** Name of the environment. */
  readonly environment: string;
  /** Name of the registry's component. */
  readonly registryName: string;
  /** The registry. What keeps another's images is its own matter: then nothing is made. */
  readonly registry: RegistrySpec | ExistingRegistrySpec;
  /** The GitLab whose ledger and merge requests say what is still wanted. */
  readonly gitlab: GitLabSettings;
  /** Id of the GitLab group. */
  readonly group: pulumi.Input<string>;
  /** The delivery image, by its digest. */
  readonly deliveryImage: pulumi.Input<string>;
  /** Five cron fields, UTC. */
  readonly schedule: string;
  /** Days that a merge request's images stay after it was merged or closed. */
  readonly days: number;
  /** Days that a release stays after the ledger last named it. */
  readonly releaseDays: number;
}

/**
 * Removes images that no ledger names and no merge request waits for. A component apart from {@link Registry}: it runs from
 * an image that the registry holds. Part of a topology only.
 */
export class RegistryRetention extends Component {
  constructor(
    name: string,
    args: RegistryRetentionSpec & SharedArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super(typeToken('registry'), name, registryRetentionDeclarations(args), args, opts);
    this.registerOutputs({});
  }
}
