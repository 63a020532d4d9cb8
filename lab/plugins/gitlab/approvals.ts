import { bodyOf, type Kind, segment, splitId } from './kind';

const DEFAULTS = {
  resetApprovalsOnPush: true,
  mergeRequestsAuthorApproval: false,
  mergeRequestsDisableCommittersApproval: false,
  disableOverridingApproversPerMergeRequest: false,
};

const settingsOf = (project: unknown): string => `projects/${segment(project)}/approvals`;

/** A project's settings of approvals: always there, so that making and removing them is a change. */
export const projectLevelMrApprovals: Kind = {
  covered: ['project', ...Object.keys(DEFAULTS)],
  replace: ['project'],
  reset: DEFAULTS,
  async create(client, inputs) {
    await client.post(settingsOf(inputs.project), bodyOf(projectLevelMrApprovals, inputs, ['project']));
    return { id: String(inputs.project) };
  },
  async read(client, id) {
    const found = await client.lookUp(settingsOf(id));
    return found && { ...found, project: id };
  },
  async update(client, id, changed) {
    await client.post(settingsOf(id), bodyOf(projectLevelMrApprovals, changed, ['project']));
    return undefined;
  },
  async delete(client, id) {
    await client.post(settingsOf(id), bodyOf(projectLevelMrApprovals, DEFAULTS));
  },
};

const rule = (id: string): string => {
  const [project, number] = splitId(id);
  return `projects/${segment(project)}/approval_rules/${segment(number)}`;
};

export const projectApprovalRule: Kind = {
  covered: ['project', 'name', 'ruleType', 'approvalsRequired'],
  replace: ['project', 'ruleType'],
  deleteBeforeReplace: true,
  autoname: true,
  // Rules with approvers of their own are not covered by the stand-in.
  values: { ruleType: ['any_approver'] },
  async create(client, inputs) {
    const made = await client.post(
      `projects/${segment(inputs.project)}/approval_rules`,
      bodyOf(projectApprovalRule, inputs, ['project']),
    );
    return { id: `${String(inputs.project)}:${String(made.id)}` };
  },
  async read(client, id) {
    const found = await client.lookUp(rule(id));
    return found && { ...found, project: splitId(id)[0] };
  },
  async update(client, id, _changed, inputs) {
    await client.put(rule(id), bodyOf(projectApprovalRule, inputs, ['project', 'ruleType']));
    return undefined;
  },
  async delete(client, id) {
    await client.delete(rule(id));
  },
};
