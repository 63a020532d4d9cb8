import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import type { Tests } from './certificate';

interface Node {
  readonly [key: string]: unknown;
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  textNodeName: '#text',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
  isArray: (_name, _path, _leaf, isAttribute) => !isAttribute,
});

const children = (node: Node, name: string): Node[] =>
  Array.isArray(node[name])
    ? (node[name] as unknown[]).map((child) =>
        child !== null && typeof child === 'object' ? (child as Node) : { '#text': child },
      )
    : [];
const text = (node: Node | undefined, key: string): string => {
  const value = node?.[key];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
};

type Outcome = { name: string; result: 'passed' | 'failed' | 'skipped'; message: string };

/** Robot's own output: `robot > suite* > test > status`. */
function fromRobot(root: Node): Outcome[] {
  const walk = (suite: Node, path: string): Outcome[] => {
    const name = path ? `${path}.${text(suite, '@name')}` : text(suite, '@name');
    return [
      ...children(suite, 'test').map((test): Outcome => {
        const status = children(test, 'status')[0];
        const said = text(status, '@status');
        return {
          name: `${name}.${text(test, '@name')}`,
          // A test that was begun and has no end (NOT RUN, no status) did not pass.
          result: said === 'PASS' ? 'passed' : said === 'SKIP' ? 'skipped' : 'failed',
          message: text(status, '#text') || (said ? '' : 'The test did not end.'),
        };
      }),
      ...children(suite, 'suite').flatMap((inner) => walk(inner, name)),
    ];
  };
  return children(root, 'robot').flatMap((robot) =>
    children(robot, 'suite').flatMap((suite) => walk(suite, '')),
  );
}

/** JUnit's: `testsuites? > testsuite* > testcase > (failure | error | skipped)?`. */
function fromJunit(root: Node): Outcome[] {
  const walk = (suite: Node): Outcome[] => [
    ...children(suite, 'testcase').map((test): Outcome => {
      const failure = children(test, 'failure')[0] ?? children(test, 'error')[0];
      const group = text(test, '@classname');
      return {
        name: group ? `${group}.${text(test, '@name')}` : text(test, '@name'),
        result: failure ? 'failed' : children(test, 'skipped').length > 0 ? 'skipped' : 'passed',
        message: failure ? text(failure, '@message') || text(failure, '#text') : '',
      };
    }),
    ...children(suite, 'testsuite').flatMap(walk),
    ...children(suite, 'testsuites').flatMap(walk),
  ];
  return walk(root);
}

export type Reading = { readonly tests: Tests } | { readonly fault: string };

/** Counts one result file's tests. Text that is cut off or of another kind is a fault, never "no failures". */
export function readResults(xml: string, file: string): Reading {
  const valid = XMLValidator.validate(xml);
  if (valid !== true) return { fault: `${file}:${valid.err.line}: is not whole XML (${valid.err.msg}).` };
  const root = parser.parse(xml) as Node;
  const known = ['robot', 'testsuite', 'testsuites'].find((name) => name in root);
  if (!known) return { fault: `${file}: is neither Robot's output nor JUnit's.` };
  const outcomes = known === 'robot' ? fromRobot(root) : fromJunit(root);
  const count = (result: Outcome['result']) => outcomes.filter((outcome) => outcome.result === result).length;
  return {
    tests: {
      total: outcomes.length,
      passed: count('passed'),
      failed: count('failed'),
      skipped: count('skipped'),
      failing: outcomes
        .filter(({ result }) => result === 'failed')
        .map(({ name, message }) => ({ name, message: message.slice(0, 2000) })),
    },
  };
}

export const noTests: Tests = { total: 0, passed: 0, failed: 0, skipped: 0, failing: [] };

export const addTests = (a: Tests, b: Tests): Tests => ({
  total: a.total + b.total,
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
  failing: [...a.failing, ...b.failing],
});

/** Reads the results of each folder: `output.xml`, or `xunit.xml` when Robot left none. */
export function readFolders(folders: readonly string[]): { tests: Tests; faults: string[] } {
  let tests = noTests;
  const faults: string[] = [];
  for (const folder of folders) {
    const file = ['output.xml', 'xunit.xml']
      .map((name) => join(folder, name))
      .find((path) => existsSync(path));
    if (!file) {
      faults.push(`${folder}: holds neither output.xml nor xunit.xml; the tests did not run to their end.`);
      continue;
    }
    const reading = readResults(readFileSync(file, 'utf8'), file);
    if ('fault' in reading) faults.push(reading.fault);
    else tests = addTests(tests, reading.tests);
  }
  return { tests, faults };
}
