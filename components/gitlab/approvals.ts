import type { Declaration } from '../shared/declaration';
import { outputOf } from '../shared/handle';
import type { MergeRules } from './merging';
import { projectHandle } from './projects';

/** Approvals of one module's merge requests. Premium and up: on free there is nothing to declare. */
export function approvalResources({ approvals, tier = 'free' }: MergeRules, name: string): Declaration[] {
  if (!approvals || tier === 'free') return [];
  const project = outputOf(projectHandle(name), 'id');
  return [
    {
      type: 'gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals',
      name: `${name}-approvals`,
      provider: 'gitlab',
      args: {
        project,
        resetApprovalsOnPush: approvals.resetOnPush,
        mergeRequestsAuthorApproval: approvals.authorMayApprove,
        mergeRequestsDisableCommittersApproval: !approvals.committersMayApprove,
        // Otherwise each author sets the number for their own merge request.
        disableOverridingApproversPerMergeRequest: true,
      },
    },
    {
      type: 'gitlab:index/projectApprovalRule:ProjectApprovalRule',
      name: `${name}-approval-rule`,
      provider: 'gitlab',
      args: {
        project,
        name: 'Any approver',
        ruleType: 'any_approver',
        approvalsRequired: approvals.required,
      },
    },
  ];
}
