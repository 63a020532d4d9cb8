import { InvalidArgumentError } from 'commander';

/** An option's value as a number. @throws InvalidArgumentError for what is not a whole number from 0 on */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

/** Lets a program go on when whoever reads what it says goes away (`… | head`): its work is not the reader's. */
export function goOnWithoutReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}
