import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { addTests, bounds, noTests, readFolders, readResults } from '../../delivery/verdict';

const robot = `<?xml version="1.0" encoding="UTF-8"?>
<robot generator="Robot 7.5 (Python 3.11)" rpa="false" schemaversion="5">
<suite id="s1" name="Tests">
  <suite id="s1-s1" name="Orders">
    <test id="s1-s1-t1" name="Stock is kept">
      <kw name="Should Be Equal"><status status="FAIL" start="x" elapsed="0.1">inner</status></kw>
      <status status="FAIL" start="x" elapsed="0.1">3 != 2 &lt;oh&gt;</status>
    </test>
    <test id="s1-s1-t2" name="An order is taken"><status status="PASS"></status></test>
    <status status="FAIL"></status>
  </suite>
  <test id="s1-t1" name="Later"><status status="SKIP">not yet</status></test>
  <status status="FAIL"></status>
</suite>
</robot>`;

describe('the results of the tests', () => {
  it('count Robot tests of nested suites, and name the failing with its own message', () => {
    expect(readResults(robot, 'output.xml')).toEqual({
      tests: {
        total: 3,
        passed: 1,
        failed: 1,
        skipped: 1,
        failing: [{ name: 'Tests.Orders.Stock is kept', message: '3 != 2 <oh>' }],
      },
    });
  });

  it('count JUnit tests: failures and errors both fail', () => {
    const xml = `<testsuites><testsuite name="T" tests="4"><testcase classname="T" name="a"/>
      <testcase classname="T" name="b"><failure message="no" type="X"/></testcase>
      <testcase classname="T" name="c"><error>boom</error></testcase>
      <testcase classname="T" name="d"><skipped/></testcase></testsuite></testsuites>`;
    expect(readResults(xml, 'xunit.xml')).toEqual({
      tests: {
        total: 4,
        passed: 1,
        failed: 2,
        skipped: 1,
        failing: [
          { name: 'T.b', message: 'no' },
          { name: 'T.c', message: 'boom' },
        ],
      },
    });
  });

  it('are a fault when cut off at any point, never "no failures"', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: robot.length - 1 }), (length) => {
        expect(readResults(robot.slice(0, length), 'output.xml')).toHaveProperty('fault');
      }),
      { numRuns: 60 },
    );
  });

  it('count a test that never ended as failed', () => {
    const xml = '<robot><suite name="T"><test name="hangs"></test></suite></robot>';
    expect(readResults(xml, 'output.xml')).toEqual({
      tests: {
        total: 1,
        passed: 0,
        failed: 1,
        skipped: 0,
        failing: [{ name: 'T.hangs', message: 'The test did not end.' }],
      },
    });
  });

  it('are a fault when the XML is something else', () => {
    expect(readResults('<html><body/></html>', 'output.xml')).toEqual({
      fault: "output.xml:1: is neither Robot's output nor JUnit's.",
    });
  });

  it('add up over folders, and a folder without results is a fault', async () => {
    const root = mkdtempSync(join(tmpdir(), 'verdict-'));
    try {
      mkdirSync(join(root, 'a'));
      mkdirSync(join(root, 'empty'));
      writeFileSync(join(root, 'a', 'output.xml'), robot);
      const read = await readFolders([join(root, 'a'), join(root, 'a'), join(root, 'empty')]);
      expect(read.tests.total).toBe(6);
      expect(read.tests.failing).toHaveLength(2);
      expect(read.faults).toEqual([expect.stringContaining('holds neither output.xml nor xunit.xml')]);
      expect(addTests(noTests, noTests)).toEqual(noTests);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

/** As Robot 7.5 writes them: two tests, and a suite teardown of its own. */
const withTeardown = (status: 'PASS' | 'FAIL' | 'SKIP', statistics: string) =>
  `<robot><suite id="s1" name="S">
<test id="s1-t1" name="One"><kw name="No Operation"><status status="PASS"/></kw><status status="PASS"/></test>
<test id="s1-t2" name="Two"><kw name="Log" type="TEARDOWN"><status status="PASS"/></kw><status status="PASS"/></test>
<kw name="Own" type="TEARDOWN"><kw name="Fail"><status status="FAIL">inner</status></kw><status status="${status}">stop failed</status></kw>
<status status="${status}">Suite teardown</status></suite>
<statistics><total><stat ${statistics}>All Tests</stat></total><suite><stat pass="7" fail="7" skip="7">S</stat></suite></statistics></robot>`;

describe('a suite teardown', () => {
  it('that fails makes every test of its suite red, as Robot counts them', () => {
    expect(readResults(withTeardown('FAIL', 'pass="0" fail="2" skip="0"'), 'output.xml')).toEqual({
      tests: {
        total: 2,
        passed: 0,
        failed: 2,
        skipped: 0,
        failing: [
          { name: 'S.One', message: 'the suite teardown failed: stop failed', bySuite: true },
          { name: 'S.Two', message: 'the suite teardown failed: stop failed', bySuite: true },
        ],
      },
    });
  });

  it('that skips, skips them; one that passes changes nothing, whatever failed inside it', () => {
    const skipped = readResults(withTeardown('SKIP', 'pass="0" fail="0" skip="2"'), 'output.xml');
    expect(skipped).toMatchObject({ tests: { passed: 0, failed: 0, skipped: 2 } });
    const passed = readResults(withTeardown('PASS', 'pass="2" fail="0" skip="0"'), 'output.xml');
    expect(passed).toMatchObject({ tests: { passed: 2, failed: 0, skipped: 0 } });
  });

  it('of a suite above counts for all suites below', () => {
    const xml = `<robot><suite name="A"><suite name="B"><test name="t"><status status="PASS"/></test><status status="PASS"/></suite>
      <kw type="TEARDOWN"><status status="FAIL">gone</status></kw><status status="FAIL"/></suite></robot>`;
    expect(readResults(xml, 'output.xml')).toMatchObject({ tests: { passed: 0, failed: 1 } });
  });
});

describe('results that contradict themselves', () => {
  const one = (status: string, suite: string, statistics = '') =>
    `<robot><suite name="A"><test name="t"><status status="${status}"/></test><status status="${suite}"/></suite>${statistics}</robot>`;

  it.each([
    ['a failed suite without a failed test', one('PASS', 'FAIL'), /output\.xml:1: says that suite A failed/],
    [
      "Robot's own statistics",
      one('PASS', 'PASS', '<statistics><total><stat pass="0" fail="1" skip="0"/></total></statistics>'),
      /output\.xml:1: holds 1 passed, 0 failed, 0 skipped, and says in its statistics 0 passed, 1 failed/,
    ],
    [
      'a JUnit suite that counts more failures than it holds',
      '<testsuite tests="1" failures="1"><testcase name="a"/></testsuite>',
      /output\.xml:1: says that 1 failed, and holds 1 passed/,
    ],
  ])('are a fault: %s', (_what, xml, fault) => {
    expect(readResults(xml, 'output.xml')).toEqual({ fault: expect.stringMatching(fault) });
  });
});

describe('the folder of results', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'verdict-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const put = (name: string, text: string | Buffer) => writeFileSync(join(folder, name), text);
  const xunit = (failed: boolean) =>
    `<testsuite><testcase name="a"/><testcase name="b">${failed ? '<failure message="x"/>' : ''}</testcase></testsuite>`;
  const output = withTeardown('PASS', 'pass="2" fail="0" skip="0"');

  it('is green only where output.xml and xunit.xml count the same', async () => {
    put('output.xml', output);
    put('xunit.xml', xunit(false));
    expect(await readFolders([folder])).toMatchObject({ tests: { total: 2, passed: 2 }, faults: [] });
    put('xunit.xml', xunit(true));
    expect((await readFolders([folder], () => 'results')).faults).toEqual([
      'results: output.xml holds 2 passed, 0 failed, 0 skipped, and xunit.xml 1 passed, 1 failed, 0 skipped; both must be of one run.',
    ]);
    put('xunit.xml', 'cut');
    expect((await readFolders([folder], () => 'results')).faults).toEqual([
      expect.stringMatching(/^results\/xunit\.xml:1: is not whole XML/),
    ]);
  });

  it('is green only where output.xml and xunit.xml name the same tests as failed', async () => {
    const robot = (failing: string): string =>
      `<robot><suite name="S">${['A', 'B']
        .map((name) => `<test name="${name}"><status status="${name === failing ? 'FAIL' : 'PASS'}"/></test>`)
        .join('')}<status status="FAIL"/></suite></robot>`;
    const junit = (failing: string): string =>
      `<testsuite tests="2" failures="1">${['A', 'B']
        .map(
          (name) =>
            `<testcase classname="S" name="${name}">${name === failing ? '<failure/>' : ''}</testcase>`,
        )
        .join('')}</testsuite>`;
    put('output.xml', robot('A'));
    put('xunit.xml', junit('A'));
    expect((await readFolders([folder])).faults).toEqual([]);
    put('xunit.xml', junit('B'));
    expect((await readFolders([folder], () => 'results')).faults).toEqual([
      'results: output.xml holds "S.A" as failed, and xunit.xml "S.B" as failed; both must be of one run.',
    ]);
  });

  it('is read packed, as the pipeline carries it', async () => {
    put('output.xml.gz', gzipSync(output));
    put('xunit.xml.gz', gzipSync(xunit(false)));
    expect(await readFolders([folder])).toMatchObject({ tests: { total: 2, passed: 2 }, faults: [] });
  });

  it.each<[string, string, (path: string) => void, RegExp]>([
    ['a link', 'output.xml', (path) => symlinkSync('/etc/passwd', path), /is a link/],
    ['a pipe', 'output.xml', (path) => execFileSync('mkfifo', [path]), /is not a plain file/],
    ['a folder', 'output.xml', (path) => mkdirSync(path), /is not a plain file/],
    ['something else packed', 'output.xml.gz', (path) => writeFileSync(path, 'not gzip'), /is not packed/],
    [
      'cut off while packed',
      'output.xml.gz',
      (path) => writeFileSync(path, gzipSync(output).subarray(0, 60)),
      /is not packed/,
    ],
    [
      'larger than the pipeline carries',
      'output.xml.gz',
      (path) => writeFileSync(path, Buffer.alloc(30_001)),
      /is packed 30001 bytes, and 30000 bytes are read\. Leave keywords out/,
    ],
    [
      'a bomb',
      'output.xml.gz',
      (path) => writeFileSync(path, gzipSync(`<robot>${' '.repeat(1_000_000)}`)),
      /output\.xml:1: has one text of more than 50000 bytes/,
    ],
    [
      'larger than is read',
      'output.xml.gz',
      (path) => writeFileSync(path, gzipSync(`<robot>${'<a></a>'.repeat(100_000)}</robot>`)),
      /output\.xml:1: is larger than 200000 bytes/,
    ],
    [
      'nested without end',
      'output.xml',
      (path) => writeFileSync(path, `<robot>\n${'<suite name="s">'.repeat(5000)}`),
      /output\.xml:2: nests more than 100 suites/,
    ],
    [
      'nested without end in a test',
      'output.xml',
      (path) => writeFileSync(path, `<robot><suite name="s"><test name="t">\n${'<kw>'.repeat(5000)}`),
      /output\.xml:2: nests more than 2000 elements/,
    ],
    [
      'of countless tests',
      'xunit.xml',
      (path) => writeFileSync(path, `<testsuite>${'<testcase name="a"/>'.repeat(1001)}</testsuite>`),
      /xunit\.xml:1: holds more than 1000 tests/,
    ],
    [
      'in another encoding',
      'output.xml',
      (path) => writeFileSync(path, Buffer.from([0x3c, 0x61, 0xff, 0xfe])),
      /is not UTF-8/,
    ],
    [
      'swollen by entities',
      'output.xml',
      (path) =>
        writeFileSync(path, '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><robot>&b;</robot>'),
      /is not whole XML/,
    ],
  ])('is refused with its place when it is %s', async (_what, name, make, fault) => {
    make(join(folder, name));
    const small = { largest: 200_000, packed: 30_000, depth: 2000, suites: 100, tests: 1000, text: 50_000 };
    const { tests, faults } = await readFolders([folder], () => 'results', small);
    expect(tests.total).toBe(0);
    expect(faults).toEqual([expect.stringMatching(fault)]);
  });

  it('may be what a large suite leaves', () => {
    expect(bounds).toEqual({
      largest: 268_435_456,
      packed: 16_777_216,
      depth: 2000,
      suites: 100,
      tests: 200_000,
      text: 33_554_432,
    });
  });

  /** Megabytes of heap that reading a file takes, in a process of its own; undefined: it ended by that. */
  function readWithin(megabytes: number, file: string): number | undefined {
    const program = join(__dirname, '..', '..', 'delivery', 'verdict.ts');
    const read = `require(${JSON.stringify(program)}).readFolders([${JSON.stringify(file)}]).then(
      ({ tests }) => process.stdout.write(String(tests.failed)))`;
    const args = [`--max-old-space-size=${megabytes}`, '--require', 'tsx/cjs', '--eval', read];
    const cwd = join(__dirname, '..', '..');
    const { status, stdout } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
    return status === 0 ? Number(stdout) : undefined;
  }

  it('is read within the memory that there is, however much of it messages and names are', () => {
    const long = 'ж'.repeat(1_000_000);
    const test = (n: number) => `<test name="${n}${long}"><status status="FAIL">${n}${long}</status></test>`;
    const tests = Array.from({ length: 30 }, (_, n) => test(n)).join('');
    writeFileSync(join(folder, 'output.xml.gz'), gzipSync(`<robot><suite name="s">${tests}</suite></robot>`));
    expect(readWithin(64, folder)).toBe(30);
  });

  it('keeps the messages of the tests that come first, and counts all that suites fail by their teardown', () => {
    const tests = Array.from(
      { length: 3000 },
      (_, n) => `<test name="t${n}"><status status="PASS"/></test>`,
    ).join('');
    const end = `<kw type="TEARDOWN"><status status="FAIL">${'no '.repeat(700)}</status></kw><status status="FAIL"/></suite>`;
    const begun = performance.now();
    const reading = readResults(
      `<robot>${'<suite name="s">'.repeat(100)}${tests}${end.repeat(100)}</robot>`,
      'output.xml',
    );
    expect(performance.now() - begun).toBeLessThan(20_000);
    const { failed = 0, failing = [] } = 'tests' in reading ? reading.tests : {};
    expect([failed, failing.length]).toEqual([3000, 1000]);
    expect(failing.every(({ bySuite }) => bySuite)).toBe(true);
    expect(failing[0]?.message).toHaveLength(2000);
  });

  it('is read when it is larger, and deeper than any suite is', async () => {
    const deep = `${'<kw name="k">'.repeat(500)}${'</kw>'.repeat(500)}`;
    const test = (n: number) => `<test name="t${n}">${deep}<status status="PASS"/></test>`;
    put(
      'output.xml',
      `<robot><suite name="S">${Array.from({ length: 200 }, (_, n) => test(n)).join('')}</suite></robot>`,
    );
    expect(await readFolders([folder])).toMatchObject({ tests: { total: 200, passed: 200 }, faults: [] });
  });
});
