import type { Migration } from '../catalog/ledger';
import { isUsername } from '../clients/gitlab';
import { redact } from '../text/hide';
import type { Deployment } from './deploy';
import { short } from './ledger';
import { inert, podLines } from './note';
import { ownNote, untilNoted } from './own-note';
import type { PodWords } from './pod-words';
import type { Context } from './verify';

/** A deployment that is undone in the ledger. */
export type Undone = Deployment & { readonly undone: NonNullable<Deployment['undone']> };

const markerOf = ({ environment, commit }: Undone): string =>
  `<!-- switchyard:undone ${environment} ${short(commit)} -->`;

/** A mention of another form would be text. */
const mention = (username: string | undefined): string =>
  username && isUsername(username) ? `@${username}: ` : '';

/** What whoever reads only one sentence has to know. */
const DATA: Readonly<Record<Migration, string>> = {
  ran: '**Its migration ran before it: data was changed, and is not changed back.** ',
  failed: '**Its migration failed: what it had changed in the data by then is not changed back.** ',
  unknown: '**What its migration may have changed in the data is not changed back.** ',
};

/**
 * The note that tells the author. What the Pod said is text of others: every line of it is inert.
 * @param author username in GitLab
 */
export function undoNote(
  deployment: Undone,
  build: string | undefined,
  unsteady?: PodWords,
  author?: string,
  secrets: readonly string[] = [],
): string {
  const { by, commit, environment, module, undone } = deployment;
  const next = by === 'promotion' ? 'A newer release can be promoted' : 'The next merge goes out again';
  const now = undone.serves
    ? `${short(undone.serves)} runs there as before.`
    : 'It was the first release there: nothing runs of it now.';
  return [
    markerOf(deployment),
    '**Switchyard: undone**',
    '',
    `${mention(author)}${inert(module)} ${short(commit)} was rolled out to ${inert(environment)} and is undone: ${inert(redact(undone.why, secrets))}. ${now} ${undone.migration ? DATA[undone.migration] : ''}${next}${build ? ` ([build](${build}))` : ''}.`,
    '',
    ...(unsteady ? podLines(unsteady, secrets) : []),
  ].join('\n');
}

/**
 * Tells the author, once for each undone release; one that was told with the Pod's words stays so.
 */
export async function tellUndone(
  { gitlab, noteRetries, token }: Context,
  deployment: Undone,
  build: string | undefined,
  unsteady?: PodWords,
): Promise<void> {
  const { project, mergeRequest } = deployment;
  const secrets = [token, process.env.SWITCHYARD_CERTIFICATE_KEY ?? ''];
  const tell = async (): Promise<void> => {
    const mine = await ownNote(gitlab, project, mergeRequest, markerOf(deployment));
    if (mine && !unsteady) return;
    const { author } = await gitlab.mergeRequest(project, mergeRequest);
    const body = undoNote(deployment, build, unsteady, author?.username, secrets);
    if (mine) await gitlab.editNote(project, mergeRequest, mine.id, body);
    else await gitlab.createNote(project, mergeRequest, body);
  };
  await untilNoted(tell, noteRetries);
}
