import type * as pulumi from '@pulumi/pulumi';
import type { Module } from '../../catalog/load';
import { Component, type RuntimeArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import type { DeployKey, Label, Person } from './access';
import type { MergeRules } from './merging';
import { type ProjectPlace, projectHandle } from './projects';
import { gitlabModuleDeclarations } from './resources';

/** What a {@link GitLabModule} is made of; plain where it decides which resources exist, an input where it may come late. */
export interface GitLabModuleSpec extends ProjectPlace {
  /** Name of the environment: part of what the hook's token is derived by. */
  readonly environment: string;
  /** Name of the module: that of its project, and of its job in Jenkins. */
  readonly module: string;
  /** What it does: the project's description. */
  readonly description: string;
  /** Id of its project, where it is there already: it is read, never changed or deleted. @default one is made */
  readonly existing?: pulumi.Input<string>;
  /** Where its hook goes, as `hookUrl` of a `Jenkins` says. */
  readonly hookUrl: string;
  /** How its merge requests are merged. @default as GitLab does it, by maintainers */
  readonly merging?: MergeRules;
  /** Who answers for it, as members of its project. @default they are members of the group */
  readonly owners?: readonly Person[];
  /** SSH keys of machines that read its repository. @default none */
  readonly deployKeys?: readonly DeployKey[];
  /** Labels of its merge requests. @default none */
  readonly labels?: readonly Label[];
  /** Whether a merge queue is kept for it, which has labels of its own. @default false */
  readonly queue?: boolean;
  /** Who merges: see the catalog's `merge`. What people merge gets into the queue by a label. @default 'reviewed' */
  readonly merge?: Module['merge'];
}

export type GitLabModuleArgs = GitLabModuleSpec & RuntimeArgs;

/** One module's project with its main branch, its hook, and who may do what. */
export class GitLabModule extends Component {
  /** Id of the project. */
  readonly project: pulumi.Output<string>;

  constructor(name: string, args: GitLabModuleArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('gitlab'), name, gitlabModuleDeclarations(args), args, opts);
    this.project = this.resource(projectHandle(`gitlab-${args.module}`)).id;
    this.registerOutputs({ project: this.project });
  }
}
