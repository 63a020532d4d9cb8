import { bodyOf, type Kind, segment, splitId } from './kind';

const EVENTS = [
  'pushEvents',
  'tagPushEvents',
  'mergeRequestsEvents',
  'issuesEvents',
  'confidentialIssuesEvents',
  'noteEvents',
  'confidentialNoteEvents',
  'jobEvents',
  'pipelineEvents',
  'wikiPageEvents',
  'deploymentEvents',
  'releasesEvents',
  'emojiEvents',
  'featureFlagEvents',
  'milestoneEvents',
  'resourceAccessTokenEvents',
  'resourceDeployTokenEvents',
  'vulnerabilityEvents',
];

export const projectHook: Kind = {
  covered: [
    ...EVENTS,
    'url',
    'name',
    'description',
    'token',
    'enableSslVerification',
    'pushEventsBranchFilter',
    'branchFilterStrategy',
    'customWebhookTemplate',
    'customHeaders',
    'project',
  ],
  rename: { hookId: 'id', project: 'project' },
  replace: ['project'],
  values: { branchFilterStrategy: ['wildcard', 'regex', 'all_branches'] },
  reset: {
    ...Object.fromEntries(EVENTS.map((event) => [event, event === 'pushEvents'])),
    name: '',
    description: '',
    token: '',
    pushEventsBranchFilter: '',
    customWebhookTemplate: '',
    customHeaders: [],
    enableSslVerification: true,
  },
  async create(client, inputs) {
    const made = await client.post(
      `projects/${segment(inputs.project)}/hooks`,
      bodyOf(projectHook, inputs, ['project']),
    );
    return { id: `${String(inputs.project)}:${String(made.id)}` };
  },
  async read(client, id) {
    const [project, hook] = splitId(id);
    const found = await client.lookUp(`projects/${segment(project)}/hooks/${segment(hook)}`);
    if (!found) return undefined;
    // GitLab never shows a token, and of custom headers only the names: what was set is what counts.
    const { token: _token, custom_headers: _headers, ...shown } = found;
    return { ...shown, project };
  },
  async update(client, id, changed, inputs) {
    const [project, hook] = splitId(id);
    const body = bodyOf(projectHook, changed, ['project']);
    await client.put(`projects/${segment(project)}/hooks/${segment(hook)}`, { url: inputs.url, ...body });
    return undefined;
  },
  async delete(client, id) {
    const [project, hook] = splitId(id);
    await client.delete(`projects/${segment(project)}/hooks/${segment(hook)}`);
  },
};
