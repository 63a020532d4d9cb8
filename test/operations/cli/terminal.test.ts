import { Terminal, wantsColour } from '../../../operations/cli/terminal';
import { begins, ends, type StepOf } from '../../support/events';

function stream(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, columns: 80, rows: 24, written, write: (text: string) => written.push(text) > 0 };
}

const step: StepOf = { op: 'create', type: 'kubernetes:core/v1:Secret', name: 'a', after: {} };

test('colour is for terminals whose user did not say no', () => {
  expect(wantsColour(stream(true), {})).toBe(true);
  expect(wantsColour(stream(true), { NO_COLOR: '' })).toBe(true);
  expect(wantsColour(stream(true), { NO_COLOR: '1' })).toBe(false);
  expect(wantsColour(stream(true), { TERM: 'dumb' })).toBe(false);
  expect(wantsColour(stream(false), {})).toBe(false);
});

test('in a pipe progress is plain lines on stderr, and stdout has the result alone', () => {
  const [out, err] = [stream(false), stream(false)];
  const terminal = new Terminal(out, err, {});
  const progress = terminal.progress('up of test');
  progress.take(begins(step));
  progress.take(ends(step));
  progress.end();
  terminal.faults({ errors: [{ message: 'broken' }], warnings: [{ message: 'odd' }] });
  terminal.result('up of test: 1 create');
  expect(out.written).toEqual(['up of test: 1 create\n']);
  expect(err.written.join('')).toMatch(/^✓ create {5}Secret {17}a {2}0\.\d s\nwarning odd\nerror broken\n$/);
});

test('on a terminal one block is painted over and over, and is gone in the end', () => {
  jest.useFakeTimers();
  try {
    const err = stream(true);
    const progress = new Terminal(stream(true), err, { NO_COLOR: '1' }).progress('up of test');
    progress.take(begins(step));
    jest.advanceTimersByTime(450);
    progress.take(ends(step));
    progress.end();
    jest.advanceTimersByTime(1000);
    const erased = '\u001b[2A\u001b[0J';
    expect(err.written.map((text) => text.startsWith(erased))).toEqual([false, true, true, false]);
    expect(err.written.map((text) => text.replace(erased, '').split('\n').length - 1)).toEqual([2, 2, 1, 0]);
    expect(err.written[2]).toContain('✓ create');
  } finally {
    jest.useRealTimers();
  }
});

test('a screen is drawn over what it showed, cut to its size, and gives back what was there before', () => {
  const out = { ...stream(true), columns: 10, rows: 2 };
  const screen = new Terminal(out, stream(true), {}).screen();
  const listeners = process.listenerCount('exit');
  screen?.draw(['one', 'longer than ten', 'too much']);
  screen?.draw(['two']);
  expect(process.listenerCount('exit')).toBe(listeners + 1);
  screen?.end();
  screen?.end();
  expect(out.written).toEqual([
    '\u001b[?1049h',
    '\u001b[Hone\u001b[K\r\nlonger th…\u001b[K\u001b[J',
    '\u001b[Htwo\u001b[K\u001b[J',
    '\u001b[?1049l',
  ]);
  expect(process.listenerCount('exit')).toBe(listeners);
});

test.each([
  ['a pipe', false, {}],
  ['a terminal that knows no control sequences', true, { TERM: 'dumb' }],
])('%s has no screen', (_name, isTTY, env) => {
  expect(new Terminal(stream(isTTY), stream(true), env).screen()).toBeUndefined();
});
