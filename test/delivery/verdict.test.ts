import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { addTests, noTests, readFolders, readResults } from '../../delivery/verdict';

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
      fault: "output.xml: is neither Robot's output nor JUnit's.",
    });
  });

  it('add up over folders, and a folder without results is a fault', () => {
    const root = mkdtempSync(join(tmpdir(), 'verdict-'));
    try {
      mkdirSync(join(root, 'a'));
      mkdirSync(join(root, 'empty'));
      writeFileSync(join(root, 'a', 'output.xml'), robot);
      const read = readFolders([join(root, 'a'), join(root, 'a'), join(root, 'empty')]);
      expect(read.tests.total).toBe(6);
      expect(read.tests.failing).toHaveLength(2);
      expect(read.faults).toEqual([expect.stringContaining('holds neither output.xml nor xunit.xml')]);
      expect(addTests(noTests, noTests)).toEqual(noTests);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
