const { default: Sequencer } = require('@jest/test-sequencer');

/** Jest's own order, but what burns the lab down comes after all others. */
module.exports = class extends Sequencer {
  async sort(tests) {
    const burns = ({ path }) => path.endsWith('/e2e/rebuild.test.ts');
    const ordered = await super.sort(tests);
    return [...ordered.filter((test) => !burns(test)), ...ordered.filter(burns)];
  }
};
