import type { Transform } from '../../components/shared/transform';

/** Nothing is changed here. The delivery image of somebody's own repository has its `transform.ts` in this place (`operations/build/bundles.ts`). */
const transform: Transform | undefined = undefined;

export default transform;
