import type { Kind } from '../../delivery/backup/snapshots';
import { markdownText } from '../../text/markdown';
import { elapsed } from '../cli/progress';
import { ago } from '../rebuild/tell';
import { escapeText } from '../render/markup';
import type { FingerprintDifference } from './fingerprint';

/** What a drill measured. */
export interface DrillReport {
  readonly environment: string;
  /** When the disaster struck. */
  readonly struckAt: string;
  /** Seconds of each step, in their order; the disaster itself is none. */
  readonly steps: readonly { readonly name: string; readonly seconds: number }[];
  /** From the end of the disaster to a canary in production, in seconds. */
  readonly rtoSeconds: number;
  /** Of each kind: seconds from its last whole backup to the disaster, the most that could have been lost. */
  readonly rpoSeconds: Readonly<Partial<Record<Kind, number>>>;
  readonly lost: readonly FingerprintDifference[];
  /** How many things were held against each other. */
  readonly compared: Readonly<Record<string, number>>;
  readonly targets: { readonly rtoMinutes: number; readonly rpoMinutes: number };
  /** Why the drill failed; empty: it held. */
  readonly faults: readonly string[];
}

/** What of a drill is not as it must be. */
export function faultsOf(report: Omit<DrillReport, 'faults'>): string[] {
  const { rtoSeconds, rpoSeconds, lost, targets } = report;
  const late = Object.entries(rpoSeconds).filter(
    // What was merged and released is compared one by one: its backup is made by each release.
    ([kind, seconds]) => kind !== 'repositories' && kind !== 'registry' && seconds > targets.rpoMinutes * 60,
  );
  return [
    ...(rtoSeconds > targets.rtoMinutes * 60
      ? [`RTO ${elapsed(rtoSeconds * 1000)} is above the target of ${targets.rtoMinutes} min`]
      : []),
    ...late.map(
      ([kind, seconds]) =>
        `RPO of ${kind}, ${ago(seconds)}, is above the target of ${targets.rpoMinutes} min`,
    ),
    ...lost.map(
      ({ kind, what, before, after }) =>
        `${kind} ${what}: was ${before}, ${after === '' ? 'is gone' : `is ${after}`}`,
    ),
  ];
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  `| ${head.join(' | ')} |`,
  `|${head.map(() => ' --- |').join('')}`,
  ...rows.map((row) => `| ${row.map((cell) => markdownText(cell)).join(' | ')} |`),
];

/** The report as Markdown. */
export function reportMarkdown(report: DrillReport): string {
  const { environment, struckAt, steps, rtoSeconds, rpoSeconds, compared, targets, faults } = report;
  return `${[
    `# Drill of ${markdownText(environment)}: ${faults.length === 0 ? 'held' : 'FAILED'}`,
    '',
    `Disaster at ${struckAt}. RTO ${elapsed(rtoSeconds * 1000)} (target ${targets.rtoMinutes} min).`,
    '',
    ...(faults.length > 0
      ? ['## What is wrong', '', ...faults.map((fault) => `- ${markdownText(fault)}`), '']
      : []),
    '## Time per step',
    '',
    ...table(
      ['step', 'time'],
      steps.map(({ name, seconds }) => [name, elapsed(seconds * 1000)]),
    ),
    '',
    '![Time per step](report.svg)',
    '',
    '## What could have been lost',
    '',
    `Target: ${targets.rpoMinutes} min; none for what was merged and released.`,
    '',
    ...table(
      ['kind', 'last backup before the disaster'],
      Object.entries(rpoSeconds).map(([kind, seconds]) => [kind, ago(seconds)]),
    ),
    '',
    '## What was compared',
    '',
    ...table(
      ['what', 'compared', 'lost or changed'],
      Object.entries(compared).map(([kind, count]) => [
        kind,
        String(count),
        String(report.lost.filter((one) => one.kind === kind).length),
      ]),
    ),
  ].join('\n')}\n`;
}

const ROW = 26;
const LEFT = 130;
const WIDTH = 760;

/** The steps one after the other along the time, with the target as a line. */
export function reportSvg({ environment, steps, rtoSeconds, targets }: DrillReport): string {
  const target = targets.rtoMinutes * 60;
  const span = Math.max(rtoSeconds, target) * 1.02 || 1;
  const x = (seconds: number): number =>
    Math.round((LEFT + (seconds / span) * (WIDTH - LEFT - 70)) * 10) / 10;
  const height = 70 + steps.length * ROW;
  let at = 0;
  const bars = steps.flatMap(({ name, seconds }, index) => {
    const y = 44 + index * ROW;
    const begin = at;
    at += seconds;
    return [
      `<text x="${LEFT - 8}" y="${y + 14}" text-anchor="end">${escapeText(name)}</text>`,
      `<rect x="${x(begin)}" y="${y}" width="${Math.max(1, Math.round((x(at) - x(begin)) * 10) / 10)}" height="18" rx="3" fill="#4c78a8"/>`,
      `<text x="${x(at) + 6}" y="${y + 14}" fill="#555">${elapsed(seconds * 1000)}</text>`,
    ];
  });
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="12" y="24" font-size="16">Rebuild of ${escapeText(environment)}: ${elapsed(rtoSeconds * 1000)}</text>`,
    `<line x1="${x(target)}" y1="36" x2="${x(target)}" y2="${height - 22}" stroke="#c0392b" stroke-dasharray="4 3"/>`,
    `<text x="${x(target)}" y="${height - 8}" text-anchor="middle" fill="#c0392b">target ${targets.rtoMinutes} min</text>`,
    ...bars,
    '</svg>',
  ].join('\n')}\n`;
}
