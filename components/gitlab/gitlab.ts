import type * as pulumi from '@pulumi/pulumi';
import type { GitLabSettings } from '../../stacks/gitlab';
import { Component, type RuntimeArgs } from '../shared/component';
import { typeToken } from '../shared/naming';
import { type Person, type TokenLifetime, tokenHandles } from './access';
import type { MergeRules } from './merging';
import { groupHandle } from './projects';
import { gitlabDeclarations } from './resources';

/** What a {@link GitLab} is made of; plain where it decides which resources exist, an input where it may come late. */
export interface GitLabSpec {
  /** Name of the environment: part of what passwords are derived by. */
  readonly environment: string;
  /** Full path of the group. One that is made has a path of its own at the top level. */
  readonly group: string;
  /** Id of the group, where it is there already: it is read, never changed or deleted. @default one is made */
  readonly existing?: pulumi.Input<string>;
  /** Members of the group. @default none: its owners are made by hand */
  readonly members?: readonly Person[];
  /** When its tokens end: `{ expires: 'YYYY-MM-DD' }`, or by rotation. @default { rotation: { days: 180, before: 30 } } */
  readonly botToken?: TokenLifetime['botToken'];
  /** What becomes of projects that go: `immediate` removes them for good. @default 'immediate' */
  readonly deletion?: GitLabSettings['deletion'];
  /** Files of the Jenkins shared library: path in its repository → text. */
  readonly library: Readonly<Record<string, string>>;
  /** How merge requests of the topology's own project are merged. @default as GitLab does it, by maintainers */
  readonly merging?: MergeRules;
  /** The topology's own repository as a project: its path, and where its hook goes. @default it is none */
  readonly topologyProject?: { readonly path: string; readonly hookUrl: string };
}

export type GitLabArgs = GitLabSpec & RuntimeArgs;

/**
 * The group, the bot and its reader, the release ledger and the pipeline library: what all modules share. Without a provider
 * in `opts` it is in the GitLab of the default one.
 */
export class GitLab extends Component {
  /** Id of the group. */
  readonly group: pulumi.Output<string>;
  /** Token of the bot that posts statuses, merges, and writes the ledger. */
  readonly botToken: pulumi.Output<string>;
  /** Token of the commands that only read. */
  readonly readerToken: pulumi.Output<string>;

  constructor(name: string, args: GitLabArgs, opts?: pulumi.ComponentResourceOptions) {
    super(typeToken('gitlab'), name, gitlabDeclarations(name, args), args, opts);
    const tokens = tokenHandles(name);
    this.group = this.resource(groupHandle(name)).id;
    this.botToken = this.resource(tokens.bot).token;
    this.readerToken = this.resource(tokens.reader).token;
    this.registerOutputs({ group: this.group });
  }
}
