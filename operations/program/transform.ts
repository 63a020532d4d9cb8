import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { OWN_TRANSFORM, type Place } from '../../catalog/place';
import type { Transform } from '../../components/shared/transform';
import { EXIT, Refusal } from '../cli/refusal';
import { ownSource } from './own-source';
import ownTransform from './own-transform';

/**
 * What a repository changes in all declarations: its `transform.ts`, or in its delivery image what was made of that.
 * @returns undefined where it has none
 * @throws Refusal for one that does not compile, lacks its packages or exports no function
 */
export function transformOf({ product, project }: Place): Transform | undefined {
  if (project === product) return ownTransform;
  if (!existsSync(join(project, OWN_TRANSFORM))) return undefined;
  const exported = ownSource(project, OWN_TRANSFORM);
  if (typeof exported === 'function') return exported as Transform;
  throw new Refusal(
    `${OWN_TRANSFORM}: exports no function. Write: export default transform; (docs/components/transform.md)`,
    EXIT.badInput,
  );
}
