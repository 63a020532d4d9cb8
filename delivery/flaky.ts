import { QUARANTINE_FILE } from '../catalog/quarantine';
import type { GitLab } from '../clients/gitlab';
import type { Certificate, Tests } from './certificate';
import { marker, readNote } from './note';
import { ownNote } from './own-note';
import { RESULTS, type Seen, saysSuiteFailed } from './verdict';

// Tests that fail and pass on the same tree. What is known of earlier runs stands in the bot's own notes: of this merge request,
// and of those that were merged of late.

type Run = NonNullable<Certificate['earlier']>[number];
export type Flaky = NonNullable<Certificate['flaky']>[number];

/** Runs of one tree that are kept, flaky tests that are named, and days for which a quarantine is suggested. */
const MOST_RUNS = 10;
const MOST_FLAKY = 20;
const SUGGESTED_DAYS = 30;
/** Where more fails, it is hardly the tests. */
const MOST_FAILED = 20;
/** Notes that are asked for at once. */
const AT_ONCE = 5;
const DAY_MS = 86_400_000;

/** What a run tells of single tests; undefined where it was not whole, or failed by what is no test. */
export function runOf({ build, tests }: Pick<Certificate, 'build' | 'tests'>): Run | undefined {
  if (!tests) return undefined;
  const failed = [...tests.failing, ...(tests.quarantine?.failed ?? [])];
  const names = [...new Set(failed.map(({ name }) => name))];
  const known = tests.failing.length === tests.failed && names.length <= MOST_FAILED;
  const isNone = (name: string): boolean => name === RESULTS || name === QUARANTINE_FILE;
  if (!known || names.some(isNone) || failed.some(({ message }) => saysSuiteFailed(message)))
    return undefined;
  return { build, failed: names };
}

/** Runs of a certificate's tree, its own last. */
function runsOf(certificate: Certificate): Run[] {
  const run = runOf(certificate);
  return [...(certificate.earlier ?? []), ...(run ? [run] : [])];
}

/** What is known of earlier builds of a merge request. */
export interface History {
  /** Runs of the same tree, oldest first. */
  readonly earlier: readonly Run[];
  readonly flaky: readonly Flaky[];
}

export const noHistory: History = { earlier: [], flaky: [] };

/** @param noted the certificate of an earlier build of the same merge request */
export function historyOf(noted: Certificate | undefined, { build, treeSha }: Certificate): History {
  const flaky = noted?.flaky ?? [];
  if (noted?.treeSha !== treeSha) return { earlier: [], flaky };
  // A build's own run is not an earlier one.
  return { earlier: noted?.build === build ? (noted?.earlier ?? []) : noted ? runsOf(noted) : [], flaky };
}

/** The certificate with what was known before, where its tests add nothing. */
export const withHistory = (certificate: Certificate, { earlier, flaky }: History): Certificate => ({
  ...certificate,
  ...(earlier.length > 0 ? { earlier: [...earlier] } : {}),
  ...(flaky.length > 0 ? { flaky: [...flaky] } : {}),
});

/**
 * The certificate with what its run adds to what is known of its tests.
 * @param seen of those that failed before
 * @param others certificates of other merge requests, as far as they are asked for
 * @param now milliseconds since 1970
 */
export function withFlaky(
  certificate: Certificate,
  { earlier, flaky }: History,
  seen: Seen,
  others: readonly Certificate[],
  now: number,
): Certificate {
  const { treeSha = '' } = certificate;
  const run = runOf(certificate);
  const kept = earlier.slice(-(MOST_RUNS - 1));
  const pool = [...kept, ...(run ? [run] : []), ...others.flatMap(runsOf)];
  const passed = (name: string): boolean => {
    const { passed = 0, failed = 0 } = seen.get(name) ?? {};
    return passed > 0 && failed === 0;
  };
  const elsewhere = new Set(others.flatMap((other) => (other.flaky ?? []).map(({ name }) => name)));
  const here = run
    ? [
        ...run.failed.filter(
          (name) => elsewhere.has(name) || kept.some(({ failed }) => !failed.includes(name)),
        ),
        ...kept.flatMap(({ failed }) => failed).filter(passed),
      ]
    : [];
  const quarantined = new Set(certificate.tests?.quarantine?.failed.map(({ name }) => name));
  const until = new Date(now + SUGGESTED_DAYS * DAY_MS).toISOString().slice(0, 10);
  const found = [...new Set(here)].map(
    (name): Flaky => ({
      name,
      tree: treeSha,
      failed: pool.filter(({ failed }) => failed.includes(name)).length,
      runs: pool.length,
      ...(quarantined.has(name) ? {} : { until }),
    }),
  );
  const all = [...found, ...flaky.filter(({ name }) => !here.includes(name))].slice(0, MOST_FLAKY);
  return withHistory(certificate, { earlier: kept, flaky: all });
}

type Notes = Pick<GitLab, 'ownId' | 'notes'>;

async function noted(
  gitlab: Notes,
  project: string,
  iid: number,
  key: string,
): Promise<Certificate | undefined> {
  const note = await ownNote(gitlab, project, iid, marker);
  const reading = note && readNote(note.body, key);
  const found = reading && 'certificate' in reading ? reading.certificate : undefined;
  return found?.project === project && found.mergeRequest === iid ? found : undefined;
}

/** What the note of a merge request says of its earlier builds. */
export async function readHistory(gitlab: Notes, certificate: Certificate, key: string): Promise<History> {
  const { project, mergeRequest } = certificate;
  return historyOf(await noted(gitlab, project, mergeRequest, key), certificate);
}

/** Certificates of what was merged of late. */
export async function readOthers(
  gitlab: Notes & Pick<GitLab, 'mergedOfLate'>,
  { project, targetBranch, mergeRequest }: Certificate,
  key: string,
): Promise<readonly Certificate[]> {
  const merged = await gitlab.mergedOfLate(project, targetBranch);
  const iids = merged.map(({ iid }) => iid).filter((iid) => iid !== mergeRequest);
  const others: Certificate[] = [];
  while (iids.length > 0) {
    const read = iids.splice(0, AT_ONCE).map((iid) => noted(gitlab, project, iid, key));
    others.push(...(await Promise.all(read)).flatMap((one) => one ?? []));
  }
  return others;
}

/** Whether others are worth asking: something failed, or it did on the same tree. */
export const asksOthers = (tests: Tests, { earlier }: History): boolean =>
  tests.failing.length > 0 ||
  (tests.quarantine?.failed.length ?? 0) > 0 ||
  earlier.some(({ failed }) => failed.length > 0);
