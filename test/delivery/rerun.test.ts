import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { parseFragment } from 'parse5';
import type { Certificate } from '../../delivery/certificate';
import { readNote, renderNote } from '../../delivery/note';
import { rerunLines } from '../../delivery/rerun';
import { KEY, red, sha } from './certificates';

const COMMAND = 'robot --outputdir results --xunit xunit.xml tests';
const failing = (
  names: readonly string[],
  command = COMMAND,
  more: Partial<Certificate> = {},
): Certificate => ({
  ...red,
  tests: {
    total: names.length,
    passed: 0,
    failed: names.length,
    skipped: 0,
    failing: names.map((name) => ({ name, message: 'x' })),
    run: { command, baseUrl: 'http://127.0.0.1:8080' },
  },
  ...more,
});

test('the merge result is made again, and what failed is run by its name', () => {
  expect(rerunLines(failing(['Tests.Orders.Stock is kept', "Tests.It's [odd]*"]))).toEqual([
    "git fetch origin 'refs/heads/main' refs/merge-requests/7/head",
    `git checkout --detach ${sha('a')} && git merge --no-edit ${sha('b')}`,
    "export BASE_URL='http://127.0.0.1:8080'",
    `export ROBOT_OPTIONS='--test '\\''Tests.Orders.Stock is kept'\\'' --test '\\''Tests.It'\\''"'\\''"'\\''s [[]odd][*]'\\'''`,
    COMMAND,
  ]);
});

test('with those that were tested before it, in their order', () => {
  const ahead = {
    onto: sha('0'),
    requests: [
      { mergeRequest: 4, headSha: sha('4') },
      { mergeRequest: 2, headSha: sha('2') },
    ],
  };
  expect(rerunLines(failing(['A.a'], COMMAND, { ahead })).slice(0, 2)).toEqual([
    "git fetch origin 'refs/heads/main' refs/merge-requests/4/head refs/merge-requests/2/head refs/merge-requests/7/head",
    `git checkout --detach ${sha('0')} && git merge --no-edit ${sha('4')} && git merge --no-edit ${sha('2')} && git merge --no-edit ${sha('b')}`,
  ]);
});

test('five tests are named at most, none that is no test, and none to what is not Robot', () => {
  const options = (names: string[], command?: string) =>
    rerunLines(failing(names, command)).find((line) => line.startsWith('export ROBOT_OPTIONS'));
  expect(options(['a', 'b', 'c', 'd', 'e', 'f'])?.match(/--test/g)).toHaveLength(5);
  expect(options(['results', '.switchyard/quarantine.yaml'])).toBeUndefined();
  expect(options(['a'], 'pytest')).toBeUndefined();
  expect(rerunLines(red)).toEqual([]);
  expect(rerunLines(failing(['a'], 'one\nrobot two')).slice(-2)).toEqual([
    `export ROBOT_OPTIONS='--test '\\''a'\\'''`,
    '# then test.command of catalog/modules/orders.yaml',
  ]);
});

const text = (html: string): string => {
  const inner = (node: { value?: string; childNodes?: never[] }): string =>
    node.value ?? (node.childNodes ?? []).map(inner).join('');
  return inner(parseFragment(html) as never);
};

test('whatever tests are called, a shell runs nothing of it, and the note lets nothing of it act', () => {
  const name = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    fc.constantFrom(
      "'; touch /tmp/x; '",
      '$(id)',
      '`id`',
      '\\',
      '@all',
      '</details>',
      '/merge',
      '| x |',
      '```',
    ),
  );
  fc.assert(
    fc.property(name, (one) => {
      const certificate = failing([one]);
      const lines = rerunLines(certificate);
      for (const line of lines) expect(line).not.toMatch(/[\n\r]/);
      const line = lines.find((each) => each.startsWith('export ROBOT_OPTIONS='));
      if (line) {
        const script = `${line}; eval "set -- $ROBOT_OPTIONS"; printf '%s\\n' "$#" "$1" "$2"`;
        const [count, flag, ...given] = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\n');
        expect([count, flag, given.join('\n')]).toEqual([
          '2',
          '--test',
          `${one.replace(/[*?[]/g, '[$&]')}\n`,
        ]);
      }
      const note = renderNote(certificate, { state: 'tested' }, KEY);
      expect(readNote(note, KEY)).toEqual({ certificate });
      const [shown = ''] = note.split('<details><summary>Merge certificate');
      expect(shown).not.toMatch(/@all|^\/merge|```/m);
      expect(shown.match(/<\/details>/g)).toHaveLength(1);
      expect(text(shown)).toContain('git merge --no-edit');
    }),
    { numRuns: 60 },
  );
});

test.each(['--upload-pack=touch /tmp/x', '-x', "a'; touch /tmp/x; '"])(
  'a branch is a branch to the git of whoever pastes the lines, whatever it is called: %s',
  (targetBranch) => {
    const [line = ''] = rerunLines({ ...failing(['one']), targetBranch });
    const words = execFileSync('sh', ['-c', `git() { printf '%s\\n' "$@"; }; ${line}`], { encoding: 'utf8' });
    expect(words.split('\n').slice(0, 3)).toEqual(['fetch', 'origin', `refs/heads/${targetBranch}`]);
  },
);
