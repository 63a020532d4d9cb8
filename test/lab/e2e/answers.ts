import type { System } from './identities-data';
import { ABSENT } from './kubernetes-request';

// What the systems of the identities' table say to whoever may not, and how they are asked so that nothing comes of it.

/** `may`, `may not`; else the status of an answer that is neither: what was asked was no such request. */
export type Outcome = 'may' | 'may not' | number;

export interface Answer {
  readonly status: number;
  /** The body, as far as it says more than the status. */
  readonly text?: string;
}

/** The stores are asked by `store-request.ts`. */
export type HttpSystem = Exclude<System, 'kubernetes' | 'stores'>;

interface Refusal {
  /** Requests of the table. */
  readonly of: readonly string[] | RegExp;
  readonly status: number;
  readonly says: RegExp;
}

/** A project that an identity is no member of is not there for it; the same request of an administrator is answered. */
const PROJECTS = ['orders', 'release-ledger', 'pipeline-library', 'topology'].map(
  (name) => `GET /projects/switchyard%2F${name}`,
);

/** GitLab's refusals beside 401 and 403. Each needs its own words: any other 400 or 404 says that the request is wrong. */
const GITLAB_REFUSALS: readonly Refusal[] = [
  { of: PROJECTS, status: 404, says: /404 Project Not Found/ },
  // Nor is the group, for who is a member of one of its projects only.
  { of: ['GET /groups/switchyard/access_tokens'], status: 404, says: /404 Group Not Found/ },
  {
    of: /^POST \/projects\/[^/]+\/repository\/commits$/,
    status: 400,
    says: /You are not allowed to push into this branch/,
  },
];

const isOf = (what: string, { of }: Pick<Refusal, 'of'>): boolean =>
  of instanceof RegExp ? of.test(what) : of.includes(what);

/** A merge of what is merged or closed already: GitLab first asks who may merge (401), then whether there is something to merge. */
const MERGE_AGAIN = /^PUT \/projects\/[^/]+\/merge_requests\/1\/merge$/;

/** What an answer of the registry, GitLab or Jenkins means. */
export function outcome(system: HttpSystem, what: string, { status, text = '' }: Answer): Outcome {
  if (status === 401 || status === 403) return 'may not';
  if (status >= 200 && status < 300) return 'may';
  if (system === 'gitlab' && status === 405 && MERGE_AGAIN.test(what)) return 'may';
  const refused =
    system === 'gitlab' &&
    GITLAB_REFUSALS.some((one) => one.status === status && isOf(what, one) && one.says.test(text));
  return refused ? 'may not' : status;
}

/** How the API server refuses what one may ask for: there is none such, or it is no object (500 of a binding to no role). */
const JUDGED: readonly number[] = [200, 201, 400, 404, 405, 415, 422, 500];

/** What the API server's answer to an object of no kind means: 403 before it looks at it, anything else after. */
export const kubernetesOutcome = (status: number): Outcome =>
  status === 403 ? 'may not' : JUDGED.includes(status) ? 'may' : status;

const commitTo = (branch: string) => ({
  branch,
  commit_message: 'identities',
  actions: [{ action: 'create', file_path: ABSENT, content: 'x' }],
});

/** What is sent to GitLab with what would change something, so that only the right to do it is missing. */
const BODIES: readonly (readonly [path: RegExp, body: object])[] = [
  [/\/repository\/commits$/, commitTo('main')],
  [/\/issues$/, { title: 'identities' }],
  // A group may ask for the commit with each merge.
  [/\/merge_requests\/1\/merge$/, { sha: '0'.repeat(40) }],
  [/^\/groups\/switchyard$/, { description: 'Made by Switchyard' }],
  [
    /^\/users$/,
    { username: ABSENT, name: ABSENT, email: `${ABSENT}@example.com`, force_random_password: true },
  ],
];

const pathOf = (what: string): string => what.slice(what.indexOf(' ') + 1);
const isLook = (what: string): boolean => what.startsWith('GET ');

/** The body of one of GitLab's requests in the table; none of a look. @throws when nothing says what is sent */
export function gitlabBody(what: string): object | undefined {
  if (isLook(what)) return undefined;
  const body = BODIES.find(([path]) => path.test(pathOf(what)))?.[1];
  if (body === undefined) throw new Error(`nothing says what is sent with "${what}"`);
  return body;
}

/**
 * What an administrator sends with the same request: the same. But nobody may push to main, an administrator neither, so
 * that one names a branch that is not there: GitLab looks for it after it has asked who may push.
 */
export const gitlabControlBody = (what: string): object | undefined =>
  /\/repository\/commits$/.test(what) ? commitTo(ABSENT) : gitlabBody(what);

/** What removes that which an administrator's request has made; none where it made nothing. */
export function gitlabUndo(
  what: string,
  made: { readonly id?: number; readonly iid?: number },
): string | undefined {
  const path = pathOf(what);
  if (/\/issues$/.test(path)) return `DELETE ${path}/${made.iid}`;
  return path === '/users' ? `DELETE /users/${made.id}?hard_delete=true` : undefined;
}
