import type * as pulumi from '@pulumi/pulumi';
import type { Module } from '../../catalog/load';
import type { Model } from '../model';
import { Component, type SharedArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import { gitlabModuleDeclarations } from './resources';

export interface GitLabModuleArgs extends SharedArgs {
  readonly model: Model;
  /** The module, as its catalog file says. */
  readonly module: Module;
}

/** One module's project with its main branch, its hook, and who may do what. Part of a topology only. */
export class GitLabModule extends Component {
  constructor(name: string, args: GitLabModuleArgs, opts?: pulumi.ComponentResourceOptions) {
    const { model, module, registrar } = args;
    const { environment } = model.settings;
    super(
      typeToken('gitlab'),
      name,
      gitlabModuleDeclarations(model, module),
      { registrar, environment },
      opts,
    );
    this.registerOutputs({});
  }
}
