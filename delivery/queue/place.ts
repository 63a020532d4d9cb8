import type { Certificate } from '../certificate';
import type { Place } from './decide';
import type { Look } from './look';
import type { Ref } from './order';

const numbers = (refs: readonly Ref[]): string => refs.map(({ iid }) => `!${iid}`).join(', ');

function standing({ state, with: before, why = '' }: Place): string {
  const on = before.length > 0 ? ` with ${numbers(before)}` : '';
  switch (state) {
    case 'held':
      return `held: ${why}`;
    case 'waits':
      return 'waits for its test';
    case 'testing':
      return `to be tested${on || ' with the target branch as it is'}${why ? `; ${why}` : ''}`;
    case 'passed':
      return `passed${on}; ${why}`;
    case 'failed':
      return `failed${on} (${why}): taken out if they are merged, tested again if they are not`;
    case 'conflicts':
    case 'broke off':
      return why;
    case 'merging':
      return 'is merged now';
    case 'taken out':
      return `taken out: ${why}`;
  }
}

/** `place 2 of 5; put first by ann; `, or nothing for what does not queue. */
function ordered({ at, first }: Place, { places }: Pick<Look, 'places'>): string {
  if (at === undefined) return '';
  const queued = places.filter((place) => place.at !== undefined).length;
  return `place ${at} of ${queued}; ${first ? `put first by ${first}; ` : ''}`;
}

/** Where a merge request stands, as people read it: `place 2 of 5; passed with !4; it waits for g/p!4`. */
export const placeText = (place: Place, look: Pick<Look, 'places'>): string =>
  `${ordered(place, look)}${standing(place)}`;

/** Likewise of one whose test begins: what is merged into what. */
export function testingText(
  place: Place,
  look: Pick<Look, 'places'>,
  { headSha, targetBranch, baseSha, ahead }: Certificate,
): string {
  const on = `${targetBranch} at ${(ahead?.onto ?? baseSha).slice(0, 12)}`;
  const before = ahead
    ? ` with ${ahead.requests.map(({ mergeRequest }) => `!${mergeRequest}`).join(', ')}`
    : '';
  const why = place.state === 'testing' && place.why ? `; ${place.why}` : '';
  return `${ordered(place, look)}its tests run now, of ${headSha.slice(0, 12)} merged into ${on}${before}${why}`;
}
