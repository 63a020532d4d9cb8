import type { Release, TakenBack } from '../../catalog/ledger';
import type { AutoscalerFacts } from './autoscalers';
import type { BackupFacts } from './backups';
import type { LastRelease } from './last';

/** A Deployment or StatefulSet as it runs. */
export interface Running {
  readonly image: string;
  /** Pods of this image's release that are ready. */
  readonly ready: number;
  readonly desired: number;
  /** Pods that are ready, those of the release before among them. */
  readonly serving: number;
  /** Who set `desired`, where it was not `up`: an autoscaler, or a person by the scale subresource. */
  readonly scaledBy?: string;
  /** Why Kubernetes makes no more of its Pods, where it cannot: the quota's limit, for one. */
  readonly failure?: string;
  /** Its rollout got no further Pod ready within its deadline, as Kubernetes says. */
  readonly late?: true;
}

/** The last build of a module's job. */
export interface LastJob {
  readonly number: number;
  /** `SUCCESS`, `FAILURE`, …; `RUNNING` while it runs. */
  readonly result: string;
  /** RFC 3339. */
  readonly at: string;
  readonly url: string;
}

/** What became of the last change of Jenkins' configuration. */
export interface Reload {
  /** RFC 3339. */
  readonly at: string;
  /** In the words of the sidecar that has Jenkins reload it. */
  readonly word: string;
  /** Whether Jenkins took it. */
  readonly loaded: boolean;
}

/** What was read of one module; undefined is "there is none", and what could not be read stands in the problems. */
export interface ModuleFacts {
  readonly name: string;
  readonly released?: Release;
  /** How that came there, when, and by whom. */
  readonly last?: LastRelease;
  /** What was taken back of it, until a newer release goes out. */
  readonly undone?: TakenBack;
  readonly running?: Running;
  /** Its services in production, by name. */
  readonly services: Readonly<Record<string, Running>>;
  readonly lastJob?: LastJob;
  /** Set where it scales; `none` where the cluster has no autoscaler for it. */
  readonly autoscaler?: AutoscalerFacts | 'none';
}

export interface StatusFacts {
  readonly environment: string;
  /** When it was read, RFC 3339, by the clock of this machine. */
  readonly at: string;
  readonly modules: readonly ModuleFacts[];
  /** By kind; `none` where the stack makes none, undefined where they could not be read. */
  readonly backups?: readonly BackupFacts[] | 'none';
  /** Derived secrets that were rotated: purpose → version. */
  readonly versions: Readonly<Record<string, number>>;
  /** Purposes whose rotation has begun and not ended. */
  readonly rotating: readonly string[];
  /** Of a Jenkins of ours, unless its sidecar has said nothing yet. */
  readonly reload?: Reload;
  /** Why the reconciler cannot look: the project and the reason. */
  readonly blind?: string;
  /** What could not be read, one sentence each. */
  readonly problems: readonly string[];
  /** Could the ledger and the cluster both be read? Else nothing is said about how they agree. */
  readonly complete: boolean;
}

export type Verdict =
  | 'as released'
  | 'rolling out'
  | 'another image'
  | 'not running'
  | 'not released'
  | 'not in the ledger'
  | 'unknown';

/** What runs, held against what is released. */
export function verdict({ released, running }: ModuleFacts, complete: boolean): Verdict {
  if (!complete) return 'unknown';
  if (!released) return running ? 'not in the ledger' : 'not released';
  if (!running) return 'not running';
  if (running.image !== released.image) return 'another image';
  return running.ready >= running.desired && running.desired > 0 ? 'as released' : 'rolling out';
}
