import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificate } from '../../../delivery/certificate';
import { isQueued } from '../../../delivery/certificate';
import { exitCode, Failure } from '../../../delivery/failure';
import { marker, readNote, renderNote } from '../../../delivery/note';
import { mergeInTurn } from '../../../delivery/queue/merge';
import { type Gate, isInQueue, turnOf, waitInQueue } from '../../../delivery/queue/turn';
import { BROKE_OFF } from '../../../delivery/status';
import { enterQueue, report, takeSource } from '../../../delivery/verify';
import { nightly } from '../../support/scale';
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
  private readonly url = `http://jenkins.example/job/switchyard/job/orders/${++Build.counter}/`;
  private certificate: Certificate | undefined;
  private readonly gate: Gate;

  constructor(
    readonly iid: number,
    more: Partial<Gate> = {},
  ) {
    this.gate = { project: PROJECT, mergeRequest: iid, most: 8, proof: PROOF, folder: folder(), ...more };
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
      const turn = await turnOf(world.context, this.gate);
      if (turn.do === 'merge') throw new Failure(exitCode.tested, 'a result');
      if (turn.do === 'wait') return waitInQueue(world.context, this.gate, turn.place, this.url);
      const { project, mergeRequest, proof, folder: work } = this.gate;
      const asked = { module: 'orders', project, mergeRequest, build: this.url, folder: work };
      this.certificate = await takeSource(world.context, {
        ...asked,
        policy: proof.policy,
        declared: proof.declared,
        turn: turn.turn,
      });
      if (this.certificate.conflicts) throw new Failure(exitCode.red, 'conflicts');
      return undefined;
    });
  }

  /** @param verdict `none`: the tests do not come to their end */
  test(verdict: 'as they are' | 'none' = 'as they are'): void {
    if (!this.certificate?.treeSha) throw new Error('nothing to test');
    const { treeSha: tree, ahead } = this.certificate;
    const image = { repository: `${REGISTRY}/modules/orders`, tag: 'mr', digest: `sha256:${'d'.repeat(64)}` };
    if (verdict === 'none') {
      this.certificate = { ...this.certificate, image };
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

  report(): Promise<number> {
    return this.code(async () => {
      if (!this.certificate) throw new Error('nothing to report');
      this.certificate = enterQueue(this.certificate, world.context.gitlab.time);
      const green = await report(world.context, this.certificate, KEY);
      if (!green) throw new Failure(isQueued(this.certificate) ? exitCode.queued : exitCode.red, 'red');
    });
  }

  merge(): Promise<number> {
    return this.code(() => mergeInTurn(world.context, this.gate, PATIENCE));
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
    const iid = await opened('flaky');
    const build = new Build(iid);
    expect(await build.upToReport()).toBe(0);
    await world.push('main', { 'direct.txt': 'x\n' }, 'origin/main');
    expect(await build.merge()).toBe(exitCode.again);
    expect(await build.source()).toBe(0);
    build.test('none');
    expect(await build.report()).toBe(exitCode.red);
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
