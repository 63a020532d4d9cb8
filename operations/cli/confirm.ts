import { losing, type Step } from '../engine/steps';

/** `3 create, 1 replace` */
export function countsText(changes: Readonly<Record<string, number>>): string {
  const counts = Object.entries(changes).map(([kind, count]) => `${count} ${kind}`);
  return counts.length > 0 ? counts.join(', ') : 'no change';
}

const line = ({ operation, kind, name, properties }: Step): string => {
  const because =
    operation === 'replace' && properties.length > 0 ? `, because of ${properties.join(', ')}` : '';
  return `  ${operation} ${kind} ${name}${because}`;
};

/**
 * What a person reads before they say yes: what would go or be made anew, and apart from it what takes data with it.
 * @param steps what a preview found
 * @param changes how many of each, as the result will count them
 */
export function confirmationText(
  operation: string,
  environment: string,
  steps: readonly Step[],
  changes: Readonly<Record<string, number>>,
): string[] {
  const gone = losing(steps);
  const data = gone.filter((step) => step.data !== undefined);
  const rest = gone.filter((step) => step.data === undefined);
  const lines = [`${operation} of ${environment} would do: ${countsText(changes)}`];
  if (rest.length > 0) lines.push('Replaced or deleted:', ...rest.map(line));
  if (data.length > 0) {
    lines.push('DATA GOES with these:', ...data.map((step) => `${line(step)}: ${step.data}`));
  }
  const guarded = gone.filter((step) => step.protected);
  if (guarded.length > 0) {
    lines.push(`Protected, so it will be refused: ${guarded.map(({ name }) => name).join(', ')}`);
  }
  return lines;
}

/** The question, and the answers that mean yes. */
export interface Question {
  readonly text: string;
  readonly accepts: (answer: string) => boolean;
}

/** @param byName the environment's setting `confirm`: a habit of typing "y" must not be enough */
export const questionFor = (operation: string, environment: string, byName: boolean): Question =>
  byName
    ? {
        text: `Type the name of the environment to ${operation} it: `,
        accepts: (answer) => answer === environment,
      }
    : {
        text: `${operation} ${environment}? [y/N] `,
        accepts: (answer) => /^y(es)?$/i.test(answer),
      };
