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

/** Where a merge request stands, as people read it: `place 2 of 5; passed with !4; it waits for g/p!4`. */
export function placeText(place: Place, { places }: Pick<Look, 'places'>): string {
  const queued = places.filter(({ at }) => at !== undefined).length;
  const at = place.at === undefined ? '' : `place ${place.at} of ${queued}; `;
  const first = place.at !== undefined && place.first ? `put first by ${place.first}; ` : '';
  return `${at}${first}${standing(place)}`;
}
