import { z } from 'zod';
import { bool, int, list, text } from './http';

/** Documented attributes that are stored and given back: how each is checked, and what a fresh object has. */
export interface Attribute {
  type: z.ZodType;
  initial: unknown;
}

const attribute = (type: z.ZodType, initial: unknown): Attribute => ({ type, initial });
const feature = (initial: string): Attribute =>
  attribute(z.enum(['disabled', 'private', 'enabled']), initial);

export const VISIBILITY = z.enum(['private', 'internal', 'public']);

/** https://docs.gitlab.com/api/projects/ */
export const PROJECT_ATTRIBUTES: Record<string, Attribute> = {
  description: attribute(text, null),
  visibility: attribute(VISIBILITY, 'private'),
  allow_merge_on_skipped_pipeline: attribute(bool, false),
  allow_pipeline_trigger_approve_deployment: attribute(bool, false),
  analytics_access_level: feature('enabled'),
  auto_cancel_pending_pipelines: attribute(z.enum(['enabled', 'disabled']), 'enabled'),
  auto_devops_deploy_strategy: attribute(z.enum(['continuous', 'manual', 'timed_incremental']), 'continuous'),
  // A project takes the instance's: application_settings.auto_devops_enabled is true by default (db/structure.sql).
  auto_devops_enabled: attribute(bool, true),
  autoclose_referenced_issues: attribute(bool, true),
  build_git_strategy: attribute(z.enum(['fetch', 'clone']), 'fetch'),
  build_timeout: attribute(int(60), 3600),
  builds_access_level: feature('enabled'),
  ci_config_path: attribute(text, null),
  ci_default_git_depth: attribute(int(0), 20),
  ci_delete_pipelines_in_seconds: attribute(int(0), null),
  ci_display_pipeline_variables: attribute(bool, false),
  ci_forward_deployment_enabled: attribute(bool, true),
  ci_forward_deployment_rollback_allowed: attribute(bool, true),
  ci_id_token_sub_claim_components: attribute(list(z.string()), ['project_path', 'ref_type', 'ref']),
  ci_pipeline_variables_minimum_override_role: attribute(
    z.enum(['no_one_allowed', 'developer', 'maintainer', 'owner']),
    'developer',
  ),
  ci_push_repository_for_job_token_allowed: attribute(bool, false),
  ci_restrict_pipeline_cancellation_role: attribute(
    z.enum(['developer', 'maintainer', 'no_one']),
    'developer',
  ),
  ci_separated_caches: attribute(bool, true),
  container_registry_access_level: feature('enabled'),
  emails_enabled: attribute(bool, true),
  environments_access_level: feature('enabled'),
  feature_flags_access_level: feature('enabled'),
  forking_access_level: feature('enabled'),
  group_runners_enabled: attribute(bool, true),
  infrastructure_access_level: feature('enabled'),
  issue_branch_template: attribute(text, null),
  issues_access_level: feature('enabled'),
  issues_template: attribute(text, ''),
  keep_latest_artifact: attribute(bool, true),
  lfs_enabled: attribute(bool, true),
  max_artifacts_size: attribute(int(0), null),
  merge_commit_template: attribute(text, null),
  merge_method: attribute(z.enum(['merge', 'rebase_merge', 'ff']), 'merge'),
  merge_pipelines_enabled: attribute(bool, false),
  merge_requests_access_level: feature('enabled'),
  merge_requests_template: attribute(text, ''),
  merge_trains_enabled: attribute(bool, false),
  model_experiments_access_level: feature('enabled'),
  model_registry_access_level: feature('enabled'),
  monitor_access_level: feature('enabled'),
  only_allow_merge_if_all_discussions_are_resolved: attribute(bool, false),
  only_allow_merge_if_pipeline_succeeds: attribute(bool, false),
  packages_enabled: attribute(bool, true),
  package_registry_access_level: feature('enabled'),
  pages_access_level: attribute(z.enum(['disabled', 'private', 'enabled', 'public']), 'private'),
  printing_merge_request_link_enabled: attribute(bool, true),
  public_jobs: attribute(bool, true),
  releases_access_level: feature('enabled'),
  remove_source_branch_after_merge: attribute(bool, true),
  repository_access_level: feature('enabled'),
  repository_storage: attribute(z.enum(['default']), 'default'),
  request_access_enabled: attribute(bool, true),
  requirements_access_level: feature('enabled'),
  resolve_outdated_diff_discussions: attribute(bool, false),
  resource_group_default_process_mode: attribute(
    z.enum(['unordered', 'oldest_first', 'newest_first', 'newest_ready_first']),
    'unordered',
  ),
  security_and_compliance_access_level: feature('private'),
  shared_runners_enabled: attribute(bool, true),
  snippets_access_level: feature('enabled'),
  squash_commit_template: attribute(text, null),
  squash_option: attribute(z.enum(['never', 'always', 'default_on', 'default_off']), 'default_off'),
  suggestion_commit_message: attribute(text, null),
  topics: attribute(list(z.string()), []),
  wiki_access_level: feature('enabled'),
};

/** Merge rules that would not be enforced here are refused where they differ from "off". */
export const NOT_ENFORCED: Record<string, unknown> = {
  merge_pipelines_enabled: false,
  merge_trains_enabled: false,
  merge_commit_template: null,
  squash_commit_template: null,
};

const defaults = (attributes: Record<string, Attribute>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(attributes).map(([name, { initial }]) => [name, initial]));
const shape = (attributes: Record<string, Attribute>): Record<string, z.ZodType> =>
  Object.fromEntries(Object.entries(attributes).map(([name, { type }]) => [name, type.optional()]));

export const projectDefaults = (): Record<string, unknown> => defaults(PROJECT_ATTRIBUTES);
export const projectShape = (): Record<string, z.ZodType> => shape(PROJECT_ATTRIBUTES);

/** https://docs.gitlab.com/api/groups/ */
export const GROUP_ATTRIBUTES: Record<string, Attribute> = {
  description: attribute(text, ''),
  visibility: attribute(VISIBILITY, 'private'),
  auto_devops_enabled: attribute(bool, null),
  default_branch: attribute(text, null),
  default_branch_protection: attribute(
    z.preprocess((value) => (typeof value === 'string' ? Number(value) : value), z.literal([0, 1, 2, 3, 4])),
    2,
  ),
  emails_enabled: attribute(bool, true),
  lfs_enabled: attribute(bool, true),
  max_artifacts_size: attribute(int(0), null),
  mentions_disabled: attribute(bool, null),
  only_allow_merge_if_pipeline_succeeds: attribute(bool, false),
  allow_merge_on_skipped_pipeline: attribute(bool, false),
  only_allow_merge_if_all_discussions_are_resolved: attribute(bool, false),
  project_creation_level: attribute(
    z.enum(['noone', 'administrator', 'owner', 'maintainer', 'developer']),
    'developer',
  ),
  request_access_enabled: attribute(bool, true),
  require_sha_for_merge: attribute(bool, true),
  require_two_factor_authentication: attribute(bool, false),
  share_with_group_lock: attribute(bool, false),
  prevent_sharing_groups_outside_hierarchy: attribute(bool, false),
  shared_runners_setting: attribute(
    z.enum(['enabled', 'disabled_and_overridable', 'disabled_and_unoverridable']),
    'enabled',
  ),
  subgroup_creation_level: attribute(z.enum(['owner', 'maintainer']), 'maintainer'),
  two_factor_grace_period: attribute(int(0), 48),
  wiki_access_level: feature('enabled'),
};

export const groupDefaults = (): Record<string, unknown> => defaults(GROUP_ATTRIBUTES);
export const groupShape = (): Record<string, z.ZodType> => shape(GROUP_ATTRIBUTES);
