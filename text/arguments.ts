import { InvalidArgumentError } from 'commander';

/** An option's value as a number. @throws InvalidArgumentError for what is not a whole number from 0 on */
export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}
