/*
 * In the place of @npmcli/arborist, which all of Pulumi loads: npm's engine, most of what Pulumi takes to load. It is asked
 * for what a function needs that is written down to run elsewhere, and nothing of ours is.
 */
exports.Arborist = class {
  constructor() {
    throw new Error('@npmcli/arborist is not loaded in tests: test/support/arborist.js');
  }
};
