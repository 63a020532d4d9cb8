import type * as pulumi from '@pulumi/pulumi';
import { Component, type RuntimeArgs } from '../shared/component';
import type { Account } from '../shared/exec-role';
import { names, typeToken } from '../shared/naming';
import type { RegistryEndpoint } from '../shared/registry-login';
import { testingDeclarations } from './reaper';

/** What a {@link Testing} is made of. */
export interface TestingSpec {
  /** Name of the environment: a label. */
  readonly environment: string;
  /** Namespace, which the component makes. */
  readonly namespace: string;
  /** Namespaces of tests that are cleaned. With none there is no job. */
  readonly testNamespaces: readonly string[];
  /** Ports of the cluster's API server. @default those that it usually has: 443 and 6443 */
  readonly apiPorts?: readonly number[];
  /** Five cron fields, UTC: how often what is past its end is removed. @default every quarter of an hour */
  readonly schedule?: string;
  /** The delivery image, by its digest. */
  readonly deliveryImage: pulumi.Input<string>;
  /** Where that is pulled from, and as whom. */
  readonly registry: RegistryEndpoint;
}

export type TestingArgs = TestingSpec & RuntimeArgs;

/**
 * What all test namespaces share: a job that removes what is past its end. Its parts have fixed names: a program has it once.
 * Without a provider in `opts` it stands in the cluster of the default one.
 */
export class Testing extends Component {
  /** Service account of the job: what `ModuleTests` lets clean up. */
  readonly reaper: Account;

  constructor(name: string, args: TestingArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('testing'), name, testingDeclarations(args), args, opts);
    this.reaper = { name: names.reaper, namespace: args.namespace };
    this.registerOutputs({ reaper: this.reaper });
  }
}
