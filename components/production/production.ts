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

export type ProductionArgs = ProductionSpec & RuntimeArgs;

/**
 * What all modules of production share: their rank among Pods. Its part has a fixed name: a program has it once. Without a
 * provider in `opts` it stands in the cluster of the default one.
 */
export class Production extends Component {
  /** Name of the PriorityClass: what `ModuleProduction` gives its Pods. */
  readonly priorityClass: string;

  constructor(name: string, args: ProductionArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('production'), name, productionDeclarations(args), args, opts);
    this.priorityClass = args.priorityClass;
    this.registerOutputs({ priorityClass: this.priorityClass });
  }
}
