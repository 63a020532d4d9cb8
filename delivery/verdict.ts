import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { TextDecoder } from 'node:util';
import { createGunzip } from 'node:zlib';
import { SaxesParser } from 'saxes';
import { LARGEST_PACKED, RESULT_FILES } from './carried';
import type { Tests } from './certificate';

// What tests leave is an author's text: it may be of any size, depth and kind, and none of it may end this program.

/** How much of a results file is read. */
export interface Bounds {
  /** Characters of a file. */
  readonly largest: number;
  /** Bytes of a packed file. */
  readonly packed: number;
  /** Open elements at once. */
  readonly depth: number;
  /** Open suites at once: what a teardown fails is gone over once for each of them. */
  readonly suites: number;
  /** Tests of one file. */
  readonly tests: number;
  /** Characters between two `<`: no text, attribute or comment is longer. */
  readonly text: number;
}

/**
 * Robot's own file with all keywords of some ten thousand tests stays below them; Robot nests a few dozen elements.
 */
export const bounds: Bounds = {
  largest: 256 << 20,
  packed: LARGEST_PACKED,
  depth: 2000,
  suites: 100,
  tests: 200_000,
  text: 32 << 20,
};
/** Failing tests that are kept by name; all are counted. */
const NAMED = 1000;
const MESSAGE = 2000;
const NAME = 500;
/** Characters of messages that are kept: those of the tests that come first. */
const MESSAGES = 4 * NAMED * MESSAGE;

/** The beginning of a text, without the rest in memory: a slice holds all that it was cut from. */
const begin = (text: string, most: number): string =>
  text.length <= most ? text : Buffer.from(text.slice(0, most), 'utf16le').toString('utf16le');

type Result = 'passed' | 'failed' | 'skipped';

interface Outcome {
  readonly name: string;
  result: Result;
  message: string;
  /** Its suite's setup or teardown failed. */
  bySuite?: true;
}

type Counts = Pick<Tests, 'passed' | 'failed' | 'skipped'>;

/** Tests that were read. */
export interface Found extends Counts {
  readonly total: number;
  readonly failing: readonly (Tests['failing'][number] & {
    /** The setup or teardown of a suite that it is in failed: whatever it did itself. */
    readonly bySuite?: true;
  })[];
}

/** How often tests of a name passed, failed and were skipped. */
export type Seen = ReadonlyMap<string, Counts>;

export type Reading = { readonly tests: Found; readonly seen?: Seen } | { readonly fault: string };

const TEARDOWN = 'the suite teardown failed: ';
/**
 * How Robot says in a test's own message that its suite failed, which is all that `xunit.xml` has of it
 * (robot/running/status.py, robot/result/suiteteardownfailed.py). A test that says so itself is not believed to its advantage.
 */
const BY_SUITE = /(?:^|\n)(?:Also p|P)arent suite (?:setup|teardown) failed:/;

/** Whether a failing test's message, also one of {@link readResults}, says that its suite's setup or teardown failed. */
export const saysSuiteFailed = (message: string): boolean =>
  BY_SUITE.test(message) || message.includes(TEARDOWN);

/** A fault of what is read, told with its place. */
class Unreadable extends Error {}

interface Suite {
  readonly name: string;
  /** Index of its first outcome. */
  readonly first: number;
  /** Result of its own teardown. */
  teardown?: { readonly result: Result; readonly message: string };
  /** Its own setup failed. */
  setupFailed?: true;
  /** What its own status says. */
  said: string;
}

interface Open {
  readonly tag: string;
  readonly suite?: Suite;
  readonly outcome?: Outcome;
  /** Robot's keyword that is the setup or teardown of the suite around it. */
  readonly fixture?: 'setup' | 'teardown';
}

const named = (path: string, name: string): string => begin(path ? `${path}.${name}` : name, NAME);

/** Reads one file of results piece by piece: neither the whole text nor a tree of it is ever in memory. */
class Results {
  private readonly parser = new SaxesParser();
  private readonly open: Open[] = [];
  private readonly outcomes: Outcome[] = [];
  private kind: 'robot' | 'junit' | undefined;
  /** Text of the innermost element that is listened to. */
  private heard: { into: (text: string) => void; depth: number; text: string } | undefined;
  /** Robot's own count, at the end of its file. */
  private counted: Counts | undefined;
  /** Failures and errors that a JUnit suite says of itself. */
  private claimed = 0;
  private characters = 0;
  /** Characters of messages that may still be kept. */
  private left = MESSAGES;
  private since = 0;

  constructor(
    private readonly file: string,
    private readonly bounds: Bounds,
    private readonly wanted: ReadonlySet<string>,
  ) {
    this.parser.on('error', (error) => {
      throw new Unreadable(`is not whole XML (${error.message.replace(/^\d+:\d+: /, '')})`);
    });
    this.parser.on('opentag', ({ name, attributes }) => this.begin(name, attributes));
    this.parser.on('closetag', () => this.end());
    const hear = (text: string): void => {
      if (this.heard && this.heard.text.length < MESSAGE)
        this.heard.text += begin(text, MESSAGE - this.heard.text.length);
    };
    this.parser.on('text', hear);
    this.parser.on('cdata', hear);
  }

  private begin(tag: string, attributes: Readonly<Record<string, string>>): void {
    const depth = this.open.length;
    if (depth >= this.bounds.depth) throw new Unreadable(`nests more than ${this.bounds.depth} elements`);
    if (depth === 0) {
      this.kind =
        tag === 'robot' ? 'robot' : tag === 'testsuite' || tag === 'testsuites' ? 'junit' : undefined;
      if (!this.kind) throw new Unreadable("is neither Robot's output nor JUnit's");
    }
    this.open.push(this.kind === 'robot' ? this.robot(tag, attributes) : this.junit(tag, attributes));
  }

  private get around(): Open | undefined {
    return this.open.at(-1);
  }

  private add(name: string, result: Result, message = ''): Outcome {
    if (this.outcomes.length >= this.bounds.tests)
      throw new Unreadable(`holds more than ${this.bounds.tests} tests`);
    const outcome = { name, result, message };
    this.outcomes.push(outcome);
    return outcome;
  }

  /** A message as far as it is kept. */
  private kept(message: string): string {
    const text = begin(message, Math.min(MESSAGE, this.left));
    this.left -= text.length;
    return text;
  }

  private listen(into: (text: string) => void): void {
    this.heard = { into, depth: this.open.length, text: '' };
  }

  /** `robot > suite* > (suite | test | kw) > status`, and `robot > statistics > total > stat`. */
  private robot(tag: string, attributes: Readonly<Record<string, string>>): Open {
    const { around } = this;
    const suite = around?.suite;
    const said = attributes.status ?? '';
    if (tag === 'suite' && (around?.tag === 'robot' || suite)) {
      if (this.open.filter((one) => one.suite).length >= this.bounds.suites)
        throw new Unreadable(`nests more than ${this.bounds.suites} suites`);
      const name = named(suite?.name ?? '', attributes.name ?? '');
      return { tag, suite: { name, first: this.outcomes.length, said: '' } };
    }
    // A test that was begun and has no end did not pass.
    if (tag === 'test' && suite)
      return {
        tag,
        outcome: this.add(named(suite.name, attributes.name ?? ''), 'failed', 'The test did not end.'),
      };
    if (tag === 'kw' && suite) {
      const type = attributes.type?.toLowerCase();
      return { tag, fixture: type === 'setup' || type === 'teardown' ? type : undefined };
    }
    if (tag === 'status' && around) {
      const { outcome } = around;
      if (outcome) {
        outcome.result = said === 'PASS' ? 'passed' : said === 'SKIP' ? 'skipped' : 'failed';
        outcome.message = said ? '' : outcome.message;
        this.listen((text) => {
          outcome.message = this.kept(text) || outcome.message;
          if (BY_SUITE.test(text)) outcome.bySuite = true;
        });
      } else if (suite) suite.said = said;
      else if (around.fixture === 'setup' && said === 'FAIL') {
        const owner = this.open.at(-2)?.suite;
        if (owner) owner.setupFailed = true;
      } else if (around.fixture === 'teardown' && (said === 'FAIL' || said === 'SKIP')) {
        const owner = this.open.at(-2)?.suite;
        this.listen((message) => {
          if (owner) owner.teardown = { result: said === 'FAIL' ? 'failed' : 'skipped', message };
        });
      }
    }
    // The last one is of all tests: before Robot 4 one of critical tests came first.
    if (tag === 'stat' && around?.tag === 'total' && this.open.length === 3) {
      const count = (name: string): number => Number(attributes[name] ?? 0);
      this.counted = { passed: count('pass'), failed: count('fail'), skipped: count('skip') };
    }
    return { tag };
  }

  /** `testsuites? > testsuite* > testcase > (failure | error | skipped)?`. */
  private junit(tag: string, attributes: Readonly<Record<string, string>>): Open {
    const { around } = this;
    if (tag === 'testsuite' || tag === 'testsuites') {
      const claimed = Number(attributes.failures ?? 0) + Number(attributes.errors ?? 0);
      if (claimed > this.claimed) this.claimed = claimed;
      return { tag, suite: { name: '', first: this.outcomes.length, said: '' } };
    }
    if (tag === 'testcase' && around?.suite) {
      return { tag, outcome: this.add(named(attributes.classname ?? '', attributes.name ?? ''), 'passed') };
    }
    const outcome = around?.outcome;
    const failure = tag === 'failure' || tag === 'error';
    if (outcome && failure && BY_SUITE.test(attributes.message ?? '')) outcome.bySuite = true;
    if (outcome && failure && outcome.result !== 'failed') {
      outcome.result = 'failed';
      if (attributes.message) outcome.message = this.kept(attributes.message);
      else
        this.listen((text) => {
          outcome.message = this.kept(text);
          if (BY_SUITE.test(text)) outcome.bySuite = true;
        });
    } else if (outcome && tag === 'skipped' && outcome.result === 'passed') outcome.result = 'skipped';
    return { tag };
  }

  private end(): void {
    const closed = this.open.pop();
    if (this.heard && this.heard.depth === this.open.length) {
      this.heard.into(this.heard.text.trim());
      this.heard = undefined;
    }
    if (this.kind === 'robot' && closed?.suite) this.endSuite(closed.suite);
  }

  /**
   * A suite's failing teardown fails every test of it, and a skipping one skips them: Robot counts so and says so in
   * `xunit.xml`, while each test keeps its PASS in `output.xml` (robot/result/suiteteardownfailed.py).
   */
  private endSuite(suite: Suite): void {
    const own = this.outcomes.slice(suite.first);
    if (suite.setupFailed || suite.teardown?.result === 'failed')
      for (const outcome of own) outcome.bySuite = true;
    for (const outcome of suite.teardown ? own : []) {
      if (suite.teardown?.result === 'failed') {
        if (outcome.result !== 'skipped') outcome.result = 'failed';
        if (outcome.message.length < MESSAGE && this.left > 0) {
          const more = `${outcome.message ? ' Also: ' : ''}${TEARDOWN}${suite.teardown.message}`;
          outcome.message += this.kept(begin(more, MESSAGE - outcome.message.length));
        }
      } else outcome.result = 'skipped';
    }
    if (suite.said === 'FAIL' && own.length > 0 && !own.some(({ result }) => result === 'failed'))
      throw new Unreadable(`says that suite ${suite.name} failed, and that none of its tests did`);
  }

  write(text: string): void {
    this.characters += text.length;
    const { largest, text: longest } = this.bounds;
    if (this.characters > largest) throw new Unreadable(`is larger than ${size(largest)}`);
    const last = text.lastIndexOf('<');
    this.since = last < 0 ? this.since + text.length : text.length - last;
    if (this.since > longest) throw new Unreadable(`has one text of more than ${size(longest)}`);
    this.parser.write(text);
  }

  /** What is known of the tests of the wanted names; undefined where none is. */
  private seen(): Seen | undefined {
    if (this.wanted.size === 0) return undefined;
    const seen = new Map<string, Counts>();
    for (const { name, result } of this.outcomes) {
      if (!this.wanted.has(name)) continue;
      const before = seen.get(name) ?? none;
      seen.set(name, { ...before, [result]: before[result] + 1 });
    }
    return seen;
  }

  close(): Extract<Reading, { tests: unknown }> {
    this.parser.close();
    const count = (wanted: Result): number => this.outcomes.filter(({ result }) => result === wanted).length;
    const tests = {
      total: this.outcomes.length,
      passed: count('passed'),
      failed: count('failed'),
      skipped: count('skipped'),
      failing: this.outcomes
        .filter(({ result }) => result === 'failed')
        .slice(0, NAMED)
        .map(({ name, message, bySuite }) => ({
          name,
          message,
          ...(bySuite ? { bySuite } : {}),
        })),
    };
    const { counted } = this;
    if (counted && differ(tests, counted))
      throw new Unreadable(`holds ${counts(tests)}, and says in its statistics ${counts(counted)}`);
    if (this.claimed > tests.failed)
      throw new Unreadable(`says that ${this.claimed} failed, and holds ${counts(tests)}`);
    return { tests, seen: this.seen() };
  }

  /** What stopped the reading, with its place. @throws any error that the file is not the cause of */
  fault(error: unknown): { readonly fault: string } {
    if (!(error instanceof Unreadable)) throw error;
    return { fault: `${this.file}:${this.parser.line}: ${error.message}.` };
  }
}

const addCounts = (a: Counts, b: Counts): Counts => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});
const differ = (a: Counts, b: Counts): boolean =>
  a.passed !== b.passed || a.failed !== b.failed || a.skipped !== b.skipped;
const counts = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`;

/**
 * In what two readings of one run differ, as each has it: in counts, or in the first failing test that the other has not.
 * Robot gives a test the same full name in both files, `xunit.xml` in two parts (robot/reporting/xunitwriter.py).
 */
function difference(a: Found, b: Found): readonly [string, string] | undefined {
  if (differ(a, b)) return [counts(a), counts(b)];
  const first = ({ failing }: Found, other: Found): string | undefined => {
    const theirs = new Set(other.failing.map(({ name }) => name));
    return failing.find(({ name }) => !theirs.has(name))?.name;
  };
  const [ours, theirs] = [first(a, b), first(b, a)];
  if (ours === undefined && theirs === undefined) return undefined;
  const say = (name: string | undefined): string =>
    name === undefined ? 'nothing else that failed' : `"${name}" as failed`;
  return [say(ours), say(theirs)];
}

/** Counts one result file's tests. Text that is cut off or of another kind is a fault, never "no failures". */
export function readResults(
  xml: string,
  file: string,
  within: Bounds = bounds,
  wanted: ReadonlySet<string> = new Set(),
): Reading {
  const results = new Results(file, within, wanted);
  try {
    results.write(xml);
    return results.close();
  } catch (error) {
    return results.fault(error);
  }
}

/** Opens a plain file and nothing else: no link, no pipe that never ends, no device. */
async function openPlain(
  path: string,
): Promise<{ handle: FileHandle; size: number } | { why: string } | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    return { why: code === 'ELOOP' ? 'is a link, and results are plain files' : `cannot be read (${code})` };
  }
  const about = await handle.stat();
  if (about.isFile()) return { handle, size: about.size };
  await handle.close();
  return { why: 'is not a plain file' };
}

/**
 * Reads one results file, packed by gzip if its name says so.
 * @param shown how a fault names it. @default its path
 * @param wanted names of tests of which more is to be known than that they failed
 * @returns undefined when there is none
 */
export async function readResultFile(
  path: string,
  shown = path,
  within: Bounds = bounds,
  wanted: ReadonlySet<string> = new Set(),
): Promise<Reading | undefined> {
  const opened = await openPlain(path);
  if (!opened) return undefined;
  if ('why' in opened) return { fault: `${shown}: ${opened.why}.` };
  const packed = path.endsWith('.gz');
  const limit = packed ? within.packed : within.largest;
  const results = new Results(shown, within, wanted);
  try {
    if (opened.size > limit) return { fault: `${shown}: ${tooLarge(packed, opened.size, limit)}` };
    const raw = opened.handle.createReadStream({ autoClose: false });
    const plain = packed ? raw.pipe(createGunzip()) : raw;
    raw.on('error', (error) => plain.destroy(error));
    const decoder = new TextDecoder('utf-8', { fatal: true });
    for await (const chunk of plain) results.write(decode(decoder, chunk as Buffer));
    results.write(decode(decoder));
    return results.close();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (/^(Z_|ERR_ZLIB)/.test(code)) return { fault: `${shown}: is not packed as it should be (${code}).` };
    return results.fault(error);
  } finally {
    await opened.handle.close();
  }
}

function decode(decoder: TextDecoder, chunk?: Buffer): string {
  try {
    return decoder.decode(chunk, { stream: chunk !== undefined });
  } catch {
    throw new Unreadable('is not UTF-8');
  }
}

const size = (bytes: number): string =>
  bytes < 1 << 20 ? `${bytes} bytes` : `${Math.ceil(bytes / (1 << 20))} MiB`;
const tooLarge = (packed: boolean, bytes: number, limit: number): string =>
  `is ${packed ? 'packed ' : ''}${size(bytes)}, and ${size(limit)} are read. Leave keywords out of it: robot --removekeywords passed.`;

const none: Counts = { passed: 0, failed: 0, skipped: 0 };

export const noTests: Found = { total: 0, ...none, failing: [] };

export const addTests = (a: Found, b: Found): Found => ({
  total: a.total + b.total,
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
  failing: [...a.failing, ...b.failing],
});

/** Failing tests that a certificate names. */
const KEPT = 100;

/** What stands in the place of a test's name for results that cannot be read. */
export const RESULTS = 'results';

/** With what failed beside the tests. */
export const addFailing = (tests: Tests, failing: Tests['failing']): Tests => ({
  ...tests,
  total: tests.total + failing.length,
  failed: tests.failed + failing.length,
  failing: [...tests.failing, ...failing],
});

/** What a certificate has of them. @param shown text of others as it may be kept */
export const testsAsKept = (tests: Tests, shown: (text: string) => string): Tests => {
  const named = <T extends { name: string; message: string }>(test: T): T => ({
    ...test,
    name: shown(test.name).slice(0, NAME),
    message: shown(test.message),
  });
  return {
    ...tests,
    failing: tests.failing.slice(0, KEPT).map(named),
    ...(tests.quarantine
      ? {
          quarantine: {
            failed: tests.quarantine.failed.map(named),
            said: tests.quarantine.said.map(shown),
          },
        }
      : {}),
  };
};

/**
 * Reads the results of each folder: `output.xml`, or `xunit.xml` when Robot left none. Where both are there, they must
 * count the same, and name the same tests as failed.
 * @param shown how faults name a folder. @default its path
 * @param wanted names of tests of which more is to be known than that they failed
 */
export async function readFolders(
  folders: readonly string[],
  shown: (folder: string) => string = (folder) => folder,
  within: Bounds = bounds,
  wanted: ReadonlySet<string> = new Set(),
): Promise<{ tests: Found; faults: string[]; seen: Seen }> {
  let tests = noTests;
  const seen = new Map<string, Counts>();
  const faults: string[] = [];
  for (const folder of folders) {
    const readings: Reading[] = [];
    for (const name of RESULT_FILES) {
      const reading =
        (await readResultFile(join(folder, name), join(shown(folder), name), within, wanted)) ??
        (await readResultFile(join(folder, `${name}.gz`), join(shown(folder), name), within, wanted));
      if (reading) readings.push(reading);
    }
    faults.push(...readings.flatMap((reading) => ('fault' in reading ? [reading.fault] : [])));
    const [output, xunit] = readings;
    if (!output) {
      faults.push(
        `${shown(folder)}: holds neither output.xml nor xunit.xml; the tests did not run to their end.`,
      );
    } else if ('tests' in output) {
      tests = addTests(tests, output.tests);
      for (const [name, more] of output.seen ?? []) seen.set(name, addCounts(seen.get(name) ?? none, more));
      const apart = xunit && 'tests' in xunit ? difference(output.tests, xunit.tests) : undefined;
      if (apart) {
        const [ours, theirs] = apart;
        faults.push(
          `${shown(folder)}: output.xml holds ${ours}, and xunit.xml ${theirs}; both must be of one run.`,
        );
      }
    }
  }
  return { tests, faults, seen };
}
