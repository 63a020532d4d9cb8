const { readFileSync } = require('node:fs');
const { default: Sequencer } = require('@jest/test-sequencer');

/**
 * Suites that start git hundreds of times: long, and starting a program costs less while the worker is still small. Then what
 * keeps one core busy for long by itself: at the end the other one would be idle.
 */
const FIRST = [
  /\/test\/delivery\/(preview\/flow|queue\/turns|flow)\.integration\.test\.ts$/,
  /\/test\/delivery\/(quarantine|forged|applied)\.integration\.test\.ts$/,
  /\/test\/lab\/gitlab\/.*\.integration\.test\.ts$/,
  /\/test\/delivery\/backup\/.*\.integration\.test\.ts$/,
  /\/test\/catalog\/growth\.test\.ts$/,
];

/** Loads Pulumi's engine of stand-ins, which takes two to five times as long in a worker that has grown. */
const loadsPulumi = (path) => /setMocks|support\/registered|@pulumi\/policy/.test(readFileSync(path, 'utf8'));

/**
 * Jest's own order (what failed last, then what took longest), but what is known to be long comes first on a machine
 * that has not run it yet as well. The lab's suites have an order of their own: `test/lab/lanes.ts`.
 */
module.exports = class extends Sequencer {
  async sort(tests) {
    const place = (test) => {
      if (this.hasFailed(test)) return -1;
      const found = FIRST.findIndex((long) => long.test(test.path));
      if (found >= 0) return found;
      return loadsPulumi(test.path) ? FIRST.length : FIRST.length + 1;
    };
    const places = new Map(tests.map((test) => [test, place(test)]));
    return (await super.sort(tests)).sort((a, b) => places.get(a) - places.get(b));
  }
};
