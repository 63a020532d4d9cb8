/** What the reconciler says at each look at a project that it could not end; its reason follows. */
export const BLIND = 'cannot look';
/** What it says at the first look after such ones that it could end for all. */
export const SEES = 'looks again';

/** Why the reconciler cannot look, by the end of its log: `<project>: <reason>`; undefined where it can, or has not said. */
export function blindness(log: string | undefined): string | undefined {
  const last = log?.split('\n').findLast((line) => line.includes(`: ${BLIND}: `) || line === SEES);
  return last === undefined || last === SEES ? undefined : last.replace(`: ${BLIND}: `, ': ');
}
