const { TestEnvironment } = require('jest-environment-node');

/**
 * Jest's own, without one thing: Pulumi notes the stack of each promise that it makes, for its report of leaks, and jest
 * looks each of its calls up in the source maps. That was half of the time of a suite that registers a whole topology.
 */
module.exports = class extends TestEnvironment {
  async setup() {
    await super.setup();
    const mapped = Error.prepareStackTrace;
    Error.prepareStackTrace = (error, calls) =>
      calls[0]?.getFunctionName() === 'debuggablePromise' ? '(not looked up)' : mapped(error, calls);
  }
};
