import { askText } from '../../clients/ask';
import { type Page, wholeOf } from '../../clients/pages';
import type { StackSettings } from '../../stacks/schema';

/** Time for one answer, in milliseconds. */
const PATIENCE = 30_000;

export interface Gitlab {
  /** Body of an API path, of a list all its pages; undefined when GitLab answers 404. */
  readonly get: (path: string) => Promise<unknown>;
  /** The same, but of a list the one page that the path names. */
  readonly page: (path: string) => Promise<unknown>;
  /** @returns the body of the answer */
  readonly post: (path: string, body: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly remove: (path: string) => Promise<void>;
}

/** The environment's GitLab. */
export function gitlabOf(settings: StackSettings, token: string): Gitlab {
  const ask = async (
    method: string,
    path: string,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<Page | undefined> => {
    const headers = { 'PRIVATE-TOKEN': token, ...(body ? { 'content-type': 'application/json' } : {}) };
    const asked = await askText(
      `${settings.gitlab.url}/api/v4/${path}`,
      { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) },
      { policy: { attempts: 4, attemptMs: PATIENCE } },
    );
    const { status, ok } = asked.response;
    if (status === 404) return undefined;
    if (!ok) throw new Error(`GitLab answers ${status} to ${method} ${path.split('?')[0]}`);
    const said = asked.body === '' ? undefined : (JSON.parse(asked.body) as unknown);
    return { body: said, next: asked.response.headers.get('x-next-page') };
  };
  return {
    get: (path) => wholeOf(path, (page) => ask('GET', page)),
    page: async (path) => (await ask('GET', path))?.body,
    post: async (path, body) => (await ask('POST', path, body))?.body,
    remove: async (path) => {
      await ask('DELETE', path);
    },
  };
}
