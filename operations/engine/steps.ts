import type { EngineEvent, StepEventMetadata } from '@pulumi/pulumi/automation';
import { type Action, actionOf, dataHeld } from '../../clients/engine-steps';
import type { GitLabSettings } from '../../stacks/gitlab';
import { differingPaths } from './differences';
import { isRealResource, parseUrn, type ResourceName } from './urns';

/** What one run does, or would do, to one resource. */
export interface Step extends ResourceName {
  readonly operation: Action;
  /** `planned` by a preview; `begun` and not known to have ended, where a run was cut off. */
  readonly state: 'planned' | 'begun' | 'done' | 'failed';
  /** Name of the box's instance, as in `production-orders`. */
  readonly boxName: string;
  /** Paths of the properties that change, as in `spec.replicas`; empty for creations and deletions. */
  readonly properties: readonly string[];
  /** What data goes with it when it is replaced or deleted; absent when none does. */
  readonly data?: string;
  /** Pulumi refuses to delete it. */
  readonly protected: boolean;
}

function propertiesOf(metadata: StepEventMetadata): string[] {
  const detailed = Object.keys(metadata.detailedDiff ?? {});
  if (detailed.length > 0) return detailed.sort();
  // Not every provider says in detail what it saw: then the inputs do.
  const inputs = differingPaths(metadata.old?.inputs ?? {}, metadata.new?.inputs ?? {});
  return inputs.length > 0 ? inputs : [...(metadata.diffs ?? metadata.keys ?? [])].sort();
}

function stateOf({ resOpFailedEvent, resOutputsEvent, resourcePreEvent }: EngineEvent): Step['state'] {
  if (resOpFailedEvent) return 'failed';
  if ((resOutputsEvent ?? resourcePreEvent)?.planning) return 'planned';
  return resOutputsEvent ? 'done' : 'begun';
}

/** Gathers what a run does from the engine's events: each resource once, in the order in which they came. */
export class StepGatherer {
  private readonly steps = new Map<string, Step>();

  /** @param event any event of the engine; those that say nothing about a resource are passed over */
  take(event: EngineEvent): void {
    const metadata = (event.resOpFailedEvent ?? event.resOutputsEvent ?? event.resourcePreEvent)?.metadata;
    const operation = metadata && actionOf(metadata.op);
    if (!metadata || !operation || !isRealResource(metadata.type)) return;
    const known = this.steps.get(metadata.urn);
    const resource = metadata.old ?? metadata.new;
    const replaces = operation === 'replace' || known?.operation === 'replace';
    const loses = replaces || operation === 'delete';
    const compared = metadata.old && metadata.new ? propertiesOf(metadata) : [];
    this.steps.set(metadata.urn, {
      ...parseUrn(metadata.urn),
      operation: replaces ? 'replace' : operation,
      state: stateOf(event),
      boxName: resource?.parent ? parseUrn(resource.parent).name : '',
      properties: compared.length > 0 ? compared : (known?.properties ?? []),
      data: known?.data ?? (loses ? dataHeld(metadata.type, metadata.old?.inputs ?? {}) : undefined),
      protected: known?.protected ?? metadata.old?.protect ?? false,
    });
  }

  all(): Step[] {
    return [...this.steps.values()];
  }
}

/** The steps by which data goes, or would go. */
export const losing = (steps: readonly Step[]): Step[] =>
  steps.filter(({ operation }) => operation === 'replace' || operation === 'delete');

/**
 * What a run took away and GitLab keeps for its days, as people are told it: a group at the top level always, projects where
 * the stack says so (docs/components/gitlab.md).
 */
export function keptByGitLab(
  steps: readonly Step[],
  { group, deletion }: Pick<GitLabSettings, 'group' | 'deletion'>,
): string[] {
  const isGone = (type: string): boolean =>
    steps.some((step) => step.type === type && step.operation === 'delete' && step.state === 'done');
  return [
    ...(isGone('gitlab:index/group:Group') && !group.includes('/')
      ? [
          `GitLab keeps the group ${group} as ${group}-deletion_scheduled-<id> for its days. The next up makes a new one.`,
        ]
      : []),
    ...(isGone('gitlab:index/project:Project') && deletion === 'scheduled'
      ? [
          `GitLab keeps the projects of ${group} as <path>-deletion_scheduled-<id> for its days. The next up makes new ones.`,
        ]
      : []),
  ];
}
