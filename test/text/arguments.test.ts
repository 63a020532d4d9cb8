import { InvalidArgumentError } from 'commander';
import { goOnWithoutReader, wholeNumber } from '../../text/arguments';

test.each(['0', '12'])('%s is a whole number', (text) => expect(wholeNumber(text)).toBe(Number(text)));
test.each(['', '-1', '1.5', '1e3', ' 1', '٣'])('"%s" is none', (text) =>
  expect(() => wholeNumber(text)).toThrow(InvalidArgumentError),
);

describe('a program whose reader goes away', () => {
  const streams = [process.stdout, process.stderr];
  const before = streams.map((stream) => stream.listeners('error'));
  beforeEach(() => goOnWithoutReader());
  afterEach(() => {
    for (const [at, stream] of streams.entries())
      for (const listener of stream.listeners('error'))
        if (!before[at]?.includes(listener)) stream.off('error', listener as () => void);
  });
  const broken = (code: string) => Object.assign(new Error(code), { code });

  test.each(streams)('goes on without it', (stream) => {
    expect(stream.emit('error', broken('EPIPE'))).toBe(true);
  });
  test.each(streams)('ends when its words are lost for another reason', (stream) => {
    expect(() => stream.emit('error', broken('ENOSPC'))).toThrow('ENOSPC');
  });
});
