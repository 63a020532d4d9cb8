import fc from 'fast-check';
import { micromark } from 'micromark';
import { gfm, gfmHtml } from 'micromark-extension-gfm';
import { type DefaultTreeAdapterTypes, parseFragment } from 'parse5';
import { markdownCode, markdownText } from '../../text/markdown';

// CommonMark with GitHub's extensions, which GitLab's engine has as well, then HTML as a browser reads it.

type Node = DefaultTreeAdapterTypes.ChildNode;

const nodesOf = (markdown: string): Node[] =>
  parseFragment(
    micromark(markdown, { allowDangerousHtml: true, extensions: [gfm()], htmlExtensions: [gfmHtml()] }),
  ).childNodes;

/** Elements on the way, and each text of its own, as GitLab's filters look at them. */
function* walk(nodes: readonly Node[]): Generator<{ element: string } | { text: string }> {
  for (const node of nodes) {
    if (node.nodeName === '#text' && 'value' in node) yield { text: node.value };
    else if ('childNodes' in node) {
      yield { element: node.nodeName };
      yield* walk(node.childNodes);
    } else yield { element: node.nodeName };
  }
}
const elementsOf = (markdown: string): Set<string> =>
  new Set([...walk(nodesOf(markdown))].flatMap((each) => ('element' in each ? [each.element] : [])));
const textsOf = (markdown: string): string[] =>
  [...walk(nodesOf(markdown))].flatMap((each) => ('text' in each ? [each.text] : []));

/** What GitLab's filters find in a text of the HTML: lib/banzai/filter, patterns of the models. */
const FOUND = [
  /@[\w.]/,
  /[#!$%~&^][\w"*]/,
  /\[[\w-]+:\S/,
  /\*iteration:/,
  /:[\w+-]+:/,
  /[a-z][\w+.-]*:\/\/\S/i,
  /\bwww\.\S/i,
];

/** What a reader sees of a text: white space is one space, and nothing unseen is left. */
const seen = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '@all',
        '@',
        '/close',
        '/merge\n',
        '\n',
        '\r\n',
        '\n\n',
        '|',
        '`',
        '```',
        '````\n',
        '~~~',
        '<b>',
        '</details>',
        '<!-- x -->',
        '<script>',
        '&amp;',
        '&#64;',
        '&',
        '#1',
        '!2',
        '~bug',
        '~"a b"',
        '%1',
        '$3',
        '^alert#1',
        '[issue:1]',
        '[a](http://b)',
        '![a](b)',
        '*iteration:1',
        '*',
        '**',
        '_',
        '\\',
        ':tada:',
        'https://evil.test',
        'www.evil.test',
        'WWW.evil.test',
        'a@b.test',
        '- ',
        '# ',
        '> ',
        '>>>\n',
        '---',
        '1. ',
        '$$',
        '[[x]]',
        '{+x+}',
        '[-x-]',
        '\u202e',
        '\0',
        '\ud800',
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join(''));

test.each([
  ['in a sentence', (text: string) => `Found: ${text}`],
  ['in a list', (text: string) => `- fault ${text}\n- next`],
  ['in a cell', (text: string) => `| a | b |\n|---|---|\n| it ${text} | c |`],
])('text %s stays text, and the line stays one', (_where, around) => {
  const plain = elementsOf(around('x'));
  fc.assert(
    fc.property(hostile, (text) => {
      const source = around(markdownText(text));
      expect(source.split('\n').length).toBe(around('x').split('\n').length);
      const elements = elementsOf(source);
      elements.delete('span');
      expect(elements).toEqual(plain);
      const texts = textsOf(source);
      const whole = texts.join('').replace(/\s+/g, ' ');
      expect(whole).toContain(seen(text) === '' ? '' : seen(text));
      expect(texts.filter((one) => FOUND.some((pattern) => pattern.test(one)))).toEqual([]);
    }),
    { numRuns: 400 },
  );
});

test('text in the type of code stays text too', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const source = `| a | b |\n|---|---|\n| ${markdownCode(text)} | c |`;
      const elements = elementsOf(source);
      elements.delete('span');
      expect(elements).toEqual(new Set(['table', 'thead', 'tbody', 'tr', 'th', 'td', 'code']));
      expect(textsOf(source).join('').replace(/\s+/g, ' ')).toContain(seen(text));
    }),
    { numRuns: 400 },
  );
});

test('a cut text is as long as it may be, and breaks no character', () => {
  expect(markdownText('abcdef', 4)).toBe('abc…');
  expect(textsOf(`x ${markdownText('💥💥💥', 2)}`).join('')).toBe('x 💥…');
});
