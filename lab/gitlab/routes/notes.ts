import { z } from 'zod';
import { messageError } from '../instance/errors';
import type { IssueNote, Note } from '../instance/model';

/** Longest note, in characters. https://docs.gitlab.com/administration/instance_limits/ */
const LIMIT = 1_000_000;

export function checkNoteLength(body: string): void {
  if (body.length > LIMIT)
    throw messageError(
      400,
      `400 Bad request - Note {:note=>["is too long (maximum is ${LIMIT} characters)"]}`,
    );
}

/** How a list of notes is asked for, of a merge request or an issue. */
export const noteListShape = {
  sort: z.enum(['asc', 'desc']).optional(),
  order_by: z.enum(['created_at', 'updated_at']).optional(),
  activity_filter: z.enum(['all_notes', 'only_comments', 'only_activity']).optional(),
};

/** The notes that were asked for, in their order. GitLab's own notes about what happens are not kept here. */
export function listedNotes<T extends Note | IssueNote>(
  notes: readonly T[],
  asked: z.infer<z.ZodObject<typeof noteListShape>>,
): T[] {
  if (asked.activity_filter === 'only_activity') return [];
  const key = asked.order_by ?? 'created_at';
  const direction = asked.sort === 'asc' ? 1 : -1;
  return [...notes].sort((a, b) => (a[key].localeCompare(b[key]) || a.id - b.id) * direction);
}
