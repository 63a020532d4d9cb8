import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gitlab } from '@gitbeaker/rest';
import { GITLAB_URL } from '../../../lab/gitlab';
import { type Change, gitEnvironment, mergeRequest, openMergeRequest } from '../../../lab/journey';
import { sleep } from '../../../lab/machine/process';
import { TOPOLOGY_PROJECT } from '../../../lab/repository';
import { openLog } from '../../../lab/steps';
import { JENKINS_URL, rootToken } from '../../../lab/topology';
import { kubectl, shownNotes } from './running';

// What people do with merge requests on this repository itself, in a running lab.

const log = openLog('e2e-topology-requests');
export const gitlab = () => new Gitlab({ host: GITLAB_URL, token: rootToken() });
/** The status over all environments. */
export const PREVIEW = 'switchyard/preview';

export const replicasOf = (module: string): number =>
  Number(kubectl(`--namespace=prod-${module}`, 'get', 'deployment', module, '-o=jsonpath={.spec.replicas}'));

/** A change of one text in one file. */
export const replacing =
  (path: string, from: string | RegExp, to: string): Change =>
  (checkout) => {
    const file = join(checkout, path);
    const before = readFileSync(file, 'utf8');
    const after = before.replace(from, to);
    if (after === before) throw new Error(`${path} has no ${from}`);
    writeFileSync(file, after);
  };

export const moduleFile = (module: string): string => `catalog/modules/${module}.yaml`;
export const withReplicas = (module: string, count: number): Change =>
  replacing(moduleFile(module), /replicas: \d+/, `replicas: ${count}`);

export interface Opened {
  readonly iid: number;
  readonly head: string;
}

export async function open(branch: string, change: Change): Promise<Opened> {
  const iid = await openMergeRequest(log, branch, `Change: ${branch}`, change, 'topology');
  if (iid === undefined) throw new Error(`${branch} changes nothing`);
  return { iid, head: String((await mergeRequest(iid, 'topology')).sha) };
}

export interface Status {
  readonly status: string;
  readonly description: string;
  readonly build: string;
}

export async function statusesOf(sha: string): Promise<ReadonlyMap<string, Status>> {
  const statuses = await gitlab().Commits.allStatuses(TOPOLOGY_PROJECT, sha);
  return new Map(
    statuses.map(({ name, status, description, targetUrl, target_url }) => [
      name,
      { status, description: description ?? '', build: String(target_url ?? targetUrl) },
    ]),
  );
}

/** Waits until a status is final. */
export async function ended(sha: string, name = PREVIEW, seconds = 600): Promise<Status> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(500)) {
    const status = (await statusesOf(sha)).get(name);
    if (status && ['success', 'failed', 'canceled'].includes(status.status)) return status;
  }
  throw new Error(`${name} of ${sha} did not end; see ${JENKINS_URL}/job/switchyard/job/topology/`);
}

/** {@link shownNotes} of a merge request on the topology's project. */
export const notes = (iid: number) => shownNotes(iid, 'topology');

/** What the button of a merge request shows before it can be pressed, or is refused for good. */
const BUSY = ['preparing', 'unchecked', 'checking', 'ci_still_running', 'ci_must_pass'];

/** GitLab's answer to a merge of exactly this commit, a few seconds after it can be pressed at the latest. */
export async function merge({ iid, head }: Opened): Promise<{ status: number; sha: string }> {
  const path = `${GITLAB_URL}/api/v4/projects/${encodeURIComponent(TOPOLOGY_PROJECT)}/merge_requests/${iid}`;
  const headers = { 'PRIVATE-TOKEN': rootToken(), 'content-type': 'application/json' };
  for (let tries = 0; tries < 5; tries++) {
    const shown = (await (await fetch(path, { headers })).json()) as { detailed_merge_status?: string };
    if (!BUSY.includes(shown.detailed_merge_status ?? '')) break;
    await sleep(500);
  }
  const answer = await fetch(`${path}/merge`, {
    method: 'PUT',
    headers,
    body: JSON.stringify({ sha: head }),
  });
  const body = (await answer.json()) as { merge_commit_sha?: string | null; sha?: string };
  return { status: answer.status, sha: body.merge_commit_sha ?? body.sha ?? '' };
}

export const close = (iid: number) =>
  gitlab().MergeRequests.edit(TOPOLOGY_PROJECT, iid, { stateEvent: 'close' });

/** What a maintainer may do: a commit on main that no merge request brought. */
export async function pushToMain(title: string, change: Change): Promise<void> {
  const checkout = mkdtempSync(join(tmpdir(), 'switchyard-maintainer-'));
  const env = gitEnvironment();
  const git = (...args: string[]) => log.exec('git', args, { cwd: checkout, env, timeoutSeconds: 60 });
  try {
    await git('clone', '--quiet', '--depth=1', `${GITLAB_URL}/${TOPOLOGY_PROJECT}.git`, '.');
    change(checkout);
    await git('add', '--all');
    await git('commit', '--quiet', '-m', title);
    await git('push', '--quiet', 'origin', 'HEAD:main');
  } finally {
    rmSync(checkout, { recursive: true, force: true });
  }
}
