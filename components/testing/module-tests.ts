import type * as pulumi from '@pulumi/pulumi';
import type { Module } from '../../catalog/load';
import type { Services } from '../../catalog/services';
import { Component, type RuntimeArgs } from '../shared/component';
import type { Account } from '../shared/exec-role';
import type { JenkinsEndpoint } from '../shared/jenkins-endpoint';
import { namespaceHandle } from '../shared/kubernetes';
import { typeToken } from '../shared/naming';
import type { RegistryEndpoint } from '../shared/registry-login';
import type { Versions } from '../shared/secrets';
import { moduleTestsDeclarations } from './resources';

/** What a {@link ModuleTests} is made of. */
export interface ModuleTestsSpec {
  /** Name of the environment: a label of everything, and part of what passwords are derived by. */
  readonly environment: string;
  /** Namespace, which the component makes. */
  readonly namespace: string;
  /** The module, as its catalog file says. */
  readonly module: Module;
  /** The catalog's services: at least those of the kinds that the module uses. @default none */
  readonly services?: Services;
  /** Test Pods at a time: what the namespace's quota holds. @default 8 */
  readonly parallel?: number;
  /** Where images are pulled from, and as whom. */
  readonly registry: RegistryEndpoint;
  /** The Jenkins that runs its agents here, ours or one that is there already. */
  readonly jenkins: JenkinsEndpoint;
  /** Service account that removes what has passed its end. */
  readonly reaper: Account;
  /** Service account that may see how a test Pod starts. */
  readonly delivery: Account;
  /** Versions of passwords that were rotated, by purpose. @default each has its first */
  readonly versions?: Versions;
}

export type ModuleTestsArgs = ModuleTestsSpec & RuntimeArgs;

/** The namespace in which one module's test Pods run, fenced, and who may do what there. */
export class ModuleTests extends Component {
  /** Name of the namespace, known once that exists. */
  readonly namespace: pulumi.Output<string>;

  constructor(name: string, args: ModuleTestsArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('testing'), name, moduleTestsDeclarations(name, args), args, opts);
    this.namespace = this.resource(namespaceHandle(name)).metadata.name;
    this.registerOutputs({ namespace: this.namespace });
  }
}
