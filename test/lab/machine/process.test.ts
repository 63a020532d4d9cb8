import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  endProcess,
  identify,
  identityText,
  isAlive,
  parseIdentity,
  parseStat,
  signal,
} from '../../../lab/machine/process';

describe('process identity', () => {
  test('the start time is found behind a command name with spaces and brackets', () => {
    const fields = Array.from({ length: 50 }, (_, index) => String(index + 3));
    const stat = `4242 (odd) name (x)) S 1 ${fields.slice(2).join(' ')}`;
    expect(parseStat(stat)).toEqual({ state: 'S', parent: 1, startTime: '22' });
  });

  test('a text that is no stat line gives no identity', () => {
    expect(parseStat('')).toBeUndefined();
    expect(parseStat('1 (init) S 0')).toBeUndefined();
  });

  test('an identity survives its pid file', () => {
    const me = identify(process.pid);
    expect(me).toBeDefined();
    if (me) expect(parseIdentity(identityText(me))).toEqual(me);
  });

  test.each(['', 'x y z', '12', '-4 5 6'])('a damaged pid file %j names nobody', (text) => {
    expect(parseIdentity(text)).toBeUndefined();
  });

  test('a pid that was given to another process is not ours: it is neither alive nor signalled', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const real = identify(child.pid ?? 0);
    if (!real) throw new Error('the child runs');
    const stale = { ...real, startTime: String(Number(real.startTime) - 1) };
    expect(isAlive(stale)).toBe(false);
    expect(isAlive({ ...real, bootId: 'another boot' })).toBe(false);
    signal(stale, 'SIGKILL');
    await endProcess(stale);
    expect(isAlive(real)).toBe(true);
    const ended = once(child, 'exit');
    signal(real, 'SIGTERM');
    await ended;
    expect(isAlive(real)).toBe(false);
  });
});
