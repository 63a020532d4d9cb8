import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FIRST_LABEL, MERGE_LABEL } from '../../../catalog/status';
import { exitCode, Failure } from '../../../clients/failure';
import { GitLabError } from '../../../clients/gitlab-api';
import type { Certificate } from '../../../delivery/certificate';
import { isQueued } from '../../../delivery/certificate';
import { marker, readNote, renderNote } from '../../../delivery/note';
import { REMOVED } from '../../../delivery/pod-start';
import { mergeInTurn } from '../../../delivery/queue/merge';
import { type Gate, isInQueue, tellTesting, turnOf, waitInQueue } from '../../../delivery/queue/turn';
import { endStatus, QueueWatch, type Useless } from '../../../delivery/queue/watch';
import { askTurns } from '../../../delivery/reconcile/turns';
import { BROKE_OFF, postBegun, STARTED } from '../../../delivery/status';
import { enterQueue, goOn, merge, report, takeSource, testedBefore } from '../../../delivery/verify';
import { nightly, scaled } from '../../support/scale';
import { KEY } from '../certificates';
import { makeWorld, PROJECT, type World } from '../world';

// Builds as the shared library runs them, one command after the other, against GitLab and git: what they merge, take out and
// leave waiting.

jest.setTimeout(300_000);

const REGISTRY = 'registry.example:5000';
const DECLARED = '0'.repeat(64);
/** GitLab's jobs are short here. */
const PATIENCE = Array<number>(100).fill(50);
const PROOF = {
  key: KEY,
  module: 'orders',
  policy: 'automatic',
  declared: DECLARED,
  registry: REGISTRY,
} as const;

let world: World;
let folders = 0;

beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.close());

const PROJECTS = [PROJECT, 'switchyard/billing'];
const folder = (): string => join(world.folder, `work-${folders++}`);

/** Files that fail together: both in one tree, and its tests are red. */
let together: (readonly [string, string])[] = [];
/** Trees that were tested. */
let tested: {
  readonly iid: number;
  readonly tree: string;
  readonly green: boolean;
  readonly ahead: number[];
}[] = [];
beforeEach(() => {
  together = [];
  tested = [];
});

/** One build of a merge request's job. */
class Build {
  private static counter = 0;
  readonly url = `http://jenkins.example/job/switchyard/job/orders/${++Build.counter}/`;
  private certificate: Certificate | undefined;
  private readonly gate: Gate;

  constructor(
    readonly iid: number,
    more: Partial<Gate> = {},
  ) {
    this.gate = {
      project: PROJECT,
      projects: PROJECTS,
      mergeRequest: iid,
      most: 8,
      proof: PROOF,
      folder: folder(),
      ...more,
    };
  }

  private async code(run: () => Promise<unknown>): Promise<number> {
    try {
      await run();
      return 0;
    } catch (error) {
      if (error instanceof Failure) return error.code;
      throw error;
    }
  }

  source(): Promise<number> {
    return this.code(async () => {
      this.certificate = undefined;
      this.watching = undefined;
      const turn = await turnOf(world.context, this.gate);
      if (turn.do === 'merge') throw new Failure(exitCode.tested, 'a result');
      if (turn.do === 'wait') return waitInQueue(world.context, this.gate, turn.place, this.url);
      const { folder: work } = this.gate;
      if (this.gate.proof.policy !== 'automatic' && !turn.turn && (await this.noted())) {
        await goOn(world.context, this.request, this.url);
        throw new Failure(exitCode.tested, 'tested by an earlier build');
      }
      this.certificate = await takeSource(world.context, {
        ...this.request,
        build: this.url,
        folder: work,
        rebase: this.gate.rebases,
        rebasesInTurn: this.gate.rebases,
        turn: turn.turn,
      });
      if (this.certificate.conflicts) throw new Failure(exitCode.red, 'conflicts');
      if (turn.look) await tellTesting(world.context, this.gate, turn.look, this.certificate);
      return undefined;
    });
  }

  /** @param verdict `none`: the tests do not come to their end; `lost`: their Pod is taken away; `removed`: nobody knows by whom */
  test(verdict: 'as they are' | 'none' | 'lost' | 'removed' = 'as they are'): void {
    if (!this.certificate?.treeSha) throw new Error('nothing to test');
    const { treeSha: tree, ahead } = this.certificate;
    const image = { repository: `${REGISTRY}/modules/orders`, tag: 'mr', digest: `sha256:${'d'.repeat(64)}` };
    if (verdict !== 'as they are') {
      const lost = { lost: true as const, pods: [] };
      const words = {
        none: undefined,
        lost: { ...lost, why: 'it was taken away (NodeShutdown)', infrastructure: true as const },
        removed: { ...lost, why: REMOVED },
      }[verdict];
      this.certificate = { ...this.certificate, image, ...(words ? { start: words } : {}) };
      return;
    }
    const has = (file: string) => existsSync(join(this.gate.folder, file));
    const broken = together.find((files) => files.every(has));
    const failing = broken ? [{ name: `Orders.${broken.join(' and ')}`, message: 'together' }] : [];
    const green = !broken;
    tested.push({
      iid: this.iid,
      tree,
      green,
      ahead: (ahead?.requests ?? []).map((one) => one.mergeRequest),
    });
    const tests = { total: 1, passed: green ? 1 : 0, failed: green ? 0 : 1, skipped: 0, failing };
    this.certificate = { ...this.certificate, image, tests };
  }

  /** @param again a reconciler runs */
  report(again = false): Promise<number> {
    return this.code(async () => {
      if (!this.certificate) throw new Error('nothing to report');
      this.certificate = enterQueue(this.certificate, world.context.gitlab.time);
      const green = await report(world.context, this.certificate, KEY, again);
      if (!green) throw new Failure(isQueued(this.certificate) ? exitCode.queued : exitCode.red, 'red');
    });
  }

  private watching: QueueWatch | undefined;

  /** One look of the watch beside its test, whose status ends where nobody waits for that. */
  async watch(): Promise<Useless | undefined> {
    if (!this.certificate) throw new Error('nothing to watch');
    const gate = isQueued(this.certificate) ? { ...this.gate, folder: this.watched } : undefined;
    this.watching ??= new QueueWatch(world.context, this.certificate, gate);
    const useless = await this.watching.look();
    if (useless) await endStatus(world.context, this.certificate, useless);
    return useless;
  }

  readonly watched = folder();

  private get request() {
    const { project, mergeRequest, proof } = this.gate;
    return { module: 'orders', project, mergeRequest, policy: proof.policy, declared: proof.declared };
  }

  /** What an earlier build tested. */
  private noted = () => testedBefore(world.context, this.request, KEY, REGISTRY);

  merge(): Promise<number> {
    return this.code(async () => {
      const queues = this.certificate
        ? isQueued(this.certificate)
        : await isInQueue(world.context, this.gate);
      if (queues) return mergeInTurn(world.context, this.gate, PATIENCE);
      const certificate = this.certificate ?? (await this.noted());
      if (!certificate) throw new Failure(exitCode.again, 'to be tested again');
      return merge(world.context, certificate, this.gate.proof.policy, KEY, folder(), PATIENCE);
    });
  }

  /** From source to report. @returns what the pipeline knows then */
  async upToReport(): Promise<number> {
    const source = await this.source();
    if (source !== 0) return source;
    this.test();
    return this.report();
  }

  /** To its end, as the library has it. */
  async run(): Promise<number> {
    for (let round = 0; round < 10; round++) {
      const code = await this.upToReport();
      if (![0, exitCode.queued, exitCode.tested].includes(code as 0)) return code;
      if (code === exitCode.queued && !this.certificate) return code;
      const merged = await this.merge();
      if (merged !== exitCode.again) return merged;
    }
    throw new Error('rounds without end');
  }
}

/** One that was green, and is tested again in the queue, since main has moved. */
async function testedAgain(name: string): Promise<Build> {
  const build = new Build(await opened(name));
  expect(await build.upToReport()).toBe(0);
  await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
  expect(await build.merge()).toBe(exitCode.again);
  expect(await build.source()).toBe(0);
  return build;
}

/** Three at once: the first is merged, the others are tested one on the other, and merged as they were tested. */
async function mergeThree(iids: readonly number[], more: Partial<Gate>): Promise<void> {
  const [a, b, c] = iids.map((iid) => new Build(iid, more)) as [Build, Build, Build];
  for (const build of [a, b, c]) expect(await build.upToReport()).toBe(0);
  expect(await a.merge()).toBe(0);
  for (const build of [b, c]) {
    expect(await build.merge()).toBe(exitCode.again);
    expect(await build.source()).toBe(0);
    build.test();
  }
  expect(tested.at(-1)).toMatchObject({ iid: c.iid, ahead: [b.iid] });
  expect(await c.report()).toBe(0);
  expect(await c.merge()).toBe(exitCode.queued);
  expect(await b.report()).toBe(0);
  // Both of them, one after the other.
  expect(await b.merge()).toBe(0);
  expect(await Promise.all(iids.map(stateOf))).toEqual(['merged', 'merged', 'merged']);
  expect(iids.map((iid) => tested.filter((one) => one.iid === iid).length)).toEqual([1, 2, 2]);
  const green = new Set(tested.map(({ tree }) => tree));
  expect((await mainTrees()).filter((tree) => !green.has(tree))).toEqual([]);
}

/** A developer of the project. @returns what they ask of it */
async function person(username: string, access_level = 30) {
  const base = `/projects/${encodeURIComponent(PROJECT)}`;
  const about = { username, name: username, email: `${username}@example.com`, force_random_password: true };
  const { id } = await world.api('POST', '/users', about);
  const asked = { name: 'test', scopes: ['api'] };
  const { token } = await world.api('POST', `/users/${id}/personal_access_tokens`, asked);
  await world.api('POST', `${base}/members`, { user_id: id, access_level });
  return async (method: string, path: string): Promise<void> => {
    const headers = { 'private-token': token };
    const answer = await fetch(`${world.url}/api/v4${base}${path}`, { method, headers });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
}

/** A merge request that adds files of its own. */
async function opened(name: string, more: Record<string, unknown> = {}, files = [`${name}.txt`]) {
  await world.push(name, Object.fromEntries(files.map((file) => [file, `${name}\n`])), 'origin/main');
  return world.open(name, more);
}
const stateOf = async (iid: number) => (await world.context.gitlab.mergeRequest(PROJECT, iid)).state;
const headOf = async (iid: number) => String((await world.context.gitlab.mergeRequest(PROJECT, iid)).sha);
const noteOf = async (iid: number) => (await world.notes(iid)).find(({ body }) => body.startsWith(marker));
const statusOf = async (iid: number) => (await world.statuses(await headOf(iid))).at(-1);
const mainFiles = async () => {
  await world.git('fetch', '--quiet', 'origin');
  return (await world.git('ls-tree', '--name-only', 'origin/main')).split('\n');
};
/** Main's own commits since the first, each with its tree. */
async function mainTrees(): Promise<string[]> {
  await world.git('fetch', '--quiet', 'origin');
  return (await world.git('log', '--first-parent', '--format=%T', 'origin/main')).split('\n').slice(0, -1);
}

it('one alone is tested once and merged, and its status is green right before', async () => {
  const iid = await opened('alone');
  const build = new Build(iid);
  expect(await build.upToReport()).toBe(0);
  expect(await statusOf(iid)).toMatchObject({
    status: 'running',
    description: 'testing the merge result with main',
  });
  expect((await noteOf(iid))?.body).toContain('| Queue |');
  expect(await build.merge()).toBe(0);
  expect(tested).toHaveLength(1);
  expect(await stateOf(iid)).toBe('merged');
  expect(await statusOf(iid)).toMatchObject({ status: 'success' });
  expect((await noteOf(iid))?.body).toMatch(/\| Then \| merged as/);
});

nightly(
  'six at once are all merged, each tested twice at most, the second time side by side on those before it',
  async () => {
    const iids: number[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) iids.push(await opened(name));
    const builds = iids.map((iid) => new Build(iid));
    for (const build of builds) expect(await build.upToReport()).toBe(0);
    const [first, ...others] = builds;
    expect(await first?.merge()).toBe(0);
    // The window is five by then: all of them.
    for (const build of others) expect(await build.merge()).toBe(exitCode.again);
    for (const build of others) expect(await build.source()).toBe(0);
    for (const build of others) build.test();
    expect(tested.slice(6).map(({ ahead }) => ahead)).toEqual([
      [],
      iids.slice(1, 2),
      iids.slice(1, 3),
      iids.slice(1, 4),
      iids.slice(1, 5),
    ]);
    // In whatever order they end.
    for (const build of [...others].reverse()) {
      expect(await build.report()).toBe(0);
      expect([0, exitCode.queued]).toContain(await build.merge());
    }
    expect(await Promise.all(iids.map(stateOf))).toEqual(iids.map(() => 'merged'));
    // Main was what was tested, each time.
    const green = new Set(tested.map(({ tree }) => tree));
    expect((await mainTrees()).filter((tree) => !green.has(tree))).toEqual([]);
    // Those whom another's build merged have a note that says so, with their own certificate.
    for (const iid of iids) {
      const { body = '' } = (await noteOf(iid)) ?? {};
      expect(body).toMatch(/\| Then \| merged as/);
      const reading = readNote(body, KEY);
      expect('certificate' in reading && reading.certificate.mergeRequest).toBe(iid);
    }
  },
);

it('two that pass alone and break together: the first is merged, the second taken out with its reason', async () => {
  together = [['one.txt', 'two.txt']];
  const one = await opened('one');
  const two = await opened('two');
  const [first, second] = [new Build(one), new Build(two)];
  for (const build of [first, second]) expect(await build.upToReport()).toBe(0);
  expect(await first.merge()).toBe(0);
  expect(await second.merge()).toBe(exitCode.again);
  expect(await second.run()).toBe(exitCode.red);
  expect([await stateOf(one), await stateOf(two)]).toEqual(['merged', 'opened']);
  expect(await statusOf(two)).toMatchObject({
    status: 'failed',
    description: '1 of 1 tests failed: Orders.one.txt and two.txt',
  });
  expect((await noteOf(two))?.body).toContain('taken out of the merge queue');
  expect(await mainFiles()).not.toContain('two.txt');
  // Started again, it is tested as a new one, and its red is its own.
  expect(await new Build(two).run()).toBe(exitCode.red);
  expect(await stateOf(two)).toBe('opened');
});

it('the note says what is tested on what while that goes on, and keeps the verdict by which it queues', async () => {
  const iids = [await opened('first'), await opened('second'), await opened('third')];
  const [first, second, third] = iids.map((iid) => new Build(iid)) as [Build, Build, Build];
  /** The row of the queue, as people see it. */
  const row = async (iid: number) =>
    /^\| Queue \| (.*) \|$/m
      .exec((await noteOf(iid))?.body ?? '')?.[1]
      ?.replace(/&#(\d+);(<span><\/span>)?/g, (_, code) => String.fromCodePoint(Number(code)));
  for (const build of [first, second, third]) expect(await build.upToReport()).toBe(0);
  expect(await row(second.iid)).toBe('its tests have ended; its build decides now what comes of them');
  expect(await first.merge()).toBe(0);
  const main = (await world.context.gitlab.branchHead(PROJECT, 'main')).slice(0, 12);
  for (const build of [second, third]) expect(await build.merge()).toBe(exitCode.again);
  expect(await row(second.iid)).toBe('place 1 of 2; to be tested with the target branch as it is');
  expect(await row(third.iid)).toBe(`place 2 of 2; to be tested with !${second.iid}`);
  for (const build of [second, third]) expect(await build.source()).toBe(0);
  const head = async (iid: number) => (await headOf(iid)).slice(0, 12);
  expect(await row(second.iid)).toBe(
    `place 1 of 2; its tests run now, of ${await head(second.iid)} merged into main at ${main} ([build](${second.url}))`,
  );
  expect(await row(third.iid)).toBe(
    `place 2 of 2; its tests run now, of ${await head(third.iid)} merged into main at ${main} with !${second.iid} ([build](${third.url}))`,
  );
  expect((await noteOf(third.iid))?.body).toContain('1 tests passed');
  // It queues on by it, though it is edited.
  expect(await third.watch()).toBeUndefined();
  // What GitLab does not take stops nothing.
  const { gitlab } = world.context;
  const edit = gitlab.editNote;
  gitlab.editNote = () => Promise.reject(new GitLabError(502, '', 'GitLab: PUT notes answered 502.'));
  expect(await second.source()).toBe(0);
  gitlab.editNote = edit;
  second.test();
  expect(await second.report()).toBe(0);
  expect(await second.merge()).toBe(0);
  expect(await row(second.iid)).toBeUndefined();
});

it('a note that GitLab does not take keeps no status from being posted', async () => {
  together = [['first.txt', 'red.txt']];
  const iids = [await opened('first'), await opened('red'), await opened('last')];
  const [first, red, last] = iids.map((iid) => new Build(iid)) as [Build, Build, Build];
  for (const build of [first, red, last]) expect(await build.upToReport()).toBe(0);
  expect(await first.merge()).toBe(0);
  for (const build of [red, last]) {
    expect(await build.merge()).toBe(exitCode.again);
    expect(await build.source()).toBe(0);
    build.test();
  }
  expect(await last.report()).toBe(exitCode.queued);
  const { gitlab } = world.context;
  const cut = new GitLabError(502, '', 'GitLab: PUT notes answered 502.');
  const edit = gitlab.editNote;
  gitlab.editNote = () => Promise.reject(cut);
  expect(await last.merge()).toBe(exitCode.red);
  expect(await statusOf(last.iid)).toMatchObject({
    status: 'running',
    description: expect.stringMatching(/^in the queue: place 2 of 2/),
  });
  gitlab.editNote = edit;
  expect(await red.report()).toBe(exitCode.queued);
  gitlab.editNote = () => Promise.reject(cut);
  expect(await red.merge()).toBe(exitCode.red);
  expect(await statusOf(red.iid)).toMatchObject({
    status: 'failed',
    description: '1 of 1 tests failed: Orders.first.txt and red.txt',
  });
  gitlab.editNote = edit;
});

nightly(
  'a culprit in the middle of five costs those behind it one more test, and nobody before it',
  async () => {
    together = [['p.txt', 'r.txt']];
    const iids: number[] = [];
    for (const name of ['p', 'q', 'r', 's', 't']) iids.push(await opened(name));
    const builds = iids.map((iid) => new Build(iid));
    for (const build of builds) expect(await build.upToReport()).toBe(0);
    const [a, ...others] = builds;
    expect(await a?.merge()).toBe(0);
    for (const build of others) expect(await build.merge()).toBe(exitCode.again);
    const [b, c, d, e] = others as [Build, Build, Build, Build];
    for (const build of others) expect(await build.source()).toBe(0);
    for (const build of others) build.test();
    // The red one comes back first: it is red on what is not merged, and waits; those behind it go on without it at once.
    expect(await c.report()).toBe(exitCode.queued);
    expect(await c.merge()).toBe(exitCode.queued);
    expect(await statusOf(c.iid)).toMatchObject({ status: 'running' });
    expect(await d.report()).toBe(exitCode.queued);
    expect(await d.merge()).toBe(exitCode.again);
    expect(await d.source()).toBe(0);
    d.test();
    expect(tested.at(-1)).toMatchObject({ iid: d.iid, green: true, ahead: [b.iid] });
    expect(await b.report()).toBe(0);
    // b is merged, and with it c is first and red: taken out, by the build of b.
    expect(await b.merge()).toBe(0);
    expect(await statusOf(c.iid)).toMatchObject({ status: 'failed' });
    expect(await d.report()).toBe(0);
    expect(await d.merge()).toBe(0);
    expect(await e.report()).toBe(exitCode.queued);
    expect(await e.merge()).toBe(exitCode.again);
    expect(await e.run()).toBe(0);
    expect(await Promise.all(iids.map(stateOf))).toEqual(['merged', 'merged', 'opened', 'merged', 'merged']);
    const often = iids.map((iid) => tested.filter((one) => one.iid === iid).length);
    expect(often).toEqual([1, 2, 2, 3, 3]);
  },
);

it('the label puts one first, whoever was ready before it, and its note says who did', async () => {
  const [one, two] = [await opened('one'), await opened('two')];
  const [first, second] = [new Build(one), new Build(two)];
  for (const build of [first, second]) expect(await build.upToReport()).toBe(0);
  const project = `/projects/${encodeURIComponent(PROJECT)}`;
  await world.api('POST', `${project}/labels`, { name: FIRST_LABEL, color: '#d9534f' });
  await world.api('PUT', `${project}/merge_requests/${two}`, { add_labels: FIRST_LABEL });
  // The one that was first finds that it is not any more.
  expect(await first.merge()).toBe(exitCode.again);
  expect([await stateOf(one), await stateOf(two)]).toEqual(['opened', 'merged']);
  expect((await noteOf(two))?.body).toContain('| Order | put first by root, by the label switchyard');
  const reading = readNote((await noteOf(two))?.body ?? '', KEY);
  expect('certificate' in reading && reading.certificate.gate?.first).toBe('root');
  expect((await noteOf(one))?.body).not.toContain('| Order |');
});

describe('a test that nobody waits for', () => {
  it('of a new head stops for a newer commit and a closed merge request only, and its status ends', async () => {
    const iid = await opened('one');
    const build = new Build(iid);
    expect(await build.source()).toBe(0);
    const head = await headOf(iid);
    expect(await build.watch()).toBeUndefined();
    // Its author waits for the answer, whatever becomes of main.
    await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
    expect(await build.watch()).toBeUndefined();
    await world.push('one', { 'newer.txt': 'x\n' }, 'origin/one');
    expect(await build.watch()).toEqual({
      code: exitCode.nothing,
      why: 'a newer commit has its own build',
    });
    expect((await world.statuses(head)).at(-1)).toMatchObject({
      status: 'canceled',
      description: 'a newer commit has its own build',
    });
    const newer = new Build(iid);
    expect(await newer.source()).toBe(0);
    await world.api('PUT', `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${iid}`, {
      state_event: 'close',
    });
    expect(await newer.watch()).toMatchObject({
      code: exitCode.nothing,
      why: 'the merge request is closed',
    });
    expect(await statusOf(iid)).toMatchObject({ status: 'canceled' });
  });

  nightly('in the queue stops as soon as another tree is to be tested, and not before', async () => {
    together = [['p.txt', 'q.txt']];
    const iids: number[] = [];
    for (const name of ['p', 'q', 'r', 's']) iids.push(await opened(name));
    const builds = iids.map((iid) => new Build(iid));
    for (const build of builds) expect(await build.upToReport()).toBe(0);
    const [a, b, c, d] = builds as [Build, Build, Build, Build];
    expect(await a.merge()).toBe(0);
    for (const build of [b, c, d]) {
      expect(await build.merge()).toBe(exitCode.again);
      expect(await build.source()).toBe(0);
    }
    for (const build of [b, c, d]) expect(await build.watch()).toBeUndefined();
    // b is red on what is merged, and is taken out: all behind it are tested without it.
    b.test();
    expect(await b.report()).toBe(exitCode.queued);
    expect(await c.watch()).toEqual({
      code: exitCode.again,
      why: `place 2 of 3; to be tested with the target branch as it is`,
    });
    expect(await statusOf(c.iid)).toMatchObject({ status: 'canceled' });
    expect((await statusOf(c.iid))?.description).toMatch(/^goes on: place 2 of 3/);
    expect(await b.merge()).toBe(exitCode.red);
    expect(await d.watch()).toMatchObject({ code: exitCode.again });
    // The round after it: the right ones, by the same builds.
    expect(await c.source()).toBe(0);
    expect(await d.source()).toBe(0);
    expect(await statusOf(c.iid)).toMatchObject({ status: 'running' });
    for (const build of [c, d]) expect(await build.watch()).toBeUndefined();
    c.test();
    expect(await c.report()).toBe(0);
    expect(await c.merge()).toBe(0);
    // Main has moved to where its tree is the same: git is not even asked.
    const before = existsSync(d.watched);
    expect(await d.watch()).toBeUndefined();
    expect(existsSync(d.watched)).toBe(before);
    d.test();
    expect(await d.report()).toBe(0);
    expect(await d.merge()).toBe(0);
    expect(await Promise.all(iids.map(stateOf))).toEqual(['merged', 'opened', 'merged', 'merged']);
    expect(tested.filter(({ iid }) => iid === d.iid)).toHaveLength(2);
  });

  it('in the queue goes on while git says that it gives the same tree, and while a person only has to undo a draft', async () => {
    const [one, two] = [await opened('one'), await opened('two')];
    const [first, second] = [new Build(one), new Build(two)];
    for (const build of [first, second]) expect(await build.upToReport()).toBe(0);
    expect(await first.merge()).toBe(0);
    expect(await second.merge()).toBe(exitCode.again);
    expect(await second.source()).toBe(0);
    // By its name it is another main; its tree is the same.
    await world.git('fetch', '--quiet', 'origin');
    await world.git('checkout', '--quiet', '--detach', 'origin/main');
    await world.git('commit', '--quiet', '--allow-empty', '-m', 'nothing');
    await world.git('push', '--quiet', 'origin', 'HEAD:refs/heads/main');
    expect(await second.watch()).toBeUndefined();
    expect(existsSync(second.watched)).toBe(true);
    const path = `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${two}`;
    await world.api('PUT', path, { title: 'Draft: two' });
    expect(await second.watch()).toBeUndefined();
    await world.api('PUT', path, { title: 'two' });
    await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
    expect(await second.watch()).toMatchObject({
      code: exitCode.again,
      why: expect.stringContaining('the target branch was pushed to'),
    });
    expect(await second.source()).toBe(0);
    // Its author is told, too, in the note as long as it is tested again.
    expect((await noteOf(two))?.body).toMatch(/\| Queue \| .*the target branch was pushed to/);
    second.test();
    expect(await second.report()).toBe(0);
    expect(await second.merge()).toBe(0);
    expect(await stateOf(two)).toBe('merged');
  });

  it('leaves a status that another build has posted since', async () => {
    const iid = await opened('one');
    const build = new Build(iid);
    expect(await build.source()).toBe(0);
    const head = await headOf(iid);
    const other = { ref: 'one', targetUrl: 'http://jenkins.example/job/switchyard/job/orders/4711/' };
    await world.context.gitlab.setStatus(PROJECT, head, { ...other, state: 'success', description: 'other' });
    await world.push('one', { 'newer.txt': 'x\n' }, 'origin/one');
    expect(await build.watch()).toMatchObject({ code: exitCode.nothing });
    expect((await world.statuses(head)).at(-1)).toMatchObject({ status: 'success', description: 'other' });
  });
});

nightly(
  'a build that is killed between its report and its merge leaves what the next one, of whatever merge request, goes on with',
  async () => {
    const one = await opened('one');
    const two = await opened('two');
    expect(await new Build(one).upToReport()).toBe(0);
    const second = new Build(two);
    expect(await second.upToReport()).toBe(0);
    // Merges the first one by its own certificate, and is then to be tested on it.
    expect(await second.merge()).toBe(exitCode.again);
    expect(await stateOf(one)).toBe('merged');
    expect(await second.run()).toBe(0);
    // A build of what is merged has nothing to do, and leaves its note.
    expect(await new Build(one).run()).toBe(exitCode.nothing);
    expect((await noteOf(one))?.body).toMatch(/\| Then \| merged as/);
  },
);

nightly('one that was red behind others is tested again when those are taken out, and merged', async () => {
  together = [['q.txt', 'r.txt']];
  const [a, b, c] = [await opened('p'), await opened('q'), await opened('r')];
  const builds = [new Build(a), new Build(b), new Build(c)] as const;
  for (const build of builds) expect(await build.upToReport()).toBe(0);
  expect(await builds[0].merge()).toBe(0);
  for (const build of builds.slice(1)) expect(await build.merge()).toBe(exitCode.again);
  expect(await builds[2].source()).toBe(0);
  builds[2].test();
  expect(await builds[2].report()).toBe(exitCode.queued);
  expect(await builds[2].merge()).toBe(exitCode.queued);
  // What it was red with gets a newer commit.
  await world.push('q', { 'q.txt': undefined, 'other.txt': 'x\n' }, 'origin/q');
  expect(await new Build(c).run()).toBe(0);
  expect(await stateOf(c)).toBe('merged');
});

describe('what stands in the queue by nobody’s leave', () => {
  it('a note of somebody else, one signed by another key, and one of an older head count for nothing', async () => {
    const iid = await opened('forged');
    const build = new Build(iid);
    expect(await build.upToReport()).toBe(0);
    const gate: Gate = { project: PROJECT, mergeRequest: iid, most: 8, proof: PROOF, folder: folder() };
    expect(await isInQueue(world.context, gate)).toBe(true);
    const note = await noteOf(iid);
    const reading = readNote(note?.body ?? '', KEY);
    if (!('certificate' in reading)) throw new Error('no certificate');
    const { certificate } = reading;
    const edit = (body: string) => world.context.gitlab.editNote(PROJECT, iid, note?.id ?? 0, body);
    const progress = { state: 'queued', place: 'x' } as const;
    await edit(renderNote(certificate, progress, `another-${KEY}`));
    expect(await isInQueue(world.context, gate)).toBe(false);
    expect(await turnOf(world.context, gate)).toEqual({ do: 'test' });
    // Another's merge passes it by as well.
    const other = new Build(await opened('honest'));
    expect(await other.run()).toBe(0);
    expect(await stateOf(iid)).toBe('opened');

    await edit(renderNote(certificate, progress, KEY));
    expect(await isInQueue(world.context, gate)).toBe(true);
    for (const proof of [
      { ...PROOF, policy: 'reviewed' as const },
      { ...PROOF, declared: '1'.repeat(64) },
      { ...PROOF, registry: 'elsewhere.example' },
      { ...PROOF, module: 'billing' },
    ])
      expect(await isInQueue(world.context, { ...gate, proof })).toBe(false);

    const path = `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${iid}/notes`;
    await world.api('DELETE', `${path}/${note?.id}`);
    await world.api('POST', path, { body: renderNote(certificate, progress, KEY) });
    expect(await isInQueue(world.context, gate)).toBe(false);
    await world.api('DELETE', `${path}/${(await noteOf(iid))?.id}`);

    const again = new Build(iid);
    expect(await again.upToReport()).toBe(0);
    await world.push('forged', { 'newer.txt': 'x\n' }, 'origin/forged');
    expect(await isInQueue(world.context, gate)).toBe(false);
    expect(await again.merge()).not.toBe(0);
    expect(await stateOf(iid)).toBe('opened');
  });

  it('what waits for an approval is merged with it, by the next build; one that was started for nothing leaves it waiting', async () => {
    const reviewed = { proof: { ...PROOF, policy: 'reviewed' as const } };
    const ben = await person('ben');
    const [a, b] = [await opened('a'), await opened('b')];
    for (const iid of [a, b]) {
      const build = new Build(iid, reviewed);
      expect(await build.upToReport()).toBe(0);
      expect(await build.merge()).toBe(exitCode.nothing);
      expect(await statusOf(iid)).toMatchObject({ status: 'pending' });
    }
    await ben('POST', `/merge_requests/${b}/approve`);
    // As the reconciler starts them.
    for (const iid of [a, b]) {
      const { source_branch: ref } = await world.context.gitlab.mergeRequest(PROJECT, iid);
      const status = {
        state: 'pending',
        ref,
        targetUrl: 'http://jenkins.example/',
        description: `${STARTED}x`,
      } as const;
      await postBegun(world.context.gitlab, PROJECT, await headOf(iid), status);
    }
    const [ofA, ofB] = [new Build(a, reviewed), new Build(b, reviewed)];
    expect(await ofA.source()).toBe(exitCode.tested);
    expect(await ofA.merge()).toBe(exitCode.nothing);
    expect(await statusOf(a)).toMatchObject({ status: 'pending', description: 'waits for an approval' });
    expect(await ofB.source()).toBe(exitCode.tested);
    expect(await ofB.merge()).toBe(0);
    expect([await stateOf(a), await stateOf(b)]).toEqual(['opened', 'merged']);
    expect(tested.map(({ iid }) => iid)).toEqual([a, b]);
  });

  it('a force-push between two reads: nothing untested is merged, and those behind go on', async () => {
    const [a, b] = [await opened('a'), await opened('b')];
    const [first, second] = [new Build(a), new Build(b)];
    for (const build of [first, second]) expect(await build.upToReport()).toBe(0);
    // The moment after the list was read.
    const { gitlab } = world.context;
    const ask = gitlab.lockedMergeRequests.bind(gitlab);
    let pushed = false;
    gitlab.lockedMergeRequests = async (...given) => {
      const answer = await ask(...given);
      if (!pushed) {
        pushed = true;
        await world.git('fetch', '--quiet', 'origin');
        await world.git('checkout', '--quiet', '-B', 'a', 'origin/main');
        await world.git('commit', '--quiet', '--allow-empty', '-m', 'rewritten');
        await world.git('push', '--quiet', '--force', 'origin', 'HEAD:refs/heads/a');
      }
      return answer;
    };
    const ended = await second.merge();
    gitlab.lockedMergeRequests = ask;
    expect([0, exitCode.again]).toContain(ended);
    if (ended === exitCode.again) expect(await second.run()).toBe(0);
    expect([await stateOf(a), await stateOf(b)]).toEqual(['opened', 'merged']);
    const green = new Set(tested.map(({ tree }) => tree));
    expect((await mainTrees()).filter((tree) => !green.has(tree))).toEqual([]);
  });

  nightly(
    'a draft is left to people as ever, a dependency is waited for, and a circle or a dead one is told',
    async () => {
      const need = await opened('need', { title: 'Draft: need' });
      const waits = await opened('waits', { description: `Depends-On: !${need}` });
      expect(await new Build(need).run()).toBe(exitCode.nothing);
      expect((await noteOf(need))?.body).toContain('is a draft');
      expect(await new Build(waits).run()).toBe(exitCode.queued);
      expect(await stateOf(waits)).toBe('opened');
      expect((await statusOf(waits))?.description).toContain('which does not queue');
      await world.api('PUT', `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${need}`, {
        title: 'need',
      });
      expect(await new Build(need).run()).toBe(0);
      expect(await new Build(waits).run()).toBe(0);

      const dead = await opened('dead', { description: 'Depends-On: !4711' });
      expect(await new Build(dead).run()).toBe(exitCode.queued);
      expect((await statusOf(dead))?.description).toContain('none that queues here');
      const circle = await opened('circle');
      await world.api('PUT', `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${circle}`, {
        description: `Depends-On: !${circle}`,
      });
      expect(await new Build(circle).run()).toBe(exitCode.queued);
      expect((await statusOf(circle))?.description).toContain('depends on itself');
    },
  );
});

it('a dependency of another project is waited for without a build, and merged after it; closed, or in a circle, it is told', async () => {
  const group = await world.api('GET', '/groups/switchyard');
  const about = { name: 'billing', path: 'billing', namespace_id: group.id, default_branch: 'main' };
  await world.api('POST', '/projects', about);
  const billing = `/projects/${encodeURIComponent('switchyard/billing')}`;
  const commit = (branch: string, file: string, more: object = {}) =>
    world.api('POST', `${billing}/repository/commits`, {
      ...more,
      branch,
      commit_message: file,
      actions: [{ action: 'create', file_path: file, content: 'x' }],
    });
  await commit('main', 'first.txt');
  const other = async (name: string, description = '') => {
    await commit(name, `${name}.txt`, { start_branch: 'main' });
    const wanted = { source_branch: name, target_branch: 'main', title: name, description };
    return (await world.api('POST', `${billing}/merge_requests`, wanted)).iid;
  };
  const [needed, dead] = [await other('needed'), await other('dead')];
  const dependent = (on: number) => ({ description: `Depends-On: switchyard/billing!${on}` });
  const waits = await opened('waits', dependent(needed));
  const build = new Build(waits);
  expect(await build.upToReport()).toBe(0);
  expect(await build.merge()).toBe(exitCode.queued);
  const status = {
    status: 'running',
    description: `in the queue: held: it waits for switchyard/billing!${needed}, which is not merged yet`,
  };
  expect(await statusOf(waits)).toMatchObject(status);
  // A build that is started meanwhile does no more, and others pass by.
  expect(await new Build(waits).run()).toBe(exitCode.queued);
  expect(await new Build(await opened('passes-by')).run()).toBe(0);
  // The reconciler sees by itself that nothing is due, and then that something is.
  const due = async () => [
    ...(
      await askTurns(world.context.gitlab, world.url, PROJECTS)({ project: PROJECT, branch: 'main', most: 8 })
    ).keys(),
  ];
  expect(await due()).toEqual([]);
  const first = (): Promise<{ detailed_merge_status?: string; sha?: string }> =>
    world.api('GET', `${billing}/merge_requests/${needed}`);
  while ((await first()).detailed_merge_status !== 'mergeable') await sleep(20);
  await world.api('PUT', `${billing}/merge_requests/${needed}/merge`, { sha: (await first()).sha });
  expect(await due()).toEqual([waits]);
  expect(await new Build(waits).run()).toBe(0);
  expect(await stateOf(waits)).toBe('merged');

  const late = await opened('late', dependent(dead));
  await world.api('PUT', `${billing}/merge_requests/${dead}`, { state_event: 'close' });
  expect(await new Build(late).run()).toBe(exitCode.queued);
  expect((await statusOf(late))?.description).toBe(
    `in the queue: held: it depends on switchyard/billing!${dead}, which is closed`,
  );
  const round = await opened('round');
  const back = await other('back', `Depends-On: ${PROJECT}!${round}`);
  const path = `/projects/${encodeURIComponent(PROJECT)}/merge_requests/${round}`;
  await world.api('PUT', path, dependent(back));
  expect(await new Build(round).run()).toBe(exitCode.queued);
  expect((await statusOf(round))?.description).toContain(
    `it depends on itself: ${PROJECT}!${round} → switchyard/billing!${back} → ${PROJECT}!${round}`,
  );
  expect((await noteOf(round))?.body).toContain('it depends on itself');
});

nightly('a direct push to main: all are tested on it, and merged', async () => {
  const [a, b] = [await opened('a'), await opened('b')];
  const [first, second] = [new Build(a), new Build(b)];
  for (const build of [first, second]) expect(await build.upToReport()).toBe(0);
  await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
  expect(await first.merge()).toBe(exitCode.again);
  expect(await second.merge()).toBe(exitCode.again);
  expect(await second.upToReport()).toBe(0);
  expect(await second.merge()).toBe(exitCode.queued);
  expect(await first.run()).toBe(0);
  expect([await stateOf(a), await stateOf(b)]).toEqual(['merged', 'merged']);
  expect(tested).toHaveLength(4);
});

nightly(
  'tests that end without a verdict take nobody out and leave the verdict before; the third time in a row they are red',
  async () => {
    const build = await testedAgain('flaky');
    const { iid } = build;
    build.test('none');
    expect(await build.report()).toBe(exitCode.brokeOff);
    expect(await statusOf(iid)).toMatchObject({
      status: 'canceled',
      description: expect.stringContaining(BROKE_OFF),
    });
    expect((await noteOf(iid))?.body).toContain('1 tests passed');
    // Too early: it waits a while.
    expect(await new Build(iid).source()).toBe(exitCode.queued);
    expect((await statusOf(iid))?.description).toContain('broke off once');
    // The reconciler's word on a build that died.
    const words = { ref: 'flaky', description: `${BROKE_OFF}its build ended without a word` };
    await world.context.gitlab.setStatus(PROJECT, await headOf(iid), { ...words, state: 'canceled' });
    await world.context.gitlab.setStatus(PROJECT, await headOf(iid), {
      ref: 'flaky',
      description: 'x',
      state: 'running',
    });
    expect(await build.report()).toBe(exitCode.queued);
    expect((await noteOf(iid))?.body).toContain('the tests did not run to their end');
    expect(await build.merge()).toBe(exitCode.red);
    expect((await noteOf(iid))?.body).toContain('taken out of the merge queue');
  },
);

it('what the infrastructure does takes nobody out, however often', async () => {
  const build = await testedAgain('unlucky');
  const { iid } = build;
  for (let times = 1; times < 8; times++) {
    build.test('lost');
    expect(await build.report()).toBe(exitCode.brokeOff);
    expect(await statusOf(iid)).toMatchObject({
      status: 'canceled',
      description: `${BROKE_OFF}the test Pod was lost: it was taken away (NodeShutdown)`,
    });
    const running = { ref: 'unlucky', description: `again ${times}`, state: 'running' as const };
    await world.context.gitlab.setStatus(PROJECT, await headOf(iid), running);
  }
  build.test();
  expect(await build.report()).toBe(0);
  expect(await build.merge()).toBe(0);
  expect(await stateOf(iid)).toBe('merged');
});

describe('a test Pod that was removed while its tests ran', () => {
  const LOST = `the test Pod was lost: ${REMOVED}`;
  const goesOn = async (iid: number, description: string) =>
    world.context.gitlab.setStatus(PROJECT, await headOf(iid), {
      ref: 'unlucky',
      description,
      state: 'running',
    });

  it('is tried again twice before anybody is red, with nobody to blame, and then told to people', async () => {
    const iid = await opened('unlucky');
    const build = new Build(iid);
    expect(await build.source()).toBe(0);
    for (const times of [1, 2]) {
      build.test('removed');
      expect(await build.report(true)).toBe(exitCode.brokeOff);
      expect(await statusOf(iid)).toMatchObject({ status: 'canceled', description: `${BROKE_OFF}${LOST}` });
      const { body = '' } = (await noteOf(iid)) ?? {};
      expect(body).toContain('**Switchyard: not tested yet**');
      expect(body).toContain(`| Again | by itself (${times} of 3 times so far)`);
      // What broke off otherwise in between is another matter.
      await goesOn(iid, `again ${times}`);
      build.test('lost');
      expect(await build.report(true)).toBe(exitCode.brokeOff);
      await goesOn(iid, `once more ${times}`);
    }
    build.test('removed');
    expect(await build.report(true)).toBe(exitCode.red);
    expect(await statusOf(iid)).toMatchObject({ status: 'failed', description: LOST });
    expect((await noteOf(iid))?.body).toContain(
      '| Again | not by itself: find out what removes its test Pods',
    );
    expect(await stateOf(iid)).toBe('opened');
  });

  it('and was tested whole in between, begins anew', async () => {
    const iid = await opened('unlucky');
    const build = new Build(iid);
    expect(await build.source()).toBe(0);
    for (let round = 0; round < 2; round++) {
      for (const times of [1, 2]) {
        build.test('removed');
        expect(await build.report(true)).toBe(exitCode.brokeOff);
        await goesOn(iid, `again ${round} ${times}`);
      }
      const about = { ref: 'unlucky', description: 'red for another reason', state: 'failed' as const };
      await world.context.gitlab.setStatus(PROJECT, await headOf(iid), about);
      await goesOn(iid, `anew ${round}`);
    }
  });

  it('in the queue takes nobody out at once: its verdict stays, and the third time in a row it is told', async () => {
    const build = await testedAgain('unlucky');
    const { iid } = build;
    for (const times of [1, 2]) {
      build.test('removed');
      expect(await build.report(true)).toBe(exitCode.brokeOff);
      expect(await statusOf(iid)).toMatchObject({ status: 'canceled', description: `${BROKE_OFF}${LOST}` });
      expect((await noteOf(iid))?.body).toContain('1 tests passed');
      await goesOn(iid, `again ${times}`);
    }
    build.test('removed');
    expect(await build.report(true)).toBe(exitCode.queued);
    expect(await build.merge()).toBe(exitCode.red);
    expect(await statusOf(iid)).toMatchObject({ status: 'failed', description: LOST });
    const { body = '' } = (await noteOf(iid)) ?? {};
    expect(body).toContain('taken out of the merge queue');
    expect(body).toContain('| Again | not by itself');
  });

  it('is red at once where no reconciler starts it again', async () => {
    const iid = await opened('unlucky');
    const build = new Build(iid);
    expect(await build.source()).toBe(0);
    build.test('removed');
    expect(await build.report()).toBe(exitCode.red);
    expect(await statusOf(iid)).toMatchObject({ status: 'failed', description: LOST });
  });
});

it('where GitLab makes no merge commits nothing is tested ahead of its turn', async () => {
  await world.api('PUT', `/projects/${encodeURIComponent(PROJECT)}`, { merge_method: 'ff' });
  const iid = await opened('ff');
  const build = new Build(iid);
  expect(await build.upToReport()).toBe(0);
  expect(
    await turnOf(world.context, {
      project: PROJECT,
      mergeRequest: iid,
      most: 8,
      proof: PROOF,
      folder: folder(),
    }),
  ).toEqual({
    do: 'test',
  });
});

describe('where GitLab makes no merge commits and the bot rebases who is first', () => {
  const project = `/projects/${encodeURIComponent(PROJECT)}`;
  const rebases = { rebases: true };

  it.each(['ff', 'rebase_merge'])(
    '%s: who is first is rebased, and merged as the tested tree',
    async (method) => {
      await world.api('PUT', project, { merge_method: method });
      const iids = [await opened('one'), await opened('two')];
      const [one, two] = iids.map((iid) => new Build(iid, rebases)) as [Build, Build];
      for (const build of [one, two]) expect(await build.upToReport()).toBe(0);
      // It merges the first by that one's certificate, and is tested on it then.
      expect(await two.merge()).toBe(exitCode.again);
      const old = await headOf(two.iid);
      expect(await one.run()).toBe(exitCode.nothing);
      expect(await two.run()).toBe(0);
      expect(await Promise.all(iids.map(stateOf))).toEqual(['merged', 'merged']);
      const head = await headOf(two.iid);
      expect(head).not.toBe(old);
      // Main's trees are those that were tested, and the certificate is of the head that was merged.
      const green = new Set(tested.map(({ tree }) => tree));
      expect((await mainTrees()).filter((tree) => !green.has(tree))).toEqual([]);
      const reading = readNote((await noteOf(two.iid))?.body ?? '', KEY);
      expect('certificate' in reading && reading.certificate).toMatchObject({
        headSha: head,
        rebasedFrom: old,
      });
      expect((await noteOf(two.iid))?.body).toContain(`| Rebased | by the bot, from ${old.slice(0, 12)}`);
      expect((await world.statuses(old)).at(-1)).toMatchObject({
        status: 'canceled',
        description: expect.stringMatching(/^goes on: rebased as /),
      });
      expect(await statusOf(two.iid)).toMatchObject({ status: 'success' });
      // The build that the rebase's hook starts has nothing to do.
      expect(await new Build(two.iid, rebases).run()).toBe(exitCode.nothing);
      expect(tested.filter(({ iid }) => iid === two.iid).length).toBeLessThanOrEqual(2);
    },
  );

  nightly(
    'what was tested on others that were not merged is rebased on them, and not tested again',
    async () => {
      await world.api('PUT', project, { merge_method: 'ff' });
      const iids: number[] = [];
      for (const name of ['p', 'q', 'r']) iids.push(await opened(name));
      await mergeThree(iids, rebases);
    },
  );

  nightly(
    'a head that is not what was tested after the rebase is not merged, and has its own build',
    async () => {
      await world.api('PUT', project, { merge_method: 'ff' });
      const iid = await opened('moves');
      const build = new Build(iid, rebases);
      expect(await build.upToReport()).toBe(0);
      const old = await headOf(iid);
      await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
      expect(await build.merge()).toBe(exitCode.again);
      expect(await build.upToReport()).toBe(0);
      const { gitlab } = world.context;
      const rebase = gitlab.rebase.bind(gitlab);
      gitlab.rebase = async () => {
        await world.push('moves', { 'more.txt': 'x\n' }, 'origin/moves');
      };
      expect(await build.merge()).toBe(exitCode.nothing);
      gitlab.rebase = rebase;
      expect(await stateOf(iid)).toBe('opened');
      expect((await world.statuses(old)).at(-1)).toMatchObject({
        status: 'canceled',
        description: expect.stringContaining('which is not what was tested'),
      });
      expect(await new Build(iid, rebases).run()).toBe(0);
      expect(await stateOf(iid)).toBe('merged');
    },
  );

  nightly('what merges and cannot be rebased is left to people', async () => {
    await world.api('PUT', project, { merge_method: 'ff' });
    // Its two commits take back each other; main changes the same line.
    await world.push('main', { 'line.txt': 'one\n' }, 'origin/main');
    await world.push('undoes', { 'line.txt': 'two\n', 'own.txt': 'x\n' }, 'origin/main');
    await world.push('undoes', { 'line.txt': 'one\n' }, 'origin/undoes');
    const iid = await world.open('undoes');
    const build = new Build(iid, rebases);
    expect(await build.upToReport()).toBe(0);
    await world.push('main', { 'line.txt': 'three\n' }, 'origin/main');
    expect(await build.merge()).toBe(exitCode.again);
    expect(await build.upToReport()).toBe(0);
    expect(await build.merge()).toBe(exitCode.nothing);
    expect(await stateOf(iid)).toBe('opened');
    expect((await noteOf(iid))?.body).toContain('GitLab did not rebase it');
    expect(await statusOf(iid)).toMatchObject({ status: 'success' });
  });
});

describe('where the bot rebases what people let through', () => {
  const project = `/projects/${encodeURIComponent(PROJECT)}`;
  const reviewed = { rebases: true, proof: { ...PROOF, policy: 'reviewed' as const } };
  const letIn = { rebases: true, proof: { ...PROOF, policy: 'manual' as const } };

  /** One that is green on an older main, as GitLab does not merge it. */
  async function outdated(name: string, more: Partial<Gate>): Promise<{ iid: number; build: Build }> {
    await world.api('PUT', project, { merge_method: 'ff' });
    const iid = await opened(name);
    const build = new Build(iid, more);
    expect(await build.upToReport()).toBe(0);
    expect(await build.merge()).toBe(exitCode.nothing);
    await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
    return { iid, build };
  }
  /** Likewise of what nobody has to let through. */
  async function moved(name: string, more: Partial<Gate>): Promise<number> {
    await world.api('PUT', project, { merge_method: 'ff' });
    const iid = await opened(name);
    const build = new Build(iid, more);
    expect(await build.upToReport()).toBe(0);
    await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
    expect(await build.merge()).toBe(exitCode.again);
    return iid;
  }
  const certificateOf = async (iid: number): Promise<Certificate> => {
    const reading = readNote((await noteOf(iid))?.body ?? '', KEY);
    if (!('certificate' in reading)) throw new Error('no certificate');
    return reading.certificate;
  };

  it('an approval stands for what the bot made of the commit it was given for, and main has the tested tree', async () => {
    const ben = await person('ben');
    const { iid } = await outdated('reviewed', reviewed);
    expect(await statusOf(iid)).toMatchObject({ status: 'pending' });
    const old = await headOf(iid);
    await ben('POST', `/merge_requests/${iid}/approve`);
    expect(await new Build(iid, reviewed).run()).toBe(0);
    expect(await stateOf(iid)).toBe('merged');
    const head = await headOf(iid);
    expect(head).not.toBe(old);
    expect(await certificateOf(iid)).toMatchObject({
      headSha: head,
      rebasedFrom: old,
      gate: { given: { of: old } },
    });
    const green = new Set(tested.map(({ tree }) => tree));
    expect((await mainTrees()).slice(0, 1).filter((tree) => !green.has(tree))).toEqual([]);
    expect(await statusOf(iid)).toMatchObject({
      status: 'success',
      description: expect.stringContaining('approved'),
    });
  });

  it('what somebody else pushes in that moment, though it is the very tree, waits for an approval of its own', async () => {
    const ben = await person('ben');
    const { iid } = await outdated('forged', reviewed);
    await ben('POST', `/merge_requests/${iid}/approve`);
    const build = new Build(iid, reviewed);
    expect(await build.upToReport()).toBe(0);
    const { gitlab } = world.context;
    const rebase = gitlab.rebase.bind(gitlab);
    gitlab.rebase = async () => {
      await world.git('fetch', '--quiet', 'origin');
      await world.git('checkout', '--quiet', '-B', 'forged', 'origin/main');
      await world.git('checkout', '--quiet', 'origin/forged', '--', 'forged.txt');
      await world.git('commit', '--quiet', '-m', 'with other words');
      await world.git('push', '--quiet', '--force', 'origin', 'HEAD:refs/heads/forged');
    };
    expect(await build.merge()).toBe(exitCode.nothing);
    gitlab.rebase = rebase;
    expect(await stateOf(iid)).toBe('opened');
    const again = new Build(iid, reviewed);
    expect(await again.upToReport()).toBe(0);
    expect(await again.merge()).toBe(exitCode.nothing);
    expect((await noteOf(iid))?.body).toContain('approved an older commit');
    expect(await stateOf(iid)).toBe('opened');
  });

  it('an approval that is taken back after the rebase holds no longer', async () => {
    const ben = await person('ben');
    const { iid } = await outdated('revoked', reviewed);
    await ben('POST', `/merge_requests/${iid}/approve`);
    const build = new Build(iid, reviewed);
    expect(await build.upToReport()).toBe(0);
    const { gitlab } = world.context;
    const merge = gitlab.merge.bind(gitlab);
    // The answer to the first try is lost before it is heard.
    gitlab.merge = async () => {
      gitlab.merge = merge;
      await ben('POST', `/merge_requests/${iid}/unapprove`);
      throw new GitLabError(502, '', 'GitLab is away');
    };
    expect(await build.merge()).toBe(exitCode.nothing);
    expect(await stateOf(iid)).toBe('opened');
    expect(await statusOf(iid)).toMatchObject({ status: 'pending' });
    await ben('POST', `/merge_requests/${iid}/approve`);
    expect(await new Build(iid, reviewed).run()).toBe(0);
    expect(await stateOf(iid)).toBe('merged');
    expect(tested.filter((one) => one.iid === iid)).toHaveLength(2);
  });

  it.each([
    ['reviewed', reviewed],
    ['automatic', { rebases: true }],
  ] as const)(
    'merge: %s, and a build that dies right after the rebase: the next one merges without another test',
    async (policy, more) => {
      const ben = await person('ben');
      const iid = policy === 'reviewed' ? (await outdated('killed', more)).iid : await moved('killed', more);
      if (policy === 'reviewed') await ben('POST', `/merge_requests/${iid}/approve`);
      const build = new Build(iid, more);
      expect(await build.upToReport()).toBe(0);
      const old = await headOf(iid);
      const { gitlab } = world.context;
      const rebase = gitlab.rebase.bind(gitlab);
      gitlab.rebase = async (...given) => {
        await rebase(...given);
        while ((await gitlab.rebasing(PROJECT, iid)).sha === old) await sleep(20);
        throw new Error('killed');
      };
      await expect(build.merge()).rejects.toThrow('killed');
      gitlab.rebase = rebase;
      expect(await headOf(iid)).not.toBe(old);
      const tests = tested.length;
      expect(await new Build(iid, more).run()).toBe(0);
      expect(await stateOf(iid)).toBe('merged');
      expect(tested).toHaveLength(tests);
      expect(await certificateOf(iid)).toMatchObject({ headSha: await headOf(iid), rebasedFrom: old });
    },
  );

  it('a label lets what people merge into the queue: by who may merge, and for the newest commit', async () => {
    await world.api('POST', `${project}/labels`, { name: MERGE_LABEL, color: '#3f9142' });
    const dev = await person('dev');
    const { iid } = await outdated('by-hand', letIn);
    expect(await statusOf(iid)).toMatchObject({ status: 'success' });
    expect((await noteOf(iid))?.body).toContain('leaves the merge to people');
    const path = `${project}/merge_requests/${iid}`;
    // Main is protected, and developers do not merge into it.
    await dev('PUT', `/merge_requests/${iid}?add_labels=${MERGE_LABEL}`);
    const refused = new Build(iid, letIn);
    expect(await refused.run()).toBe(exitCode.nothing);
    expect((await noteOf(iid))?.body).toContain('is no person who may merge');
    expect(await stateOf(iid)).toBe('opened');
    await world.api('PUT', path, { remove_labels: MERGE_LABEL });
    await world.api('PUT', path, { add_labels: MERGE_LABEL });
    // Of an older commit from now on.
    await world.push('by-hand', { 'by-hand-2.txt': 'x\n' }, 'origin/by-hand');
    expect(await new Build(iid, letIn).run()).toBe(exitCode.nothing);
    expect((await noteOf(iid))?.body).toContain('for an older commit');
    await world.api('PUT', path, { remove_labels: MERGE_LABEL });
    await world.api('PUT', path, { add_labels: MERGE_LABEL });
    expect(await new Build(iid, letIn).run()).toBe(0);
    expect(await stateOf(iid)).toBe('merged');
    const green = new Set(tested.map(({ tree }) => tree));
    expect((await mainTrees()).slice(0, 1).filter((tree) => !green.has(tree))).toEqual([]);
  });

  it('whoever may change labels makes no word of a person out of another label of theirs', async () => {
    const boss = await person('boss', 40);
    const dev = await person('forger');
    const merge = await world.api('POST', `${project}/labels`, { name: MERGE_LABEL, color: '#3f9142' });
    const other = await world.api('POST', `${project}/labels`, { name: 'needs-work', color: '#d9534f' });
    const { iid } = await outdated('renamed', letIn);
    await boss('PUT', `/merge_requests/${iid}?add_labels=needs-work`);
    await dev('PUT', `/labels/${merge.id}?new_name=old`);
    await dev('PUT', `/labels/${other.id}?new_name=${MERGE_LABEL}`);
    expect(await new Build(iid, letIn).run()).toBe(exitCode.nothing);
    expect((await noteOf(iid))?.body).toContain('was changed since boss set it');
    expect(await stateOf(iid)).toBe('opened');
  });
});

// The certificate does not name the method: whichever GitLab merges by, what it names is what main has.
const METHODS: readonly (readonly [string, string])[] = scaled({
  usual: [
    ['merge', 'never'],
    ['ff', 'always'],
  ],
  all: ['merge', 'ff', 'rebase_merge'].flatMap((method) =>
    ['never', 'always'].map((squash): [string, string] => [method, squash]),
  ),
});
it.each(METHODS)(
  '%s, squash %s: main has the tree that the certificate names, by the commit of its note',
  async (method, squash) => {
    await world.api('PUT', `/projects/${encodeURIComponent(PROJECT)}`, {
      merge_method: method,
      squash_option: squash,
    });
    const rebases = method === 'merge' ? {} : { rebases: true };
    await world.push('change', { 'change.txt': '1\n' }, 'origin/main');
    await world.push('change', { 'change.txt': '2\n', 'more.txt': '2\n' }, 'origin/change');
    const iid = await world.open('change');
    const build = new Build(iid, rebases);
    expect(await build.upToReport()).toBe(0);
    await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
    expect(await build.merge()).toBe(exitCode.again);
    expect(await build.run()).toBe(0);
    const { body = '' } = (await noteOf(iid)) ?? {};
    const reading = readNote(body, KEY);
    if (!('certificate' in reading)) throw new Error('no certificate');
    await world.git('fetch', '--quiet', 'origin');
    expect(await world.git('rev-parse', 'origin/main^{tree}')).toBe(reading.certificate.treeSha);
    expect(body).toContain(`merged as ${(await world.git('rev-parse', 'origin/main')).slice(0, 12)}`);
  },
);

nightly('what is squashed is merged as the tested tree, by each way to merge', async () => {
  const path = `/projects/${encodeURIComponent(PROJECT)}`;
  for (const [method, more] of [
    ['merge', {}],
    ['ff', { rebases: true }],
    ['rebase_merge', { rebases: true }],
  ] as const) {
    await world.api('PUT', path, { merge_method: method, squash_option: 'always' });
    const iids: number[] = [];
    for (const name of ['p', 'q', 'r'].map((letter) => `${letter}-${method}`)) {
      await world.push(name, { [`${name}.txt`]: '1\n' }, 'origin/main');
      await world.push(name, { [`${name}.txt`]: '2\n', [`${name}-2.txt`]: '2\n' }, `origin/${name}`);
      iids.push(await world.open(name));
    }
    await mergeThree(iids, more);
  }
});
