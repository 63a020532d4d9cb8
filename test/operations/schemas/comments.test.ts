import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommentReader, type Doc } from '../../../operations/schemas/comments';

/** Comments as plain data: key → comment, or key → the comments inside. */
function plain(doc: Doc | undefined): unknown {
  if (!doc) return undefined;
  const inside = {
    ...Object.fromEntries([...doc.properties].map(([key, inner]) => [key, plain(inner)])),
    ...(doc.items ? { '[]': plain(doc.items) } : {}),
    ...(doc.values ? { '*': plain(doc.values) } : {}),
    ...Object.fromEntries(doc.options.map((option, index) => [`|${index}`, plain(option)])),
  };
  const said = [doc.text, doc.preset && `= ${doc.preset}`].filter(Boolean).join(' ');
  return Object.keys(inside).length > 0 ? { '': said, ...inside } : said;
}

function commentsOf(files: Record<string, string>): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-comments-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return plain(new CommentReader().read(join(folder, 'main.ts'), 'schema'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('keys get their own comment, or else that of the constant that they are made of', () => {
  const text = `
/** An amount. */
const amount = z.string().regex(/x/);
export const schema = z.strictObject({
  /** How much
   * there is. @default all of it */
  much: amount.optional(),
  amount,
  bare: z.string(),
});`;
  expect(commentsOf({ 'main.ts': text })).toEqual({
    '': '',
    much: 'How much there is. = all of it',
    amount: 'An amount.',
    bare: '',
  });
});

test('comments are found inside lists, maps, unions, defaults, refinements, spreads and extensions', () => {
  const text = `
const base = z.object({
  /** one */
  a: z.string(),
});
/** whole */
export const schema = z
  .strictObject({
    ...base.shape,
    list: z.array(z.strictObject({
      /** two */
      b: z.string(),
    })).default([]),
    map: z.record(z.string(), z.strictObject({
      /** three */
      c: z.string(),
    })),
    either: z.union([
      /** The first
       *  way. */
      z.strictObject({ d: z.string() }),
      base.extend({
        /** five */
        e: z.string(),
      }),
    ]),
  })
  .superRefine(() => {});`;
  expect(commentsOf({ 'main.ts': text })).toEqual({
    '': 'whole',
    a: 'one',
    list: { '': '', '[]': { '': '', b: 'two' } },
    map: { '': '', '*': { '': '', c: 'three' } },
    either: { '': '', '|0': { '': 'The first way.', d: '' }, '|1': { '': '', a: 'one', e: 'five' } },
  });
});

test('names are followed through imports and into functions that make schemas', () => {
  expect(
    commentsOf({
      'main.ts': `
import { other as theirs } from './other';
const made = (inner) => z.union([
  z.strictObject({
    /** create it */
    create: inner,
  }),
  theirs,
]);
export const schema = z.strictObject({
  /** which */
  which: made(z.strictObject({
    /** its name */
    name: z.string(),
  })),
});`,
      'other.ts': 'export const other = z.strictObject({\n/** adopt it */\nexisting: z.string() });',
    }),
  ).toEqual({
    '': '',
    which: {
      '': 'which',
      '|0': { '': '', create: { '': 'create it', name: 'its name' } },
      '|1': { '': '', existing: 'adopt it' },
    },
  });
});

test('a constant that is not there is a fault of the program', () => {
  expect(() => commentsOf({ 'main.ts': 'export const other = z.string();' })).toThrow(
    'has no schema "schema"',
  );
});
