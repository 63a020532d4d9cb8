import type * as pulumi from '@pulumi/pulumi';
import type { Model } from '../model';
import { Component, type SharedArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import { groupHandle } from './projects';
import { gitlabDeclarations } from './resources';

export interface GitLabArgs extends SharedArgs {
  /** Settings, and the files of the pipeline library. */
  readonly model: Model;
}

/** The group, the bot and its reader, the release ledger and the pipeline library: what all modules share. Part of a topology only. */
export class GitLab extends Component {
  /** Id of the group. */
  readonly group: pulumi.Output<string>;

  constructor(name: string, args: GitLabArgs, opts?: pulumi.ComponentResourceOptions) {
    const { model, registrar } = args;
    const { environment } = model.settings;
    super(typeToken('gitlab'), name, gitlabDeclarations(model), { registrar, environment }, opts);
    this.group = this.resource(groupHandle).id;
    this.registerOutputs({});
  }
}
