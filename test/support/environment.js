const { appendFileSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { setPriority, tmpdir } = require('node:os');
const { join } = require('node:path');
const { TestEnvironment } = require('jest-environment-node');

// Where jest is killed its worker would go on by itself, and change the lab behind everybody's back. (A listener of `disconnect`
// would keep it when it is done.)
setInterval(() => {
  if (process.connected === false) process.exit(1);
}, 1000).unref();

/** Processor seconds of this process and of its children that have ended (`proc_pid_stat(5)`), in ticks of 10 ms. */
function spent() {
  const text = readFileSync('/proc/self/stat', 'utf8');
  const [user, system, ofChildren, systemOfChildren] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map((ticks) => Number(ticks) / 100);
  return { own: user + system, children: ofChildren + systemOfChildren };
}

/**
 * How many calls the stack of an error shows. Jest has 100, which each error pays that is only made and caught: fast-check
 * makes tens of thousands to know its values again, Pulumi one for each promise, jest itself one for each `expect`.
 */
const CALLS = 25;

/** The niceness of suites that need the lab's programs only, and of what they start: what `.ci/run` gives to all beside the lab. */
const BESIDE = 5;

/** Where this process and what it starts has its temporary files, but for suites that have a folder of their own. */
const { TMPDIR } = process.env;

/** Who makes an error for its stack alone: Pulumi, for its report of leaks and to tell the engine of a program's lines. */
const UNREAD = new Set(['debuggablePromise', 'callsites']);

/**
 * Jest's own, with short stacks, and without one thing: jest looks each call of a stack up in the source maps. That was half
 * of the time of a suite that registers a whole topology.
 *
 * SWITCHYARD_TEST_CPU names a file that gets a line of each suite: the processor seconds of all, those of programs that it
 * started, and its path, tabs between (Linux).
 */
module.exports = class extends TestEnvironment {
  constructor(config, context) {
    const program = context.testPath.includes('/test/lab/programs/');
    // Temporary files of its own: it may count them, whatever runs beside it makes. Before `super`, which copies the variables.
    const temporary = program ? mkdtempSync(join(TMPDIR ?? tmpdir(), 'switchyard-suite-')) : undefined;
    if (temporary) process.env.TMPDIR = temporary;
    super(config, context);
    this.temporary = temporary;
    this.suite = context.testPath;
    // What runs beside the lab's suites leaves the cores to them first: theirs are the minutes that others wait for.
    if (program) setPriority(BESIDE);
    this.global.Error.stackTraceLimit = CALLS;
    if (process.env.SWITCHYARD_TEST_CPU) this.before = spent();
  }

  async setup() {
    await super.setup();
    Error.stackTraceLimit = CALLS;
    const mapped = Error.prepareStackTrace;
    Error.prepareStackTrace = (error, calls) =>
      UNREAD.has(calls[0]?.getFunctionName()) ? '(not looked up)' : mapped(error, calls);
  }

  async teardown() {
    await super.teardown();
    if (this.temporary) {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      rmSync(this.temporary, { recursive: true, force: true });
    }
    if (!this.before) return;
    const { own, children } = spent();
    const started = children - this.before.children;
    const all = own - this.before.own + started;
    const line = `${all.toFixed(2)}\t${started.toFixed(2)}\t${this.suite}\n`;
    appendFileSync(process.env.SWITCHYARD_TEST_CPU, line);
  }
};
