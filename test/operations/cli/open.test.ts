import { EventEmitter } from 'node:events';
import { type Desk, openInBrowser } from '../../../operations/cli/open';

class Opener extends EventEmitter {
  exitCode: number | null = null;
}

const asked: string[] = [];

/** A desk with a screen, whose opener does what is said. */
function desk(act: (opener: Opener) => void, overrides: Partial<Desk> = {}): Desk {
  return {
    platform: 'linux',
    env: { DISPLAY: ':0' },
    patience: 50,
    launch: async (target) => {
      asked.push(target);
      const opener = new Opener();
      setImmediate(() => act(opener));
      return opener;
    },
    ...overrides,
  };
}

const page = 'file:///out/index.html';
const nothing = (): void => undefined;

beforeEach(() => {
  asked.length = 0;
});

test('an opener that ends well, or that is still a browser after a while, has opened the page', async () => {
  expect(
    await openInBrowser(
      page,
      desk((opener) => opener.emit('exit', 0)),
    ),
  ).toEqual({ done: true });
  expect(await openInBrowser(page, desk(nothing))).toEqual({ done: true });
  expect(asked).toEqual([page, page]);
});

test('an opener that finds no browser, cannot be started or is not there is an answer, not a failure', async () => {
  const none = { done: false, why: 'since no browser was found' };
  expect(
    await openInBrowser(
      page,
      desk((opener) => opener.emit('exit', 3)),
    ),
  ).toEqual(none);
  expect(
    await openInBrowser(
      page,
      desk((opener) => opener.emit('error', new Error('gone'))),
    ),
  ).toEqual(none);
  expect(
    await openInBrowser(page, desk(nothing, { launch: () => Promise.reject(new Error('ENOENT')) })),
  ).toEqual({ done: false, why: 'since no browser could be started' });
});

test('without a screen, and in CI, nothing is started', async () => {
  expect(await openInBrowser(page, desk(nothing, { env: {} }))).toEqual({
    done: false,
    why: 'since there is no screen here',
  });
  expect(await openInBrowser(page, desk(nothing, { env: { CI: 'true', DISPLAY: ':0' } }))).toEqual({
    done: false,
    why: 'since this runs in CI',
  });
  expect(asked).toEqual([]);
});

test.each([
  ['linux', { WAYLAND_DISPLAY: 'wayland-0' }],
  ['linux', { WSL_DISTRO_NAME: 'Debian' }],
  ['darwin', {}],
  ['win32', {}],
] as const)('%s with %j has a screen', async (platform, env) => {
  expect(
    await openInBrowser(
      page,
      desk((opener) => opener.emit('exit', 0), { platform, env }),
    ),
  ).toEqual({
    done: true,
  });
});
