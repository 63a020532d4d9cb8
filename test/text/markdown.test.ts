import fc from 'fast-check';
import { type DrillReport, faultsOf, reportMarkdown } from '../../operations/drill/report';
import { gitlabTable, resourcesTable } from '../../operations/render/tables';
import { markdownCode, markdownText } from '../../text/markdown';
import { elementsOf, hostile, partsOf, textsOf } from '../support/markdown';
import { scaled } from '../support/scale';

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
      const { elements, texts } = partsOf(source);
      elements.delete('span');
      expect(elements).toEqual(plain);
      const whole = texts.join('').replace(/\s+/g, ' ');
      expect(whole).toContain(seen(text) === '' ? '' : seen(text));
      expect(texts.filter((one) => FOUND.some((pattern) => pattern.test(one)))).toEqual([]);
    }),
    { numRuns: scaled({ usual: 200, all: 2000 }) },
  );
});

test('text in the type of code stays text too', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const source = `| a | b |\n|---|---|\n| ${markdownCode(text)} | c |`;
      const { elements, texts } = partsOf(source);
      elements.delete('span');
      expect(elements).toEqual(new Set(['table', 'thead', 'tbody', 'tr', 'th', 'td', 'code']));
      expect(texts.join('').replace(/\s+/g, ' ')).toContain(seen(text));
    }),
    { numRuns: scaled({ usual: 200, all: 2000 }) },
  );
});

test('a cut text is as long as it may be, and breaks no character', () => {
  expect(markdownText('abcdef', 4)).toBe('abc…');
  expect(textsOf(`x ${markdownText('💥💥💥', 2)}`).join('')).toBe('x 💥…');
});

const TABLE = ['table', 'thead', 'tbody', 'tr', 'th', 'td'];

test('what is rendered of GitLab and of all resources is tables of text, whatever the texts are', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const boxes = [
        {
          name: 'box',
          declarations: [
            {
              type: 'gitlab:index/project:Project',
              name: `gitlab-${text}`,
              provider: 'gitlab',
              args: { description: text, topics: [text] },
            },
          ],
        },
      ] as unknown as Parameters<typeof gitlabTable>[1];
      const gitlab = gitlabTable('test', boxes);
      const resources = resourcesTable('test', boxes);
      for (const [markdown, further] of [
        [gitlab, ['h1', 'code']],
        [resources, ['h1']],
      ] as const) {
        const elements = elementsOf(markdown);
        elements.delete('span');
        expect(elements).toEqual(new Set([...TABLE, ...further]));
        expect(markdown.split('\n').filter((line) => line.startsWith('| '))).toHaveLength(2);
      }
    }),
    { numRuns: scaled({ usual: 100, all: 1000 }) },
  );
});

test('the report of a drill is headings, tables, a picture and text, whatever was lost', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const measured: Omit<DrillReport, 'faults'> = {
        environment: 'lab',
        struckAt: '2026-11-24T12:00:00.000Z',
        steps: [{ name: text, seconds: 1 }],
        rtoSeconds: 1,
        rpoSeconds: { databases: 1 },
        lost: [{ kind: 'databases', what: text, before: text, after: text }],
        compared: { [text]: 1 },
        targets: { rtoMinutes: 2, rpoMinutes: 10 },
      };
      const elements = elementsOf(reportMarkdown({ ...measured, faults: faultsOf(measured) }));
      elements.delete('span');
      expect(elements).toEqual(new Set([...TABLE, 'h1', 'h2', 'p', 'img', 'ul', 'li']));
    }),
    { numRuns: scaled({ usual: 100, all: 1000 }) },
  );
});
