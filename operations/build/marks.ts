import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What tells a file's content from another one's without reading it; empty where there is none. */
export function markOf(checkout: string, file: string): string {
  const found = statSync(join(checkout, file), { throwIfNoEntry: false });
  return found ? `${found.size} ${found.mtimeMs}` : '';
}

/** What decides beside a bundle's own files: which of the packages' files are taken, and how. */
const DECIDING = ['package-lock.json', 'tsconfig.json'];

/** File → mark. */
export const marksOf = (checkout: string, files: readonly string[]): Record<string, string> =>
  Object.fromEntries(files.map((file) => [file, markOf(checkout, file)]));

/** @param moment of the file system's own clock, which may be some milliseconds behind */
function changedSince(moment: number, file: string): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  return found !== undefined && found.mtimeMs >= moment;
}

/**
 * Makes something of a checkout's files, and a note beside it that says of which. Another run of the same checkout may make
 * the same at once: neither finds half of it.
 * @param build makes it in a place of its own, and returns the files that it was made of, relative to the checkout
 * @param take puts it in its place
 * @param says what the note says, as JSON. @default file → mark
 */
export async function makeNoted(
  checkout: string,
  note: string,
  build: () => Promise<readonly string[]>,
  take: () => void,
  says: (marks: Readonly<Record<string, string>>) => unknown = (marks) => marks,
): Promise<void> {
  const noted = `${note}.${randomUUID()}`;
  try {
    mkdirSync(dirname(noted), { recursive: true });
    writeFileSync(noted, '');
    const begun = statSync(noted).mtimeMs;
    const files = [...DECIDING, ...(await build())];
    writeFileSync(noted, JSON.stringify(says(marksOf(checkout, files))));
    rmSync(note, { force: true });
    take();
    // What was written to meanwhile is read again next time.
    if (!files.some((file) => changedSince(begun, join(checkout, file)))) renameSync(noted, note);
  } finally {
    rmSync(noted, { force: true });
  }
}
