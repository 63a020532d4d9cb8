/**
 * One word of a POSIX shell whose value is the text. A text that no shell can hold is a fault.
 * @throws Error for a text with NUL in it
 */
export function shellWord(text: string): string {
  if (text.includes('\0')) throw new Error('a shell takes no text with NUL in it');
  return `'${text.replaceAll("'", "'\\''")}'`;
}
