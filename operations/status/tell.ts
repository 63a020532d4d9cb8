import type { Release, TakenBack } from '../../catalog/ledger';
import { plainText } from '../../text/terminal';
import type { Outcome } from '../outcome';
import { EXIT } from '../refusal';
import { columns } from '../table';
import type { AutoscalerFacts } from './autoscalers';
import type { BackupFacts } from './backups';

/** A Deployment or StatefulSet as it runs. */
export interface Running {
  readonly image: string;
  readonly ready: number;
  readonly desired: number;
  /** Who set `desired`, where it was not `up`: an autoscaler, or a person by the scale subresource. */
  readonly scaledBy?: string;
  /** Why Kubernetes makes no more of its Pods, where it cannot: the quota's limit, for one. */
  readonly failure?: string;
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

const shortDigest = (image: string): string => image.split('@sha256:')[1]?.slice(0, 12) ?? image;

const jobText = (job: LastJob | undefined): string => (job ? `#${job.number} ${job.result} ${job.at}` : '-');
const podsText = (running: Running | undefined): string =>
  running
    ? `${running.ready}/${running.desired}${running.scaledBy ? ` (scaled by ${running.scaledBy})` : ''}`
    : '-';

const number = (value: number | undefined): string =>
  value === undefined ? '?' : String(Number(value.toPrecision(3)));

/** A line for each module that scales, and one for each thing that keeps it from that. */
function autoscalingLines(modules: readonly ModuleFacts[]): string[] {
  const scaling = modules.flatMap(({ name, autoscaler }) => (autoscaler ? [{ name, autoscaler }] : []));
  const rows = scaling.map(({ name, autoscaler }) =>
    autoscaler === 'none'
      ? [name, '-', '-', '-']
      : [name, `${autoscaler.min}–${autoscaler.max}`, number(autoscaler.each), number(autoscaler.target)],
  );
  return [
    ...(rows.length > 0 ? columns([['autoscaler', 'pods', 'requests/s each', 'target'], ...rows]) : []),
    ...scaling.flatMap(({ name, autoscaler }) =>
      autoscaler === 'none'
        ? [`${name} has no autoscaler: say switchyard up`]
        : [
            ...autoscaler.blind.map(
              (what) => `${name}: its autoscaler does not see ${plainText(what)}, so that no Pod leaves`,
            ),
            ...(autoscaler.limited
              ? [`${name} would have more than ${autoscaler.max} Pods: raise scaling.max`]
              : []),
          ],
    ),
    ...modules.flatMap(({ name, running }) =>
      running?.failure
        ? [`${name} gets no more Pods: ${plainText(running.failure.split('\n')[0] ?? '')}`]
        : [],
    ),
  ];
}

const backupRow = ({ kind, state, last, ageHours }: BackupFacts): string[] => [
  kind,
  state,
  last ?? '-',
  ageHours === undefined ? '-' : `${ageHours} h`,
];

/** One line a kind; one line in all where there is nothing to tell. */
function backupLines(backups: StatusFacts['backups']): string[] {
  if (backups === undefined) return [];
  if (backups === 'none') return ['no backups are made: the stack has no switchyard:backup'];
  return columns([['backup', 'state', 'last success', 'age'], ...backups.map(backupRow)]);
}

/** Secrets that have another version than the first, and what is to be done where a rotation has not ended. */
function secretLines({ environment, versions, rotating }: StatusFacts): string[] {
  const all = [...new Set([...Object.keys(versions), ...rotating])].sort();
  if (all.length === 0) return [];
  return [
    ...columns([
      ['secret', 'version', 'state'],
      ...all.map((purpose) => [
        purpose,
        String(versions[purpose] ?? 1),
        rotating.includes(purpose) ? 'rotating' : 'in use',
      ]),
    ]),
    ...(rotating.length > 0
      ? [`a rotation has not ended: say switchyard rotate ${environment} --purpose ${rotating[0]}`]
      : []),
  ];
}

/** What was taken back and why, and what is held. */
const takenLines = (modules: readonly ModuleFacts[]): string[] =>
  modules.flatMap(({ name, released, undone }) => [
    ...(undone
      ? [
          plainText(
            `${name}: ${undone.commit.slice(0, 10)} (!${undone.mergeRequest}) is ${undone.how}${undone.why === undone.how ? '' : `: ${undone.why}`}${undone.build ? ` (${undone.build})` : ''}`,
          ),
        ]
      : []),
    ...(released?.hold
      ? [`${name}: ${released.commit.slice(0, 10)} is held: what is merged does not take its place`]
      : []),
  ]);

/** One line where Jenkins does not have the configuration that it is to have. */
const reloadLines = ({ reload }: StatusFacts): string[] =>
  reload && !reload.loaded ? [plainText(`Jenkins' configuration since ${reload.at}: ${reload.word}`)] : [];

/** One line where lost hooks stay lost. */
const blindLines = ({ blind }: StatusFacts): string[] =>
  blind === undefined ? [] : [plainText(`the reconciler cannot look: ${blind}`)];

/** The status as a table. */
export function statusLines(facts: StatusFacts): string[] {
  const { environment, modules, problems, complete } = facts;
  const rows = modules.map((module) => [
    module.name,
    verdict(module, complete),
    podsText(module.running),
    module.released ? `${shortDigest(module.released.image)} ${module.released.commit.slice(0, 10)}` : '-',
    module.released ? `!${module.released.mergeRequest}` : '-',
    Object.entries(module.services)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, running]) => `${name} ${podsText(running)}`)
      .join(', ') || '-',
    jobText(module.lastJob),
  ]);
  const head = ['module', 'state', 'pods', 'released', 'mr', 'services', 'last job'];
  const well = modules.filter((module) => verdict(module, complete) === 'as released').length;
  return [
    ...columns([head, ...rows]),
    ...takenLines(modules),
    ...autoscalingLines(modules),
    ...backupLines(facts.backups),
    ...secretLines(facts),
    ...reloadLines(facts),
    ...blindLines(facts),
    ...problems.map((problem) => `could not be read: ${problem}`),
    `status of ${environment}: ${well} of ${modules.length} modules run as released`,
  ];
}

/** The status as a JSON document's fields. */
export const statusDocument = (facts: StatusFacts): Record<string, unknown> => ({
  modules: facts.modules.map((module) => ({ ...module, state: verdict(module, facts.complete) })),
  secrets: { versions: facts.versions, rotating: facts.rotating },
  backups: facts.backups === 'none' ? [] : (facts.backups ?? null),
  reload: facts.reload ?? null,
  blind: facts.blind ?? null,
  problems: facts.problems,
});

/** How `status` ends: what it could not read is no reason to say nothing, and no reason to say that all is well. */
export const statusOutcome = (facts: StatusFacts): Outcome => ({
  document: statusDocument(facts),
  lines: statusLines(facts),
  exitCode: facts.problems.length > 0 ? EXIT.unread : 0,
});
