import { entryOf } from '../../catalog/entry';
import type { Module } from '../../catalog/load';
import type { GitLabSettings } from '../../stacks/gitlab';
import { keepsQueue } from '../../stacks/merge-queue';
import type { StackSettings } from '../../stacks/schema';
import type { GitLabSpec } from '../gitlab/gitlab';
import type { GitLabModuleSpec } from '../gitlab/gitlab-module';
import { hookUrl } from '../gitlab/hooks';
import type { MergeRules } from '../gitlab/merging';
import { group } from '../gitlab/projects';
import type { Model } from '../model';
import { foundRef } from '../shared/references';

const mergingOf = ({
  approvals,
  mergeMethod,
  mergeRole,
  resolveDiscussions,
  squash,
  tier,
}: GitLabSettings): MergeRules => ({ approvals, mergeMethod, mergeRole, resolveDiscussions, squash, tier });

const hookOf = ({ gitlab, jenkins }: StackSettings, job: string): string =>
  hookUrl({ url: jenkins.url, group: gitlab.group }, job);

/** What all modules share in GitLab. */
export function gitlabSpec({ settings, library }: Model): GitLabSpec {
  const { environment, gitlab, topologyProject } = settings;
  return {
    environment,
    group: gitlab.group,
    existing: gitlab.groupExists ? foundRef('group', gitlab.group) : undefined,
    members: Object.entries(gitlab.members).map(([user, role]) => ({
      user,
      role,
      id: foundRef('user', user),
    })),
    botToken: gitlab.botToken,
    deletion: gitlab.deletion,
    library,
    merging: mergingOf(gitlab),
    topologyProject: topologyProject && {
      path: topologyProject.path,
      hookUrl: hookOf(settings, topologyProject.path),
    },
  };
}

/** One module's project. */
export function gitlabModuleSpec({ settings }: Model, module: Module): GitLabModuleSpec {
  const { environment, gitlab } = settings;
  const { name, description, merge, owners } = module;
  const { ownersRole: role } = gitlab;
  const existing = entryOf(gitlab.projects, name)?.existing;
  return {
    environment,
    module: name,
    description,
    group,
    deletion: gitlab.deletion,
    existing: existing === undefined ? undefined : foundRef('project', existing),
    hookUrl: hookOf(settings, name),
    merging: mergingOf(gitlab),
    owners: role && [...new Set(owners)].map((user) => ({ user, role, id: foundRef('user', user) })),
    deployKeys: gitlab.deployKeys.filter(({ modules }) => modules?.includes(name) ?? true),
    labels: gitlab.labels,
    queue: keepsQueue(settings, module),
    merge,
  };
}
