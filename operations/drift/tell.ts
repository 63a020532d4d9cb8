import type { Sample } from '../../clients/pushgateway';
import { markdownCode } from '../../text/markdown';
import { plainText } from '../../text/terminal';
import type { Unseen } from './fenced';
import type { Author, DriftedResource } from './find';

/** What one look found. */
export interface DriftReport {
  readonly environment: string;
  /** RFC 3339. */
  readonly checkedAt: string;
  /** Boxes that were looked at, sorted. */
  readonly boxes: readonly string[];
  readonly resources: readonly DriftedResource[];
  /** What was left out of a fenced look. @default nothing */
  readonly unseen?: readonly Unseen[];
}

const byBox = ({ boxes, resources }: DriftReport): [string, readonly DriftedResource[]][] =>
  [...new Set([...boxes, ...resources.map(({ box }) => box)])]
    .sort()
    .map((box) => [box, resources.filter((resource) => resource.box === box)]);

const authorText = (by: Author | undefined): string =>
  by === undefined ? 'unknown' : `${by.who}${by.at ? ` at ${by.at}` : ''}`;

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;

/** What a fenced look did not see, in a line; none for a whole one. */
function unseenLines({ unseen }: DriftReport): string[] {
  if (unseen === undefined || unseen.length === 0) return [];
  return [`Not looked at: ${unseen.map(({ kind, count: number }) => `${number} ${kind}`).join(', ')}.`];
}

/** The report for a terminal: boxes, their resources, their fields. Live values, and who wrote them, are text of others. */
export function driftLines(report: DriftReport): string[] {
  const lines = byBox(report).flatMap(([box, resources]) =>
    resources.length === 0
      ? []
      : [
          box,
          ...resources.flatMap((resource) => [
            `  ${resource.kind} ${resource.name}${resource.gone ? ' is gone' : ''}${resource.by ? ` (${authorText(resource.by)})` : ''}`,
            ...resource.fields.map(
              ({ path, declared, live, by }) =>
                `    ${path}: ${declared} → ${live}${resource.by ? '' : ` (${authorText(by)})`}`,
            ),
          ]),
        ],
  );
  const { resources, environment } = report;
  const last =
    resources.length === 0
      ? 'no drift'
      : `${count(resources.length, 'resource')} drifted from what was applied`;
  return [...lines, ...unseenLines(report), `drift of ${environment}: ${last}`].map(plainText);
}

/** First line of the note, by which the next one finds it and edits it in place. */
export const driftMarker = (environment: string): string => `<!-- switchyard:drift:${environment} -->`;

/** The report as a note for GitLab. */
export function driftNote(report: DriftReport): string {
  const { environment, checkedAt, resources } = report;
  const head = [driftMarker(environment), `### Drift of ${environment}`, ''];
  const found =
    resources.length === 0
      ? [`No drift at ${checkedAt}.`]
      : [
          `**${count(resources.length, 'resource')}** differ from what was applied, at ${checkedAt}. Put back: \`switchyard drift ${environment} --fix\`.`,
        ];
  const tables = byBox(report).flatMap(([box, inBox]) =>
    inBox.length === 0
      ? []
      : [
          '',
          `#### ${box}`,
          '',
          '| resource | field | declared | live | last changed by |',
          '|---|---|---|---|---|',
          ...inBox.flatMap((resource) => {
            const name = `${resource.kind} ${markdownCode(resource.name)}`;
            if (resource.gone)
              return [`| ${name} | | | **gone** | ${markdownCode(authorText(resource.by))} |`];
            return resource.fields.map(
              ({ path, declared, live, by }) =>
                `| ${name} | ${markdownCode(path)} | ${markdownCode(declared)} | ${markdownCode(live)} | ${markdownCode(authorText(by ?? resource.by))} |`,
            );
          }),
        ],
  );
  const unseen = unseenLines(report).flatMap((line) => ['', line]);
  return `${[...head, ...found, ...tables, ...unseen].join('\n')}\n`;
}

/** The report as metrics. A box without drift says 0, so that an alert resolves. */
export const driftSamples = (report: DriftReport): Sample[] => [
  ...byBox(report).map(([box, resources]) => ({
    name: 'switchyard_drift_resources',
    labels: { environment: report.environment, box },
    value: resources.length,
  })),
  {
    name: 'switchyard_drift_checked_timestamp_seconds',
    labels: { environment: report.environment },
    value: Math.floor(Date.parse(report.checkedAt) / 1000),
  },
];
