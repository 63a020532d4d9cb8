import { REMOVED } from '../../../delivery/pod-start';
import type { Action, Place, Request, Result, Target, Test } from '../../../delivery/queue/decide';
import { type Need, nameOf, type Ref } from '../../../delivery/queue/order';
import type { End } from '../../../delivery/queue/window';
import { MOST_REMOVED } from '../../../delivery/status';
import { type Edit, Git } from './memory';

/** A test Pod's run: at the gate, or of a new head before it queues. */
interface Run {
  readonly id: string;
  readonly kind: 'check' | 'gate';
  readonly head: string;
  readonly tree: string;
  stopping: boolean;
}

export interface Change extends Ref {
  state: 'opened' | 'merged' | 'closed';
  /** Into another branch than main. */
  elsewhere: boolean;
  draft: boolean;
  approved: boolean;
  first: boolean;
  head: string;
  /** What this head writes into its own file. */
  content: string;
  needs: Ref[];
  /** When its head was found green first. */
  greenAt?: number;
  approvedAt: number;
  /** Why it was taken out, or its check was red. */
  out?: string;
  /** What its one note holds. */
  result?: Result;
  broke?: { times: number; at: number };
  /** Test Pods of this head in a row that nobody knows who removed. */
  removed?: number;
  runs: Run[];
  /** GitLab merges it: into what main is when it comes to it. */
  merging?: { base: string; tree: string };
}

export interface Project {
  readonly project: string;
  commit: string;
  pushed: boolean;
  readonly ends: End[];
}

/** Test Pods of a project. */
const MOST = 4;
/** Files that changes of one project share. */
const SHARED = ['shared-0', 'shared-1'];

/** GitLab, Jenkins and git in memory, with a clock; nothing here knows the queue's rules. */
export class Simulated {
  readonly git = new Git();
  now = 1_000_000;
  readonly projects: Project[];
  readonly changes: Change[] = [];
  /** Contents that break whatever holds them, and pairs that break together. */
  readonly bad = new Set<string>();
  readonly together: (readonly [string, string])[] = [];
  /** What was pushed to main directly. */
  readonly direct: string[] = [];
  /** Verdicts that were ever given. */
  readonly tested = new Map<string, boolean>();
  readonly merges: { readonly project: string; readonly base: string; readonly tree: string }[] = [];
  /** Commits of main that nobody tested, and that people are told of: a push in the moment of a merge. */
  readonly told: string[] = [];
  readonly started: string[] = [];
  private counter = 0;

  constructor(
    names: readonly string[] = ['g/a', 'g/b'],
    private readonly most = MOST,
  ) {
    this.projects = names.map((project) => ({
      project,
      commit: this.git.commit(new Map([['readme', 'first']])),
      pushed: false,
      ends: [],
    }));
  }

  projectOf({ project }: { readonly project: string }): Project {
    const found = this.projects.find((one) => one.project === project);
    if (!found) throw new Error(`no project ${project}`);
    return found;
  }

  // What people do.

  open(project: string, more: { shared?: number; bad?: boolean; approved?: boolean } = {}): Change {
    const iid = this.changes.filter((one) => one.project === project).length + 1;
    const change: Change = {
      project,
      iid,
      state: 'opened',
      elsewhere: false,
      draft: false,
      approved: more.approved ?? true,
      first: false,
      head: '',
      content: '',
      needs: [],
      approvedAt: this.now,
      runs: [],
    };
    this.changes.push(change);
    this.push(change, more);
    return change;
  }

  push(change: Change, more: { shared?: number; bad?: boolean } = {}): void {
    if (change.state !== 'opened' || change.merging) return;
    const { project, iid } = change;
    const { commit } = this.projectOf(change);
    const content = `${project}!${iid}.${this.counter++}`;
    const file = more.shared === undefined ? undefined : SHARED[more.shared % SHARED.length];
    const edits: Edit[] = [{ file: `own-${iid}`, from: '', to: content }];
    if (file) edits.push({ file, from: this.git.files(commit).get(file) ?? '', to: `${content}/${file}` });
    if (more.bad) this.bad.add(content);
    change.head = this.git.head(edits);
    change.content = content;
    delete change.greenAt;
    delete change.out;
    delete change.result;
    delete change.broke;
    delete change.removed;
  }

  /** Somebody pushes to main itself. */
  pushMain(project: string, shared: number, bad: boolean): void {
    const target = this.projectOf({ project });
    const content = `direct.${this.counter++}`;
    const files = new Map(this.git.files(target.commit)).set(SHARED[shared % SHARED.length] ?? '', content);
    if (bad) this.bad.add(content);
    this.direct.push(content);
    target.commit = this.git.commit(files);
    target.pushed = true;
  }

  approve(change: Change): void {
    change.approved = !change.approved;
    change.approvedAt = this.now;
  }

  /** What tests of a tree come to. */
  passes(tree: string): boolean {
    const contents = this.git.contents(tree);
    if ([...contents].some((content) => this.bad.has(content))) return false;
    return !this.together.some(([a, b]) => contents.has(a) && contents.has(b));
  }

  // What Jenkins does.

  get live(): readonly { readonly change: Change; readonly run: Run }[] {
    return this.changes.flatMap((change) => change.runs.map((run) => ({ change, run })));
  }

  /** Each head that has no verdict is checked on main, at once. */
  check(): void {
    for (const change of this.changes) {
      if (change.state !== 'opened' || change.elsewhere || change.draft || change.out !== undefined) continue;
      if (change.greenAt !== undefined || change.runs.some(({ head }) => head === change.head)) continue;
      const merged = this.git.merge(this.projectOf(change).commit, change.head);
      if ('conflicts' in merged) change.out = `conflicts in ${merged.conflicts.join(', ')}`;
      else this.run(change, 'check', merged.tree);
    }
  }

  private run(change: Change, kind: Run['kind'], tree: string): void {
    change.runs.push({ id: `r${this.counter++}`, kind, head: change.head, tree, stopping: false });
  }

  private ended(change: Change, run: Run): void {
    change.runs = change.runs.filter((one) => one !== run);
  }

  /** A run comes to its verdict; one that was told to stop just ends. */
  finish(change: Change, run: Run): void {
    this.ended(change, run);
    if (run.stopping) return;
    // No two verdicts in one moment: who is ready first is first.
    this.now += 1;
    const green = this.passes(run.tree);
    this.tested.set(`${change.project} ${run.tree}`, green);
    if (run.head !== change.head || change.state !== 'opened') return;
    delete change.broke;
    delete change.removed;
    change.result = { tree: run.tree, green, why: green ? '' : `${change.content} fails` };
    if (green) change.greenAt ??= this.now;
    else if (run.kind === 'check') change.out = change.result.why;
  }

  /** The image could not be pulled, the node went away. */
  breakOff(change: Change, run: Run): void {
    this.ended(change, run);
    if (run.stopping || run.head !== change.head || run.kind === 'check') return;
    change.broke = { times: (change.broke?.times ?? 0) + 1, at: this.now };
  }

  /** A run's Pod is removed, nobody knows by whom: tried again, and told to people as red in the end. */
  lose(change: Change, run: Run): void {
    const removed = (change.removed ?? 0) + 1;
    if (run.stopping || run.head !== change.head || removed < MOST_REMOVED) {
      this.breakOff(change, run);
      if (!run.stopping && run.head === change.head) change.removed = removed;
      return;
    }
    this.ended(change, run);
    if (change.state !== 'opened') return;
    delete change.broke;
    delete change.removed;
    change.result = { tree: run.tree, green: false, why: REMOVED };
    if (run.kind === 'check') change.out = REMOVED;
  }

  /** GitLab comes to a merge that it was asked for. */
  complete(change: Change): void {
    const { merging } = change;
    if (!merging) return;
    delete change.merging;
    const target = this.projectOf(change);
    const { commit: below } = target;
    const commit = this.git.merged(below, change.head);
    if (commit === undefined) return;
    target.commit = commit;
    target.pushed = false;
    target.ends.push('merged');
    change.state = 'merged';
    if (below !== merging.base) {
      this.told.push(commit);
      return;
    }
    this.merges.push({ project: change.project, base: below, tree: this.git.tree(commit) });
    expect(this.git.tree(commit)).toBe(merging.tree);
    expect(this.tested.get(`${change.project} ${merging.tree}`)).toBe(true);
    for (const need of change.needs) expect(this.find(need)?.state).toBe('merged');
  }

  // What the queue sees and does.

  find(ref: Ref): Change | undefined {
    return this.changes.find(({ project, iid }) => project === ref.project && iid === ref.iid);
  }

  private readyOf(change: Change): Request['ready'] {
    if (change.state !== 'opened') return { why: `it is ${change.state}` };
    if (change.draft) return { why: 'it is a draft' };
    if (change.out !== undefined) return { why: change.out };
    if (change.greenAt === undefined) return { why: 'its first tests go on' };
    if (!change.approved) return { why: 'it waits for an approval' };
    return { since: Math.max(change.greenAt, change.approvedAt) };
  }

  private needOf(ref: Ref): Need {
    const found = this.find(ref);
    if (!found || (found.elsewhere && found.state === 'opened')) return { ...ref, state: 'foreign' };
    return { ...ref, state: found.state === 'opened' ? 'open' : found.state };
  }

  world() {
    const seen = this.changes.filter(
      ({ state, elsewhere, runs }) => (state === 'opened' && !elsewhere) || runs.length > 0,
    );
    const targets = this.projects.map(({ project, commit, pushed, ends }): Target => {
      const checks = this.live.filter(
        ({ change, run }) => change.project === project && run.kind === 'check',
      );
      const about = { project, commit, pushed, tree: this.git.tree(commit), ends: ends.slice(-20) };
      return { ...about, most: this.most, taken: checks.length };
    });
    const requests = seen.map((change): Request => {
      const { project, iid, head, result, broke, first } = change;
      return {
        project,
        iid,
        head,
        merging: change.merging !== undefined,
        ready: change.elsewhere ? { why: 'it is into another branch' } : this.readyOf(change),
        ...(first ? { first: 'ann' } : {}),
        needs: change.needs.map((need) => this.needOf(need)),
        results: result ? [result] : [],
        tests: change.runs.filter(({ kind }) => kind === 'gate').map((run): Test => run),
        ...(broke ? { broke } : {}),
      };
    });
    return structuredClone({ now: this.now, targets, requests });
  }

  look() {
    const world = this.world();
    const decision = this.git.decide(world);
    for (const { project, most, taken } of world.targets) {
      const own = decision.actions.filter(({ request }) => request.project === project);
      expect(own.filter((one) => one.do === 'merge').length).toBeLessThanOrEqual(1);
      const started = own.filter((one) => one.do === 'test').length;
      const running = world.requests.filter((one) => one.project === project).flatMap(({ tests }) => tests);
      if (started > 0) expect(running.length + taken + started).toBeLessThanOrEqual(most);
    }
    return decision;
  }

  /** Does what was decided, if it still is what it was decided for; as often and as late as it comes. */
  perform(action: Action): void {
    const change = this.find(action.request);
    if (!change) throw new Error('decided about nobody');
    const target = this.projectOf(change);
    if (action.do === 'stop') {
      const run = change.runs.find(({ id }) => id === action.test);
      if (run) run.stopping = true;
      return;
    }
    if (change.state !== 'opened' || change.elsewhere || change.head !== action.head || change.merging)
      return;
    if (action.do === 'test') {
      this.started.push(`${nameOf(change)} on ${action.ahead.map(nameOf).join(' ') || 'main'}`);
      this.run(change, 'gate', action.tree);
      return;
    }
    // Under one lock a project, in which all is read once more.
    if (this.changes.some(({ project, merging }) => project === change.project && merging)) return;
    const still = this.look().actions.some(
      (now) => now.do === action.do && nameOf(now.request) === nameOf(change) && now.base === action.base,
    );
    if (!still) return;
    if (action.do === 'merge') {
      expect(target.commit).toBe(action.base);
      change.merging = { base: action.base, tree: action.tree };
      return;
    }
    const merged = this.git.merge(target.commit, change.head);
    expect('conflicts' in merged || !this.passes(merged.tree) || action.why === REMOVED).toBe(true);
    expect(action.why).not.toBe('');
    change.out = action.why;
    target.ends.push('taken out');
  }

  /** Lets everything come to its end: nothing is lost any more, and tests come to their verdicts. */
  settle(): readonly Place[] {
    for (let round = 0; round < 400; round++) {
      this.check();
      const { actions, queues, next } = this.look();
      for (const action of actions) this.perform(action);
      const { live } = this;
      for (const { change, run } of live) this.finish(change, run);
      const merging = this.changes.filter((one) => one.merging);
      for (const change of merging) this.complete(change);
      if (actions.length === 0 && live.length === 0 && merging.length === 0 && next === undefined)
        return queues.flatMap(({ places }) => places);
      this.now += next ?? 1000;
    }
    throw new Error('the queue goes on for ever');
  }
}
