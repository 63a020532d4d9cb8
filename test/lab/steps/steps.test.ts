import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identify, identityText } from '../../../lab/machine/process';
import { runSteps } from '../../../lab/run';
import { elapsed, hashFiles, LabError, lockLab, openLog, type Step } from '../../../lab/steps';

let folder: string;
const before = process.env.SWITCHYARD_LAB_HOME;
const cacheBefore = process.env.XDG_CACHE_HOME;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-steps-'));
  process.env.SWITCHYARD_LAB_HOME = join(folder, 'lab');
  process.env.XDG_CACHE_HOME = join(folder, 'cache');
  jest.spyOn(process.stdout, 'write').mockImplementation(() => true);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
  if (before === undefined) delete process.env.SWITCHYARD_LAB_HOME;
  else process.env.SWITCHYARD_LAB_HOME = before;
  if (cacheBefore === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cacheBefore;
});

function step(change: Partial<Step> = {}): Step & { runs: () => number } {
  let runs = 0;
  return {
    name: 'one',
    title: 'One',
    inputs: async () => 'a',
    run: async () => {
      runs++;
    },
    ...change,
    runs: () => runs,
  };
}

describe('runSteps', () => {
  test('a finished step with the same inputs is skipped', async () => {
    const one = step();
    await runSteps([one]);
    expect((await runSteps([one]))[0]?.skipped).toBe(true);
    expect(one.runs()).toBe(1);
  });

  test('changed inputs run the step again', async () => {
    let inputs = 'a';
    const one = step({ inputs: async () => inputs });
    await runSteps([one]);
    inputs = 'b';
    await runSteps([one]);
    expect(one.runs()).toBe(2);
  });

  test('a step whose effect is gone runs again', async () => {
    const one = step({ done: async () => false });
    await runSteps([one]);
    await runSteps([one]);
    expect(one.runs()).toBe(2);
  });

  test('a failure names the step and its log, stops what follows, and is not recorded as done', async () => {
    const two = step({ name: 'two', needs: ['one'] });
    const bad = step({
      run: async (log) => {
        await log.exec('sh', ['-c', 'echo the reason >&2; exit 3']);
      },
    });
    const failure = await runSteps([bad, two]).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(LabError);
    expect(String(failure)).toMatch(/one: sh .* ended with code 3: the reason.*step-one\.log/);
    expect(two.runs()).toBe(0);
    expect(existsSync(join(folder, 'lab', 'done', 'one'))).toBe(false);
  });

  test('a step that fails on its second run is no longer done', async () => {
    let fail = false;
    let inputs = 'a';
    const one = step({
      inputs: async () => inputs,
      run: async () => {
        if (fail) throw new Error('broken');
      },
    });
    await runSteps([one]);
    fail = true;
    inputs = 'b';
    await expect(runSteps([one])).rejects.toThrow('one: broken');
    inputs = 'a';
    await expect(runSteps([one])).rejects.toThrow('one: broken');
  });
});

describe('exec', () => {
  test('output goes to the log and comes back', async () => {
    const log = openLog('x');
    expect((await log.exec('cat', [], { input: 'hello' })).stdout).toBe('hello');
    expect(readFileSync(log.path, 'utf8')).toContain('hello');
  });
  test('a missing program says so in one line', async () => {
    await expect(openLog('x').exec('no-such-program-here', [])).rejects.toThrow(
      /no-such-program-here is not installed/,
    );
  });
  test('a command over its time is ended and named', async () => {
    await expect(openLog('x').exec('sleep', ['30'], { timeoutSeconds: 0.1 })).rejects.toThrow(
      /sleep 30 took more than 0\.1 s/,
    );
  });
});

describe('hashFiles', () => {
  test('depends on content and names, not on order or place', async () => {
    for (const place of ['p', 'q']) {
      mkdirSync(join(folder, place, 'src'), { recursive: true });
      writeFileSync(join(folder, place, 'src', 'a'), '1');
      writeFileSync(join(folder, place, 'b'), '2');
    }
    const paths = (place: string) => [join(folder, place, 'src'), join(folder, place, 'b')];
    const hash = await hashFiles(paths('p'));
    expect(await hashFiles(paths('q').reverse())).toBe(hash);
    expect(await hashFiles(paths('p'), ['x'])).not.toBe(hash);
    writeFileSync(join(folder, 'q', 'src', 'a'), '3');
    expect(await hashFiles(paths('q'))).not.toBe(hash);
  });
});

describe('lockLab', () => {
  const lockFile = () => join(folder, 'lab.lock');
  test('a second owner is refused by pid, and may come after the release', () => {
    const release = lockLab();
    expect(() => lockLab()).toThrow(new RegExp(`another lab command \\(pid ${process.pid}\\)`));
    release();
    lockLab()();
    expect(existsSync(lockFile())).toBe(false);
  });
  test('the lock of a process that is gone is taken over', () => {
    const gone = spawnSync('true').pid;
    writeFileSync(lockFile(), `${gone} 1 boot\n`);
    lockLab()();
  });
  test('the lock of a live pid with another start time is taken over', () => {
    const me = identify(process.pid);
    if (!me) throw new Error('this process runs');
    writeFileSync(lockFile(), identityText({ ...me, startTime: '1' }));
    lockLab()();
  });
});

test('elapsed times read well', () => {
  expect([elapsed(4240), elapsed(187_000), elapsed(59_949)]).toEqual(['4.2s', '3m07s', '59.9s']);
});
