/*
 * Starts the pack. The types are removed and not checked, which `npm run types` does: the compiler that Pulumi registers
 * would check those of the pack at each start after a change.
 */
require('tsx/cjs');
require('./index.ts');
