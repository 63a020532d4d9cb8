import type { GitLab } from '../../clients/gitlab';
import { inert, podLines } from '../note';
import type { PodWords } from '../pod-words';
import { DRIFT_LABEL, markedIssue } from './issue';

// The issue that says that an environment could not be looked at: whoever relies on the look would else take silence for rest.

const marker = (environment: string): string => `<!-- switchyard:drift-unseen:${environment} -->`;

export interface Unseen {
  readonly environment: string;
  /** Address of the build, ending in `/`. */
  readonly build: string;
  /** What was said of a Pod that did not start, where that is why. */
  readonly start?: PodWords | undefined;
}

const describe = ({ environment, build, start }: Unseen): string =>
  [
    marker(environment),
    `${inert(environment, 60)} could not be looked at for drift${start ? `: ${inert(start.why)}` : ''} ([log](${build})). This issue is closed by the next look.`,
    '',
    ...(start ? podLines(start) : []),
  ].join('\n');

type Client = Pick<GitLab, 'issues' | 'isBot' | 'openIssue' | 'editIssue' | 'commentOnIssue'>;

/** Opens the issue, or edits it in place. */
export async function keepUnseen(
  gitlab: Client,
  project: string,
  unseen: Unseen,
): Promise<{ readonly did: 'open' | 'edit' | 'reopen'; readonly iid: number }> {
  const issue = await markedIssue(gitlab, project, marker(unseen.environment));
  const description = describe(unseen);
  if (!issue) {
    const title = `Drift of ${unseen.environment} cannot be looked for`;
    const iid = await gitlab.openIssue(project, { title, description, labels: DRIFT_LABEL });
    return { did: 'open', iid };
  }
  const closed = issue.state === 'closed';
  await gitlab.editIssue(project, issue.iid, {
    description,
    ...(closed ? { state_event: 'reopen' as const } : {}),
  });
  return { did: closed ? 'reopen' : 'edit', iid: issue.iid };
}

/** Closes the issue with a word, where it is open. */
export async function closeUnseen(
  gitlab: Client,
  project: string,
  { environment, build }: Pick<Unseen, 'environment' | 'build'>,
): Promise<void> {
  const issue = await markedIssue(gitlab, project, marker(environment));
  if (issue?.state !== 'opened') return;
  await gitlab.commentOnIssue(project, issue.iid, `It was looked at again ([look](${build})).`);
  await gitlab.editIssue(project, issue.iid, { state_event: 'close' });
}
