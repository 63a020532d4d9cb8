import type * as pulumi from '@pulumi/pulumi';
import { Component, type RuntimeArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import type { EgressRule } from '../shared/network';
import type { Login } from '../shared/references';
import type { RegistryEndpoint } from '../shared/registry-login';
import type { Versions } from '../shared/secrets';
import { registryDeclarations, registryHandles, registryLogins } from './resources';

/** What a {@link Registry} is made of; plain where it decides which resources exist, an input where it may come late. */
export interface RegistrySpec {
  /** Name of the environment: a label of everything, and part of what passwords are derived by. */
  readonly environment: string;
  /** Namespace, which the component makes. */
  readonly namespace: string;
  /** Host, or host and port, by which nodes, builds and people name images. Without a scheme. */
  readonly address: string;
  /** `http` only inside a closed network. @default 'https' */
  readonly scheme?: 'https' | 'http';
  /**
   * `separate`: a proxy before the registry lets each user do what is theirs. `shared`: every user may do everything.
   * @default 'separate'
   */
  readonly access?: 'separate' | 'shared';
  /** Modules, each of which gets the user `push-<module>` for its repository `modules/<module>`. @default none */
  readonly modules?: readonly string[];
  /** Size of the volume for images, e.g. `100Gi`; unused with `s3`. @default '100Gi' */
  readonly storage?: string;
  /** Class of that volume. @default the cluster's */
  readonly storageClass?: string;
  /** A bucket for the images. @default a volume */
  readonly s3?: {
    /** Name of the bucket. */
    readonly bucket: string;
    /** Region of the bucket. */
    readonly region: string;
    /** Address of a store that is not Amazon's. */
    readonly endpoint?: string;
    /** Folder in the bucket. @default its root */
    readonly folder?: string;
    /** Keys of the bucket. @default none: the Pod has none */
    readonly credentials?: {
      readonly accessKey: pulumi.Input<string>;
      readonly secretKey: pulumi.Input<string>;
    };
  };
  /** `retain`: neither `destroy` nor a removal deletes the volume of images. @default 'retain' */
  readonly onDelete?: 'retain' | 'delete';
  /** TLS Secret of the namespace, served by the proxy. @default something before it ends TLS */
  readonly tlsSecret?: string;
  /** An ingress that leads `address` to the registry. @default none */
  readonly ingress?: {
    /** @default the cluster's default ingress class */
    readonly className?: string;
    /** TLS Secret of the namespace. @default none */
    readonly tlsSecret?: string;
    /** Further annotations, e.g. the controller's limit on the size of a request. */
    readonly annotations: Readonly<Record<string, string>>;
  };
  /** Port on every node (30000 to 32767). @default none */
  readonly nodePort?: number;
  /** Where Pods of the namespace may connect to besides DNS. @default the bucket's port, where there is one */
  readonly egress?: readonly EgressRule[];
  /** Image of Distribution 2.8 or 3. @default the version that Switchyard was tested with */
  readonly image?: string;
  /** Image of nginx without root, for `access: separate` and `tlsSecret`. @default the version that was tested */
  readonly proxyImage?: string;
  /** Versions of passwords that were rotated, by purpose, e.g. `{ 'registry/push': 2 }`. @default each has its first */
  readonly versions?: Versions;
  readonly existing?: undefined;
}

/** A registry that is there already: its {@link Registry} makes nothing, and has the same outputs. */
export interface ExistingRegistrySpec {
  /** Name of the environment. */
  readonly environment: string;
  /** Host, or host and port, without a scheme. */
  readonly address: string;
  /** @default 'https' */
  readonly scheme?: 'https' | 'http';
  /** Whom to log in as: who may only pull, and who may push. */
  readonly existing: { readonly pull: Login; readonly push: Login };
}

export type RegistryArgs = (RegistrySpec | ExistingRegistrySpec) & RuntimeArgs;

/**
 * A container registry (Distribution) in a namespace of its own, with users and a place for its images.
 * Without a provider in `opts` it stands in the cluster of the default one.
 */
export class Registry extends Component implements RegistryEndpoint {
  /** Host, or host and port: what stands before the first `/` of an image's name. */
  readonly address: string;
  /** Address with its scheme, for people and browsers. */
  readonly url: string;
  /** Who may only pull. */
  readonly pull: Login;
  /** Who may do everything. */
  readonly push: Login;
  /** Name of the namespace, known once that exists; undefined of one that was there already. */
  readonly namespace: pulumi.Output<string> | undefined;

  /** @throws Error when two components of one topology have the same name */
  constructor(name: string, args: RegistryArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('registry'), name, registryDeclarations(name, args), args, opts);
    const { pull, push } = args.existing ?? registryLogins;
    this.address = args.address;
    this.url = `${args.scheme ?? 'https'}://${args.address}`;
    this.pull = { ...pull, password: this.output(pull.password) };
    this.push = { ...push, password: this.output(push.password) };
    this.namespace = args.existing ? undefined : this.resource(registryHandles(name).namespace).metadata.name;
    this.registerOutputs({ url: this.url, namespace: this.namespace });
  }
}
