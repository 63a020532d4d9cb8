const { Script } = require('node:vm');
const { default: Runtime } = require('jest-runtime');

/** What this process compiled: of each file its text, after the transform, and its script. */
const compiled = new Map();

/**
 * Jest's own, which compiles a file once in each process and not once in each suite: V8's compiled script is bound to no
 * context, the function that it makes is. What V8 compiles of it later, when it is first called, is kept with it.
 */
module.exports = class extends Runtime {
  constructor(...given) {
    super(...given);
    const { executor } = this;
    const compile = executor.compile.bind(executor);
    const head = `(function (${executor.injectedModuleParameters.join(', ')}) {`;
    executor.compile = (text, filename) => {
      const context = this._environment.getVmContext();
      if (context === null) return null;
      let known = compiled.get(filename);
      if (known?.text !== text) {
        try {
          const script = new Script(`${head}${text}\n})`, { filename, columnOffset: -head.length });
          known = { text, script };
        } catch {
          // Jest's own way, which knows what to say of text that is no script.
          return compile(text, filename);
        }
        compiled.set(filename, known);
      }
      return known.script.runInContext(context);
    };
  }
};
