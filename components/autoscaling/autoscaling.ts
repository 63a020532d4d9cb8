import type * as pulumi from '@pulumi/pulumi';
import type { Module } from '../../catalog/load';
import type { ImageSettings } from '../../stacks/load';
import { Component, type RuntimeArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import type { Versions } from '../shared/secrets';
import { autoscalingDeclarations } from './resources';

/** A module with `production.scaling`, and the namespace that its Pods are in. */
export interface ScaledModule {
  readonly module: Module;
  readonly namespace: string;
}

/** What an {@link Autoscaling} is made of. */
export interface AutoscalingSpec {
  /** Name of the environment: a label of everything, and part of what the adapter's certificate is derived by. */
  readonly environment: string;
  /** Namespace, which the component makes. */
  readonly namespace: string;
  /** The modules whose Pods are asked. */
  readonly modules: readonly ScaledModule[];
  /** Ports of the cluster's API server. */
  readonly apiPorts: readonly number[];
  /** Mirror and replacements of the images. @default none */
  readonly images?: ImageSettings;
  /** PriorityClass of its Pods. @default the cluster's */
  readonly priorityClass?: string;
  /** Versions of secrets that were rotated, by purpose. @default each has its first */
  readonly versions?: Versions;
}

/** What tells autoscalers how much each Pod has to do: a Prometheus, and the adapter that answers for it. A cluster has it once. */
export class Autoscaling extends Component {
  constructor(name: string, args: AutoscalingSpec & RuntimeArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('autoscaling'), name, autoscalingDeclarations(args), args, opts);
    this.registerOutputs({});
  }
}
