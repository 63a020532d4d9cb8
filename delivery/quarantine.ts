import { describeProblem, locate, type Parsed, type Problem, parseYaml } from '../catalog/problems';
import {
  QUARANTINE_DAYS,
  QUARANTINE_FILE,
  type QuarantineEntry,
  quarantineSchema,
} from '../catalog/quarantine';
import type { WorkingCopy } from '../clients/git';
import type { GitLab } from '../clients/gitlab';
import { unicodeEscape } from '../text/unicode';
import type { Certificate, Tests } from './certificate';
import type { Found, Seen } from './verdict';

// Tests that a module's repository says may fail. What a merge request brings is its author's word until it is merged, so the
// file that counts is the target branch's, at the commit that the merge result was made on. It counts only as far as the merge
// result has it too: main never gets a failing test together with the loss of its quarantine.

/** Bytes of the file. */
const LARGEST = 64 << 10;
const DAY_MS = 86_400_000;
/** Sentences that are told, and characters of each. */
const MOST_SAID = 20;
const LONGEST_SAID = 300;

type Entries = readonly QuarantineEntry[];

/** The day of a moment, UTC. */
const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/**
 * Reads the file.
 * @param now milliseconds since 1970
 */
export function parseQuarantine(text: string, now: number): Parsed<Entries> {
  const parsed = parseYaml(text, QUARANTINE_FILE, quarantineSchema);
  if ('problems' in parsed) return parsed;
  const { tests } = parsed.value;
  const last = dayOf(now + QUARANTINE_DAYS * DAY_MS);
  const late = tests.flatMap(({ until }, index): Problem[] =>
    until <= last
      ? []
      : [
          {
            file: QUARANTINE_FILE,
            key: `tests.${index}.until`,
            what: `is more than ${QUARANTINE_DAYS} days ahead.`,
            remedy: `Write ${last} or a day before it; who still needs it then writes another.`,
          },
        ],
  );
  return late.length > 0 ? { problems: locate(late, () => text) } : { value: tests };
}

/** The file of the target branch and that of the merge result; undefined where there is none. */
export interface Quarantines {
  readonly target?: Parsed<Entries>;
  readonly merged?: Parsed<Entries>;
  /** The merge result has another one than the target branch. */
  readonly changed: boolean;
  /** Name of the target branch. */
  readonly branch: string;
  /** Today, UTC. */
  readonly today: string;
}

const entriesOf = (parsed: Parsed<Entries> | undefined): Entries =>
  parsed && 'value' in parsed ? parsed.value : [];
const problemsOf = (parsed: Parsed<Entries> | undefined): readonly Problem[] =>
  parsed && 'problems' in parsed ? parsed.problems : [];

/** By test; of one that stands twice, the entry that ends first. */
const byTest = (entries: Entries): ReadonlyMap<string, QuarantineEntry> =>
  new Map([...entries].sort((a, b) => (a.until < b.until ? 1 : -1)).map((entry) => [entry.test, entry]));

/** Names of tests of which more has to be known than that they failed. */
export const namedIn = ({ target, merged }: Quarantines): ReadonlySet<string> =>
  new Set([...entriesOf(target), ...entriesOf(merged)].map(({ test }) => test));

/**
 * Takes what failed in quarantine out of what failed. A suite's setup or teardown is no test, and what fails by it blocks.
 * @param seen of the names that the files have; undefined where the results are not whole
 */
export function applyQuarantine(
  found: Found,
  seen: Seen | undefined,
  quarantines: Quarantines | undefined,
): Tests {
  const plain = (failing: Found['failing']) => failing.map(({ name, message }) => ({ name, message }));
  if (!quarantines) return { ...found, failing: plain(found.failing) };
  const { today, branch } = quarantines;
  const target = byTest(entriesOf(quarantines.target));
  const merged = byTest(entriesOf(quarantines.merged));
  const lasts = ({ until }: QuarantineEntry): boolean => until >= today;
  const failed = new Map<string, { name: string; message: string; until: string; times: number }>();
  const said = new Set<string>();
  const blocking = found.failing.filter(({ name, message, bySuite }) => {
    const entry = target.get(name);
    const kept = merged.get(name);
    if (!entry || !kept) {
      if (entry) said.add(`${name}: failed, and this merge request ends its quarantine`);
      if (kept) said.add(`${name}: failed; it is quarantined once that is in ${branch}`);
      return true;
    }
    // Said below.
    if (!lasts(entry)) return true;
    if (bySuite) {
      said.add(`${name}: failed by the setup or teardown of its suite, which is not quarantined`);
      return true;
    }
    const before = failed.get(name);
    failed.set(
      name,
      before ? { ...before, times: before.times + 1 } : { name, message, until: entry.until, times: 1 },
    );
    return false;
  });
  const [fault] = problemsOf(quarantines.target);
  if (fault) said.add(`${branch} quarantines nothing: ${describeProblem(fault)}`.replace(/\.$/, ''));
  for (const { test, until } of target.values())
    if (until < today) said.add(`${test}: its quarantine ended with ${until}; it blocks again`);
  const twice = entriesOf(quarantines.merged).filter(({ test }, index, all) =>
    all.some((other, at) => at < index && other.test === test),
  );
  for (const { test } of twice)
    said.add(`${test}: stands twice in ${QUARANTINE_FILE}; what ends first counts`);
  for (const test of seen ? merged.keys() : [])
    if (!seen?.has(test)) said.add(`${test}: stands in ${QUARANTINE_FILE}, and there is no such test`);
  const excused = [...failed.values()].reduce((sum, { times }) => sum + times, 0);
  const whole = { ...found, failed: found.failed - excused, failing: plain(blocking) };
  if (failed.size === 0 && said.size === 0) return whole;
  return {
    ...whole,
    quarantine: {
      failed: [...failed.values()],
      said: [...said].slice(0, MOST_SAID).map((line) => line.slice(0, LONGEST_SAID)),
    },
  };
}

/** A text in double quotes, on one line, that every reader of YAML takes for the same text however its white space was shown. */
const quoted = (text: string): string =>
  JSON.stringify(text)
    .replace(/ (?= )/g, '\\x20')
    .replace(/(?! )[\p{C}\p{Z}]/gu, (character) => character.split('').map(unicodeEscape).join(''));

/** An entry of the file, to be copied. */
export const entryLine = ({ test, reason, until }: QuarantineEntry): string =>
  `- { test: ${quoted(test)}, reason: ${quoted(reason)}, until: ${until} }`;

/** Faults of the file that a merge result would bring: each as a failing test of its own. */
export const faultsBrought = ({ changed, merged }: Quarantines): Tests['failing'] =>
  changed
    ? problemsOf(merged).map((problem) => ({ name: QUARANTINE_FILE, message: describeProblem(problem) }))
    : [];

/**
 * Reads both files: the target branch's from GitLab, at the commit that was recorded, and the merge result's from the working
 * copy that it was made in.
 */
export async function readQuarantines(
  gitlab: Pick<GitLab, 'file' | 'time'>,
  { project, targetBranch, baseSha, ahead, treeSha = '' }: Certificate,
  copy: Pick<WorkingCopy, 'plainFile'>,
): Promise<Quarantines> {
  const file = await gitlab.file(project, QUARANTINE_FILE, ahead?.onto ?? baseSha);
  const brought = await copy.plainFile(treeSha, QUARANTINE_FILE, LARGEST);
  const now = gitlab.time;
  const parsed = (text: string | undefined): Parsed<Entries> | undefined => {
    if (text === undefined) return undefined;
    return Buffer.byteLength(text) <= LARGEST
      ? parseQuarantine(text, now)
      : refused(`is larger than ${LARGEST} bytes`);
  };
  return {
    target: parsed(file?.text),
    merged: typeof brought === 'object' ? refused(brought.why) : parsed(brought),
    changed: brought !== file?.text,
    branch: targetBranch,
    today: dayOf(now),
  };
}

const refused = (why: string): Parsed<Entries> => ({
  problems: [{ file: QUARANTINE_FILE, what: `${why}.`, remedy: 'Write a plain file of a few lines.' }],
});
