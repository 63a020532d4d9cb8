import fc from 'fast-check';
import { micromark } from 'micromark';
import { gfm, gfmHtml } from 'micromark-extension-gfm';
import { type DefaultTreeAdapterTypes, parseFragment } from 'parse5';
import { character } from './characters';

// CommonMark with GitHub's extensions, which GitLab's engine has as well, then HTML as a browser reads it.

type Node = DefaultTreeAdapterTypes.ChildNode;

const options = { allowDangerousHtml: true, extensions: [gfm()], htmlExtensions: [gfmHtml()] };
const nodesOf = (markdown: string): Node[] => parseFragment(micromark(markdown, options)).childNodes;

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
/** The elements of a text, and each of its texts. */
export function partsOf(markdown: string): { readonly elements: Set<string>; readonly texts: string[] } {
  const parts = [...walk(nodesOf(markdown))];
  return {
    elements: new Set(parts.flatMap((each) => ('element' in each ? [each.element] : []))),
    texts: parts.flatMap((each) => ('text' in each ? [each.text] : [])),
  };
}
export const elementsOf = (markdown: string): Set<string> => partsOf(markdown).elements;
export const textsOf = (markdown: string): string[] => partsOf(markdown).texts;

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
      fc.string({ unit: character, maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join(''));
