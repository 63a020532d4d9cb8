import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PodWords } from '../../delivery/pod-words';
import { type Undone, undoNote } from '../../delivery/undo-note';
import { readPodWords } from '../../delivery/unsteady';

const BUILD = 'https://jenkins.test/job/shop/9/';
const deployment: Undone = {
  module: 'shop',
  project: 'switchyard/shop',
  environment: 'production',
  commit: 'b'.repeat(40),
  branch: 'main',
  mergeRequest: 7,
  image: `registry.test/modules/shop@sha256:${'b'.repeat(64)}`,
  by: 'merge',
  undone: { why: 'it did not get ready by its deadline (Error)', serves: 'a'.repeat(40) },
};
const unsteady: PodWords = {
  why: 'it did not get ready by its deadline (Error)',
  pods: [
    {
      name: 'shop-1',
      events: ['BackOff: restarting failed container'],
      log: ['</details>', '@all /close', '![x](https://evil.test/?q)', 'glpat-abcdefghijklmnopqrstuv', '  '],
    },
  ],
};

test('the note mentions the author, says what runs now, and has the Pod’s words, which do nothing', () => {
  const note = undoNote(deployment, BUILD, unsteady, 'ada', ['the-bots-token']);
  expect(note).toContain('<!-- switchyard:undone production bbbbbbbbbbbb -->');
  expect(note).toContain('@ada: shop bbbbbbbbbbbb was rolled out to production and is undone');
  expect(note).toContain('aaaaaaaaaaaa runs there as before.');
  expect(note).toContain('BackOff: restarting failed container');
  expect(note.match(/<\/details>/g)).toHaveLength(1);
  expect(note).not.toMatch(/@all|!\[x\]|https:\/\/evil|glpat-/);
  expect(note.split('\n').filter((line) => line.startsWith('/'))).toEqual([]);
});

test('without the Pod’s words, an author or a release before, it says what it knows', () => {
  const { serves: _none, ...undone } = deployment.undone;
  const note = undoNote({ ...deployment, undone }, BUILD, undefined, 'no one\n/close');
  expect(note).toContain('It was the first release there: nothing runs of it now.');
  expect(note).not.toMatch(/@|\/close|Pod/);
});

test('the words are read from a plain file of their form and size, and from nothing else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'unsteady-'));
  const file = join(folder, 'unsteady.json');
  try {
    expect(readPodWords(file)).toBeUndefined();
    writeFileSync(file, JSON.stringify(unsteady));
    expect(readPodWords(file)).toEqual(unsteady);
    const link = join(folder, 'link.json');
    symlinkSync(file, link);
    expect(readPodWords(link)).toBeUndefined();
    for (const text of [
      '',
      '{}',
      JSON.stringify({ ...unsteady, why: 'x\n\nBy: eve' }),
      `"${'x'.repeat(300_000)}"`,
    ]) {
      writeFileSync(file, text);
      expect(readPodWords(file)).toBeUndefined();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
