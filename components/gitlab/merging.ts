import type { GitLabSettings } from '../../stacks/gitlab';

/** How merge requests become part of a project's main branch. */
export interface MergeRules {
  /** GitLab's `merge_method`; `ff` keeps history a line. @default 'merge' */
  readonly mergeMethod?: GitLabSettings['mergeMethod'];
  /** Whether a merge request's commits become one: GitLab's `squash_option`. @default 'default_off' */
  readonly squash?: GitLabSettings['squash'];
  /** Who may merge to main, beside the bot. Nobody pushes to it. @default 'maintainer' */
  readonly mergeRole?: GitLabSettings['mergeRole'];
  /** Every discussion must be resolved before. @default false */
  readonly resolveDiscussions?: boolean;
  /** What the instance is licensed for: nothing of a higher tier is made. @default 'free' */
  readonly tier?: GitLabSettings['tier'];
  /** Approvals that each merge request needs; of Premium. @default none */
  readonly approvals?: GitLabSettings['approvals'];
}
