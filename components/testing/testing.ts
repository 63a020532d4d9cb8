import type * as pulumi from '@pulumi/pulumi';
import { Component, type RuntimeArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
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
  /** Ports of the cluster's API server. */
  readonly apiPorts: readonly number[];
  /** Five cron fields, UTC: how often what is past its end is removed. */
  readonly schedule: string;
  /** The delivery image, by its digest. */
  readonly deliveryImage: pulumi.Input<string>;
  /** Where that is pulled from, and as whom. */
  readonly registry: RegistryEndpoint;
}

/** What all test namespaces share: a job that removes what is past its end. */
export class Testing extends Component {
  constructor(name: string, args: TestingSpec & RuntimeArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('testing'), name, testingDeclarations(args), args, opts);
    this.registerOutputs({});
  }
}
