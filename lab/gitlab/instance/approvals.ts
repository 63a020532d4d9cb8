import type { Instance } from './instance';
import type { ApprovalSettings, MergeRequest, Project } from './model';

/** What a new project has. */
export const DEFAULT_SETTINGS: ApprovalSettings = {
  reset_approvals_on_push: true,
  disable_overriding_approvers_per_merge_request: false,
  merge_requests_author_approval: false,
  merge_requests_disable_committers_approval: false,
};

export const approvalSettings = (app: Instance, project: Project): ApprovalSettings =>
  app.tables.approvalSettings.find((row) => row.project_id === project.id)?.settings ?? DEFAULT_SETTINGS;

/** Approvals that a merge request of this project needs: the most that one of its rules asks for; 0 on free. */
export const approvalsRequired = (app: Instance, project: Project): number =>
  app.tier === 'free'
    ? 0
    : Math.max(
        0,
        ...app.tables.approvalRules
          .filter((row) => row.project_id === project.id)
          .map((row) => row.approvals_required),
      );

export const approvalsLeft = (app: Instance, project: Project, mr: MergeRequest): number =>
  Math.max(0, approvalsRequired(app, project) - (mr.approvals ?? []).length);
