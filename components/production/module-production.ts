import type * as pulumi from '@pulumi/pulumi';
import type { Module } from '../../catalog/load';
import type { Services } from '../../catalog/services';
import type { ImageSettings } from '../../stacks/load';
import type { MetricsReader } from '../autoscaling/module';
import { Component, type RuntimeArgs } from '../shared/component';
import type { Account } from '../shared/exec-role';
import { namespaceHandle } from '../shared/kubernetes';
import { typeToken } from '../shared/naming';
import type { RegistryEndpoint } from '../shared/registry-login';
import type { Versions } from '../shared/secrets';
import { moduleProductionDeclarations } from './resources';

/** What a {@link ModuleProduction} is made of; plain where it decides which resources exist. */
export interface ModuleProductionSpec {
  /** Name of the environment: a label of everything, and part of what passwords are derived by. */
  readonly environment: string;
  /** Namespace, which the component makes. */
  readonly namespace: string;
  /** The module, as its catalog file says. */
  readonly module: Module;
  /** The catalog's services: at least those of the kinds that the module uses. @default none */
  readonly services?: Services;
  /** What runs. @default nothing yet: the namespace and the services are there already */
  readonly release?: {
    /** Image by its digest. */
    readonly image: pulumi.Input<string>;
    /** Commit that it was built from, 40 hexadecimal characters. */
    readonly commit: string;
    /**
     * Run the `production.migrate` of the module's file before it is rolled out: for a release that goes forward, and left out
     * for one that is put back. @default false
     */
    readonly migrate?: boolean;
  };
  /** Where the image is pulled from, and as whom. */
  readonly registry: RegistryEndpoint;
  /** Whether databases stay when the module goes, where its file does not say. @default 'retain' */
  readonly onDelete?: 'retain' | 'delete';
  /** Class of the services' volumes. @default the cluster's */
  readonly storageClass?: string;
  /** Seconds without progress after which a rollout has failed, where the module's file does not say. @default 300 */
  readonly readySeconds?: number;
  /** Mirror and replacements of images that services run from. @default none */
  readonly images?: ImageSettings;
  /** PriorityClass of its Pods. @default the cluster's */
  readonly priorityClass?: string;
  /** Service account that may roll out releases. @default none */
  readonly deployer?: Account;
  /** Service account that may dump its databases. @default none */
  readonly backup?: Account;
  /** Who reads its load: needed where the module scales. @default nobody */
  readonly metrics?: MetricsReader;
  /** Versions of passwords that were rotated, by purpose, e.g. `{ 'service/orders/mysql': 2 }`. @default the first */
  readonly versions?: Versions;
  /** Purposes whose new passwords this run brings in. @default none: a database keeps the one that it has */
  readonly rotating?: readonly string[];
}

export type ModuleProductionArgs = ModuleProductionSpec & RuntimeArgs;

/**
 * One module in production: a fenced namespace, the services that it uses, each with a password and a volume of its own, and
 * the released workload. Without a provider in `opts` it stands in the cluster of the default one.
 */
export class ModuleProduction extends Component {
  /** Host at which Pods of the cluster reach the module, at port 80. It answers from the first release on. */
  readonly host: string;
  /** Name of the namespace, known once that exists. */
  readonly namespace: pulumi.Output<string>;

  /** @throws Error when `services` lacks a kind that the module uses, or the module scales and nobody reads its load */
  constructor(name: string, args: ModuleProductionArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('production'), name, moduleProductionDeclarations(name, args), args, opts);
    this.host = `${args.module.name}.${args.namespace}.svc`;
    this.namespace = this.resource(namespaceHandle(name)).metadata.name;
    this.registerOutputs({ host: this.host, namespace: this.namespace });
  }
}
