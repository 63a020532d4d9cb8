import { fitsQuarantine, QUARANTINE_FILE } from '../catalog/quarantine';
import { FIRST_LABEL } from '../catalog/status';
import { redact } from '../text/hide';
import { parseJson } from '../text/json';
import { markdownCode, markdownText } from '../text/markdown';
import { moment } from '../text/moment';
import {
  type Certificate,
  certificateSchema,
  isGreen,
  isRemoved,
  isSignedBy,
  sign,
  type Tests,
} from './certificate';
import type { PodWords } from './pod-words';
import { entryLine } from './quarantine';
import { rerunLines } from './rerun';

/** Marks the one note per merge request that the bot edits in place. */
export const marker = '<!-- switchyard:merge-certificate -->';
/** Words after which it says how far a deploy is. */
export const ON_ITS_WAY = 'on its way to';
const FAILING_SHOWN = 20;
const EXCERPT = 300;

/** What became of a tested merge request. */
export type Progress =
  | { readonly state: 'tested' }
  /** Nothing was found out, for the infrastructure's sake. @property times so far, of so many at most */
  | { readonly state: 'tried again'; readonly times: number; readonly most: number }
  /**
   * @property place where it stands in the merge queue, as people read it
   * @property build address of the build that tests it
   */
  | { readonly state: 'queued'; readonly place: string; readonly build?: string }
  | { readonly state: 'taken out'; readonly why: string }
  | { readonly state: 'left'; readonly why: string }
  | { readonly state: 'merged'; readonly commit: string }
  | {
      readonly state: 'on its way';
      readonly commit: string;
      readonly environment: string;
      readonly build: string;
      /** How far its deploy is. */
      readonly says: string;
      /** Why it is undone, where what was before is rolled out. */
      readonly undone?: string;
    }
  | {
      readonly state: 'deployed';
      readonly commit: string;
      readonly environment: string;
      readonly build: string;
    }
  | {
      readonly state: 'rollout failed';
      readonly commit: string;
      readonly environment: string;
      readonly build: string;
      /** What was said of the rollout's Pod, where that one did not start. */
      readonly start?: PodWords;
    }
  | {
      readonly state: 'undone';
      readonly commit: string;
      readonly environment: string;
      readonly build: string;
      readonly why: string;
    };

/** Text of others as part of a line of a note, cut where it is longer than an excerpt. */
export const inert = (text: string, limit = EXCERPT): string => markdownText(text, limit);

const failedInQuarantine = ({ quarantine }: Tests): number =>
  (quarantine?.failed ?? []).reduce((sum, { times }) => sum + times, 0);

/** One line on the outcome: heading of the note, and description of the commit status. */
export function verdictLine(certificate: Certificate): string {
  const { tests, conflicts, start } = certificate;
  if (conflicts) return `conflicts with ${certificate.targetBranch} in ${listed(conflicts, 3)}`;
  if (!certificate.image) return `the image was not built${start ? `: ${start.why}` : ''}`;
  if (!tests && start) return `the test Pod ${start.lost ? 'was lost' : 'did not start'}: ${start.why}`;
  if (!tests) return 'the tests did not run to their end';
  if (tests.failed > 0) {
    const names = listed(
      tests.failing.map(({ name }) => name),
      2,
    );
    return `${tests.failed} of ${tests.total} tests failed: ${names}`;
  }
  const quarantined = failedInQuarantine(tests);
  const more = quarantined > 0 ? `, ${quarantined} failed in quarantine` : '';
  if (tests.passed === 0) return `no test passed (${tests.total} found${more}), and that proves nothing`;
  return `${tests.passed} tests passed${tests.skipped > 0 ? `, ${tests.skipped} skipped` : ''}${more}`;
}

const listed = (words: readonly string[], limit: number): string =>
  words.slice(0, limit).join(', ') + (words.length > limit ? ` and ${words.length - limit} more` : '');

function progressLine(progress: Progress): string {
  switch (progress.state) {
    case 'tested':
    case 'tried again':
    case 'queued':
      return '';
    case 'taken out':
      return `taken out of the merge queue: ${inert(progress.why)}`;
    case 'left':
      return `not merged: ${inert(progress.why)}`;
    case 'merged':
      return `merged as ${progress.commit.slice(0, 12)}`;
    case 'on its way': {
      const undone =
        progress.undone === undefined
          ? ''
          : ` and undone: ${inert(progress.undone)}; what was before is rolled out`;
      return `merged as ${progress.commit.slice(0, 12)}; ${ON_ITS_WAY} ${inert(progress.environment)}${undone}: ${inert(progress.says)} ([build](${progress.build}))`;
    }
    case 'deployed':
      return `deployed to ${inert(progress.environment)}: ${progress.commit.slice(0, 12)} ([build](${progress.build}))`;
    case 'rollout failed':
      return `merged as ${progress.commit.slice(0, 12)}, but the rollout to ${inert(progress.environment)} failed${progress.start ? `: ${inert(progress.start.why)}` : ''} ([build](${progress.build}))`;
    case 'undone':
      return `merged as ${progress.commit.slice(0, 12)}, rolled out to ${inert(progress.environment)} and undone: ${inert(progress.why)} ([build](${progress.build}))`;
  }
}

/** Since when it may be merged, and when it was taken out, merged, or was as the note says. */
function timesText({ gate }: Certificate, { state }: Progress, now: number | undefined): string {
  const says = { queued: 'this is of', 'on its way': 'this is of', merged: 'merged at' } as const;
  const said = state in says ? says[state as keyof typeof says] : undefined;
  return [
    ...(gate?.since ? [`may be merged since ${moment(gate.since)}`] : []),
    ...(gate?.out ? [`taken out at ${moment(gate.out)}`] : []),
    ...((gate || state === 'on its way') && said && now !== undefined ? [`${said} ${moment(now)}`] : []),
  ].join('; ');
}

/** What it was merged into: main's commit, and those that were not merged then. */
function baseText({ baseSha, ahead }: Certificate): string {
  if (!ahead) return baseSha.slice(0, 12);
  const before = ahead.requests.map(({ mergeRequest }) => `!${mergeRequest}`).join(', ');
  return `${ahead.onto.slice(0, 12)} with ${inert(before)}`;
}

const told = (lines: readonly string[], secrets: readonly string[]): string[] =>
  lines
    .map((line) => redact(line, secrets))
    .filter((line) => line.trim() !== '')
    .map((line) => `- ${markdownCode(line)}`);

/** What Pods said, as lines of a note: text of others, of which every line is inert. */
export const podLines = ({ pods }: PodWords, secrets: readonly string[] = []): string[] =>
  pods.flatMap(({ name, events, log }) => [
    `**Pod ${inert(name)}**`,
    '',
    ...(events.length > 0 ? ['Its events:', '', ...told(events, secrets), ''] : []),
    ...(log.length > 0
      ? [
          '<details open><summary>The last lines of its log</summary>',
          '',
          ...told(log, secrets),
          '',
          '</details>',
          '',
        ]
      : []),
  ]);

/** How a person runs what failed. */
function rerunText(certificate: Certificate): string {
  const lines = rerunLines(certificate);
  if (lines.length === 0) return '';
  return [
    `<details><summary>Run what failed here</summary>`,
    '',
    `In a clone of ${inert(certificate.project)}, with the module and its services running:`,
    '',
    ...lines.map((line) => `- ${markdownCode(line)}`),
    '',
    '</details>',
    '',
    '',
  ].join('\n');
}

/** What failed in quarantine, and what is to be said of that file. */
function quarantineText({ quarantine }: Tests): string {
  if (!quarantine) return '';
  const { failed, said } = quarantine;
  const rows = failed
    .slice(0, FAILING_SHOWN)
    .map(
      ({ name, until, times, message }) =>
        `| ${inert(name)}${times > 1 ? ` (${times} times)` : ''} | ${inert(until)} | ${inert(message)} |`,
    );
  if (failed.length > FAILING_SHOWN)
    rows.push(`| and ${failed.length - FAILING_SHOWN} more | | see the build |`);
  return [
    ...(rows.length > 0
      ? ['| Failed in quarantine, which blocks nobody | until | Message |', '|---|---|---|', ...rows, '']
      : []),
    ...said.map((line) => `- Quarantine: ${inert(line)}`),
    ...(said.length > 0 ? [''] : []),
    '',
  ].join('\n');
}

/** Tests that failed and passed on one tree, with what lets them fail for a while. */
function flakyText({ flaky, mergeRequest }: Certificate): string {
  if (!flaky?.length) return '';
  const suggested = flaky.flatMap(({ name, failed, runs, until }) =>
    until && fitsQuarantine(name)
      ? [
          entryLine({
            test: name,
            reason: `flaky: failed in ${failed} of ${runs} runs, see !${mergeRequest}`,
            until,
          }),
        ]
      : [],
  );
  return [
    '| Flaky: failed and passed on one tree | failed in |',
    '|---|---|',
    ...flaky.map(({ name, failed, runs }) => `| ${inert(name)} | ${failed} of ${runs} runs that are known |`),
    '',
    ...(suggested.length > 0
      ? [
          `Mend it; or let it fail for a while, by ${inert(QUARANTINE_FILE)} below ${inert('tests:')}, which counts once it is merged:`,
          '',
          ...suggested.map((line) => `- ${markdownCode(line)}`),
          '',
        ]
      : []),
    '',
  ].join('\n');
}

/**
 * The note. The same certificate and progress at the same time give the same text.
 * @param now milliseconds since 1970, by GitLab's clock. @default it is not told
 */
export function renderNote(certificate: Certificate, progress: Progress, key: string, now?: number): string {
  const { tests } = certificate;
  const rows: [string, string][] = [
    ['Verdict', inert(verdictLine(certificate), 500)],
    [
      'Merge result',
      `${certificate.headSha.slice(0, 12)} into ${inert(certificate.targetBranch)} at ${baseText(certificate)}`,
    ],
  ];
  if (certificate.rebasedFrom)
    rows.push([
      'Rebased',
      `by the bot, from ${certificate.rebasedFrom.slice(0, 12)}: its tree is the tested one`,
    ]);
  if (tests) {
    rows.push([
      'Tests',
      `${tests.total} total, ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped} skipped${failedInQuarantine(tests) > 0 ? `, ${failedInQuarantine(tests)} failed in quarantine` : ''}`,
    ]);
  }
  if (certificate.image)
    rows.push(['Image', `\`${certificate.image.repository}@${certificate.image.digest}\``]);
  rows.push([
    'Build',
    tests
      ? `[log](${certificate.build}) · [tests](${certificate.build}testReport/) · [Robot report](${certificate.build}robot/)`
      : `[log](${certificate.build})`,
  ]);
  if (progress.state === 'tried again')
    rows.push([
      'Again',
      `by itself (${progress.times} of ${progress.most} times so far): this merge request has no part in it`,
    ]);
  else if (isRemoved(certificate))
    rows.push(['Again', 'not by itself: find out what removes its test Pods, then start its build']);
  if (progress.state === 'queued')
    rows.push(['Queue', `${inert(progress.place)}${progress.build ? ` ([build](${progress.build}))` : ''}`]);
  const times = timesText(certificate, progress, now);
  if (times) rows.push(['Times', times]);
  if (certificate.gate?.first)
    rows.push(['Order', `put first by ${inert(certificate.gate.first)}, by the label ${inert(FIRST_LABEL)}`]);
  const after = progressLine(progress);
  if (after) rows.push(['Then', after]);

  const failing = tests?.failing ?? [];
  const failures =
    failing.length === 0
      ? ''
      : [
          '| Failing test | Message |',
          '|---|---|',
          ...failing
            .slice(0, FAILING_SHOWN)
            .map(({ name, message }) => `| ${inert(name)} | ${inert(message)} |`),
          ...(failing.length > FAILING_SHOWN
            ? [`| and ${failing.length - FAILING_SHOWN} more | see the build |`]
            : []),
          '',
          '',
        ].join('\n');

  const start = progress.state === 'rollout failed' ? progress.start : tests ? undefined : certificate.start;
  const pods = start ? `${podLines(start).join('\n')}\n` : '';

  return `${marker}
**Switchyard: ${isGreen(certificate) ? 'passed' : progress.state === 'tried again' ? 'not tested yet' : 'failed'}**

| | |
|---|---|
${rows.map(([name, value]) => `| ${name} | ${value} |`).join('\n')}

${failures}${rerunText(certificate)}${tests ? quarantineText(tests) : ''}${flakyText(certificate)}${pods}<details><summary>Merge certificate</summary>

\`\`\`json
${JSON.stringify(certificate, null, 2)}
\`\`\`

Signature: \`${sign(certificate, key)}\`

</details>
`;
}

/**
 * Whether a note of ours says what became of a commit after its tests: merged, left to people, or rolled out. It is no
 * proof of anything, and nothing is deployed by it.
 */
export const isConcluded = (body: string, headSha: string): boolean => hasRow(/^\| Then \| /m, body, headSha);

/** Whether it was left for what is over where it is open with that head and no draft: it was closed, a draft, or had another head. */
export const isLeftForPast = (body: string, headSha: string): boolean => hasRow(PAST, body, headSha);

/** Words of `decideMerge`. */
const PAST =
  /^\| Then \| not merged: \S+ (?:is closed|is a draft|has a newer commit, which has its own build) \|$/m;

/** Whether a note of ours says that a commit stands in the merge queue. It is no proof either. */
export const saysQueued = (body: string, headSha: string): boolean => hasRow(/^\| Queue \| /m, body, headSha);

const hasRow = (row: RegExp, body: string, headSha: string): boolean =>
  body.startsWith(marker) && body.includes(`"headSha": "${headSha}"`) && row.test(body);

export type NoteReading =
  | { readonly certificate: Certificate }
  | { readonly fault: 'no certificate' | 'unreadable' | 'tampered' };

/** The certificate of a note, only if its signature holds. */
export function readNote(body: string, key: string): NoteReading {
  const found = parsedNote(body);
  if ('fault' in found) return found;
  const { certificate, signature } = found;
  return isSignedBy(certificate, signature, key) ? { certificate } : { fault: 'tampered' };
}

/** What a note says, whoever wrote it: a hint, by which nothing is merged or deployed. */
export function readHint(body: string): Certificate | undefined {
  const found = parsedNote(body);
  return 'fault' in found ? undefined : found.certificate;
}

function parsedNote(
  body: string,
):
  | { readonly certificate: Certificate; readonly signature: string }
  | { readonly fault: 'no certificate' | 'unreadable' } {
  const text = body.replace(/\r\n/g, '\n');
  if (!text.startsWith(marker)) return { fault: 'no certificate' };
  const match = /\n```json\n([\s\S]*?)\n```\n\nSignature: `([0-9a-f]{64})`\n/.exec(`${text}\n`);
  if (!match) return { fault: 'unreadable' };
  const parsed = certificateSchema.safeParse(parseJson(match[1] ?? ''));
  if (!parsed.success) return { fault: 'unreadable' };
  return { certificate: parsed.data, signature: match[2] ?? '' };
}
