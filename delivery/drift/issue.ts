import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { GitLab, Issue } from '../../clients/gitlab';

/** Label of the issues about drift, by which they are found. */
export const DRIFT_LABEL = 'switchyard-drift';

/** Longest description, in characters, below GitLab's limit. https://docs.gitlab.com/administration/instance_limits/ */
export const DESCRIPTION_LIMIT = 1_000_000;

/** What is read of the document of `switchyard drift --json`. */
export const driftSchema = z.looseObject({
  environment: z.string(),
  /** RFC 3339. */
  checkedAt: z.string(),
  resources: z.array(
    z.looseObject({
      urn: z.string(),
      gone: z.boolean(),
      fields: z.array(z.looseObject({ path: z.string(), declared: z.string(), live: z.string() })),
    }),
  ),
});
export type Drift = z.infer<typeof driftSchema>;

/** The same for the same drift, whenever it is looked at: who changed it, and when GitLab was last active, is left out. */
export function fingerprint({ resources }: Drift): string {
  const lines = resources.flatMap(({ urn, gone, fields }) => [
    `${urn} ${gone}`,
    ...fields.map(({ path, declared, live }) => JSON.stringify([urn, path, declared, live])),
  ]);
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}

/** First line of the note that `switchyard drift` writes. */
const marker = (environment: string): string => `<!-- switchyard:drift:${environment} -->`;
const seenMark = (drift: Drift): string => `<!-- switchyard:drift:seen ${fingerprint(drift)} -->`;

export interface Found {
  readonly drift: Drift;
  /** The note of `switchyard drift`. */
  readonly note: string;
  /** Address of the build, ending in `/`. */
  readonly build: string;
  /** Path of the whole note among the build's artifacts. */
  readonly artifact: string;
}

/** The note as an issue's description; one that is too long ends at the last line that fits, and says so. */
export function describe({ drift, note, build, artifact }: Found, limit = DESCRIPTION_LIMIT): string {
  const whole = `[${artifact}](${build}artifact/${artifact})`;
  const closing = `\n\nLast changed by [this look](${build}). It is closed by the look that finds no drift.\n${seenMark(drift)}\n`;
  const text = note.trimEnd();
  if (text.length + closing.length <= limit) return text + closing;
  const cut = `\n\nMore does not fit here: ${whole}`;
  const room = text.slice(0, limit - closing.length - cut.length);
  return room.slice(0, room.lastIndexOf('\n')) + cut + closing;
}

export type Decision =
  | { readonly do: 'nothing' }
  | { readonly do: 'open' | 'edit' | 'reopen'; readonly description: string }
  | { readonly do: 'close'; readonly word: string };

/** What becomes of the one issue of an environment. */
export function decide(issue: Pick<Issue, 'state' | 'description'> | undefined, found: Found): Decision {
  const { drift, build } = found;
  if (drift.resources.length === 0) {
    if (issue?.state !== 'opened') return { do: 'nothing' };
    const word = `No drift any more at ${drift.checkedAt} ([look](${build})). This issue comes back with the next one.`;
    return { do: 'close', word };
  }
  if (issue === undefined) return { do: 'open', description: describe(found) };
  if (issue.state === 'closed') return { do: 'reopen', description: describe(found) };
  // Told already: an issue whose text changed every night would teach people to look away.
  if (issue.description?.includes(seenMark(drift))) return { do: 'nothing' };
  return { do: 'edit', description: describe(found) };
}

/** The issue of ours that a marker stands in, the oldest: a bot opened it. By one of a person nothing is known. */
export async function markedIssue(
  gitlab: Pick<GitLab, 'issues' | 'isBot'>,
  project: string,
  mark: string,
): Promise<Issue | undefined> {
  const all = await gitlab.issues(
    project,
    DRIFT_LABEL,
    async ({ description, author }) =>
      (description?.includes(mark) ?? false) && (await gitlab.isBot(author.id)),
  );
  return all.sort((a, b) => a.iid - b.iid)[0];
}

/**
 * Keeps the one issue of an environment: opened with the first drift, edited in place when it is another, closed with a
 * word when it is gone, and reopened when it comes back.
 * @param project path of the project that holds the issue
 */
export async function keepIssue(
  gitlab: Pick<GitLab, 'issues' | 'isBot' | 'openIssue' | 'editIssue' | 'commentOnIssue'>,
  project: string,
  found: Found,
): Promise<{ readonly did: Decision['do']; readonly iid?: number }> {
  const { environment } = found.drift;
  const issue = await markedIssue(gitlab, project, marker(environment));
  const decision = decide(issue, found);
  if (decision.do === 'open') {
    const title = `Drift in ${environment}`;
    const iid = await gitlab.openIssue(project, {
      title,
      description: decision.description,
      labels: DRIFT_LABEL,
    });
    return { did: 'open', iid };
  }
  if (issue === undefined) return { did: 'nothing' };
  const { iid } = issue;
  if (decision.do === 'close') {
    await gitlab.commentOnIssue(project, iid, decision.word);
    await gitlab.editIssue(project, iid, { state_event: 'close' });
  } else if (decision.do !== 'nothing') {
    await gitlab.editIssue(project, iid, {
      description: decision.description,
      ...(decision.do === 'reopen' ? { state_event: 'reopen' as const } : {}),
    });
  }
  return { did: decision.do, iid };
}
