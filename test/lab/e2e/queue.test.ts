import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { QUARANTINE_FILE } from '../../../catalog/quarantine';
import { GITLAB_URL } from '../../../lab/gitlab';
import { type Change, mergeRequest, openMergeRequest } from '../../../lab/journey';
import { sleep } from '../../../lab/machine/process';
import { openLog } from '../../../lab/steps';
import { JENKINS_URL, labEnvironment, REPOSITORY, rootToken, switchyard } from '../../../lab/topology';
import { kubectl, shownNotes, until } from './running';

// The merge queue by real builds, by night: what one alone takes, how much longer six at once do and how much faster eight are
// than one after the other, in one run and on the same main, and what a culprit in the middle of five costs. Its tests sleep,
// which takes no processor.
jest.setTimeout(3_600_000);

const log = openLog('e2e-queue');
const ENVIRONMENT = 'lab';
const MODULE = 'mailer';
const PROJECT = `projects/${encodeURIComponent(`switchyard/${MODULE}`)}`;
const JOB = `${JENKINS_URL}/job/switchyard/job/${MODULE}`;
/** Eight builds with a second agent each, and room for one that deploys: half of them may be `delivery`. */
const AGENTS = 18;
const AT_ONCE = 8;
const SIX = 6;
const TEST_SECONDS = 30;
const RUN = Date.now();

let folder: string;

const run = async (args: string[], stacks?: string) => {
  const [command, all] = switchyard(args);
  const env = { ...labEnvironment(), ...(stacks ? { SWITCHYARD_STACKS: stacks } : {}) };
  return log.exec(command, all, { cwd: REPOSITORY, env });
};
const up = async (stacks?: string): Promise<void> => {
  await run(['up', ENVIRONMENT, '--yes'], stacks);
};

/** How many are tested side by side now, as `switchyard queue` says; the page that it makes says the same. */
async function windowNow(): Promise<number> {
  const page = join(folder, 'page');
  const { stdout } = await run(['queue', ENVIRONMENT, '--json', '--page', page], join(folder, 'stacks'));
  const { modules } = JSON.parse(stdout) as { modules: { module: string; window: number }[] };
  expect(readFileSync(join(page, 'index.html'), 'utf8')).toContain('<section id="Queue"');
  expect(readFileSync(join(page, 'queue.svg'), 'utf8')).toContain('<svg ');
  return modules.find(({ module }) => module === MODULE)?.window ?? 0;
}

const gitlab = async <T>(path: string): Promise<T> => {
  const answer = await fetch(`${GITLAB_URL}/api/v4/${path}`, { headers: { 'PRIVATE-TOKEN': rootToken() } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
};

const statuses = async (sha: string) =>
  (
    await gitlab<{ id: number; name: string; status: string; description: string | null }[]>(
      `${PROJECT}/repository/commits/${sha}/statuses?all=true&per_page=100`,
    )
  )
    .filter(({ name }) => name === 'switchyard')
    .sort((a, b) => a.id - b.id);

/** Tests that were begun, by head: what `delivery source` says of each in the log of its build. */
async function testsBegun(): Promise<(sha: string) => number> {
  const answer = await fetch(`${JOB}/api/json?tree=builds[number]`);
  const { builds } = (await answer.json()) as { builds: { number: number }[] };
  const begun = new Map<string, number>();
  for (const { number } of builds) {
    const text = await (await fetch(`${JOB}/${number}/consoleText`)).text();
    for (const [, head = ''] of text.matchAll(/merge result [0-9a-f]{40}: ([0-9a-f]{40}) into /g))
      begun.set(head, (begun.get(head) ?? 0) + 1);
  }
  return (sha) => begun.get(sha) ?? 0;
}

interface Built {
  readonly building: boolean;
  readonly result: string | null;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly duration: number;
}

/** The builds that tested a head, after their end. */
const buildsOf = (sha: string): Promise<Built[]> =>
  until(`the end of the builds of ${sha}`, 120, async () => {
    const answer = await fetch(`${JOB}/api/json?tree=builds[number,building,result,timestamp,duration]`);
    const { builds } = (await answer.json()) as { builds: (Built & { number: number })[] };
    const ofIt: Built[] = [];
    for (const build of builds) {
      const text = await (await fetch(`${JOB}/${build.number}/consoleText`)).text();
      if (text.includes(`: ${sha} into `)) ofIt.push(build);
    }
    return ofIt.length > 0 && ofIt.every(({ building }) => !building) ? ofIt : undefined;
  });

const opened = (branch: string, change: Change) =>
  openMergeRequest(log, branch, branch, change, MODULE) as Promise<number>;
const file =
  (name: string): Change =>
  (checkout) =>
    writeFileSync(join(checkout, `${name}.txt`), `${RUN}\n`);

const states = (iids: readonly number[]) => Promise.all(iids.map((iid) => mergeRequest(iid, MODULE)));
const allMerged = (iids: readonly number[], seconds: number) =>
  until(`the merge of ${iids.map((iid) => `!${iid}`).join(', ')}`, seconds, async () => {
    const now = await states(iids);
    return now.every(({ state }) => state === 'merged') ? now : undefined;
  });

/** Brings one change to main, and waits for it. */
const merged = async (branch: string, change: Change): Promise<void> => {
  await allMerged([await opened(branch, change)], 600);
};

const SUITE = join('tests', 'sleeps.robot');
const SLEEPS = `*** Test Cases ***
It Takes Its Time
    [Documentation]    of the run ${RUN}
    Sleep    ${TEST_SECONDS}s
`;
const OVERCOMMIT = join(__dirname, 'overcommit.yaml');

describe('the merge queue', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-queue-'));
    const stacks = join(folder, 'stacks');
    mkdirSync(stacks);
    cpSync(join(REPOSITORY, 'stacks'), stacks, { recursive: true, filter: (path) => !path.endsWith('.ts') });
    const path = join(stacks, `Pulumi.${ENVIRONMENT}.yaml`);
    const stack = parse(readFileSync(path, 'utf8')) as { config: Record<string, Record<string, unknown>> };
    const set = (key: string, more: Record<string, unknown>) => {
      stack.config[`switchyard:${key}`] = { ...stack.config[`switchyard:${key}`], ...more };
    };
    set('jenkins', { maximumAgents: AGENTS });
    set('gitlab', { queue: { window: AT_ONCE } });
    set('testing', { parallel: AT_ONCE });
    writeFileSync(path, stringify(stack));
    kubectl('apply', '--filename', OVERCOMMIT);
    await up(stacks);
    await merged(`sleeps-${RUN}`, (checkout) => writeFileSync(join(checkout, SUITE), SLEEPS));
  });
  afterAll(async () => {
    await merged(`wakes-${RUN}`, (checkout) => rmSync(join(checkout, SUITE), { force: true }));
    await up();
    kubectl('delete', '--ignore-not-found', '--filename', OVERCOMMIT);
    rmSync(folder, { recursive: true, force: true });
  });

  /** Milliseconds of one alone, from its opening on. */
  let one = Number.NaN;

  test('one alone is tested once and merged by the build that tested it: it takes no longer than without a queue', async () => {
    const begin = Date.now();
    const [alone] = await allMerged([await opened('alone', file('alone'))], 600);
    one = Date.now() - begin;
    const sha = String(alone?.sha);
    expect((await testsBegun())(sha)).toBe(1);
    const builds = await buildsOf(sha);
    expect(builds.map(({ result }) => result)).toEqual(['SUCCESS']);
    // Without a queue a build merges what it tested, and ends.
    const [{ timestamp, duration } = { timestamp: 0, duration: 0 }] = builds;
    const merged = Date.parse(String(alone?.merged_at)) - begin;
    const build = timestamp + duration - begin;
    log.line(`one alone ${Math.round(merged / 1000)} s, its build ended after ${Math.round(build / 1000)} s`);
    expect(merged / build).toBeLessThanOrEqual(1);
  });

  test('six at once are all merged, none of them red, in 2.2 times the time of one', async () => {
    const begin = Date.now();
    const iids = await Promise.all(
      Array.from({ length: SIX }, (_, at) => opened(`six-${at}`, file(`six-${at}`))),
    );
    const ended = await allMerged(iids, 900);
    const all = Date.now() - begin;
    log.line(
      `one alone ${Math.round(one / 1000)} s, ${SIX} at once ${Math.round(all / 1000)} s: ${(all / one).toFixed(1)} times`,
    );
    for (const { sha } of ended)
      expect((await statuses(String(sha))).filter(({ status }) => status === 'failed')).toEqual([]);
    expect(all / one).toBeLessThanOrEqual(2.2);
  });

  test('eight at once are merged three times as fast as one after the other', async () => {
    let begin = Date.now();
    for (let at = 0; at < AT_ONCE; at++) await merged(`serial-${at}`, file(`serial-${at}`));
    const serial = Date.now() - begin;
    // With less, the eighth waits for a place: no three times could be asked for.
    expect(await windowNow()).toBeGreaterThanOrEqual(AT_ONCE - 1);
    begin = Date.now();
    const iids = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, at) => opened(`at-once-${at}`, file(`at-once-${at}`))),
    );
    const ended = await allMerged(iids, 900);
    const atOnce = Date.now() - begin;
    const begun = await testsBegun();
    const tests = ended.map(({ sha }) => begun(String(sha)));
    log.line(
      `one after the other ${Math.round(serial / 1000)} s, ${AT_ONCE} at once ${Math.round(atOnce / 1000)} s: ${(serial / atOnce).toFixed(1)} times; ${AGENTS} agents; tests of each: ${tests.join(', ')}`,
    );
    for (const { sha } of ended)
      expect((await statuses(String(sha))).filter(({ status }) => status === 'failed')).toEqual([]);
    expect(serial / atOnce).toBeGreaterThanOrEqual(3);
  });

  test('a culprit in the middle of five is taken out, and costs those behind it one more test', async () => {
    const broken = `*** Settings ***
Library    OperatingSystem

*** Test Cases ***
The First Is Not There
    File Should Not Exist    \${CURDIR}/../culprit-0.txt
`;
    const changes: Change[] = [0, 1, 2, 3, 4].map((at) =>
      at === 2
        ? (checkout) => appendFileSync(join(checkout, 'tests', `culprit-${RUN}.robot`), broken)
        : file(`culprit-${at}`),
    );
    const iids: number[] = [];
    // They are ready in the order in which they come.
    for (const [at, change] of changes.entries()) {
      iids.push(await opened(`culprit-${at}`, change));
      await sleep(3000);
    }
    const ended = await until('the end of all five', 900, async () => {
      const now = await states(iids);
      const [left, ...more] = now.filter(({ state }) => state !== 'merged');
      if (!left || more.length > 0) return undefined;
      return (await statuses(String(left.sha))).at(-1)?.status === 'failed' ? now : undefined;
    });
    const out = ended.filter(({ state }) => state !== 'merged');
    expect(out.map(({ source_branch }) => source_branch)).toEqual(['culprit-2']);
    const [note] = await shownNotes(Number(out[0]?.iid), MODULE);
    expect(note?.body).toContain('taken out of the merge queue');
    expect(note?.body).toContain('The First Is Not There');
    const begun = await testsBegun();
    const tests = ended.map(({ sha }) => begun(String(sha)));
    log.line(`tests of each of five, the third of which breaks with the first: ${tests.join(', ')}`);
    // Its own, that of its place, and one more of that without the culprit.
    const [before, behind] = [tests.slice(0, 2), tests.slice(3)];
    expect(Math.max(...before)).toBeLessThanOrEqual(2);
    expect(Math.max(...behind)).toBeLessThanOrEqual(3);
    await fetch(`${GITLAB_URL}/api/v4/${PROJECT}/merge_requests/${out[0]?.iid}`, {
      method: 'PUT',
      headers: { 'PRIVATE-TOKEN': rootToken(), 'content-type': 'application/json' },
      body: JSON.stringify({ state_event: 'close' }),
    });
  });

  test('a test Pod that is deleted by hand makes nobody red: what it tested is tested again by itself, and merged', async () => {
    const iid = await opened('deleted', file('deleted'));
    const pods = ['get', 'pods', '--selector=switchyard.dev/purpose=test', '--output'];
    const ready =
      '{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}';
    const pod = await until(
      'its test Pod',
      300,
      async () =>
        /^(\S+) True$/m.exec(kubectl(`--namespace=test-${MODULE}`, ...pods, `jsonpath=${ready}`))?.[1],
    );
    // Its tests sleep by then, and it was seen.
    await sleep(8000);
    kubectl(`--namespace=test-${MODULE}`, 'delete', 'pod', pod, '--wait=false');
    const [{ sha } = { sha: undefined }] = await allMerged([iid], 600);
    const posted = await statuses(String(sha));
    expect(posted.map(({ status }) => status)).not.toContain('failed');
    expect(posted.map(({ description }) => description)).toContain(
      'broke off: the test Pod was lost: it was removed while its tests ran',
    );
    const results = (await buildsOf(String(sha))).map(({ result }) => result);
    expect(results.sort()).toEqual(['NOT_BUILT', 'SUCCESS']);
  });

  test('a quarantined test fails and blocks nobody: merged, its note names it, its build is green', async () => {
    const test = 'Tests.Wobbles.It Fails';
    const lastDay = new Date(RUN + 7 * 86_400_000).toISOString().slice(0, 10);
    const suite = join('tests', 'wobbles.robot');
    await merged(`quarantine-${RUN}`, (checkout) => {
      mkdirSync(join(checkout, '.switchyard'), { recursive: true });
      const entry = { test, reason: 'made to fail by the suite that looks at it', until: lastDay };
      writeFileSync(join(checkout, QUARANTINE_FILE), stringify({ tests: [entry] }));
    });
    const iid = await opened(`wobbles-${RUN}`, (checkout) =>
      writeFileSync(join(checkout, suite), '*** Test Cases ***\nIt Fails\n    Fail    not today\n'),
    );
    const [{ sha } = { sha: undefined }] = await allMerged([iid], 600);
    expect((await statuses(String(sha))).map(({ status }) => status)).not.toContain('failed');
    const [note] = await shownNotes(iid, MODULE);
    expect(note?.body).toContain(test);
    expect(note?.body).toContain(lastDay);
    const results = (await buildsOf(String(sha))).map(({ result }) => result);
    expect(results).toEqual(results.map(() => 'SUCCESS'));
    await merged(`steady-${RUN}`, (checkout) => {
      rmSync(join(checkout, QUARANTINE_FILE));
      rmSync(join(checkout, suite));
    });
  });
});
