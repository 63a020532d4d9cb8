import type { EventEmitter } from 'node:events';

/** How opening something in a browser ended. */
export type Opened = { readonly done: true } | { readonly done: false; readonly why: string };

/** What {@link openInBrowser} works with; tests bring their own. */
export interface Desk {
  readonly platform: NodeJS.Platform;
  readonly env: NodeJS.ProcessEnv;
  /** Starts the system's opener: a process. */
  readonly launch: (target: string) => Promise<EventEmitter & { readonly exitCode: number | null }>;
  /** Milliseconds in which an opener that finds no browser has said so. */
  readonly patience: number;
}

const here: Desk = {
  platform: process.platform,
  env: process.env,
  // An ES module, and needed by one option of one command.
  launch: async (target) => (await import('open')).default(target),
  patience: 2000,
};

/** Why nothing can be shown here, as far as the environment tells. */
function whyNot({ platform, env }: Desk): string | undefined {
  if (env.CI) return 'since this runs in CI';
  // Windows shows it where this is its Linux.
  if (platform !== 'linux' || env.WSL_DISTRO_NAME) return undefined;
  return env.DISPLAY || env.WAYLAND_DISPLAY ? undefined : 'since there is no screen here';
}

/**
 * Opens an address or a file in the person's browser, if there is one: where there is no screen or no browser, that is
 * no failure but an answer. Never throws, and never waits for the browser to end.
 */
export async function openInBrowser(target: string, desk: Desk = here): Promise<Opened> {
  const why = whyNot(desk);
  if (why) return { done: false, why };
  try {
    const opener = await desk.launch(target);
    const code = await new Promise<number | null>((resolve) => {
      // One that still runs is a browser in the foreground.
      const timer = setTimeout(() => resolve(0), desk.patience);
      const ended = (exitCode: number | null) => {
        clearTimeout(timer);
        resolve(exitCode);
      };
      if (opener.exitCode !== null) ended(opener.exitCode);
      opener.once('exit', ended);
      opener.once('error', () => ended(null));
    });
    return code === 0 ? { done: true } : { done: false, why: 'since no browser was found' };
  } catch {
    return { done: false, why: 'since no browser could be started' };
  }
}
