import program from '../../index';

/** What the engine runs here. The delivery image of somebody's own repository has its `index.ts` in this place (`operations/build/bundles.ts`). */
export default program;
