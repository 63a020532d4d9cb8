import { FIRST_LABEL, MERGE_LABEL } from '../../../catalog/status';
import type { CommitDetails, CommitStatus, GitLab, MergeRequest, Note } from '../../../clients/gitlab';
import type { Certificate } from '../../../delivery/certificate';
import { renderNote } from '../../../delivery/note';
import type { Asked, Proof } from '../../../delivery/queue/read';
import { green, KEY, sha } from '../certificates';

// What GitLab says of one project's merge requests, from memory.

export const PROJECT = green.project;
export const BOT = 9;
export const PROOF: Proof = {
  key: KEY,
  module: 'orders',
  policy: 'automatic',
  declared: '0'.repeat(64),
  registry: 'registry.example:5000',
};

export const queued = (iid: number, more: Partial<Certificate> = {}, of = green): Certificate => ({
  ...of,
  mergeRequest: iid,
  headSha: sha(String(iid)),
  declared: PROOF.declared,
  gate: { since: iid * 1000 },
  ...more,
});

export function request(iid: number, more: Partial<MergeRequest> = {}): MergeRequest {
  const about = { id: iid, iid, title: 't', source_branch: `b${iid}`, target_branch: 'main' };
  return {
    ...about,
    state: 'opened',
    draft: false,
    sha: sha(String(iid)),
    source_project_id: 1,
    target_project_id: 1,
    ...more,
  };
}

export interface Scene {
  readonly open?: readonly MergeRequest[];
  readonly locked?: readonly MergeRequest[];
  readonly merged?: readonly MergeRequest[];
  readonly others?: readonly MergeRequest[];
  /** Of other projects, by name: `switchyard/billing!2`. */
  readonly elsewhere?: Readonly<Record<string, MergeRequest>>;
  readonly certificates?: readonly Certificate[];
  /** Number of one that was left to people. */
  readonly left?: number;
  /** Of every head, or by its number. */
  readonly statuses?: readonly CommitStatus[] | { readonly [iid: number]: readonly CommitStatus[] };
  readonly approvedAt?: string;
  /** User names, oldest first: `+ann` put it first, `-ann` took that back. */
  readonly labelled?: readonly string[];
  /** When somebody let it into the queue. */
  readonly letInAt?: string;
  /** Whether that one may merge. @default true */
  readonly mayMerge?: boolean;
  /** Number of the user whose token asks. @default the bot's */
  readonly asker?: number;
}

export function gitlabOf(scene: Scene): {
  readonly gitlab: Asked & Pick<GitLab, 'commit'>;
  readonly calls: string[];
} {
  const calls: string[] = [];
  const said = <T>(call: string, value: T): Promise<T> => {
    calls.push(call);
    return Promise.resolve(value);
  };
  const noteOf = (certificate: Certificate): Note => {
    const left = scene.left === certificate.mergeRequest;
    const progress = left ? { state: 'left' as const, why: 'x' } : { state: 'queued' as const, place: 'x' };
    const body = renderNote(certificate, progress, KEY);
    return { id: certificate.mergeRequest, body, system: false, author: { id: BOT } };
  };
  const cleo = { id: 3, username: 'cleo' };
  return {
    calls,
    gitlab: {
      time: 5_000_000,
      ownId: () => said('own', scene.asker ?? BOT),
      isBot: (user) => said('bot', user === BOT),
      labelEvents: () =>
        said('labels', [
          ...(scene.labelled ?? []).map((event, id) => ({
            id,
            action: event.startsWith('+') ? ('add' as const) : ('remove' as const),
            label: { id: 1, name: FIRST_LABEL },
            user: { id: 4, username: event.slice(1) },
          })),
          ...(scene.letInAt
            ? [
                {
                  id: 99,
                  action: 'add' as const,
                  label: { id: 2, name: MERGE_LABEL },
                  user: cleo,
                  created_at: scene.letInAt,
                },
              ]
            : []),
        ]),
      labelChanges: () => said('label changes', new Map([[2, 0]])),
      openMergeRequests: () => said('open', [...(scene.open ?? [])]),
      lockedMergeRequests: () => said('locked', [...(scene.locked ?? [])]),
      mergedOfLate: () => said('merged', [...(scene.merged ?? [])]),
      findMergeRequest: (project, iid) =>
        said(
          `find ${project}!${iid}`,
          project === PROJECT
            ? scene.others?.find((one) => one.iid === iid)
            : scene.elsewhere?.[`${project}!${iid}`],
        ),
      branchHead: () => said('head', sha('a')),
      statuses: (_project, head) => {
        const { statuses = [] } = scene;
        return said('statuses', [...('length' in statuses ? statuses : (statuses[Number(head[0])] ?? []))]);
      },
      notes: async (_project, iid, wanted) => {
        const notes: Note[] = [];
        for (const one of scene.certificates ?? [])
          if (one.mergeRequest === iid && (await wanted(noteOf(one)))) notes.push(noteOf(one));
        return said('notes', notes);
      },
      approvals: () =>
        said('approvals', scene.approvedAt ? [{ user: cleo, approved_at: scene.approvedAt }] : []),
      mayPush: () => said('may push', true),
      mayMerge: () => said('may merge', scene.mayMerge ?? true),
      versions: (_project, iid) =>
        said('versions', [
          { id: 1, head_commit_sha: sha(String(iid)), created_at: '1970-01-01T00:00:01.000Z' },
        ]),
      pushes: (_project, isEnough) => {
        const push = (iid: number) => ({
          author_id: 1,
          push_data: {
            action: 'created' as const,
            ref_type: 'branch' as const,
            ref: `b${iid}`,
            commit_from: null,
            commit_to: sha(String(iid)),
          },
        });
        const found = [1, 2, 3].map(push);
        isEnough(found);
        return said('pushes', found);
      },
      people: () => said('people', new Set([1])),
      commit: (_project, id) => said('commit', { id, parent_ids: [] } as unknown as CommitDetails),
    },
  };
}
