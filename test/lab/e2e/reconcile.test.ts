import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GITLAB_URL } from '../../../lab/gitlab';
import { mergeRequest, openMergeRequest, productionVersion } from '../../../lab/journey';
import { openLog } from '../../../lab/steps';
import { rootToken } from '../../../lab/topology';
import { nightly } from '../../support/scale';
import { kubectl, shownNotes, until } from './running';

// A running lab in which GitLab sends one module's job nothing any more, and has disabled its hook: what a push, a merge request
// and a merge lead to comes by the reconciler alone (`delivery reconcile`), each within 75 s, and it enables the hook again.
jest.setTimeout(500_000);

const log = openLog('e2e-reconcile');
const MODULE = 'mailer';
const PROJECT = `projects/${encodeURIComponent(`switchyard/${MODULE}`)}`;

const gitlab = async <T>(method: string, path: string, body?: object): Promise<T> => {
  const answer = await fetch(`${GITLAB_URL}/api/v4/${path}`, {
    method,
    headers: { 'PRIVATE-TOKEN': rootToken(), 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
};

interface Hook {
  readonly id: number;
  readonly url: string;
  readonly alert_status: 'executable' | 'temporarily_disabled' | 'disabled';
  /** Stays as it is when that time is over; what is delivered after all takes it away. */
  readonly disabled_until: string | null;
}
interface Status {
  readonly id: number;
  readonly status: string;
  readonly name: string;
  readonly ref: string;
  readonly description: string | null;
  readonly created_at: string;
  readonly target_url: string;
}

let hooks: readonly Hook[];
const send = (events: boolean) =>
  Promise.all(
    hooks.map(({ id }) =>
      gitlab('PUT', `${PROJECT}/hooks/${id}`, { push_events: events, merge_requests_events: events }),
    ),
  );

const hookOf = (id: number): Promise<Hook> => gitlab<Hook>('GET', `${PROJECT}/hooks/${id}`);
/** The token by which Jenkins knows its hooks: GitLab shows it to nobody. */
let token: string;

/**
 * Has a hook fail, which Jenkins answers with 401 to a token that is not its own, until GitLab disables it: from the fourth time
 * in a row on, for a minute, then two, and so on.
 */
async function disable(id: number): Promise<void> {
  await gitlab('PUT', `${PROJECT}/hooks/${id}`, { token: 'not its own' });
  try {
    for (let tries = 0; (await hookOf(id)).alert_status === 'executable'; tries++) {
      if (tries > 5) throw new Error(`hook ${id} is not disabled by failures`);
      await expect(gitlab('POST', `${PROJECT}/hooks/${id}/test/push_events`)).rejects.toThrow(': 422 ');
    }
  } finally {
    await gitlab('PUT', `${PROJECT}/hooks/${id}`, { token });
  }
}

/** Disables a hook again whose time is over before anybody delivered anything. */
async function keptDisabled(id: number): Promise<void> {
  const { alert_status, disabled_until } = await hookOf(id);
  if (alert_status === 'executable' && disabled_until !== null) await disable(id);
}

beforeAll(async () => {
  hooks = await gitlab<Hook[]>('GET', `${PROJECT}/hooks`);
  expect(hooks.length).toBeGreaterThan(0);
  const encoded = kubectl(
    ...['--namespace=ci-reconciler', 'get', 'secret', 'hook-tokens', `--output=jsonpath={.data.${MODULE}}`],
  );
  token = Buffer.from(encoded, 'base64').toString();
  expect(token.length).toBeGreaterThan(8);
  await send(false);
});
afterAll(() => send(true));

const statuses = async (sha: string): Promise<Status[]> =>
  (await gitlab<Status[]>('GET', `${PROJECT}/repository/commits/${sha}/statuses?all=true`))
    .filter(({ name }) => name === 'switchyard')
    .sort((a, b) => a.id - b.id);

test('with every hook dropped a change still travels from a push to production, each step 75 s later at most, and once', async () => {
  const [major, minor, patch] = String(await productionVersion(MODULE))
    .split('.')
    .map(Number);
  const version = `${major}.${minor}.${Number(patch) + 1}`;
  const change = (checkout: string) => writeFileSync(join(checkout, 'VERSION'), `${version}\n`);
  const hook = hooks.find(({ url }) => new URL(url).pathname.endsWith(`/${MODULE}`))?.id as number;
  await disable(hook);
  const begun = new Date().toISOString();
  const iid = (await openMergeRequest(
    log,
    'without-hooks',
    `${MODULE} ${version}`,
    change,
    MODULE,
  )) as number;
  const opened = Date.now();
  const head = String((await mergeRequest(iid, MODULE)).sha);

  const [tested] = await until('the test of the merge request', 78, async () => {
    const posted = await statuses(head);
    if (posted.length > 0) return posted;
    await keptDisabled(hook);
    return undefined;
  });
  // GitLab's clock and this one's are the same machine's.
  expect(Date.parse(tested?.created_at ?? '') - opened).toBeLessThanOrEqual(75_000);

  const merged = await until('the merge', 180, async () => {
    const now = await mergeRequest(iid, MODULE);
    if (now.state === 'merged') return now;
    await keptDisabled(hook);
    return undefined;
  });
  const main = String(merged.merge_commit_sha ?? merged.sha);
  const [deployed] = await until('the deploy', 78, async () => {
    const posted = (await statuses(main)).filter(({ ref }) => ref === 'main');
    if (posted.length > 0) return posted;
    await keptDisabled(hook);
    return undefined;
  });
  expect(Date.parse(deployed?.created_at ?? '') - Date.parse(String(merged.merged_at))).toBeLessThanOrEqual(
    75_000,
  );
  // It looked at the hook that did not come, at the test's or, had its time just been over, at the deploy's.
  await until('the enabled hook', 30, async () =>
    (await hookOf(hook)).disabled_until === null ? true : undefined,
  );
  expect((await hookOf(hook)).alert_status).toBe('executable');
  const said = kubectl('--namespace=ci-reconciler', 'logs', 'deployment/reconciler', `--since-time=${begun}`);
  expect(said).toContain(
    `switchyard/${MODULE}: GitLab disabled its hook for a while after failures in a row; enabled it again`,
  );

  await until(`version ${version} in production`, 120, async () =>
    (await productionVersion(MODULE)) === version ? version : undefined,
  );
  await until('the end of the deploy', 60, async () =>
    (await statuses(main)).at(-1)?.status === 'success' ? true : undefined,
  );
  // One build of each: a status of a second one would stand beside the first.
  for (const [sha, ref] of [
    [head, 'without-hooks'],
    [main, 'main'],
  ]) {
    const posted = (await statuses(String(sha))).filter((one) => one.ref === ref);
    expect(posted.map(({ status }) => status)).toEqual(['success']);
  }
});

nightly(
  'five at once, two of which break together: four are merged, one is taken out with its reason, and main stays green',
  async () => {
    // Neither knows of the other: the first one's file is what the second one's test does not bear.
    const suite = `*** Settings ***
Library    OperatingSystem

*** Test Cases ***
There Is No Other File
    File Should Not Exist    \${CURDIR}/other.txt
`;
    const files: Readonly<Record<string, readonly [string, string]>> = {
      'queue-1': ['queue-1.txt', 'x\n'],
      'queue-file': [join('tests', 'other.txt'), 'x\n'],
      'queue-2': ['queue-2.txt', 'x\n'],
      'queue-suite': [join('tests', 'other.robot'), suite],
      'queue-3': ['queue-3.txt', 'x\n'],
    };
    const iids = await Promise.all(
      Object.entries(files).map(
        ([branch, [file, text]]) =>
          openMergeRequest(
            log,
            branch,
            branch,
            (checkout) => writeFileSync(join(checkout, file), text),
            MODULE,
          ) as Promise<number>,
      ),
    );
    const failed = async (head: string) => (await statuses(head)).at(-1)?.status === 'failed';
    const ended = await until('the end of all five', 420, async () => {
      const now = await Promise.all(iids.map((iid) => mergeRequest(iid, MODULE)));
      const open = now.filter(({ state }) => state !== 'merged');
      return open.length === 1 && (await failed(String(open[0]?.sha))) ? now : undefined;
    });
    const [out] = ended.filter(({ state }) => state !== 'merged');
    expect(['queue-file', 'queue-suite']).toContain(out?.source_branch);
    const [note] = await shownNotes(Number(out?.iid), MODULE);
    expect(note?.body).toContain('taken out of the merge queue');
    expect(note?.body).toContain('There Is No Other File');
    // Of the others nobody was red for it.
    for (const { state, sha } of ended) {
      if (state !== 'merged') continue;
      expect((await statuses(String(sha))).filter(({ status }) => status === 'failed')).toEqual([]);
    }
    // Who comes next finds production at rest.
    await until('the deploy of the last one', 200, async () => {
      const { commit } = await gitlab<{ commit: { id: string } }>(
        'GET',
        `${PROJECT}/repository/branches/main`,
      );
      return (await statuses(commit.id)).some(({ status }) => status === 'success') ? true : undefined;
    });
  },
);
