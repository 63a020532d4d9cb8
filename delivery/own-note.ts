import type { GitLab, Note } from '../clients/gitlab';
import { isUnheard } from '../clients/gitlab-api';
import { type Policy, retry } from '../clients/retry';

// The bot's own notes in a merge request, each found by how it begins. Notes of others count for nothing and stay untouched.

type Notes = Pick<GitLab, 'ownId' | 'notes'>;
type NotesToWrite = Notes & Pick<GitLab, 'createNote' | 'editNote'>;

/** The bot's own note that begins like this. */
export async function ownNote(
  gitlab: Notes,
  project: string,
  iid: number,
  beginning: string,
): Promise<Note | undefined> {
  const own = await gitlab.ownId();
  const [note] = await gitlab.notes(
    project,
    iid,
    ({ author, system, body }) => author.id === own && !system && body.startsWith(beginning),
    1,
  );
  return note;
}

/**
 * Writes it: edits the one that is there, and leaves an equal one alone.
 * @param noteRetries how often and when it is tried again
 */
export const putOwnNote = (
  { gitlab, noteRetries }: { readonly gitlab: NotesToWrite; readonly noteRetries?: Partial<Policy> },
  project: string,
  iid: number,
  beginning: string,
  body: string,
): Promise<void> =>
  untilNoted(async () => {
    const mine = await ownNote(gitlab, project, iid, beginning);
    if (!mine) await gitlab.createNote(project, iid, body);
    else if (mine.body.trim() !== body.trim()) await gitlab.editNote(project, iid, mine.id, body);
  }, noteRetries);

/** Tries again to write one. What GitLab took without our hearing of it is found by the next try, so none is written twice. */
export const untilNoted = (write: () => Promise<void>, retries: Partial<Policy> | undefined): Promise<void> =>
  retry(write, { again: isUnheard, policy: { attempts: 3, ...retries } });
