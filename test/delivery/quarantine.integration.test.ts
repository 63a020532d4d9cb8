import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describeProblem } from '../../catalog/problems';
import { QUARANTINE_FILE, type QuarantineEntry } from '../../catalog/quarantine';
import { exitCode } from '../../clients/failure';
import { gitEnvironment, WorkingCopy } from '../../clients/git';
import { type Certificate, isGreen } from '../../delivery/certificate';
import { run } from '../../delivery/commands';
import { readNote, renderNote, verdictLine } from '../../delivery/note';
import { applyQuarantine, parseQuarantine, type Quarantines } from '../../delivery/quarantine';
import { readCertificate, writeCertificate } from '../../delivery/state';
import { type Found, readResults, testsAsKept } from '../../delivery/verdict';
import { report, takeSource } from '../../delivery/verify';
import { green, KEY } from './certificates';
import { buildEnvironment, makeWorld, PROJECT, type World } from './world';

const NOW = Date.parse('2026-11-28T23:59:00Z');
const entry = (test: string, until = '2026-12-24'): QuarantineEntry => ({
  test,
  reason: 'the clock of the runner jumps',
  until,
});
const fileOf = (...entries: QuarantineEntry[]): string =>
  `tests:\n${entries.map((one) => `  - ${JSON.stringify(one)}\n`).join('')}`;
const problems = (text: string): string[] => {
  const parsed = parseQuarantine(text, NOW);
  return 'problems' in parsed ? parsed.problems.map(describeProblem) : [];
};

describe('the file of quarantined tests', () => {
  it('has tests, each with its reason and its last day', () => {
    const text = `tests:
  - test: Tests.Orders.Stock is kept
    reason: the clock of the runner jumps
    until: 2026-12-24
    issue: https://gitlab.example/g/orders/-/issues/7
`;
    expect(parseQuarantine(text, NOW)).toEqual({
      value: [
        { ...entry('Tests.Orders.Stock is kept'), issue: 'https://gitlab.example/g/orders/-/issues/7' },
      ],
    });
    expect(parseQuarantine('', NOW)).toEqual({ value: [] });
  });

  it.each([
    [
      'an unknown key',
      'tests:\n  - { test: A.b, reason: it is flaky here, untill: 2026-12-24 }',
      /:2: tests\.0\.untill: is not a known key\. Did you mean "until"\?/,
    ],
    [
      'a missing day',
      'tests:\n  - { test: A.b, reason: it is flaky here }',
      /:2: tests\.0\.until: is not a day\. Write it as 2026-12-31\./,
    ],
    [
      'no day of the calendar',
      fileOf(entry('A.b', '2026-02-30')),
      /:2: tests\.0\.until: is no day of the calendar/,
    ],
    [
      'a day too far ahead',
      fileOf(entry('A.a'), entry('A.b', '2027-02-27')),
      /:3: tests\.1\.until: is more than 90 days ahead\. Write 2027-02-26 or/,
    ],
    [
      'no reason',
      'tests:\n  - { test: A.b, reason: flaky, until: 2026-12-24 }',
      /:2: tests\.0\.reason: gives no reason/,
    ],
    [
      'a name as long as a cut one',
      fileOf(entry('x'.repeat(500))),
      /:2: tests\.0\.test: is longer than 499 characters/,
    ],
    [
      'an issue that is no address',
      `tests:\n  - ${JSON.stringify({ ...entry('A.b'), issue: 'javascript:x' })}`,
      /:2: tests\.0\.issue: is not an address/,
    ],
    ['no YAML', 'tests: [', /:1: is not valid YAML/],
    ['a list', '- A.b', /quarantine\.yaml:1: /],
  ])('with %s is refused, with its place and remedy', (_what, text, fault) => {
    expect(problems(text).join('\n')).toMatch(fault);
  });

  it('may name a day of ninety days ahead, and one that is past', () => {
    expect(problems(fileOf(entry('A.a', '2027-02-26'), entry('A.b', '2020-01-01')))).toEqual([]);
  });
});

const found = (...failing: Found['failing']): Found => ({
  total: 10 + failing.length,
  passed: 10,
  failed: failing.length,
  skipped: 0,
  failing,
});
const failing = (name: string) => ({ name, message: '3 != 2' });
const kept = (target: QuarantineEntry[], merged = target): Quarantines => ({
  target: { value: target },
  merged: { value: merged },
  changed: target !== merged,
  branch: 'main',
  today: '2026-11-28',
});
const seen = (...names: string[]) =>
  new Map(names.map((name) => [name, { passed: 1, failed: 0, skipped: 0 }]));

describe('what fails in quarantine', () => {
  it('blocks nobody, and is named with its last day', () => {
    const tests = applyQuarantine(found(failing('A.a')), seen('A.a'), kept([entry('A.a')]));
    expect(tests).toEqual({
      total: 11,
      passed: 10,
      failed: 0,
      skipped: 0,
      failing: [],
      quarantine: {
        failed: [{ name: 'A.a', message: '3 != 2', until: '2026-12-24', times: 1 }],
        said: [],
      },
    });
    expect(isGreen({ ...green, tests })).toBe(true);
    expect(verdictLine({ ...green, tests })).toBe('10 tests passed, 1 failed in quarantine');
  });

  it('on its last day, and not on the next', () => {
    const on = (until: string) =>
      applyQuarantine(found(failing('A.a')), seen('A.a'), kept([entry('A.a', until)]));
    expect(on('2026-11-28').failed).toBe(0);
    expect(on('2026-11-27')).toMatchObject({
      failed: 1,
      failing: [failing('A.a')],
      quarantine: { failed: [], said: ['A.a: its quarantine ended with 2026-11-27; it blocks again'] },
    });
  });

  it('takes nothing else with it', () => {
    const tests = applyQuarantine(found(failing('A.a'), failing('A.b')), seen('A.a'), kept([entry('A.a')]));
    expect(tests).toMatchObject({ failed: 1, failing: [failing('A.b')] });
    expect(isGreen({ ...green, tests })).toBe(false);
  });

  it('proves nothing: without a test that passed it is not green', () => {
    const tests = applyQuarantine(
      { ...found(failing('A.a')), total: 1, passed: 0 },
      seen('A.a'),
      kept([entry('A.a')]),
    );
    expect(isGreen({ ...green, tests })).toBe(false);
    expect(verdictLine({ ...green, tests })).toBe(
      'no test passed (1 found, 1 failed in quarantine), and that proves nothing',
    );
  });

  it('blocks where the merge request quarantines it itself', () => {
    expect(applyQuarantine(found(failing('A.a')), seen('A.a'), kept([], [entry('A.a')]))).toMatchObject({
      failed: 1,
      quarantine: { failed: [], said: ['A.a: failed; it is quarantined once that is in main'] },
    });
  });

  it('blocks where the merge request ends its quarantine', () => {
    expect(applyQuarantine(found(failing('A.a')), seen('A.a'), kept([entry('A.a')], []))).toMatchObject({
      failed: 1,
      quarantine: { failed: [], said: ['A.a: failed, and this merge request ends its quarantine'] },
    });
  });

  it('gets no other day by the merge request', () => {
    const tests = applyQuarantine(
      found(failing('A.a')),
      seen('A.a'),
      kept([entry('A.a', '2026-11-27')], [entry('A.a', '2026-12-24')]),
    );
    expect(tests.failed).toBe(1);
  });

  it('blocks where its suite failed', () => {
    const tests = applyQuarantine(
      found({ ...failing('A.a'), bySuite: true }),
      seen('A.a'),
      kept([entry('A.a')]),
    );
    expect(tests).toMatchObject({
      failed: 1,
      failing: [failing('A.a')],
      quarantine: { said: ['A.a: failed by the setup or teardown of its suite, which is not quarantined'] },
    });
  });

  it('is told of where an entry stands twice, or names no test; of results that are not whole the latter is not known', () => {
    const quarantines = kept([entry('A.a', '2026-12-30'), entry('A.a', '2026-12-24'), entry('Gone')]);
    expect(applyQuarantine(found(failing('A.a')), seen('A.a'), quarantines).quarantine).toEqual({
      failed: [{ name: 'A.a', message: '3 != 2', until: '2026-12-24', times: 1 }],
      said: [
        `A.a: stands twice in ${QUARANTINE_FILE}; what ends first counts`,
        `Gone: stands in ${QUARANTINE_FILE}, and there is no such test`,
      ],
    });
    expect(applyQuarantine(found(), undefined, kept([entry('Gone')])).quarantine).toBeUndefined();
  });

  it('is nothing where the file of the target branch is faulty, and that is said', () => {
    const faulty = parseQuarantine('tests: 3', NOW);
    const quarantines = { ...kept([]), target: faulty, merged: faulty };
    const { failed, quarantine } = applyQuarantine(found(failing('A.a')), seen(), quarantines);
    expect(failed).toBe(1);
    expect(quarantine?.said.join()).toMatch(
      /^main quarantines nothing: \.switchyard\/quarantine\.yaml:1: tests: /,
    );
  });

  it('never is more than failed, and never what the target branch does not name', () => {
    const names = fc.constantFrom('A.a', 'A.b', 'A.c');
    const days = fc.constantFrom('2026-11-27', '2026-11-28', '2026-12-24');
    const entries = fc.array(
      fc.record({ test: names, until: days }).map(({ test, until }) => entry(test, until)),
    );
    const results = fc.array(
      fc.record({
        name: names,
        message: fc.string(),
        bySuite: fc.option(fc.constant(true as const), { nil: undefined }),
      }),
    );
    fc.assert(
      fc.property(entries, entries, results, (target, merged, some) => {
        const tests = applyQuarantine(found(...some), seen(), kept(target, merged));
        const excused = (tests.quarantine?.failed ?? []).reduce((sum, { times }) => sum + times, 0);
        expect(tests.failed).toBe(tests.failing.length);
        expect(tests.failed + excused).toBe(some.length);
        expect(tests.passed + tests.failed + tests.skipped + excused).toBe(tests.total);
        for (const { name } of tests.quarantine?.failed ?? []) {
          const own = target.filter(({ test }) => test === name);
          expect(own.length).toBeGreaterThan(0);
          expect(own.every(({ until }) => until >= '2026-11-28')).toBe(true);
          expect(merged.some(({ test }) => test === name)).toBe(true);
          expect(some.some((one) => one.name === name && !one.bySuite)).toBe(true);
        }
      }),
    );
  });
});

describe('what fails by its suite', () => {
  const setup = (
    type: string,
  ) => `<robot><suite name="A"><kw name="Open" type="${type}"><status status="FAIL">no</status></kw>
    <suite name="B"><test name="a"><status status="FAIL">x</status></test><status status="FAIL"/></suite><status status="FAIL"/></suite></robot>`;
  it.each([
    ['a setup, by the keyword of Robot', setup('SETUP')],
    ['a setup, by that of an older Robot', setup('setup')],
    [
      'a setup, by what Robot says',
      '<robot><suite name="A.B"><test name="a"><status status="FAIL">Parent suite setup failed:\nno</status></test><status status="FAIL"/></suite></robot>',
    ],
    [
      'a setup, in JUnit',
      '<testsuite><testcase classname="A.B" name="a"><failure message="Parent suite setup failed:&#10;no"/></testcase></testsuite>',
    ],
    [
      'a teardown after its own failure, however long that is',
      `<testsuite><testcase classname="A.B" name="a"><failure message="${'x'.repeat(3000)}&#10;&#10;Also parent suite teardown failed:&#10;no"/></testcase></testsuite>`,
    ],
    [
      'a teardown, by the keyword of Robot',
      '<robot><suite name="A"><suite name="B"><test name="a"><status status="FAIL">x</status></test><status status="FAIL"/></suite><kw type="TEARDOWN"><status status="FAIL">no</status></kw><status status="FAIL"/></suite></robot>',
    ],
  ])('is known: %s', (_what, xml) => {
    const reading = readResults(xml, 'x.xml');
    if ('fault' in reading) throw new Error(reading.fault);
    expect(reading.tests.failing).toMatchObject([{ name: 'A.B.a', bySuite: true }]);
    expect(applyQuarantine(reading.tests, seen('A.B.a'), kept([entry('A.B.a')])).failed).toBe(1);
  });

  it("is not a test's own setup or teardown", () => {
    const xml = `<robot><suite name="A"><kw type="SETUP"><status status="PASS"/></kw>
      <test name="a"><kw type="SETUP"><status status="FAIL">no</status></kw><kw type="TEARDOWN"><status status="FAIL">no</status></kw><status status="FAIL">Setup failed:\nno</status></test><status status="FAIL"/></suite></robot>`;
    expect(readResults(xml, 'x.xml')).toMatchObject({
      tests: { failing: [{ name: 'A.a', message: 'Setup failed:\nno' }] },
    });
    expect(JSON.stringify(readResults(xml, 'x.xml'))).not.toContain('bySuite');
  });
});

describe('the note', () => {
  it('names what failed in quarantine, inert, and keeps its certificate', () => {
    const name = 'A.<b> | @all\n/merge ```';
    const tests = testsAsKept(
      applyQuarantine(found(failing(name)), seen(), kept([entry(name), entry('Gone | @you')])),
      (text) => text,
    );
    const certificate = { ...green, tests };
    const note = renderNote(certificate, { state: 'tested' }, KEY);
    expect(readNote(note, KEY)).toEqual({ certificate });
    const [shown = ''] = note.split('<details><summary>Merge certificate');
    expect(shown).toContain('**Switchyard: passed**');
    expect(shown).toContain('| Tests | 11 total, 10 passed, 0 failed, 0 skipped, 1 failed in quarantine |');
    expect(shown).toMatch(
      /^\| A\.&#60;b&#62; &#124; &#64;<span><\/span>all \/merge [^|]*\| 2026-12-24 \| 3 [^|]*\|$/m,
    );
    expect(shown).toMatch(/^- Quarantine: Gone &#124; /m);
    expect(shown).not.toMatch(/@(all|you)|^\/merge|```/m);
  });

  it('says nothing where there is nothing to say', () => {
    const tests = applyQuarantine(found(), seen('A.a'), kept([entry('A.a')]));
    expect(tests.quarantine).toBeUndefined();
    expect(renderNote({ ...green, tests }, { state: 'tested' }, KEY)).not.toContain('uarantine');
  });
});

it('is read as a plain file of the commit, and through no link', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quarantine-'));
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: folder, env: gitEnvironment({ url: 'http://x.example/', token: 'x' }) });
  try {
    const copy = new WorkingCopy(folder, { url: 'http://x.example/', token: 'x' });
    await copy.open();
    mkdirSync(join(folder, 'real'));
    writeFileSync(join(folder, 'real', 'quarantine.yaml'), 'tests: [] # ü\n');
    symlinkSync('real/quarantine.yaml', join(folder, 'link.yaml'));
    symlinkSync('real', join(folder, '.switchyard'));
    git('add', '--all');
    git('commit', '--quiet', '-m', 'x');
    writeFileSync(join(folder, 'real', 'quarantine.yaml'), 'changed\n');
    const read = (path: string, most = 100) => copy.plainFile('HEAD^{tree}', path, most);
    expect(await read('real/quarantine.yaml')).toBe('tests: [] # ü\n');
    expect(await read('real/quarantine.yaml', 3)).toEqual({ why: 'has 15 bytes, and 3 are read' });
    expect(await read('link.yaml')).toEqual({ why: 'is not a plain file' });
    expect(await read('real')).toEqual({ why: 'is not a plain file' });
    expect(await read(QUARANTINE_FILE)).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('a build', () => {
  const before = { ...process.env };
  const REGISTRY = 'registry.example:5000';
  let world: World;
  let workspace: string;
  let counter = 0;
  beforeAll(async () => {
    world = await makeWorld();
  });
  afterAll(async () => world?.close());
  beforeEach(() => {
    workspace = mkdtempSync(join(tmpdir(), 'quarantine-'));
    jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  });
  afterEach(() => {
    jest.restoreAllMocks();
    process.env = { ...before };
    rmSync(workspace, { recursive: true, force: true });
  });

  const until = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const xml = (status: string): string =>
    `<robot><suite name="A"><test name="a"><status status="${status}">3 != 2</status></test><test name="b"><status status="PASS"/></test><status status="${status}"/></suite></robot>`;

  /** Judges a merge request that brings files, in which test A.a fails. */
  async function judged(
    files: Record<string, string>,
    results = xml('FAIL'),
  ): Promise<{ code: number; certificate: Certificate }> {
    const branch = `change-${counter++}`;
    await world.push(branch, { [`${branch}.txt`]: 'x\n', ...files }, 'origin/main');
    const iid = await world.open(branch);
    const certificate = await takeSource(world.context, {
      module: 'orders',
      project: PROJECT,
      mergeRequest: iid,
      build: 'http://jenkins.example/job/switchyard/job/orders/1/',
      policy: 'automatic',
      declared: '0'.repeat(64),
      folder: join(workspace, 'source'),
    });
    Object.assign(
      process.env,
      buildEnvironment(world, { iid, build: certificate.build, workspace, registry: REGISTRY, key: KEY }),
    );
    const image = { ...green.image, repository: `${REGISTRY}/modules/orders` } as Certificate['image'];
    writeCertificate(workspace, { ...certificate, image });
    mkdirSync(join(workspace, '.switchyard', 'carried'), { recursive: true });
    writeFileSync(join(workspace, '.switchyard', 'carried', 'output.xml'), results);
    const code = await run(['--workspace', workspace, 'verdict']);
    return { code, certificate: readCertificate(workspace) };
  }

  it('is red where its merge request quarantines what fails in it', async () => {
    const { code, certificate } = await judged({ [QUARANTINE_FILE]: fileOf(entry('A.a', until(9))) });
    expect(code).toBe(exitCode.red);
    expect(certificate.tests).toMatchObject({
      failed: 1,
      failing: [{ name: 'A.a' }],
      quarantine: { failed: [], said: ['A.a: failed; it is quarantined once that is in main'] },
    });
  });

  it('is red where its merge request brings a faulty file, however its tests end, with the place of the fault', async () => {
    const { code, certificate } = await judged(
      { [QUARANTINE_FILE]: 'tests:\n  - { test: A.a }\n' },
      xml('PASS'),
    );
    expect(code).toBe(exitCode.red);
    expect(certificate.tests?.failing[0]).toMatchObject({
      name: QUARANTINE_FILE,
      message: expect.stringMatching(/^\.switchyard\/quarantine\.yaml:2: tests\.0\.reason: /),
    });
  });

  it('is green where main quarantines it; with another file of its own still by that of main', async () => {
    await world.push(
      'main',
      { [QUARANTINE_FILE]: fileOf(entry('A.a', until(9)), entry('results', until(9))) },
      'origin/main',
    );
    const { code, certificate } = await judged({});
    expect(code).toBe(exitCode.done);
    expect(certificate.tests).toMatchObject({
      total: 2,
      failed: 0,
      quarantine: { failed: [{ name: 'A.a', message: '3 != 2', until: until(9), times: 1 }] },
    });
    expect(
      (await judged({ [QUARANTINE_FILE]: fileOf(entry('A.a', until(20))) })).certificate.tests,
    ).toMatchObject({
      quarantine: { failed: [{ until: until(9) }] },
    });
    expect((await judged({ [QUARANTINE_FILE]: 'tests: []\n' })).code).toBe(exitCode.red);
  });

  it('is red where the results are not whole, whatever is called so in quarantine', async () => {
    const { code, certificate } = await judged({}, xml('FAIL').slice(0, -9));
    expect(code).toBe(exitCode.red);
    expect(certificate.tests).toMatchObject({ failing: [{ name: 'results' }] });
  });

  it('is red again after the last day', async () => {
    await world.push('main', { [QUARANTINE_FILE]: fileOf(entry('A.a', until(-1))) }, 'origin/main');
    const { code, certificate } = await judged({});
    expect(code).toBe(exitCode.red);
    expect(certificate.tests?.quarantine?.said).toEqual([
      `A.a: its quarantine ended with ${until(-1)}; it blocks again`,
    ]);
  });

  it('that is green after a red one of the same tree names what is flaky, with its rate', async () => {
    await world.push('main', { [QUARANTINE_FILE]: 'tests: []\n' }, 'origin/main');
    const first = await judged({});
    expect(first.code).toBe(exitCode.red);
    expect(first.certificate.flaky).toBeUndefined();
    await report(world.context, first.certificate, KEY);
    const second = { ...first.certificate, build: first.certificate.build.replace('/1/', '/2/') };
    process.env.BUILD_URL = second.build;
    writeCertificate(workspace, { ...second, tests: undefined });
    writeFileSync(join(workspace, '.switchyard', 'carried', 'output.xml'), xml('PASS'));
    expect(await run(['--workspace', workspace, 'verdict'])).toBe(exitCode.done);
    const certificate = readCertificate(workspace);
    expect(certificate).toMatchObject({
      earlier: [{ build: first.certificate.build, failed: ['A.a'] }],
      flaky: [{ name: 'A.a', tree: certificate.treeSha, failed: 1, runs: 2 }],
    });
    expect(await report(world.context, certificate, KEY)).toBe(true);
    expect((await world.notes(certificate.mergeRequest))[0]?.body).toContain(
      '| A.a | 1 of 2 runs that are known |',
    );
  });

  it('is red where GitLab cannot be asked', async () => {
    await world.push('main', { [QUARANTINE_FILE]: fileOf(entry('A.a', until(9))) }, 'origin/main');
    expect((await judged({})).code).toBe(exitCode.done);
    const { certificate } = await judged({});
    const { tests: _tests, ...again } = certificate;
    writeCertificate(workspace, again);
    process.env.GITLAB_URL = '';
    expect(await run(['--workspace', workspace, 'verdict'])).toBe(exitCode.red);
    expect(readCertificate(workspace).tests).toMatchObject({ failed: 1 });
  }, 60_000);
});
