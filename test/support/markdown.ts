import fc from 'fast-check';
import { micromark } from 'micromark';
import { gfm, gfmHtml } from 'micromark-extension-gfm';
import { type DefaultTreeAdapterTypes, parseFragment } from 'parse5';

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
export const elementsOf = (markdown: string): Set<string> =>
  new Set([...walk(nodesOf(markdown))].flatMap((each) => ('element' in each ? [each.element] : [])));
export const textsOf = (markdown: string): string[] =>
  [...walk(nodesOf(markdown))].flatMap((each) => ('text' in each ? [each.text] : []));

/** Text that means something to Markdown, to HTML and to GitLab. */
export const hostile = fc
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
