import { setTimeout as sleep } from 'node:timers/promises';
import {
  emptyLedger,
  type Ledger,
  type ModuleState,
  parseLedger,
  readLedger,
  serialiseLedger,
  stateOf,
  withState,
} from '../catalog/ledger';
import { type GitLab, isUsername, type ListedCommit } from '../clients/gitlab';
import { GitLabError, isUnheard } from '../clients/gitlab-api';

// The release ledger as GitLab has it: what it says now, what it said before, and the one way of changing it. What was
// released stands in the file; the commits' messages only tell where to look, and who and why.

export const LEDGER_BRANCH = 'main';

export const ledgerFile = (environment: string): string => `${environment}.yaml`;

/** Which ledger. */
export interface LedgerPlace {
  /** Path of the ledger's project. */
  readonly ledgerProject: string;
  readonly environment: string;
}

export const short = (commit: string): string => commit.slice(0, 12);

/** What a commit of ours did to a module's release. */
export interface LedgerMessage {
  readonly module: string;
  /** First twelve digits of what is released from now on; absent: nothing. */
  readonly to?: string;
  /** What was taken back, where something was. */
  readonly back?: { readonly how: 'undone' | 'rolled back'; readonly from: string };
  readonly why?: string;
  /** GitLab's name of whoever is behind it, where it is not the commit's author. */
  readonly by?: string;
  /** Environment that it was promoted from, where it was. */
  readonly promotedFrom?: string;
}

export function ledgerMessage(
  environment: string,
  { module, to, back, why, by, promotedFrom }: LedgerMessage,
  more: readonly string[],
): string {
  const taken = back ? `, ${back.how} ${back.from}` : '';
  return [
    `${environment}: ${module} ${to ?? 'nothing'}${taken}`,
    '',
    ...(why ? [`Why: ${why}`] : []),
    ...(by && isUsername(by) ? [`By: ${by}`] : []),
    ...(promotedFrom ? [`Promoted from: ${promotedFrom}`] : []),
    ...more,
    '',
  ].join('\n');
}

/** A commit of the ledger that changed one module's release. */
export interface LedgerEvent extends LedgerMessage {
  /** The ledger's commit. */
  readonly id: string;
  /** The one before it; absent for the first. */
  readonly parent?: string;
  /** RFC 3339. */
  readonly at: string;
  /** Who committed it, by name. */
  readonly author: string;
}

/** What a commit of the ledger says of itself; undefined for one that is none of ours. */
export function eventOf(environment: string, commit: ListedCommit): LedgerEvent | undefined {
  // GitLab cuts a long title.
  const [title = '', ...body] = commit.message.split('\n');
  const match =
    /^(?<environment>\S+): (?<module>[a-z0-9-]+) (?<to>[0-9a-f]{12}|nothing)(?:, (?<how>undone|rolled back) (?<from>[0-9a-f]{12}))?$/.exec(
      title,
    );
  const { module, to, how, from } = match?.groups ?? {};
  if (match?.groups?.environment !== environment || !module || !to) return undefined;
  const line = (key: string): string | undefined =>
    body.find((text) => text.startsWith(`${key}: `))?.slice(key.length + 2);
  const why = line('Why');
  const by = line('By');
  const promotedFrom = line('Promoted from');
  const [parent] = commit.parent_ids;
  return {
    id: commit.id,
    ...(parent ? { parent } : {}),
    at: commit.committed_date,
    author: commit.author_name,
    module,
    ...(to === 'nothing' ? {} : { to }),
    ...(from ? { back: { how: how === 'undone' ? 'undone' : 'rolled back', from } } : {}),
    ...(why ? { why } : {}),
    ...(by ? { by } : {}),
    ...(promotedFrom ? { promotedFrom } : {}),
  };
}

/** The ledger as it is now, and the last commit that touched its file. */
export async function currentLedger(
  gitlab: Pick<GitLab, 'file'>,
  { ledgerProject, environment }: LedgerPlace,
): Promise<{ readonly ledger: Ledger; readonly lastCommit?: string }> {
  const path = ledgerFile(environment);
  const found = await gitlab.file(ledgerProject, path, LEDGER_BRANCH);
  if (!found) return { ledger: emptyLedger };
  return { ledger: parseLedger(found.text, `${ledgerProject}/${path}`), lastCommit: found.lastCommit };
}

/** What the ledger said of a module at a commit. What cannot be read there, as an older form, is nothing. */
export async function stateAt(
  gitlab: Pick<GitLab, 'file'>,
  { ledgerProject, environment }: LedgerPlace,
  module: string,
  commit: string,
): Promise<ModuleState> {
  const path = ledgerFile(environment);
  const found = await gitlab.file(ledgerProject, path, commit);
  const read = found && readLedger(found.text, `${ledgerProject}/${path}`);
  return read && 'value' in read ? stateOf(read.value, module) : {};
}

/** Most commits of the ledger that are looked through, by the hundred: a rollback reaches no further. */
const PAGES = 20;

/**
 * What was changed in the ledger, newest first.
 * @param module of this module only
 * @param isEnough asked after each page with all so far
 */
export async function ledgerEvents(
  gitlab: Pick<GitLab, 'commitsOf'>,
  { ledgerProject, environment }: LedgerPlace,
  module?: string,
  isEnough: (events: readonly LedgerEvent[]) => boolean = () => false,
): Promise<LedgerEvent[]> {
  const eventsOf = (commits: readonly ListedCommit[]): LedgerEvent[] =>
    commits
      .flatMap((commit) => eventOf(environment, commit) ?? [])
      .filter((event) => module === undefined || event.module === module);
  const all = await gitlab.commitsOf(
    ledgerProject,
    ledgerFile(environment),
    LEDGER_BRANCH,
    (commits) => isEnough(eventsOf(commits)),
    PAGES,
  );
  return eventsOf(all);
}

/** A wanted change of what the ledger says of a module. */
export interface LedgerChange {
  readonly state: ModuleState;
  readonly message: string;
}

/** Whether a commit met another one: GitLab refuses it where the file is another by then. */
const isRaced = (error: unknown): boolean =>
  error instanceof GitLabError && [400, 409].includes(error.status);

/** Milliseconds before the next try, of those who met. */
const PAUSE = (attempt: number): number => 200 * attempt * (0.5 + Math.random());

/**
 * Changes what the ledger says of one module. Two that meet both get in: whoever finds the file changed reads it again,
 * decides again, and writes again.
 * @param decide the change; undefined where it is as wanted. What it throws ends the change.
 * @returns whether anything was written
 */
export async function changeLedger(
  gitlab: Pick<GitLab, 'file' | 'commitFile'>,
  place: LedgerPlace,
  module: string,
  decide: (now: ModuleState) => Promise<LedgerChange | undefined>,
  pause: (attempt: number) => number = PAUSE,
  tries = 8,
): Promise<boolean> {
  let lost = false;
  for (let attempt = 1; ; attempt++) {
    const { ledger, lastCommit } = await currentLedger(gitlab, place);
    const change = await decide(stateOf(ledger, module));
    // What an unheard try wrote is a success of this one.
    if (!change) return lost;
    try {
      await gitlab.commitFile(place.ledgerProject, {
        branch: LEDGER_BRANCH,
        path: ledgerFile(place.environment),
        text: serialiseLedger(withState(ledger, module, change.state)),
        message: change.message,
        lastCommit,
      });
      return true;
    } catch (error) {
      // A cut after GitLab had taken the commit: the ledger says so, and the next round keeps it.
      const unheard = isUnheard(error) && attempt < tries;
      const raced = isRaced(error) && attempt < tries;
      if (!raced && !unheard) throw error;
      lost ||= unheard;
      await sleep(pause(attempt));
    }
  }
}

/**
 * Proposes changes of what the ledger says of one module, as a merge request on the ledger. Said again it makes the branch anew
 * from what the ledger says by then, unless it holds just that, and leaves the merge request that is open.
 * @param decide the changes, a commit each, of which the last one's first line is the title; none where it is as wanted. What
 *   it throws ends it.
 * @returns the merge request's number; undefined where there is nothing to propose
 */
export async function proposeChanges(
  gitlab: Pick<GitLab, 'file' | 'commitFile' | 'openMergeRequests' | 'openMergeRequest'>,
  { ledgerProject, environment }: LedgerPlace,
  { module, branch, description }: { module: string; branch: string; description: string },
  decide: (now: ModuleState) => Promise<readonly LedgerChange[]>,
  pause: (attempt: number) => number = PAUSE,
  tries = 8,
): Promise<number | undefined> {
  const path = ledgerFile(environment);
  const isOpen = async (): Promise<number | undefined> =>
    (await gitlab.openMergeRequests(ledgerProject, LEDGER_BRANCH)).find(
      ({ source_branch }) => source_branch === branch,
    )?.iid;
  for (let attempt = 1; ; attempt++) {
    const { ledger, lastCommit } = await currentLedger(gitlab, { ledgerProject, environment });
    const changes = await decide(stateOf(ledger, module));
    const last = changes.at(-1);
    if (!last) return undefined;
    try {
      const texts = changes.map(({ state }) => serialiseLedger(withState(ledger, module, state)));
      if ((await gitlab.file(ledgerProject, path, branch))?.text !== texts.at(-1)) {
        let before = lastCommit;
        for (const [index, { message }] of changes.entries())
          before = await gitlab.commitFile(ledgerProject, {
            branch,
            path,
            text: texts[index] ?? '',
            message,
            lastCommit: before,
            ...(index === 0 ? { from: LEDGER_BRANCH } : {}),
          });
      }
      const [title = ''] = last.message.split('\n');
      const request = { source_branch: branch, target_branch: LEDGER_BRANCH, title, description };
      return (await isOpen()) ?? (await gitlab.openMergeRequest(ledgerProject, request)).iid;
    } catch (error) {
      // A cut after GitLab had taken it, or another who proposes the same: the next round finds that.
      if (!(isRaced(error) || isUnheard(error)) || attempt === tries) throw error;
      await sleep(pause(attempt));
    }
  }
}
