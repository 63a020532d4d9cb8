import { askText } from './ask';

/** One value of a metric, with the labels that tell it from others. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a metric says, in one line, by its name. All are gauges: Pushgateway keeps the last value. */
const HELP: Readonly<Record<string, string>> = {
  switchyard_backup_last_success_timestamp_seconds: 'When all of a kind was last backed up, in Unix seconds.',
  switchyard_backup_failed: 'Whether the last backup of a kind failed: 1 or 0.',
  switchyard_drift_resources: 'Resources of a box that differ from what was applied.',
  switchyard_drift_checked_timestamp_seconds: 'When drift was last looked for, in Unix seconds.',
};

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** Samples in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/), sorted. */
export function metricsText(samples: readonly Sample[]): string {
  const byName = new Map<string, string[]>();
  for (const { name, labels, value } of samples) {
    const inner = Object.keys(labels)
      .sort()
      .map((label) => `${label}="${escaped(labels[label] ?? '')}"`)
      .join(',');
    byName.set(name, [...(byName.get(name) ?? []), `${name}{${inner}} ${value}`]);
  }
  return [...byName.keys()]
    .sort()
    .flatMap((name) => [
      ...(HELP[name] ? [`# HELP ${name} ${HELP[name]}`] : []),
      `# TYPE ${name} gauge`,
      ...(byName.get(name) ?? []).sort(),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

/** A part of a grouping key: a value that is empty or holds a slash goes in base64, which Pushgateway takes so. */
const keyPart = (label: string, value: string): string =>
  value === '' || value.includes('/')
    ? `${label}@base64/${Buffer.from(value).toString('base64url') || '='}`
    : `${label}/${encodeURIComponent(value)}`;

export interface Push {
  /** Address of the Pushgateway; undefined: nothing is sent. */
  readonly url: string | undefined;
  readonly job: string;
  /** Labels of the group besides the job. Metrics of a group that have the same names are replaced, others stay. */
  readonly grouping: Readonly<Record<string, string>>;
  readonly samples: readonly Sample[];
}

/**
 * Sends samples to a Prometheus Pushgateway (https://github.com/prometheus/pushgateway#api). What measures a job never
 * fails it: a fault is said in one line.
 */
export async function push(
  { url, job, grouping, samples }: Push,
  say: (line: string) => void,
  timeoutMs = 10_000,
): Promise<void> {
  if (!url || samples.length === 0) return;
  const group = Object.keys(grouping)
    .sort()
    .map((label) => `/${keyPart(label, grouping[label] ?? '')}`)
    .join('');
  try {
    const address = `${url.replace(/\/+$/, '')}/metrics/${keyPart('job', job)}${group}`;
    // A second time puts the same values in the place of the first.
    const { response, body: answer } = await askText(
      address,
      {
        method: 'POST',
        headers: { 'content-type': 'text/plain; version=0.0.4' },
        body: metricsText(samples),
      },
      { repeatable: true, policy: { attempts: 3, attemptMs: timeoutMs, totalMs: 3 * timeoutMs } },
    );
    if (!response.ok) throw new Error(`HTTP ${response.status} ${answer.trim().slice(0, 200)}`.trim());
  } catch (error) {
    say(`metrics: ${url} did not take them (${(error as Error).message}); nothing else depends on it`);
  }
}

/** How a kind's backup ended. */
export interface KindResult {
  readonly kind: string;
  readonly failed: boolean;
  /** When all of the kind was backed up, in Unix seconds; absent for a run that was not of the whole kind. */
  readonly at?: number;
}

/** `switchyard_backup_*`, one group a kind, so that a run of some kinds leaves what is known of the others. */
export async function pushBackup(
  { url, environment, kinds }: { url: string | undefined; environment: string; kinds: readonly KindResult[] },
  say: (line: string) => void,
): Promise<void> {
  for (const { kind, failed, at } of kinds) {
    const labels = { environment, kind };
    await push(
      {
        url,
        job: 'switchyard-backup',
        grouping: labels,
        samples: [
          { name: 'switchyard_backup_failed', labels, value: failed ? 1 : 0 },
          ...(at === undefined || failed
            ? []
            : [{ name: 'switchyard_backup_last_success_timestamp_seconds', labels, value: at }]),
        ],
      },
      say,
    );
  }
}

/** Drift of an environment: all of it is one group. */
export const pushDrift = (
  { url, environment, samples }: { url: string | undefined; environment: string; samples: readonly Sample[] },
  say: (line: string) => void,
): Promise<void> => push({ url, job: 'switchyard-drift', grouping: { environment }, samples }, say);
