import { statSync } from 'node:fs';
import { join } from 'node:path';

/** What tells a file's content from another one's without reading it; empty where there is none. */
export function markOf(checkout: string, file: string): string {
  const found = statSync(join(checkout, file), { throwIfNoEntry: false });
  return found ? `${found.size} ${found.mtimeMs}` : '';
}

/** What decides beside a bundle's own files: which of the packages' files are taken, and how. */
export const DECIDING = ['package-lock.json', 'tsconfig.json'];

/** File → mark. */
export const marksOf = (checkout: string, files: readonly string[]): Record<string, string> =>
  Object.fromEntries(files.map((file) => [file, markOf(checkout, file)]));

/** @param moment of the file system's own clock, which may be some milliseconds behind */
export function changedSince(moment: number, file: string): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  return found !== undefined && found.mtimeMs >= moment;
}
