import type * as pulumi from '@pulumi/pulumi';
import type { Model } from '../model';
import { Component, type SharedArgs } from '../shared/component';
import { type JenkinsEndpoint, jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { typeToken } from '../shared/naming';
import { jenkinsDeclarations } from './resources';

export interface JenkinsArgs extends SharedArgs {
  /** Settings, modules and files that its jobs and agents work from. */
  readonly model: Model;
}

/**
 * Jenkins, its agents' namespaces, and BuildKit beside it; of a Jenkins that is there already all but the controller. Part of
 * a topology only.
 */
export class Jenkins extends Component implements JenkinsEndpoint {
  /** Namespace of its controller. */
  readonly namespace: string;
  /** Its service account, which starts agents. */
  readonly serviceAccount: string;
  /** Its address for agents. */
  readonly url: string;

  constructor(name: string, args: JenkinsArgs, opts?: pulumi.ComponentResourceOptions) {
    const { model, registrar } = args;
    const { environment } = model.settings;
    super(typeToken('jenkins'), name, jenkinsDeclarations(model), { registrar, environment }, opts);
    const { namespace, serviceAccount, url } = jenkinsEndpoint(model.settings);
    this.namespace = namespace;
    this.serviceAccount = serviceAccount;
    this.url = url;
    this.registerOutputs({});
  }
}
