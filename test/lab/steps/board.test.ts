import { Board, cut } from '../../../lab/board';

function screen(isTTY: boolean, columns = 40, rows = 24) {
  let text = '';
  return {
    out: {
      isTTY,
      columns,
      rows,
      write: (chunk: string | Uint8Array) => {
        text += chunk;
        return true;
      },
    },
    take: () => {
      const taken = text;
      text = '';
      return taken;
    },
  };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe('a terminal', () => {
  test('draws what runs over its own lines, below those that stay', () => {
    const { out, take } = screen(true);
    const board = new Board(out);
    let done = 0;
    board.start('a', () => `a ${done}`);
    board.start('b', () => 'b');
    take();
    done = 1;
    jest.advanceTimersByTime(200);
    expect(take()).toBe('\x1b[2A\r\x1b[Ja 1\nb\n');
    board.end('b', 'b is done');
    expect(take()).toBe('\x1b[2A\r\x1b[Jb is done\na 1\n');
    board.end('a', 'a is done');
    expect(take()).toBe('\x1b[1A\r\x1b[Ja is done\n');
    jest.advanceTimersByTime(1000);
    expect(take()).toBe('');
  });

  test('has no line of what waits', () => {
    const { out, take } = screen(true);
    const board = new Board(out);
    board.start('a', () => 'a');
    board.start('b', () => 'b');
    take();
    board.drop('a');
    expect(take()).toBe('\x1b[2A\r\x1b[Jb\n');
    board.drop('b');
    expect(take()).toBe('\x1b[1A\r\x1b[J');
    jest.advanceTimersByTime(1000);
    expect(take()).toBe('');
  });

  test('gets no line that would wrap and no more lines than it has', () => {
    const { out, take } = screen(true, 10, 4);
    const board = new Board(out);
    for (const key of ['a', 'b', 'c']) board.start(key, () => `${key} is a long line`);
    jest.advanceTimersByTime(200);
    expect(take().split('\x1b[J').pop()).toBe('a is a lo…\nb is a lo…\n');
    board.stop();
  });
});

test('a log has a line at the start of a step and one each half minute', () => {
  const { out, take } = screen(false);
  const board = new Board(out);
  let done = 0;
  board.start('a', () => `a ${done}`);
  expect(take()).toBe('a 0\n');
  done = 7;
  jest.advanceTimersByTime(29_000);
  expect(take()).toBe('');
  jest.advanceTimersByTime(2000);
  expect(take()).toBe('a 7\n');
  jest.advanceTimersByTime(28_000);
  expect(take()).toBe('');
  board.end('a', 'a is done');
  expect(take()).toBe('a is done\n');
});

test('colours count for nothing in the width of a line', () => {
  expect(cut('\x1b[36mab\x1b[39m', 2)).toBe('\x1b[36mab\x1b[39m');
  expect(cut('\x1b[36mabc\x1b[39m', 2)).toBe('a…');
});
