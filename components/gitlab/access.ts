import type * as pulumi from '@pulumi/pulumi';
import { type GitLabSettings, type MemberRole, slug } from '../../stacks/gitlab';
import type { ArgsByType, Declaration } from '../shared/declaration';
import { handle, outputOf } from '../shared/handle';
import { inputRef } from '../shared/references';
import { numeric, projectHandle } from './projects';

const TOKEN = 'gitlab:index/groupAccessToken:GroupAccessToken';
type TokenArgs = ArgsByType[typeof TOKEN];

/** When tokens end: on a day, or by rotation. */
export type TokenLifetime = Pick<GitLabSettings, 'botToken'>;

/** As a stack file has it that says nothing. */
export const DEFAULT_LIFETIME: TokenLifetime['botToken'] = { rotation: { days: 180, before: 30 } };

function lifetime({ botToken }: TokenLifetime): Partial<TokenArgs> {
  return 'expires' in botToken
    ? { expiresAt: botToken.expires }
    : {
        rotationConfiguration: {
          expirationDays: botToken.rotation.days,
          rotateBeforeDays: botToken.rotation.before,
        },
      };
}

/** Arguments of a token that reads what its role may see, and changes nothing. */
export const readingToken = (
  gitlab: TokenLifetime,
  given: Pick<TokenArgs, 'group' | 'name' | 'accessLevel'>,
): TokenArgs => ({ ...given, scopes: ['read_api', 'read_repository'], ...lifetime(gitlab) });

/** The tokens of a {@link GitLab}, by the component's name. */
export const tokenHandles = (gitlab: string) =>
  ({
    bot: handle(TOKEN, `${gitlab}-bot`),
    reader: handle(TOKEN, `${gitlab}-reader`),
    watcher: handle(TOKEN, `${gitlab}-watcher`),
  }) as const;

/** What a token is of: the component by its name, the group by its id, and how long tokens live. */
export interface TokenPlace extends TokenLifetime {
  readonly name: string;
  readonly group: TokenArgs['group'];
}

/** One bot for all posts: GitLab takes a status of the same name from another user for a retry. */
export const bot = (place: TokenPlace): Declaration => ({
  ...tokenHandles(place.name).bot,
  provider: 'gitlab',
  args: {
    group: place.group,
    name: 'switchyard-bot',
    accessLevel: 'maintainer',
    scopes: ['api', 'read_repository', 'write_repository'],
    ...lifetime(place),
  },
});

/**
 * What Jenkins binds around commands that only read: the ledger, merge requests and repositories. Neither hooks nor CI
 * variables, which GitLab shows to maintainers.
 */
export const reader = (place: TokenPlace): Declaration => ({
  ...tokenHandles(place.name).reader,
  provider: 'gitlab',
  args: readingToken(place, { group: place.group, name: 'switchyard-reader', accessLevel: 'reporter' }),
});

/**
 * What looks for drift: it may read as a maintainer does, hooks and protection among it, and this repository's program,
 * and change nothing. Tokens of the group are for its owners' eyes.
 */
export const watcher = (place: TokenPlace): Declaration => ({
  ...tokenHandles(place.name).watcher,
  provider: 'gitlab',
  args: readingToken(place, { group: place.group, name: 'switchyard-watcher', accessLevel: 'maintainer' }),
});

/** A person, as GitLab knows them. */
export interface Person {
  /** Their user name. */
  readonly user: string;
  /** Their number. */
  readonly id: pulumi.Input<string>;
  /** What they may do. */
  readonly role: MemberRole;
}

const byUser = (people: readonly Person[]): Person[] =>
  [...people].sort((a, b) => (a.user < b.user ? -1 : 1));

const userId = ({ user, id }: Person) => numeric(inputRef(`id of ${user}`, id));

/** Members of the group. */
export const groupMembers = (
  name: string,
  group: pulumi.Input<string>,
  members: readonly Person[],
): Declaration[] =>
  byUser(members).map((member) => ({
    type: 'gitlab:index/groupMembership:GroupMembership',
    name: `${name}-member-${member.user}`,
    provider: 'gitlab',
    args: {
      groupId: numeric(inputRef('group', group)),
      userId: userId(member),
      accessLevel: member.role,
    },
  }));

/** The people who answer for a module, in its project. */
export const ownerMembers = (name: string, owners: readonly Person[]): Declaration[] =>
  byUser(owners).map((owner) => ({
    type: 'gitlab:index/projectMembership:ProjectMembership',
    name: `${name}-owner-${owner.user}`,
    provider: 'gitlab',
    args: {
      project: outputOf(projectHandle(name), 'id'),
      userId: userId(owner),
      accessLevel: owner.role,
    },
  }));

/** A key with which a machine reads a project's repository. */
export type DeployKey = Omit<GitLabSettings['deployKeys'][number], 'modules'>;

export const deployKeys = (name: string, keys: readonly DeployKey[]): Declaration[] =>
  keys.map(({ title, key, canPush }) => ({
    type: 'gitlab:index/deployKey:DeployKey',
    name: `${name}-key-${slug(title)}`,
    provider: 'gitlab',
    args: { project: outputOf(projectHandle(name), 'id'), title, key, canPush },
  }));

/** A label of a project. */
export type Label = GitLabSettings['labels'][number];

export const labels = (name: string, wanted: readonly Label[]): Declaration[] =>
  wanted.map((label) => ({
    type: 'gitlab:index/projectLabel:ProjectLabel',
    name: `${name}-label-${slug(label.name)}`,
    provider: 'gitlab',
    args: {
      project: outputOf(projectHandle(name), 'id'),
      name: label.name,
      color: label.color,
      ...(label.description ? { description: label.description } : {}),
    },
  }));
