import type * as pulumi from '@pulumi/pulumi';
import { Component, type RuntimeArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import { productionDeclarations } from './resources';

/** What a {@link Production} is made of. */
export interface ProductionSpec {
  /** Name of the environment: a label. */
  readonly environment: string;
  /** Name of the PriorityClass that it makes; a cluster has it once. */
  readonly priorityClass: string;
  /** Whether production may push other Pods off a full node. @default false */
  readonly preempt?: boolean;
}

/** What all modules of production share: their rank among Pods. */
export class Production extends Component {
  constructor(name: string, args: ProductionSpec & RuntimeArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('production'), name, productionDeclarations(args), args, opts);
    this.registerOutputs({});
  }
}
