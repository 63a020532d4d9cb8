import type { Module } from '../../catalog/load';
import { type GitLabSettings, slug } from '../../stacks/gitlab';
import type { ArgsByType, Declaration } from '../shared/declaration';
import { handle, outputOf } from '../shared/handle';
import { foundRef } from '../shared/references';
import { group, numeric, projectHandle } from './projects';

const TOKEN = 'gitlab:index/groupAccessToken:GroupAccessToken';
type TokenArgs = ArgsByType[typeof TOKEN];

/** When a token of ours ends: on a day, or by rotation. */
function lifetime({ botToken }: GitLabSettings): Partial<TokenArgs> {
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
  gitlab: GitLabSettings,
  given: Pick<TokenArgs, 'group' | 'name' | 'accessLevel'>,
): TokenArgs => ({ ...given, scopes: ['read_api', 'read_repository'], ...lifetime(gitlab) });

const botHandle = handle(TOKEN, 'gitlab-bot');
const readerHandle = handle(TOKEN, 'gitlab-reader');
const watcherHandle = handle(TOKEN, 'gitlab-watcher');

/** The bot's token. */
export const botToken = outputOf(botHandle, 'token');

/** The token of the bot's commands that only read. */
export const readerToken = outputOf(readerHandle, 'token');

/** The token of what looks for drift. */
export const watcherToken = outputOf(watcherHandle, 'token');

/** One bot for all posts: GitLab takes a status of the same name from another user for a retry. */
export const bot = (gitlab: GitLabSettings): Declaration => ({
  ...botHandle,
  provider: 'gitlab',
  args: {
    group,
    name: 'switchyard-bot',
    accessLevel: 'maintainer',
    scopes: ['api', 'read_repository', 'write_repository'],
    ...lifetime(gitlab),
  },
});

/**
 * What Jenkins binds around commands that only read: the ledger, merge requests and repositories. Neither hooks nor CI
 * variables, which GitLab shows to maintainers.
 */
export const reader = (gitlab: GitLabSettings): Declaration => ({
  ...readerHandle,
  provider: 'gitlab',
  args: readingToken(gitlab, { group, name: 'switchyard-reader', accessLevel: 'reporter' }),
});

/**
 * What looks for drift: it may read as a maintainer does, hooks and protection among it, and this repository's program,
 * and change nothing. Tokens of the group are for its owners' eyes.
 */
export const watcher = (gitlab: GitLabSettings): Declaration => ({
  ...watcherHandle,
  provider: 'gitlab',
  args: readingToken(gitlab, { group, name: 'switchyard-watcher', accessLevel: 'maintainer' }),
});

/** Members of the group, by role. */
export const groupMembers = ({ members }: GitLabSettings): Declaration[] =>
  Object.entries(members)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([user, role]) => ({
      type: 'gitlab:index/groupMembership:GroupMembership',
      name: `gitlab-member-${user}`,
      provider: 'gitlab',
      args: {
        groupId: numeric(group),
        userId: numeric(foundRef('user', user)),
        accessLevel: role,
      },
    }));

/** The people who answer for a module, in its project. */
export function ownerMembers({ ownersRole }: GitLabSettings, module: Module, name: string): Declaration[] {
  if (!ownersRole) return [];
  return [...new Set(module.owners)].sort().map((user) => ({
    type: 'gitlab:index/projectMembership:ProjectMembership',
    name: `${name}-owner-${user}`,
    provider: 'gitlab',
    args: {
      project: outputOf(projectHandle(name), 'id'),
      userId: numeric(foundRef('user', user)),
      accessLevel: ownersRole,
    },
  }));
}

export const deployKeys = (
  { deployKeys: keys }: GitLabSettings,
  module: Module,
  name: string,
): Declaration[] =>
  keys
    .filter(({ modules }) => modules?.includes(module.name) ?? true)
    .map(({ title, key, canPush }) => ({
      type: 'gitlab:index/deployKey:DeployKey',
      name: `${name}-key-${slug(title)}`,
      provider: 'gitlab',
      args: { project: outputOf(projectHandle(name), 'id'), title, key, canPush },
    }));

export const labels = ({ labels: wanted }: GitLabSettings, name: string): Declaration[] =>
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
