import type * as pulumi from '@pulumi/pulumi';
import type { Module } from '../../catalog/load';
import type { ImageSettings } from '../../stacks/load';
import { Component, type RuntimeArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import type { Versions } from '../shared/secrets';
import type { MetricsReader } from './module';
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
  /** Ports of the cluster's API server. @default those that it usually has: 443 and 6443 */
  readonly apiPorts?: readonly number[];
  /** Mirror and replacements of the images. @default none */
  readonly images?: ImageSettings;
  /** PriorityClass of its Pods. @default the cluster's */
  readonly priorityClass?: string;
  /** Versions of secrets that were rotated, by purpose. @default each has its first */
  readonly versions?: Versions;
}

export type AutoscalingArgs = AutoscalingSpec & RuntimeArgs;

/**
 * What tells autoscalers how much each Pod has to do: a Prometheus, and the adapter that answers for it. A cluster has it
 * once. Without a provider in `opts` it stands in the cluster of the default one.
 */
export class Autoscaling extends Component {
  /** Who reads the modules' load: what `ModuleProduction` lets in. */
  readonly reader: MetricsReader;

  constructor(name: string, args: AutoscalingArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('autoscaling'), name, autoscalingDeclarations(args), args, opts);
    this.reader = { namespace: args.namespace };
    this.registerOutputs({ reader: this.reader });
  }
}
