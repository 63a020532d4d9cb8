import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { STATUS_NAME } from '../../catalog/status';
import type { GitLabApi } from '../../clients/gitlab-api';
import { projectPath } from '../../stacks/gitlab';
import type { StackSettings } from '../../stacks/schema';

/** The file that a canary changes: nothing reads it. */
export const CANARY_FILE = '.switchyard-canary';

const mergeRequest = z.looseObject({
  iid: z.number(),
  state: z.string(),
  sha: z.string().nullish(),
  merge_commit_sha: z.string().nullish(),
  squash_commit_sha: z.string().nullish(),
});
const statuses = z.array(
  z.looseObject({ name: z.string(), status: z.string(), description: z.string().nullish() }),
);

/** A name that no branch has yet, as in `rebuild-20261124t031207z`. */
export const stamped = (what: string, at = new Date()): string =>
  `${what}-${at
    .toISOString()
    .replace(/[-:]|\.\d+/g, '')
    .toLowerCase()}`;

export interface CanaryInputs {
  readonly settings: StackSettings;
  readonly gitlab: Pick<GitLabApi, 'get' | 'post'>;
  readonly module: string;
  /** Unique in the project, as in `rebuild-20261124-0312`. */
  readonly name: string;
  readonly note: (text: string) => void;
  /** @default 15 minutes */
  readonly patienceMs?: number;
  readonly pauseMs?: number;
}

/**
 * Sends a small change the whole way: merge request, tests, merge, release.
 * @returns the commit on main that production runs now
 * @throws Error that says where it stopped
 */
export async function sendCanary(inputs: CanaryInputs): Promise<string> {
  const { settings, gitlab, module, name, note, patienceMs = 900_000, pauseMs = 1000 } = inputs;
  const project = `projects/${encodeURIComponent(projectPath(settings.gitlab, module))}`;
  const end = Date.now() + patienceMs;
  const until = async <T>(what: string, ask: () => Promise<T | undefined>): Promise<T> => {
    for (;;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      if (Date.now() > end) {
        throw new Error(
          `canary of ${module}: ${what} did not come; look at its builds in ${settings.jenkins.url}`,
        );
      }
      await sleep(pauseMs);
    }
  };
  /** The last status that delivery posted. @throws Error when it is red */
  const statusOf = async (sha: string): Promise<string | undefined> => {
    const listed = statuses.parse(
      (await gitlab.get(`${project}/repository/commits/${sha}/statuses?all=true`)) ?? [],
    );
    const last = listed.filter((one) => one.name === STATUS_NAME).at(-1);
    // What was canceled broke off, and is tried again.
    if (last?.status === 'failed') {
      throw new Error(
        `canary of ${module}: failed on ${sha.slice(0, 8)} (${last.description ?? 'no reason given'})`,
      );
    }
    return last?.status;
  };
  const path = encodeURIComponent(CANARY_FILE);
  const there = await gitlab.get(`${project}/repository/files/${path}?ref=main`);
  await gitlab.post(`${project}/repository/commits`, {
    branch: name,
    start_branch: 'main',
    commit_message: `Canary ${name}`,
    actions: [
      { action: there === undefined ? 'create' : 'update', file_path: CANARY_FILE, content: `${name}\n` },
    ],
  });
  const opened = mergeRequest.parse(
    await gitlab.post(`${project}/merge_requests`, {
      source_branch: name,
      target_branch: 'main',
      title: `Canary ${name}`,
      remove_source_branch: true,
    }),
  );
  note(`  canary: merge request !${opened.iid} of ${module}`);
  const merged = await until(`the merge of !${opened.iid}`, async () => {
    const now = mergeRequest.parse(await gitlab.get(`${project}/merge_requests/${opened.iid}`));
    if (now.state === 'closed') throw new Error(`canary of ${module}: !${opened.iid} was closed`);
    if (now.state === 'merged') return now;
    if (now.sha) await statusOf(now.sha);
    return undefined;
  });
  const sha = merged.merge_commit_sha ?? merged.squash_commit_sha ?? merged.sha ?? '';
  note(`  canary: merged as ${sha.slice(0, 8)}`);
  await until(`the release of ${sha.slice(0, 8)}`, async () =>
    (await statusOf(sha)) === 'success' ? sha : undefined,
  );
  return sha;
}
