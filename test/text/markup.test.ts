import fc from 'fast-check';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { type DefaultTreeAdapterTypes, parseFragment } from 'parse5';
import { escapeText } from '../../operations/render/markup';
import { character } from '../support/characters';

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '<',
        '>',
        '&',
        '"',
        "'",
        '&amp;',
        '&#60;',
        ']]>',
        '<!--',
        '<script>',
        '</text>',
        '\0',
        '\u0001',
        '\u001b',
        '\uffff',
        '\ud800',
      ),
      fc.string({ unit: character, maxLength: 3 }),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join('').replaceAll('\r', ''));

/** What is left of a text in XML, which has no such characters. */
const inXml = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\p{Cs}\ufffe\uffff]/gu, '\ufffd');

test('HTML reads content and attribute as the text', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const [node] = parseFragment(`<p title="${escapeText(text)}">${escapeText(text)}</p>`).childNodes;
      const { attrs, childNodes } = node as DefaultTreeAdapterTypes.Element;
      expect(attrs).toEqual([{ name: 'title', value: inXml(text) }]);
      expect(childNodes.map((child) => ('value' in child ? child.value : child.nodeName)).join('')).toBe(
        inXml(text),
      );
    }),
    { numRuns: 500 },
  );
});

test('SVG with the text in it is valid XML, and says it', () => {
  const parser = new XMLParser({ trimValues: false, parseTagValue: false, htmlEntities: true });
  fc.assert(
    fc.property(hostile, (text) => {
      const svg = `<svg><text>x${escapeText(text)}</text></svg>`;
      expect(XMLValidator.validate(svg)).toBe(true);
      expect((parser.parse(svg) as { svg: { text: string } }).svg.text).toBe(`x${inXml(text)}`);
    }),
    { numRuns: 500 },
  );
});
