import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root } from '../support/model';

// A stand-in is only as good as what was read of the system that it stands for: each suite that holds one to its contract
// says which source, and docs/lab.md has all of them in one table.

const JENKINS = 'lab/jenkins/src/test/java/dev/switchyard/jenkins';
const suites = ['test/lab/gitlab', 'test/lab/plugins', JENKINS].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /(\.test\.ts|Test\.java)$/.test(file))
    .map((file) => `${folder}/${file}`),
);
/** A suite as the table calls it: which command runs it is nothing to the table. */
const nameOf = (suite: string): string => basename(suite).replace(/(\.integration)?\.(test\.ts|java)$/, '');
const lab = readFileSync(join(root, 'docs/lab.md'), 'utf8');
const table = lab.slice(lab.indexOf('## Where each behaviour was read'));

test.each(suites)('%s names its source, and docs/lab.md has it', (suite) => {
  const text = readFileSync(join(root, suite), 'utf8');
  expect(text).toMatch(
    suite.endsWith('.ts')
      ? /^\/\/ Facts of [A-Za-z-]+/
      : /^(?: \*|\/\*\*).*(Sources?[:,]|read in jenkinsci\/)/m,
  );
  expect(table).toContain(nameOf(suite));
});

test('every suite and source that the table names is there', () => {
  const rows = table.split('\n').filter((line) => line.startsWith('| ') && !/^\| (stand-in|-)/.test(line));
  expect(rows.length).toBeGreaterThan(20);
  const known = new Set(suites.map(nameOf));
  for (const row of rows) {
    const [standIn, behaviour, source, contract = ''] = row
      .split('|')
      .slice(1)
      .map((cell) => cell.trim());
    expect([row, standIn, behaviour, source]).not.toContain('');
    for (const [, name] of contract.matchAll(/`([^`]+)`/g)) expect([...known]).toContain(name);
    expect(contract).toMatch(/`/);
  }
});
