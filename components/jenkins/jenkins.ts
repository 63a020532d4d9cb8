import type * as pulumi from '@pulumi/pulumi';
import type { Module } from '../../catalog/load';
import type { Way } from '../../stacks/builds';
import type { RepositoryFiles } from '../../stacks/files';
import type { GitLabSettings } from '../../stacks/gitlab';
import type { Login as LoginSettings } from '../../stacks/login';
import type { Variable } from '../backup/environment';
import { hookUrl } from '../gitlab/hooks';
import { Component, type RuntimeArgs } from '../shared/component';
import type { Handle } from '../shared/handle';
import { type ExistingJenkins, type JenkinsEndpoint, jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { typeToken } from '../shared/naming';
import type { EgressRule } from '../shared/network';
import type { Login } from '../shared/references';
import type { RegistryEndpoint } from '../shared/registry-login';
import type { Versions } from '../shared/secrets';
import type { OtherEnvironment } from './environments';
import { deliveryImageOf } from './images';
import { jenkinsDeclarations } from './resources';

/** A module, as its jobs and builds know it. */
export interface JenkinsModule {
  /** Name: that of its job, and of its project in GitLab. */
  readonly name: string;
  /** What it does, as people read it at its job. @default its name */
  readonly description?: string;
  /** Who merges: see the catalog's `merge`. @default 'reviewed' */
  readonly merge?: Module['merge'];
  /** Whom its builds push as. @default the registry's `push` */
  readonly push?: Login;
  /** What gives the secrets of the module's production to its rollouts, in the seed's place. @default nothing does */
  readonly keys?: pulumi.Input<string>;
}

/** The GitLab whose hooks start jobs. */
export interface JenkinsGitLab {
  /** Its address. */
  readonly url: string;
  /** Full path of the group that holds the ledger, the pipeline library and the modules' projects. */
  readonly group: string;
  /** Projects that do not lie in the group under their module's name. @default none */
  readonly projects?: GitLabSettings['projects'];
  /** Who rebases what stands on an older main. @default 'people' */
  readonly rebase?: GitLabSettings['rebase'];
  /** Token of the bot that posts statuses, merges, and writes the ledger: the scopes `api` and `write_repository`. */
  readonly botToken: pulumi.Input<string>;
  /** Token of the commands that only read: the scopes `read_api` and `read_repository`. */
  readonly readerToken: pulumi.Input<string>;
}

/** The registry that builds push to, and that agents' own images are pulled from. */
export interface JenkinsRegistry extends RegistryEndpoint {
  /** `http` only inside a closed network. @default 'https' */
  readonly scheme?: 'https' | 'http';
  /** Below which all repositories stand: the address, or a path of it. @default the address */
  readonly repositories?: string;
  /** Who may push. */
  readonly push: Login;
  /** Who may pull base images and nothing else, for builds, whose code is foreign. @default builds have no login */
  readonly bases?: Login;
  /** What builds may bring into it. @default { each: '4Gi', unreleased: '16Gi' } */
  readonly builds?: {
    /** Image and cache that one build may hand over, together. */
    readonly each: string;
    /** What images of one module's merge requests may take, releases apart. */
    readonly unreleased: string;
  };
  /** What must be there before an image is pushed to it. @default it is there already */
  readonly after?: Handle;
}

/** A cluster, as a kubeconfig names it. */
export interface JenkinsCluster {
  /** Context of the kubeconfig that Pods use. */
  readonly context: string;
  /** Ports at which the API server answers Pods. @default [443, 6443] */
  readonly apiPorts?: readonly number[];
}

/** What Pods connect to besides DNS, Jenkins, GitLab and API servers, which are known anyway. */
export interface JenkinsNetwork {
  /** The registry, where it stands in the same cluster. @default it lies outside, at its address */
  readonly registry?: readonly EgressRule[];
  /** Whatever else of the above stands in the same cluster behind an address of its own. @default nothing */
  readonly neighbours?: readonly EgressRule[];
  /** Where metrics of jobs are pushed to. @default nowhere */
  readonly metrics?: readonly EgressRule[];
  /** Ports outside of the cluster for Pods that change an environment. @default API servers', GitLab's, the registry's */
  readonly changing?: readonly number[];
  /** Ports outside of the cluster for previews. @default API servers' */
  readonly previews?: readonly number[];
  /** Addresses that image builds reach. @default public ones at port 443 */
  readonly builds?: readonly Way[];
}

/** The topology's own repository as a project whose merge requests are previewed, and applied when merged. */
export interface JenkinsTopologyProject {
  /** Path of the project in the group. */
  readonly path: string;
  /** Whether what is merged is applied, by Pods that may change everything. */
  readonly apply: 'automatic' | 'manual';
  /** When a job looks for drift: five cron fields, UTC. */
  readonly drift: string;
  /** Environments to preview and apply, in that order. @default this one */
  readonly environments?: readonly string[];
  /** What those of them that are not this one are previewed and applied with. @default none */
  readonly others?: readonly OtherEnvironment[];
  /** Whether a module of the environment has an autoscaler, which the look for drift compares too. @default false */
  readonly autoscaled?: boolean;
  /** Whether a module of the environment has a `production.migrate`, whose Jobs it compares too. @default false */
  readonly migrated?: boolean;
  /** Token of the job that looks for drift: it may read. */
  readonly watcherToken: pulumi.Input<string>;
  /** Variables of Pods that apply. @default none */
  readonly applyEnvironment?: Readonly<Record<string, pulumi.Input<string>>>;
}

/** How people log in as themselves. */
export interface JenkinsLogin {
  /** Groups and users by what they may do. */
  readonly roles: LoginSettings['roles'];
  /** OpenID Connect. */
  readonly openIdConnect?: Omit<NonNullable<LoginSettings['openIdConnect']>, 'clientSecretFrom'>;
  /** GitLab's OAuth. */
  readonly gitlab?: Omit<NonNullable<LoginSettings['gitlab']>, 'clientSecretFrom'>;
  /** Secret of Jenkins as a client of whoever says who people are. */
  readonly clientSecret: pulumi.Input<string>;
}

/** What a {@link Jenkins} is made of; plain where it decides which resources exist, an input where it may come late. */
export interface JenkinsSpec {
  /** Name of the environment: a label of everything, and part of what passwords are derived by. */
  readonly environment: string;
  /** What stands before the name of each namespace; the pipeline library is told it. @default nothing: `ci`, `ci-agents` … */
  readonly namespacePrefix?: string;
  /** Address at which GitLab and people reach it. */
  readonly url: string;
  /** A Jenkins that is there already: its agents and jobs are made, and no controller. @default one is made */
  readonly existing?: ExistingJenkins;
  /** Modules, each of which has a job. @default none */
  readonly modules?: readonly JenkinsModule[];
  /** Whether releases come from another environment: then no module has a job, and people go back by theirs. @default false */
  readonly promoted?: boolean;
  /** The GitLab whose hooks start jobs. */
  readonly gitlab: JenkinsGitLab;
  /** The registry that builds push to. */
  readonly registry: JenkinsRegistry;
  /** Image of the controller, with its plugins. @default built from `imageContext`, pushed to the registry */
  readonly image?: pulumi.Input<string>;
  /** Folder that `image` is built from, relative to where the engine runs. @default 'components/jenkins/image' */
  readonly imageContext?: string;
  /** Image with the commands that pipelines call. @default built by the topology, pushed to the registry */
  readonly deliveryImage?: pulumi.Input<string>;
  /** Images that it builds on or starts as they are. @default the versions that Switchyard was tested with */
  readonly images?: {
    /** Base of `image`. */
    readonly jenkins?: string;
    /** Base of `deliveryImage`. */
    readonly agent?: string;
    /** Jenkins' own inbound agent. */
    readonly inboundAgent?: string;
    /** BuildKit without root. */
    readonly buildkit?: string;
  };
  /** Registries that speak plain http, besides one whose scheme says so. @default none */
  readonly plainRegistries?: readonly string[];
  /** Port on every node (30000 to 32767). @default none */
  readonly nodePort?: number;
  /** An ingress that leads `url` to Jenkins. @default none */
  readonly ingress?: {
    /** Host of `url`. */
    readonly host: string;
    /** @default the cluster's default ingress class */
    readonly className?: string;
    /** TLS Secret of the namespace. @default none */
    readonly tlsSecret?: string;
    /** Further annotations. */
    readonly annotations: Readonly<Record<string, string>>;
    /** Namespace of the ingress controller: besides agents the only one that may reach Jenkins. */
    readonly namespace: string;
  };
  /** Size of Jenkins' home, e.g. `20Gi`. @default '20Gi' */
  readonly storage?: string;
  /** Class of that volume. @default the cluster's */
  readonly storageClass?: string;
  /** `retain`: neither `destroy` nor a removal deletes Jenkins' home. @default 'retain' */
  readonly onDelete?: 'retain' | 'delete';
  /** People log in as themselves; `admin` is for emergencies then. @default one user, `admin`, whom all share */
  readonly login?: JenkinsLogin;
  /**
   * As whom the reconciler looks at builds beside `existing` or with `login`, where `anonymousRead` does not hold: a user with an
   * API token as password. With `login` that user is given the right to read. @default there is no reconciler then: a lost hook
   * starts nothing
   */
  readonly reader?: Login;
  /** Whether who is not logged in may read jobs and logs; of one that is there already: whether its owner lets them. @default false */
  readonly anonymousRead?: boolean;
  /** Whether a node's drain may evict Jenkins without being asked. @default false */
  readonly evictable?: boolean;
  /** Namespace of a Prometheus, which may reach Jenkins. @default none: no metrics without a login */
  readonly metrics?: { readonly namespace: string };
  /** Agent Pods at a time, at least 2: a build holds one while it waits for a second. @default 20 */
  readonly maximumAgents?: number;
  /** What Jenkins asks of its node. @default { cpu: '500m', memory: '1Gi', memoryLimit: '2Gi' } */
  readonly resources?: { readonly cpu: string; readonly memory: string; readonly memoryLimit: string };
  /** Disk that one image build may fill. @default '20Gi' */
  readonly buildCache?: string;
  /** Merge requests of one module that are tested side by side: at most, and at first. @default { most: 8, start: 4 } */
  readonly queue?: { readonly most: number; readonly start: number };
  /** The cluster that it runs in. @default { context: 'cluster' } */
  readonly cluster?: JenkinsCluster;
  /**
   * The cluster that rollouts change. With a `server`, its API server as Pods of the first cluster reach it, it is one of its
   * own, and a deployer's account is made there. @default the same cluster
   */
  readonly production?: JenkinsCluster & { readonly server?: pulumi.Input<string> };
  /** What Pods connect to besides what all of them must. */
  readonly network?: JenkinsNetwork;
  /** The catalog and the stack files that pipelines work from. @default none */
  readonly files?: RepositoryFiles;
  /** Which program applied it, for Pods that work from what was applied. @default '' */
  readonly program?: string;
  /** Variables of Pods that roll out, the same for all modules. @default none */
  readonly deployEnvironment?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Variables of Pods that read the whole state. @default no Pod does */
  readonly state?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Whether each rollout works on its module's part of the state. @default false */
  readonly parts?: boolean;
  /** Where what was just released is backed up to. @default nowhere */
  readonly releaseBackup?: {
    /** Variables that say where the repository is. */
    readonly variables: readonly Variable[];
    /** Ports of the repository. */
    readonly ports: readonly number[];
  };
  /** The topology's own repository as a project. @default it is none */
  readonly topologyProject?: JenkinsTopologyProject;
  /** What must be there before the controller starts, e.g. the pipeline library. @default nothing */
  readonly after?: readonly Handle[];
  /** Versions of passwords that were rotated, by purpose. @default each has its first */
  readonly versions?: Versions;
}

export type JenkinsArgs = JenkinsSpec & RuntimeArgs;

/**
 * Jenkins, its agents' namespaces, and what image builds need; of a Jenkins that is there already all but the controller. A
 * program has one: the pipeline library knows its namespaces by their names. Without a provider in `opts` it stands in the
 * cluster of the default one.
 */
export class Jenkins extends Component implements JenkinsEndpoint {
  /** Namespace of its controller. */
  readonly namespace: string;
  /** Its service account, which starts agents. */
  readonly serviceAccount: string;
  /** Its address for agents. */
  readonly url: string;
  /** Image with the commands that pipelines call. */
  readonly deliveryImage: pulumi.Output<string>;
  private readonly address: { readonly url: string; readonly group: string };

  constructor(name: string, args: JenkinsArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('jenkins'), name, jenkinsDeclarations(args), args, opts);
    const { namespace, serviceAccount, url } = jenkinsEndpoint(args);
    this.namespace = namespace;
    this.serviceAccount = serviceAccount;
    this.url = url;
    this.deliveryImage = this.output(deliveryImageOf(args));
    this.address = { url: args.url, group: args.gitlab.group };
    this.registerOutputs({ url: args.url, namespace, serviceAccount, deliveryImage: this.deliveryImage });
  }

  /** Where GitLab's hook of a module's project goes. */
  hookUrl(module: string): string {
    return hookUrl(this.address, module);
  }
}
