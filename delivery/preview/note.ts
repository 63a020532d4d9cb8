import { z } from 'zod';
import { inert, podLines } from '../note';
import type { PodWords } from '../pod-words';
import { type Amount, type Capacity, capacityWarnings, showCpu, showMemory } from './capacity';
import { type Change, endangersData, type Plan } from './events';
import { actionWords, picture } from './picture';
import { embedPlan, type SeenPlan } from './plan';

/** A broken rule, as whoever judges the graph reports it. */
export const violationSchema = z.object({
  /** Short name of the rule. */
  id: z.string(),
  where: z.string(),
  what: z.string(),
  remedy: z.string(),
});
export type Violation = z.infer<typeof violationSchema>;

/** All that one note says. */
export interface Report {
  readonly environment: string;
  readonly plan: Plan;
  readonly violations: readonly Violation[];
  readonly capacity: readonly Capacity[];
  /** Why the preview itself failed, when it did; one line. */
  readonly broken?: string;
  /** Branch that the merge result is with. */
  readonly targetBranch: string;
  readonly seen: SeenPlan;
  /** Address of the build, ending in `/`. */
  readonly build: string;
  /** Path of the whole text among the build's artifacts. */
  readonly artifact: string;
}

/** GitLab's limit on a note, in characters. https://docs.gitlab.com/administration/instance_limits/ */
export const NOTE_LIMIT = 1_000_000;

/** Rows that stand open; the rest of them waits behind a fold. */
const OPEN_ROWS = 40;
const PROPERTIES_SHOWN = 12;
const FAULTS_SHOWN = 20;

/** Marks the one note of an environment that is edited in place. */
export const previewMarker = (environment: string): string =>
  `<!-- switchyard:preview:${environment.replace(/[^A-Za-z0-9-]/g, '_')} -->`;

/** Neither a fault of the engine nor a broken rule. */
export const isGreenReport = ({
  plan,
  violations,
  broken,
}: Pick<Report, 'plan' | 'violations' | 'broken'>): boolean =>
  broken === undefined && plan.finished && plan.faults.length === 0 && violations.length === 0;

/** One line on the outcome: heading of the note and description of the commit status. */
export function previewLine({
  plan,
  violations,
  broken,
}: Pick<Report, 'plan' | 'violations' | 'broken'>): string {
  if (broken !== undefined) return `the preview failed: ${broken}`;
  if (plan.faults.length > 0) return `the preview failed: ${plan.faults[0]?.split('\n')[0]}`;
  if (!plan.finished) return 'the preview did not come to its end';
  const endangered = plan.changes.filter(endangersData).length;
  const parts = [
    violations.length > 0 ? `${violations.length} rule(s) broken` : '',
    plan.changes.length === 0 ? 'no change' : actionWords(plan.changes),
    endangered > 0 ? `${endangered} of them hold data` : '',
  ];
  return parts.filter(Boolean).join('; ');
}

/** `kubernetes:apps/v1:Deployment` → `Deployment`. */
const kindOf = (type: string): string => type.split(':').at(-1) ?? type;

function row(change: Change): string {
  const shown = change.properties
    .slice(0, PROPERTIES_SHOWN)
    .map((path) => `${inert(path, 120)}${change.forcing.includes(path) ? ' (forces it)' : ''}`);
  const more = change.properties.length - shown.length;
  const properties = [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
  const bold = endangersData(change) ? '**' : '';
  const words = `${change.action}${change.protected && change.action !== 'update' ? ', protected' : ''}`;
  const cells = [
    `${bold}${words}${bold}`,
    `${bold}${inert(change.name, 200)}${bold}${bold ? ' **holds data**' : ''}`,
    inert(kindOf(change.type), 80),
    inert(change.boxName || change.box || '-', 80),
    properties || '-',
  ];
  return `| ${cells.join(' | ')} |`;
}

const HEAD = ['| | Resource | Kind | Box | Properties |', '|---|---|---|---|---|'];

const fold = (summary: string, lines: readonly string[]): string[] => [
  `<details><summary>${summary}</summary>`,
  '',
  ...lines,
  '',
  '</details>',
];

function changesTable(changes: readonly Change[], shown: number, whole: string): string[] {
  if (changes.length === 0) return [];
  // What endangers data comes first: it is never what is cut.
  const sorted = [...changes.filter(endangersData), ...changes.filter((change) => !endangersData(change))];
  const rows = sorted.slice(0, shown).map(row);
  const open = rows.slice(0, OPEN_ROWS);
  const folded = rows.slice(OPEN_ROWS);
  const cut = changes.length - rows.length;
  return [
    ...HEAD,
    ...open,
    ...(folded.length > 0 ? ['', ...fold(`${folded.length} more resources`, [...HEAD, ...folded])] : []),
    ...(cut > 0 ? ['', `${cut} more do not fit into a note: ${whole}`] : []),
    '',
  ];
}

const amountCells = ({ cpu, memory, pods }: Amount): string =>
  `${showCpu(cpu)} / ${showMemory(memory)} / ${pods}`;

function capacityTable(capacity: readonly Capacity[]): string[] {
  if (capacity.length === 0) return [];
  const rows = capacity.map(({ cluster, before, after, nodes }) => {
    const both = (what: 'requests' | 'worst' | 'quota') => {
      const [old, now] = [amountCells(before[what]), amountCells(after[what])];
      return old === now ? now : `${old} → **${now}**`;
    };
    const given = nodes ? `${amountCells(nodes)} on ${nodes.count}` : 'could not be asked';
    return `| ${inert(cluster, 60)} | ${both('requests')} | ${both('worst')} | ${both('quota')} | ${given} |`;
  });
  return [
    '**Capacity** (CPU / memory / Pods)',
    '',
    '| Cluster | Requests | Worst case | Quota | Nodes give |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    ...capacity.flatMap(capacityWarnings).map((warning) => `- ${inert(warning)}`),
    '',
  ];
}

function render(report: Report, key: string, shown: number, violationsShown: number): string {
  const { environment, plan, violations, targetBranch, seen, build } = report;
  const whole = `the whole stands in [${report.artifact}](${build}artifact/${report.artifact})`;
  const endangered = plan.changes.filter(endangersData).length;
  const faults = [...(report.broken === undefined ? [] : [report.broken]), ...plan.faults];
  const drawing = picture(plan.changes);
  const lines = [
    previewMarker(environment),
    `**Switchyard preview of ${inert(environment, 60)}: ${inert(previewLine(report), 400)}**`,
    '',
    `${seen.headSha.slice(0, 12)} into ${inert(targetBranch, 120)} at ${seen.baseSha.slice(0, 12)}, on the recorded state ${seen.state.slice(0, 12)}; ${plan.unchanged} unchanged ([log](${build}))`,
    '',
    ...(endangered > 0 ? [`**${endangered} resource(s) that hold data are replaced or deleted.**`, ''] : []),
    ...(faults.length > 0
      ? [
          '**The preview failed**',
          '',
          ...faults.slice(0, FAULTS_SHOWN).map((fault) => `- ${inert(fault, 600)}`),
          ...(faults.length > FAULTS_SHOWN ? [`- and ${faults.length - FAULTS_SHOWN} more`] : []),
          '',
        ]
      : []),
    ...(violations.length > 0
      ? [
          '| Rule | Where | What | Remedy |',
          '|---|---|---|---|',
          ...violations
            .slice(0, violationsShown)
            .map(
              ({ id, where, what, remedy }) =>
                `| ${inert(id, 80)} | ${inert(where, 200)} | ${inert(what)} | ${inert(remedy)} |`,
            ),
          ...(violations.length > violationsShown
            ? ['', `${violations.length - violationsShown} more: ${whole}`]
            : []),
          '',
        ]
      : []),
    ...changesTable(plan.changes, shown, whole),
    ...capacityTable(report.capacity),
    ...(drawing ? [...fold('Changed boxes', ['```mermaid', drawing, '```']), ''] : []),
  ];
  return `${lines.join('\n').trimEnd()}\n${embedPlan(seen, key)}`;
}

/** Everything, however long: what is attached to the build. */
export const renderWhole = (report: Report, key: string): string =>
  render(report, key, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);

/**
 * The note. One that would be longer than GitLab takes is cut where it hurts least: what endangers data stays, and
 * the number of cut rows is told. The same report gives the same text.
 */
export function renderPreview(report: Report, key: string, limit = NOTE_LIMIT): string {
  const whole = renderWhole(report, key);
  if (whole.length <= limit) return whole;
  // Rows have a bounded length, so the text grows with their number: find the most that fit.
  const violationsShown = Math.min(report.violations.length, 200);
  let fits = 0;
  let tooMany = report.plan.changes.length + 1;
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (render(report, key, middle, violationsShown).length <= limit) fits = middle;
    else tooMany = middle;
  }
  return render(report, key, fits, violationsShown);
}

/** The note of an environment whose preview found no Pod to run in; it embeds no plan, so that nothing is applied by it. */
export const renderUnstarted = (environment: string, start: PodWords, build: string): string =>
  [
    previewMarker(environment),
    `**Switchyard preview of ${inert(environment, 60)}: the preview broke off: ${inert(start.why)}**`,
    '',
    `Push again, or start the build again, when that is mended ([log](${build})).`,
    '',
    ...podLines(start),
  ].join('\n');
