import { setImmediate } from 'node:timers/promises';
import type { Outcome } from '../../../operations/cli/outcome';
import { EXIT } from '../../../operations/cli/refusal';
import type { Screen } from '../../../operations/cli/terminal';
import { kept, type Watch, type WatchClock, watchUntilEnded } from '../../../operations/cli/watch';

// `--watch`: looks until somebody ends it, whatever the looks come to.

type Look = { readonly rate: number; readonly line: string } | Error | 'never';
const HOUR = Date.parse('2026-12-01T12:00:00Z');

/**
 * A watch over these looks, which somebody ends after the last of them.
 * @param tty the size of the terminal; absent: a pipe
 */
async function watched(
  looks: readonly Look[],
  { json = false, tty }: { readonly json?: boolean; readonly tty?: { columns: number; rows: number } } = {},
): Promise<readonly string[]> {
  const said: string[] = [];
  const left = [...looks];
  const end = new AbortController();
  let now = HOUR;
  let hangs = false;
  const clock: WatchClock = {
    now: () => now,
    sleep: async (milliseconds, signal) => {
      // The pause between two looks passes at once; the patience with one only where that hangs.
      if (signal !== end.signal) {
        await setImmediate();
        if (signal.aborted || !hangs) return;
        void setImmediate().then(() => end.abort());
      }
      now += milliseconds;
      if (signal === end.signal && left.length === 0) end.abort();
    },
  };
  const screen: Screen = {
    size: () => tty ?? { columns: 0, rows: 0 },
    draw: (lines) => said.push(...lines, '--'),
    end: () => said.push('given back'),
  };
  let before = '';
  const watch: Watch<{ readonly rate: number; readonly line: string }> = {
    kind: 'Status',
    environment: 'lab',
    look: () => {
      const next = left.shift();
      hangs = next === 'never';
      if (next === 'never') return new Promise(() => undefined);
      return next === undefined || next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    outcome: ({ rate, line }): Outcome => ({
      document: { at: now, rate, line },
      lines: [line],
      ...(line === 'half' ? { exitCode: EXIT.unread } : {}),
    }),
    screen: ({ rate, line }, { rows }) => [`${line} ${rate} in ${rows}`],
    changes: ({ line }) => {
      if (line === before) return [];
      before = line;
      return [line];
    },
    passing: ['at'],
    json,
    pauseMs: 5000,
    terminal: {
      result: (text) => said.push(text),
      note: (text) => said.push(`note: ${text}`),
      screen: () => (tty ? screen : undefined),
    },
    end: end.signal,
    clock,
  };
  await watchUntilEnded(watch);
  return said;
}

const seen = (rate: number, line: string) => ({ rate, line });
const away = new Error('GitLab is away\nmore');

test('in a pipe what changes is a line each, and a fault is told once, and that it is over', async () => {
  expect(await watched([seen(1, 'one'), seen(2, 'one'), away, away, seen(3, 'one'), seen(4, 'two')])).toEqual(
    ['one', 'note: GitLab is away', 'note: it answers again', 'two'],
  );
});

test('as JSON it is one document a line, whenever anything but the time differs', async () => {
  const said = await watched([seen(1, 'one'), seen(1, 'one'), away, seen(1, 'one'), seen(2, 'half')], {
    json: true,
  });
  expect(said.filter((line) => line.startsWith('note: '))).toEqual([
    'note: GitLab is away',
    'note: it answers again',
  ]);
  expect(said.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ kind: 'Status', environment: 'lab', rate: 1, exitCode: 0, at: HOUR }),
    expect.objectContaining({ rate: 2, exitCode: EXIT.unread, result: 'incomplete' }),
  ]);
});

test('on a terminal one screen is drawn by each look, and is gone in the end', async () => {
  expect(await watched([seen(1, 'one'), seen(2, 'one')], { tty: { columns: 80, rows: 24 } })).toEqual([
    'switchyard status lab, every 5 s: 2026-12-01 12:00:00 UTC',
    'one 1 in 23',
    '--',
    'switchyard status lab, every 5 s: 2026-12-01 12:00:05 UTC',
    'one 2 in 23',
    '--',
    'given back',
  ]);
});

test('what was seen last stays on the screen, with since when nothing answers', async () => {
  expect(
    await watched([seen(1, 'one'), away, away, seen(2, 'one')], { tty: { columns: 80, rows: 24 } }),
  ).toEqual([
    'switchyard status lab, every 5 s: 2026-12-01 12:00:00 UTC',
    'one 1 in 23',
    '--',
    'switchyard status lab, every 5 s: not since 2026-12-01 12:00:05 UTC: GitLab is away',
    'one 1 in 23',
    '--',
    'switchyard status lab, every 5 s: not since 2026-12-01 12:00:05 UTC: GitLab is away',
    'one 1 in 23',
    '--',
    'switchyard status lab, every 5 s: 2026-12-01 12:00:15 UTC',
    'one 2 in 23',
    '--',
    'given back',
  ]);
});

test('a look that takes too long is told, and whoever ends the watch does not wait for it', async () => {
  expect(await watched([seen(1, 'one'), 'never'])).toEqual(['one', 'note: no answer yet']);
  expect(await watched(['never'], { tty: { columns: 80, rows: 24 } })).toEqual([
    'switchyard status lab, every 5 s: not since 2026-12-01 12:00:00 UTC: no answer yet',
    '--',
    'given back',
  ]);
});

test('an answer is kept for its time, by what was asked for, and a fault is not', async () => {
  let now = 0;
  const read = jest.fn(async (name: string) => {
    if (name === 'away') throw new Error('away');
    return `${name} at ${now}`;
  });
  const asked = kept(read, 1000, () => now);
  expect([await asked('a'), await asked('b'), await asked('a')]).toEqual(['a at 0', 'b at 0', 'a at 0']);
  now = 1000;
  expect([await asked('a'), read.mock.calls.length]).toEqual(['a at 1000', 3]);
  await expect(asked('away')).rejects.toThrow('away');
  await expect(asked('away')).rejects.toThrow('away');
  expect(read.mock.calls.length).toBe(5);
});
