import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { lastTimes, places, runSteps } from '../../../lab/run';
import { LabError, type Step } from '../../../lab/steps';

let folder: string;
let events: string[];
let printed: string;
const kept = { home: process.env.SWITCHYARD_LAB_HOME, cache: process.env.XDG_CACHE_HOME };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-run-'));
  process.env.SWITCHYARD_LAB_HOME = join(folder, 'lab');
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
  events = [];
  printed = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    // Where CI or FORCE_COLOR is set, the lines have colours.
    printed += stripVTControlCharacters(String(text));
    return true;
  });
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
  for (const [name, value] of [
    ['SWITCHYARD_LAB_HOME', kept.home],
    ['XDG_CACHE_HOME', kept.cache],
  ] as const) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** Opens by itself when a step is told to open it: what waits for it shows an order without a clock. */
function gate() {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** A step that tells when it begins, waits for `until`, and tells when it ends. */
function step(name: string, change: Partial<Step> = {}, until: Promise<unknown> = Promise.resolve()): Step {
  return {
    name,
    title: name,
    inputs: async () => 'a',
    run: async () => {
      events.push(`+${name}`);
      await until;
      events.push(`-${name}`);
    },
    ...change,
  };
}

/** The same, and opens a gate at its end. */
function opening(name: string, { open }: { open: () => void }, change: Partial<Step> = {}): Step {
  return step(name, {
    run: async () => {
      events.push(`+${name}`, `-${name}`);
      open();
    },
    ...change,
  });
}

const failing = (
  name: string,
  change: Partial<Step> = {},
  until: Promise<unknown> = Promise.resolve(),
): Step =>
  step(name, {
    run: async () => {
      await until;
      throw new LabError(`${name} broke`, 'Mend it');
    },
    ...change,
  });

const begun = () => events.filter((event) => event.startsWith('+')).map((event) => event.slice(1));

describe('order', () => {
  test('a step starts when all that it needs is done, and not for what it does not need', async () => {
    const quickIsDone = gate();
    await runSteps([
      step('slow', {}, quickIsDone.opened),
      step('quick'),
      opening('after-quick', quickIsDone, { needs: ['quick'] }),
      step('after-both', { needs: ['slow', 'after-quick'] }),
    ]);
    expect(events).toEqual([
      '+slow',
      '+quick',
      '-quick',
      '+after-quick',
      '-after-quick',
      '-slow',
      '+after-both',
      '-after-both',
    ]);
  });

  test('results come in the order of the list', async () => {
    const other = gate();
    const results = await runSteps([step('slow', {}, other.opened), opening('quick', other)]);
    expect(results.map(({ name, skipped }) => [name, skipped])).toEqual([
      ['slow', false],
      ['quick', false],
    ]);
  });

  test('no more steps run at once than there are places, and the earliest of the list get them', async () => {
    const last = gate();
    let most = 0;
    let now = 0;
    const image = (name: string, until?: Promise<unknown>) =>
      step(name, {
        place: 'image',
        run: async () => {
          events.push(`+${name}`);
          most = Math.max(most, ++now);
          await until;
          now--;
          if (name === 'd') last.open();
        },
      });
    // The first keeps its place until the last has had one.
    await runSteps([image('a', last.opened), image('b'), image('c'), image('d'), step('free')]);
    expect(most).toBe(places().image);
    expect(begun().filter((name) => name !== 'free')).toEqual(['a', 'b', 'c', 'd']);
    expect(begun().indexOf('free')).toBeLessThan(begun().indexOf('c'));
  });

  test('a place waits for an earlier step that still looks whether it has anything to do', async () => {
    const othersLooked = gate();
    const late = async () => {
      await othersLooked.opened;
      return 'a';
    };
    const opens = async () => {
      othersLooked.open();
      return 'a';
    };
    await runSteps([
      step('a', { place: 'image', inputs: late }),
      step('b', { place: 'image' }),
      step('c', { place: 'image', inputs: opens }),
    ]);
    expect(begun()).toEqual(['a', 'b', 'c']);
  });

  test('what is needed has to be there: nothing runs otherwise', async () => {
    await expect(runSteps([step('a'), step('b', { needs: ['c'] })])).rejects.toThrow(
      'b needs c, which is no step',
    );
    expect(events).toEqual([]);
  });
});

describe('a way that needs no place', () => {
  test('is enough when it brings the result', async () => {
    const steps = [step('a', { place: 'compile', fetch: async () => true })];
    expect((await runSteps(steps))[0]?.skipped).toBe(false);
    expect(events).toEqual([]);
    expect((await runSteps(steps))[0]?.skipped).toBe(true);
  });

  test('and otherwise the step runs; one that downloads keeps no later one from compiling', async () => {
    const compiled = gate();
    await runSteps([
      step('downloads', {
        place: 'compile',
        fetch: async (log) => {
          log.progress?.({ done: 0, total: 100, unit: 'MB' });
          await compiled.opened;
          return false;
        },
      }),
      opening('asks', compiled, { place: 'compile', fetch: async () => false }),
    ]);
    expect(events).toEqual(['+asks', '-asks', '+downloads', '-downloads']);
  });
});

describe('a failure', () => {
  test('starts nothing new, lets short steps come to their end, and is the one that is told', async () => {
    const begins = gate();
    const failed = gate();
    const said = jest.mocked(process.stdout.write);
    said.mockImplementation((text) => {
      if (String(text).includes('✗')) failed.open();
      return true;
    });
    const error = await runSteps([
      failing('bad', {}, begins.opened),
      step('short', {
        run: async () => {
          events.push('+short');
          begins.open();
          await failed.opened;
          events.push('-short');
        },
      }),
      step('later', { needs: ['short'] }),
    ]).catch((caught: unknown) => caught);
    expect(String(error)).toMatch(/^LabError: bad: bad broke\. Mend it \(log: .*step-bad\.log\)$/);
    expect(events).toEqual(['+short', '-short']);
    expect(existsSync(join(folder, 'lab', 'done', 'short'))).toBe(true);
    expect(existsSync(join(folder, 'lab', 'done', 'bad'))).toBe(false);
  });

  test('ends what compiles, which is no failure of its own and not done', async () => {
    const compiling = gate();
    const error = await runSteps([
      step('compiles', {
        place: 'compile',
        run: async (log) => {
          await log.exec('sh', ['-c', 'echo begun; exec sleep 600'], { onOutput: compiling.open });
        },
      }),
      failing('bad', {}, compiling.opened),
    ]).catch((caught: unknown) => caught);
    expect(String(error)).toMatch(/^LabError: bad: bad broke/);
    expect(String(error)).not.toContain('compiles');
    expect(printed).toMatch(/- .*compiles.*ended, as another step failed/);
    expect(existsSync(join(folder, 'lab', 'done', 'compiles'))).toBe(false);
  });

  test('of several names them all', async () => {
    // Neither fails before the other has begun: a step that has not is not started any more.
    const begun = { one: gate(), two: gate() };
    const both = Promise.all([begun.one.opened, begun.two.opened]);
    const breaking = (name: 'one' | 'two') =>
      step(name, {
        run: async () => {
          begun[name].open();
          await both;
          throw new LabError(`${name} broke`, 'Mend it');
        },
      });
    const error = await runSteps([breaking('one'), breaking('two'), step('three', { needs: ['two'] })]).catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(LabError);
    expect(String(error).split('\n')).toEqual([
      expect.stringMatching(/^LabError: one: one broke\. Mend it \(log: .*step-one\.log\)$/),
      expect.stringMatching(/^two: two broke\. Mend it \(log: .*step-two\.log\)$/),
    ]);
    expect(events).toEqual([]);
  });
});

describe('times', () => {
  test('of each step are kept for the next run, with the packages that it compiled', async () => {
    await runSteps([
      step('plain', { run: async () => new Promise((resolve) => setTimeout(resolve, 20)) }),
      step('compiles', {
        place: 'compile',
        run: async (log) => {
          log.progress?.({ done: 3, total: 3, unit: 'packages' });
        },
      }),
    ]);
    expect(lastTimes().plain).toEqual({ milliseconds: expect.any(Number) });
    expect(lastTimes().plain?.milliseconds).toBeGreaterThanOrEqual(15);
    expect(lastTimes().compiles).toEqual({ milliseconds: expect.any(Number), units: 3 });
  });

  test('a step that was skipped keeps the time that it took', async () => {
    await runSteps([step('a')]);
    const before = lastTimes();
    await runSteps([step('a')]);
    expect(lastTimes()).toEqual(before);
  });

  test('a file of times that cannot be read does no harm', async () => {
    await runSteps([step('a')]);
    writeFileSync(join(folder, 'cache', 'switchyard', 'times.json'), '{"a": ');
    expect(lastTimes()).toEqual({});
    await runSteps([step('b')]);
    expect(Object.keys(lastTimes())).toEqual(['b']);
  });
});

test('what a step has to say to the watcher is in its log, too', async () => {
  await runSteps([step('a', { run: async (log) => log.note?.('not as expected') })]);
  expect(printed).toMatch(/! .*a: not as expected\n/);
  expect(readFileSync(join(folder, 'lab', 'logs', 'step-a.log'), 'utf8')).toContain('not as expected');
});

test('a second run says of every step that it is done, and nothing else', async () => {
  const steps = [step('a'), step('b', { needs: ['a'] })];
  await runSteps(steps);
  printed = '';
  await runSteps(steps);
  expect(printed.trim().split('\n')).toEqual([
    expect.stringMatching(/^= .*a already done$/),
    expect.stringMatching(/^= .*b already done$/),
  ]);
});

test('places grow with the cores and never beyond what the memory holds', () => {
  const gibi = 1024 ** 3;
  expect(places(2, 24 * gibi).compile).toBe(2);
  expect(places(2, 7.6 * gibi).compile).toBe(2);
  expect(places(2, 3.8 * gibi).compile).toBe(1);
  expect(places(16, 12 * gibi).compile).toBe(3);
  expect(places(64, 256 * gibi).compile).toBe(4);
});
