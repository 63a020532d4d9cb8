import { projectApprovalRule, projectLevelMrApprovals } from './approvals';
import { projectLabel, projectVariable, repositoryFile } from './content';
import { projectHook } from './hooks';
import type { Kind } from './kind';
import { groupMembership, projectMembership, user } from './members';
import { group, project } from './projects';
import { branchProtection, tagProtection } from './protection';
import {
  deployKey,
  groupAccessToken,
  personalAccessToken,
  projectAccessToken,
  projectDeployToken,
} from './tokens';

/** What this plug-in covers, by type token. */
export const KINDS: Readonly<Record<string, Kind>> = {
  'gitlab:index/branchProtection:BranchProtection': branchProtection,
  'gitlab:index/deployKey:DeployKey': deployKey,
  'gitlab:index/group:Group': group,
  'gitlab:index/groupAccessToken:GroupAccessToken': groupAccessToken,
  'gitlab:index/groupMembership:GroupMembership': groupMembership,
  'gitlab:index/personalAccessToken:PersonalAccessToken': personalAccessToken,
  'gitlab:index/project:Project': project,
  'gitlab:index/projectAccessToken:ProjectAccessToken': projectAccessToken,
  'gitlab:index/projectApprovalRule:ProjectApprovalRule': projectApprovalRule,
  'gitlab:index/projectLevelMrApprovals:ProjectLevelMrApprovals': projectLevelMrApprovals,
  'gitlab:index/projectDeployToken:ProjectDeployToken': projectDeployToken,
  'gitlab:index/projectHook:ProjectHook': projectHook,
  'gitlab:index/projectLabel:ProjectLabel': projectLabel,
  'gitlab:index/projectMembership:ProjectMembership': projectMembership,
  'gitlab:index/projectVariable:ProjectVariable': projectVariable,
  'gitlab:index/repositoryFile:RepositoryFile': repositoryFile,
  'gitlab:index/tagProtection:TagProtection': tagProtection,
  'gitlab:index/user:User': user,
};

/** @throws when the plug-in does not cover the resource */
export function kindOf(token: string): Kind {
  const kind = KINDS[token];
  if (kind) return kind;
  throw new Error(
    `${token} is not covered by the lab's gitlab plug-in. Leave it out of the lab's stack, or install the official ` +
      'plug-in: pulumi plugin install resource gitlab v10.1.1',
  );
}
