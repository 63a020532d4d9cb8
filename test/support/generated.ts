import fc from 'fast-check';
import type { JsonSchema } from '../../operations/schemas/schema';
import { soon } from './model';

/** One value in this many is wrong on purpose: of another type, missing, or under a key that nobody knows. */
const WRONG = 40;

/** Texts that are taken for something else somewhere. */
const nasty: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.constantFrom(
      ...['', ' ', '.', '..', '/', '../..', '-', '--', '*', '$(A)', '$$', '${x}', 'a b', 'A', 'a.b', 'a..b'],
      ...['x\u0000y', '\ud800', '\u2028', 'ä', '«secret:x»', 'a\nb', "'", '"', '`', '<b>', '{host}'],
      ...['10.0.0.1', 'https://a:b@c/d', 'a'.repeat(63), 'a'.repeat(64), 'a'.repeat(253), 'a'.repeat(254)],
    ),
  },
  // More than a variable, an annotation or a file may be.
  { weight: 1, arbitrary: fc.constantFrom('x'.repeat(140_000), 'é'.repeat(300_000)) },
);

const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(
    null,
    '',
    [],
    {},
    '__proto__',
    'constructor',
    '«secret:x»',
    '8.O',
    '1Gi ',
    'a: b',
    '- x',
    '💥',
  ),
  fc.array(fc.integer(), { maxLength: 2 }),
);

/** Values that refer to each other or have a range; without them hardly any generated file would hold together. */
const names: Readonly<Record<string, readonly string[]>> = {
  kind: ['cache', 'cache', 'cache', 'cache', 'cash'],
  version: ['1.0', '2.0'],
  proved: ['lab', 'not run here'],
  image: ['cache:1.0', 'one.test:5000/a/b:2.0'],
  port: ['main', 'http-2'],
  cpu: ['50m', '100m', '0.5'],
  cpuLimit: ['1', '1500m', '2.5'],
  memory: ['64Mi', '1Gi'],
  memoryLimit: ['1Gi', '2048Mi'],
  dataPath: ['/d', '/var/lib/data'],
  scratchPaths: ['/tmp', '/run/a'],
  'switchyard:backend': ['file:///state', 's3://state?region=eu', 'gs://state'],
  'switchyard:stateCopies': ['file:///copies', 'azblob://copies'],
};

/** Of each pattern once: to make texts of one takes longer than to make many of them. */
const matching = new Map<string, fc.Arbitrary<string>>();
function textsOf(pattern: string, size?: 'medium'): fc.Arbitrary<string> {
  const key = `${size} ${pattern}`;
  const made = matching.get(key) ?? fc.stringMatching(new RegExp(pattern), { size });
  matching.set(key, made);
  return made;
}

function right(schema: JsonSchema, key: string): fc.Arbitrary<unknown> {
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return fc.oneof(...options.map((option) => right(option, key)));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'string':
      if (names[key]) {
        return fc.oneof(
          { weight: 40, arbitrary: fc.constantFrom(...names[key]) },
          { weight: 1, arbitrary: schema.pattern ? textsOf(schema.pattern) : nasty },
        );
      }
      if (schema.format === 'uri') return fc.constantFrom('https://one.test', 'http://two.test:8080');
      if (schema.format === 'date') return fc.constantFrom(soon, '2031-12-31');
      if (schema.pattern)
        return fc.oneof(
          {
            weight: 40,
            arbitrary: textsOf(schema.pattern).map((text) => text.slice(0, 30)),
          },
          // As long as it gets, which is where Kubernetes ends.
          { weight: 1, arbitrary: textsOf(schema.pattern, 'medium') },
          { weight: 1, arbitrary: nasty },
        );
      return fc.oneof(
        { weight: 60, arbitrary: textsOf('^[a-z][a-z ]{9,14}[a-z]$') },
        { weight: 1, arbitrary: nasty },
      );
    case 'integer':
    case 'number':
      return fc.oneof(
        {
          weight: 40,
          arbitrary: fc.integer({
            min: Math.ceil(Math.max(schema.minimum ?? 0, 0)),
            max: Math.min(schema.maximum ?? 1000, 70_000),
          }),
        },
        // Both ends, and what is beyond them.
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            ...[schema.minimum, schema.maximum, 0, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31].filter(
              (value) => value !== undefined,
            ),
          ),
        },
      );
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(schema.items ? value(schema.items, key) : junk, {
        minLength: schema.minItems ?? 0,
        maxLength: 2,
      });
    case 'object':
      return object(schema);
    default:
      return junk;
  }
}

/** Values as a schema wants them, and now and then not. */
function value(schema: JsonSchema, key: string): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: WRONG, arbitrary: right(schema, key) }, { weight: 1, arbitrary: junk });
}

function object(schema: JsonSchema): fc.Arbitrary<unknown> {
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0 && typeof schema.additionalProperties === 'object') {
    return fc.dictionary(
      fc.oneof(
        { weight: 40, arbitrary: fc.constantFrom('LOG_LEVEL', 'A', 'ROBOT_2') },
        {
          weight: 1,
          arbitrary: fc.constantFrom('discovery.type', 'constructor', '__proto__', 'a/b', 'A/b/c', '1', ''),
        },
        { weight: 1, arbitrary: nasty.filter((text) => text.length < 1000) },
      ),
      value(schema.additionalProperties, ''),
      { maxKeys: 2, noNullPrototype: true },
    );
  }
  const required = new Set(schema.required);
  const record = fc.record(
    Object.fromEntries(
      properties.map(([key, inner]) => [
        key,
        // A third of the optional keys at a time keeps documents short; thousands of them meet every key.
        required.has(key)
          ? value(inner, key)
          : fc.oneof(
              { weight: 2, arbitrary: fc.constant(undefined) },
              { weight: 1, arbitrary: value(inner, key) },
            ),
      ]),
    ),
    { noNullPrototype: true },
  );
  const spoilt = fc
    .tuple(record, fc.constantFrom(...properties.map(([key]) => key), 'x'), junk)
    .map(([whole, key, extra]): unknown => {
      const { [key]: taken, ...rest } = whole as Record<string, unknown>;
      return { ...rest, [`${key}s`]: extra ?? taken };
    });
  return fc.oneof({ weight: WRONG, arbitrary: record }, { weight: 1, arbitrary: spoilt });
}

/** Documents of a kind of file, as data: most of them right, each key of the schema among them. */
export const documents = (schema: JsonSchema): fc.Arbitrary<unknown> => value(schema, '');

/** What typing does to text: a piece lost, doubled, or put in. */
export const typing = (text: string): fc.Arbitrary<string> =>
  fc
    .record({
      at: fc.nat(text.length),
      lost: fc.nat(6),
      put: fc.constantFrom(
        '',
        ' ',
        '\n',
        '\t',
        ':',
        '- ',
        '"',
        '[',
        '}',
        '&a ',
        '*a',
        '!!x ',
        '---\n',
        '\u0000',
      ),
    })
    .map(({ at, lost, put }) => text.slice(0, at) + put + text.slice(at + lost));

/** A right document in which some of the top keys of `inside` are generated: for files whose keys hang together. */
export const variations = (
  base: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  inside: string,
  schema: JsonSchema,
): fc.Arbitrary<unknown> => {
  const made = Object.entries(schema.properties?.[inside]?.properties ?? {}).map(([key, inner]) =>
    value(inner, key).map((changed): [string, unknown] => [key, changed]),
  );
  return fc.array(fc.oneof(...made), { minLength: 1, maxLength: 2 }).map((changed) => ({
    ...base,
    [inside]: { ...base[inside], ...Object.fromEntries(changed) },
  }));
};
