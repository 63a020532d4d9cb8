import { isRecord, type Props } from '../shared/values';
import type { Client } from './client';
import { bodyOf, type Kind, segment, until } from './kind';

const FEATURE = ['disabled', 'private', 'enabled'] as const;
const VISIBILITY = ['private', 'internal', 'public'] as const;

/** What a deletion waits for, in seconds: the official provider's own limit. */
const DELETION = 600;

const GROUP_REST = { rename: { visibilityLevel: 'visibility' } };

export const group: Kind = {
  ...GROUP_REST,
  covered: [
    'name',
    'path',
    'description',
    'parentId',
    'visibilityLevel',
    'requestAccessEnabled',
    'lfsEnabled',
    'projectCreationLevel',
    'subgroupCreationLevel',
    'autoDevopsEnabled',
    'emailsEnabled',
    'mentionsDisabled',
    'requireTwoFactorAuthentication',
    'twoFactorGracePeriod',
    'shareWithGroupLock',
    'defaultBranch',
    'wikiAccessLevel',
    'sharedRunnersSetting',
  ],
  local: ['permanentlyRemoveOnDelete'],
  autoname: true,
  replace: ['parentId'],
  values: {
    visibilityLevel: VISIBILITY,
    projectCreationLevel: ['noone', 'owner', 'maintainer', 'developer', 'administrator'],
    subgroupCreationLevel: ['owner', 'maintainer'],
    wikiAccessLevel: FEATURE,
    sharedRunnersSetting: [
      'enabled',
      'disabled_and_overridable',
      'disabled_and_unoverridable',
      'disabled_with_override',
    ],
  },
  reset: { description: '' },
  imported: ['name', 'description', 'visibilityLevel', 'parentId'],
  async create(client, inputs) {
    // GitLab takes the shared runners' setting only for a group that exists.
    const made = await client.post('groups', bodyOf(group, inputs, ['sharedRunnersSetting']));
    const id = String(made.id);
    if (inputs.sharedRunnersSetting !== undefined) {
      await client.put(`groups/${id}`, { shared_runners_setting: inputs.sharedRunnersSetting });
    }
    return { id };
  },
  async read(client, id) {
    const found = await client.lookUp(`groups/${segment(id)}`, { with_projects: false });
    return found && !markedForDeletion(found) ? found : undefined;
  },
  async update(client, id, changed) {
    const body = bodyOf(group, changed);
    if (Object.keys(body).length > 0) await client.put(`groups/${segment(id)}`, body);
    return undefined;
  },
  delete: (client, id, state) =>
    remove(client, `groups/${segment(id)}`, 'full_path', state.permanentlyRemoveOnDelete === true),
};

const projectFeatures = [
  'analyticsAccessLevel',
  'buildsAccessLevel',
  'containerRegistryAccessLevel',
  'environmentsAccessLevel',
  'featureFlagsAccessLevel',
  'forkingAccessLevel',
  'infrastructureAccessLevel',
  'issuesAccessLevel',
  'mergeRequestsAccessLevel',
  'modelExperimentsAccessLevel',
  'modelRegistryAccessLevel',
  'monitorAccessLevel',
  'releasesAccessLevel',
  'repositoryAccessLevel',
  'requirementsAccessLevel',
  'securityAndComplianceAccessLevel',
  'snippetsAccessLevel',
  'wikiAccessLevel',
];

export const project: Kind = {
  rename: { visibilityLevel: 'visibility', publicBuilds: 'public_jobs' },
  covered: [
    ...projectFeatures,
    'pagesAccessLevel',
    'name',
    'path',
    'namespaceId',
    'description',
    'defaultBranch',
    'visibilityLevel',
    'initializeWithReadme',
    'topics',
    'mergeMethod',
    'squashOption',
    'onlyAllowMergeIfPipelineSucceeds',
    'onlyAllowMergeIfAllDiscussionsAreResolved',
    'allowMergeOnSkippedPipeline',
    'removeSourceBranchAfterMerge',
    'resolveOutdatedDiffDiscussions',
    'printingMergeRequestLinkEnabled',
    'autocloseReferencedIssues',
    'requestAccessEnabled',
    'lfsEnabled',
    'packagesEnabled',
    'emailsEnabled',
    'sharedRunnersEnabled',
    'groupRunnersEnabled',
    'autoDevopsEnabled',
    'autoDevopsDeployStrategy',
    'autoCancelPendingPipelines',
    'buildGitStrategy',
    'buildTimeout',
    'ciConfigPath',
    'ciDefaultGitDepth',
    'ciForwardDeploymentEnabled',
    'ciSeparatedCaches',
    'keepLatestArtifact',
    'publicBuilds',
    'publicJobs',
    'mergeCommitTemplate',
    'squashCommitTemplate',
    'suggestionCommitMessage',
    'issuesTemplate',
    'mergeRequestsTemplate',
  ],
  local: ['permanentlyDeleteOnDestroy', 'skipWaitForDefaultBranchProtection'],
  autoname: true,
  values: {
    ...Object.fromEntries(projectFeatures.map((feature) => [feature, FEATURE])),
    pagesAccessLevel: ['disabled', 'private', 'enabled', 'public'],
    visibilityLevel: VISIBILITY,
    mergeMethod: ['merge', 'rebase_merge', 'ff'],
    squashOption: ['never', 'always', 'default_on', 'default_off'],
    autoDevopsDeployStrategy: ['continuous', 'manual', 'timed_incremental'],
    autoCancelPendingPipelines: ['enabled', 'disabled'],
    buildGitStrategy: ['clone', 'fetch'],
  },
  reset: {
    description: '',
    topics: [],
    mergeCommitTemplate: '',
    squashCommitTemplate: '',
    suggestionCommitMessage: '',
  },
  unordered: ['topics'],
  imported: ['name', 'path', 'namespaceId', 'description', 'visibilityLevel', 'defaultBranch'],
  async create(client, inputs) {
    const made = await client.post('projects', bodyOf(project, inputs));
    const id = String(made.id);
    if (inputs.initializeWithReadme === true) {
      // The first commit and the default branch's protection come from a background job.
      const branch = segment(inputs.defaultBranch ?? made.default_branch);
      const protection = inputs.skipWaitForDefaultBranchProtection !== true;
      await until(`the first commit of project ${String(made.path_with_namespace)}`, 60, async () => {
        const found = await client.lookUp(`projects/${id}/repository/branches/${branch}`);
        return found !== undefined && (!protection || found.protected === true);
      });
    }
    return { id };
  },
  async read(client, id) {
    const found = await client.lookUp(`projects/${segment(id)}`);
    if (!found || markedForDeletion(found)) return undefined;
    return { ...found, namespace_id: isRecord(found.namespace) ? found.namespace.id : null };
  },
  async update(client, id, changed) {
    const path = `projects/${segment(id)}`;
    if (changed.namespaceId !== undefined)
      await client.put(`${path}/transfer`, { namespace: changed.namespaceId });
    const body = bodyOf(project, changed, ['namespaceId', 'initializeWithReadme']);
    if (Object.keys(body).length > 0) await client.put(path, body);
    return undefined;
  },
  delete: (client, id, state) =>
    remove(
      client,
      `projects/${segment(id)}`,
      'path_with_namespace',
      state.permanentlyDeleteOnDestroy === true,
    ),
};

const markedForDeletion = (found: Props): boolean =>
  typeof found.marked_for_deletion_on === 'string' || typeof found.marked_for_deletion_at === 'string';

/**
 * Deletes and waits. GitLab may only mark the object and keep it for some days; `permanently` then deletes again,
 * by the path that the marked object has now.
 */
async function remove(client: Client, path: string, pathField: string, permanently: boolean): Promise<void> {
  const before = await client.lookUp(path);
  if (!before) return;
  if (!markedForDeletion(before)) await client.delete(path);
  const now = await client.lookUp(path);
  if (!now) return;
  if (permanently && markedForDeletion(now)) {
    await client.delete(path, { permanently_remove: true, full_path: String(now[pathField]) });
  }
  await until(`the deletion of ${String(before[pathField])}`, DELETION, async () => {
    const found = await client.lookUp(path);
    return !found || (!permanently && markedForDeletion(found));
  });
}
