import { approvalSettings, approvalsLeft } from './approvals';
import { ownPipeline } from './ci';
import { type ApiError, messageError, unauthorized } from './errors';
import type { Repository } from './git';
import { type Instance, now, personOf } from './instance';
import { type MergeRequest, type Pipeline, type Project, type User, ZERO_SHA } from './model';
import type {
  DetailedMergeStatus,
  MergeOptions,
  MergePhase,
  MergeRequestAction,
  MergeRequests,
  NewMergeRequest,
  Payload,
} from './parts';
import { isDraft, mergeRequestPayload } from './payloads';

export function createMergeRequests(app: Instance): MergeRequests {
  const { mergeRequests, pipelines } = app.tables;
  const open = (project: Project): MergeRequest[] =>
    mergeRequests.filter((mr) => mr.project_id === project.id && mr.state === 'opened');

  const ownRef = (mr: MergeRequest): string => `refs/merge-requests/${mr.iid}/head`;
  // PipelinesForMergeRequestFinder#sort: those of merge requests stand before those of branches.
  const headPipeline = (mr: MergeRequest): Pipeline | undefined => {
    const all = pipelines.filter((row) => row.project_id === mr.project_id && row.sha === mr.sha);
    return (
      all.findLast((row) => row.ref === ownRef(mr)) ?? all.findLast((row) => row.ref === mr.source_branch)
    );
  };
  const ownPipelineOf = (project: Project, user: User, mr: MergeRequest): Promise<void> =>
    ownPipeline(app, project, user, { sha: mr.sha, ref: ownRef(mr), source: 'merge_request_event' });

  /** Test-merges, keeps the result and the fetchable merge ref; `undefined` where a branch is missing. */
  async function check(
    project: Project,
    mr: MergeRequest,
  ): Promise<NonNullable<MergeRequest['checked']> | undefined> {
    const repository = app.repository(project);
    const target = await repository.branch(mr.target_branch);
    if (!target) return undefined;
    if (mr.checked?.sha === mr.sha && mr.checked.target_sha === target) return mr.checked;
    const { sha } = mr;
    const tree = await repository.mergeTree(target, sha);
    const ref = `refs/merge-requests/${mr.iid}/merge`;
    let mergeRef: string | null = null;
    if (tree) {
      const author = personOf(app.user(mr.author_id));
      mergeRef = await repository.commitTree(
        tree,
        [target, sha],
        `Merge ${sha} into ${target}`,
        author,
        author,
      );
      await repository.updateRef(ref, mergeRef);
    } else {
      await repository.updateRef(ref, undefined);
    }
    const checked = {
      sha,
      target_sha: target,
      mergeable: tree !== undefined,
      merge_ref: mergeRef,
      ...(app.background.check === 0 ? { asked: 0 } : {}),
    };
    mergeRequests.update(mr, { checked });
    return checked;
  }

  const phase = (mr: MergeRequest): MergePhase => {
    if (Date.now() < Date.parse(mr.created_at) + app.background.prepare) return 'preparing';
    if (mr.checked?.asked === undefined) return 'unchecked';
    return Date.now() < mr.checked.asked + app.background.check ? 'checking' : 'judged';
  };

  // MergeRequestBasic of lib/api/entities: check_mergeability(async: true), which marks it as checking at once.
  async function startCheck(project: Project, mr: MergeRequest): Promise<void> {
    if (mr.state !== 'opened') return;
    const checked = await check(project, mr);
    if (checked && phase(mr) === 'unchecked')
      mergeRequests.update(mr, { checked: { ...checked, asked: Date.now() } });
  }

  async function gitState(
    project: Project,
    mr: MergeRequest,
  ): Promise<'commits_status' | 'conflict' | 'need_rebase' | undefined> {
    const repository = app.repository(project);
    const source = await repository.branch(mr.source_branch);
    const checked = await check(project, mr);
    if (!source || !checked || (await repository.isAncestor(mr.sha, checked.target_sha)))
      return 'commits_status';
    if (!checked.mergeable) return 'conflict';
    const linear = project.settings.merge_method !== 'merge';
    if (linear && !(await repository.isAncestor(checked.target_sha, mr.sha))) return 'need_rebase';
    return undefined;
  }

  function ciState(project: Project, mr: MergeRequest): 'ci_must_pass' | 'ci_still_running' | undefined {
    if (project.settings.only_allow_merge_if_pipeline_succeeds !== true) return undefined;
    const status = headPipeline(mr)?.status;
    if (status === 'success') return undefined;
    if (status === 'skipped' && project.settings.allow_merge_on_skipped_pipeline === true) return undefined;
    return status === 'running' || status === 'pending' || status === 'created'
      ? 'ci_still_running'
      : 'ci_must_pass';
  }

  const approvalState = (project: Project, mr: MergeRequest): 'not_approved' | undefined =>
    approvalsLeft(app, project, mr) > 0 ? 'not_approved' : undefined;

  async function mergeability(
    project: Project,
    mr: MergeRequest,
  ): Promise<{ detailed: DetailedMergeStatus }> {
    if (mr.state !== 'opened') return { detailed: 'not_open' };
    const git = await gitState(project, mr);
    // DetailedMergeStatusService: the phase before all, what CI says after all.
    const at = phase(mr);
    if (at !== 'judged') return { detailed: at };
    if (isDraft(mr.title)) return { detailed: 'draft_status' };
    return { detailed: git ?? approvalState(project, mr) ?? ciState(project, mr) ?? 'mergeable' };
  }

  async function emit(
    project: Project,
    user: User,
    mr: MergeRequest,
    action: MergeRequestAction,
    options: { oldrev?: string; changes?: Payload } = {},
  ): Promise<void> {
    app.webhooks.emit(
      project,
      'merge_requests_events',
      await mergeRequestPayload(app, project, user, mr, action, options),
    );
  }

  async function diffRefs(
    repository: Repository,
    target: string,
    sha: string,
  ): Promise<Pick<MergeRequest, 'sha' | 'base_sha' | 'start_sha'>> {
    return { sha, start_sha: target, base_sha: (await repository.mergeBase(target, sha)) ?? target };
  }

  function addVersion(mr: MergeRequest): void {
    app.tables.versions.insert({
      merge_request_id: mr.id,
      head: mr.sha,
      base: mr.base_sha,
      start: mr.start_sha,
      created_at: now(),
    });
  }

  async function newHead(project: Project, mr: MergeRequest, sha: string): Promise<void> {
    const repository = app.repository(project);
    const target = (await repository.branch(mr.target_branch)) ?? mr.start_sha;
    await repository.updateRef(`refs/merge-requests/${mr.iid}/head`, sha);
    mergeRequests.update(mr, {
      ...(await diffRefs(repository, target, sha)),
      updated_at: now(),
      merge_error: null,
    });
    addVersion(mr);
    await check(project, mr);
  }

  function markMerged(mr: MergeRequest, user: User, mergeSha: string | null, squashSha: string | null): void {
    mergeRequests.update(mr, {
      state: 'merged',
      merge_commit_sha: mergeSha,
      squash_commit_sha: squashSha,
      merge_user_id: user.id,
      merged_at: now(),
      updated_at: now(),
      merge_error: null,
    });
  }

  async function branchChanged(
    project: Project,
    user: User,
    branch: string,
    before: string,
    after: string,
  ): Promise<void> {
    if (after === ZERO_SHA) return;
    const repository = app.repository(project);
    for (const mr of open(project).filter((row) => row.source_branch === branch && row.sha !== after)) {
      const oldrev = mr.sha;
      await newHead(project, mr, after);
      await ownPipelineOf(project, user, mr);
      // A feature of Premium: on Free approvals outlive every push. With it they outlive GitLab's own rebase
      // (ee/app/services/merge_requests/reset_approvals_service.rb: by `rebase_commit_sha`, of late by the patch's own id).
      const isRebased = mr.rebase_commit_sha === after;
      if (app.tier !== 'free' && approvalSettings(app, project).reset_approvals_on_push && !isRebased)
        mergeRequests.update(mr, { approvals: [] });
      await emit(project, user, mr, 'update', { oldrev });
    }
    const into = () => open(project).filter((row) => row.target_branch === branch);
    if (into().length === 0) return;
    const come = await repository.between(before === ZERO_SHA ? undefined : before, after);
    for (const mr of into().filter(({ sha }) => come.has(sha))) {
      markMerged(mr, user, null, null);
      await emit(project, user, mr, 'merge');
    }
  }

  async function catchUp(project: Project): Promise<void> {
    // StuckMergeJobsWorker: merged where git has it, else open again.
    for (const mr of mergeRequests.filter((row) => row.project_id === project.id && row.state === 'locked')) {
      const target = await app.repository(project).branch(mr.target_branch);
      const merged = mr.merge_commit_sha ?? mr.squash_commit_sha ?? mr.sha;
      const isMerged = target !== undefined && (await app.repository(project).isAncestor(merged, target));
      if (isMerged) mergeRequests.update(mr, { state: 'merged', merged_at: now(), updated_at: now() });
      else mergeRequests.update(mr, { state: 'opened', merge_commit_sha: null, squash_commit_sha: null });
    }
    for (const mr of open(project)) {
      if (mr.rebasing) mergeRequests.update(mr, { rebasing: false });
      const head = await app.repository(project).branch(mr.source_branch);
      if (head && head !== mr.sha) await newHead(project, mr, head);
    }
  }

  async function create(project: Project, user: User, data: NewMergeRequest): Promise<MergeRequest> {
    const repository = app.repository(project);
    const [source, target] = [
      await repository.branch(data.source_branch),
      await repository.branch(data.target_branch),
    ];
    const faults: string[] = [];
    if (data.source_branch === data.target_branch)
      faults.push("You can't use same project/branch for source and target");
    if (!source) faults.push(`Source branch "${data.source_branch}" does not exist`);
    if (!target) faults.push(`Target branch "${data.target_branch}" does not exist`);
    if (!source || !target || faults.length > 0) throw messageError(400, faults);
    const twin = open(project).find(
      (mr) => mr.source_branch === data.source_branch && mr.target_branch === data.target_branch,
    );
    if (twin)
      throw messageError(409, [
        `Another open merge request already exists for this source branch: !${twin.iid}`,
      ]);
    const iid = project.next_mr_iid;
    await repository.updateRef(`refs/merge-requests/${iid}/head`, source);
    const refs = await diffRefs(repository, target, source);
    app.tables.projects.update(project, { next_mr_iid: iid + 1 });
    const mr = mergeRequests.insert({
      ...data,
      ...refs,
      iid,
      project_id: project.id,
      author_id: user.id,
      state: 'opened',
      discussion_locked: null,
      merge_commit_sha: null,
      squash_commit_sha: null,
      merge_user_id: null,
      merged_at: null,
      closed_by_id: null,
      closed_at: null,
      merge_error: null,
      created_at: now(),
      updated_at: now(),
      checked: null,
    });
    addVersion(mr);
    await check(project, mr);
    await ownPipelineOf(project, user, mr);
    await emit(project, user, mr, 'open');
    return mr;
  }

  function requiresSha(project: Project): boolean {
    const namespace = app.namespace(project.namespace_id);
    return app.ancestry(namespace).some((group) => group.settings.require_sha_for_merge === true);
  }

  async function merge(
    project: Project,
    user: User,
    mr: MergeRequest,
    options: MergeOptions,
  ): Promise<MergeRequest> {
    const rights = app.branchRights(user, project, mr.target_branch);
    if (!rights.merge && !rights.push) throw unauthorized();
    if (options.sha === undefined && requiresSha(project))
      throw messageError(400, '400 Bad request - SHA must be provided when merging');
    const methodNotAllowed = (): ApiError => messageError(405, '405 Method Not Allowed');
    if (mr.state !== 'opened' || isDraft(mr.title) || project.archived) throw methodNotAllowed();
    if (options.auto_merge && headPipeline(mr)?.status !== 'success') {
      app.log.warn('auto-merge is not covered by this stand-in: merge explicitly, with sha');
      throw methodNotAllowed();
    }
    const git = await gitState(project, mr);
    if (git === 'commits_status' || ciState(project, mr)) throw methodNotAllowed();
    if (approvalState(project, mr)) throw methodNotAllowed();
    // Its own check does not wait for one in the background (retry_lease: false), nor for the preparing.
    const at = phase(mr);
    if (git || at === 'preparing' || at === 'checking') throw messageError(422, 'Branch cannot be merged');
    if (mr.checked && at === 'unchecked') mergeRequests.update(mr, { checked: { ...mr.checked, asked: 0 } });
    if (options.sha !== undefined && options.sha !== mr.sha)
      throw messageError(409, `SHA does not match HEAD of source branch: ${mr.sha}`);

    const option = project.settings.squash_option;
    const squash = option === 'always' || (options.squash ?? mr.squash);
    if (squash && option === 'never') {
      throw messageError(
        422,
        'Squashing is not allowed: this project does not allow squashing commits when merge requests are accepted.',
      );
    }
    const removeSource = options.should_remove_source_branch ?? mr.force_remove_source_branch;
    const repository = app.repository(project);
    const checked = await check(project, mr);
    if (!checked) throw methodNotAllowed();
    const target = checked.target_sha;
    const committer = personOf(user);
    let tip = mr.sha;
    let squashSha: string | null = null;
    if (squash) {
      const base = (await repository.mergeBase(target, mr.sha)) ?? target;
      squashSha = await repository.commitTree(
        await repository.treeOf(mr.sha),
        [base],
        options.squash_commit_message ?? mr.title,
        personOf(app.user(mr.author_id)),
        committer,
      );
      tip = squashSha;
    }
    let mergeSha: string | null = null;
    if (project.settings.merge_method !== 'ff') {
      const tree = await repository.mergeTree(target, tip);
      if (!tree) throw messageError(422, 'Branch cannot be merged');
      const message = options.merge_commit_message ?? defaultMergeMessage(project, mr);
      mergeSha = await repository.commitTree(tree, [target, tip], message, committer, committer);
      tip = mergeSha;
    }
    // MergeRequest#in_locked_state: its push can be told before it is `merged`.
    mergeRequests.update(mr, {
      state: 'locked',
      merge_commit_sha: mergeSha,
      squash_commit_sha: squashSha,
      merge_user_id: user.id,
    });
    try {
      await repository.updateRef(`refs/heads/${mr.target_branch}`, tip, target);
    } catch (error) {
      mergeRequests.update(mr, {
        state: 'opened',
        merge_commit_sha: null,
        squash_commit_sha: null,
        merge_user_id: null,
      });
      throw error;
    }
    await app.refsChanged(project, user, [
      { ref: `refs/heads/${mr.target_branch}`, before: target, after: tip },
    ]);
    await app.taken('merge');
    markMerged(mr, user, mergeSha, squashSha);
    await emit(project, user, mr, 'merge');
    if (
      removeSource &&
      mr.source_branch !== project.default_branch &&
      !app.isProtected(project, mr.source_branch)
    ) {
      const ref = `refs/heads/${mr.source_branch}`;
      await repository.updateRef(ref, undefined, mr.sha);
      await app.refsChanged(project, user, [{ ref, before: mr.sha, after: ZERO_SHA }]);
    }
    return mr;
  }

  /** The commits of `sha` that `target` has not, made again on it; undefined where one conflicts. */
  async function replay(
    project: Project,
    user: User,
    target: string,
    sha: string,
  ): Promise<string | undefined> {
    const repository = app.repository(project);
    const commits = await repository.log(['--reverse', '--no-merges', sha, `^${target}`]);
    let tip = target;
    for (const commit of commits) {
      const author = commit.author;
      // A commit of the tip's tree on this commit's own parent: merging the two is applying this one's change.
      const base = await repository.commitTree(
        await repository.treeOf(tip),
        commit.parent_ids.slice(0, 1),
        'base',
        author,
        author,
      );
      const tree = await repository.mergeTree(base, commit.id);
      if (!tree) return undefined;
      tip = await repository.commitTree(tree, [tip], commit.message, author, personOf(user));
    }
    return tip;
  }

  // PUT …/rebase of lib/api/merge_requests.rb: MergeRequests::RebaseService in RebaseWorker.
  async function rebase(project: Project, user: User, mr: MergeRequest): Promise<void> {
    if (mr.state !== 'opened' || !app.branchRights(user, project, mr.source_branch).push)
      throw messageError(403, '403 Forbidden');
    if (mr.rebasing)
      throw messageError(
        409,
        'Failed to enqueue the rebase operation, possibly due to a long-lived transaction. Try again later.',
      );
    mergeRequests.update(mr, { rebasing: true, merge_error: null });
    await app.later('rebase', () =>
      app.exclusively(project, async () => {
        const repository = app.repository(project);
        const ref = `refs/heads/${mr.source_branch}`;
        const target = await repository.branch(mr.target_branch);
        const before = await repository.branch(mr.source_branch);
        const after = target && before ? await replay(project, user, target, before) : undefined;
        mergeRequests.update(mr, {
          rebasing: false,
          merge_error: after
            ? null
            : 'Rebase failed: Rebase locally, resolve all conflicts, then push the branch.',
        });
        if (!after || !before || after === before) return;
        mergeRequests.update(mr, { rebase_commit_sha: after });
        await repository.updateRef(ref, after, before);
        await app.refsChanged(project, user, [{ ref, before, after }]);
      }),
    );
  }

  function defaultMergeMessage(project: Project, mr: MergeRequest): string {
    return `Merge branch '${mr.source_branch}' into '${mr.target_branch}'\n\n${mr.title}\n\nSee merge request ${app.projectPath(project)}!${mr.iid}`;
  }

  return {
    headPipeline,
    forPipeline: (pipeline) =>
      mergeRequests
        .filter(
          (mr) =>
            mr.project_id === pipeline.project_id &&
            mr.state === 'opened' &&
            mr.source_branch === pipeline.ref &&
            mr.sha === pipeline.sha,
        )
        .at(-1),
    phase,
    startCheck,
    mergeability,
    branchChanged,
    catchUp,
    reloadDiff: (project, mr) => newHead(project, mr, mr.sha),
    create,
    merge,
    rebase,
    emit,
  };
}
