import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseYaml } from '../../../catalog/problems';
import { describedFiles, generatedFiles } from '../../../operations/schemas/files';
import { schemaLine } from '../../../operations/schemas/line';
import { typeText } from '../../../operations/schemas/reference';
import { describe as describeSchema, fileKinds, type JsonSchema } from '../../../operations/schemas/schema';
import { root } from '../../support/model';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test.each([...generatedFiles(root)])('%s is what "npm run generate:schemas" writes', (path, text) => {
  expect(read(path)).toBe(text);
});

test.each(describedFiles(root))(
  '$path begins with the line by which editors find its schema',
  ({ path, line }) => {
    expect(read(path).split('\n')[0]).toBe(line);
  },
);

test('the line leads from the file to the schema', () => {
  expect(schemaLine({ name: 'module', folder: 'catalog/modules' })).toBe(
    '# yaml-language-server: $schema=../../schemas/module.schema.json',
  );
});

function undescribed(schema: JsonSchema, path: string): string[] {
  const inner = [
    ...(schema.anyOf ?? schema.oneOf ?? []).flatMap((option) => undescribed(option, path)),
    ...(schema.items ? undescribed(schema.items, `${path}[]`) : []),
    ...(typeof schema.additionalProperties === 'object'
      ? undescribed(schema.additionalProperties, `${path}.*`)
      : []),
  ];
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, property]) => [
    ...(property.description ? [] : [`${path}.${key}`]),
    ...undescribed(property, `${path}.${key}`),
  ]);
  return [...own, ...inner];
}

test('every key of every file says what it is for', () => {
  expect(fileKinds(root).flatMap(({ name, schema }) => undescribed(schema, name))).toEqual([]);
});

test('every key of every file is in the reference', () => {
  const page = read('docs/reference.md');
  for (const key of ['`services[].production.reason`', '`versions.*.image`', '`switchyard:gitlab.url`']) {
    expect(page).toContain(`| ${key} |`);
  }
});

test('the schemas refuse unknown keys, want what has no default, and give the default of what has one', () => {
  const [module, , stack] = fileKinds(root);
  expect(module?.schema).toMatchObject({
    additionalProperties: false,
    required: ['description', 'owners'],
    properties: {
      port: { default: 8080, maximum: 65535 },
      merge: { enum: ['reviewed', 'automatic', 'manual'] },
    },
  });
  const config = stack?.schema.properties?.config;
  expect(config?.additionalProperties).toBe(false);
  expect(config?.required).toContain('switchyard:environment');
  expect(config?.required).not.toContain('switchyard:images');
  expect(Object.keys(config?.properties ?? {}).every((key) => key.startsWith('switchyard:'))).toBe(true);
});

test("a stack's schema leaves the keys of providers alone and knows the encrypted secrets", () => {
  const config = fileKinds(root)[2]?.schema.properties?.config;
  const [pattern = ''] = Object.keys(config?.patternProperties ?? {});
  expect('gitlab:insecure').toMatch(new RegExp(pattern));
  expect('switchyard:backnd').not.toMatch(new RegExp(pattern));
  expect(config?.properties?.['switchyard:seed']).toMatchObject({ required: ['secure'] });
});

test('a description in the schema goes before a comment, and a default that the schema knows is said once', () => {
  const doc = { text: 'from the comment', preset: 'the kind', properties: new Map(), options: [] };
  expect(describeSchema({ description: 'from the schema' }, doc).description).toBe(
    'from the schema Default: the kind.',
  );
  expect(describeSchema({ default: 1 }, doc).description).toBe('from the comment');
});

test('the reference says types in words', () => {
  const words = (schema: z.ZodType) => typeText(z.toJSONSchema(schema, { io: 'input' }) as JsonSchema);
  expect(words(z.number().int())).toBe('integer');
  expect(words(z.number().int().min(1).max(9))).toBe('integer, 1 to 9');
  expect(words(z.array(z.enum(['a', 'b'])))).toBe('list of `a` or `b`');
  expect(words(z.record(z.string(), z.string()))).toBe('map to text');
  expect(words(z.union([z.literal(true), z.string()]))).toBe('`true` or text');
});

test('the line of the schema is a comment to every reader', () => {
  const parsed = parseYaml(
    `${schemaLine({ name: 'stack', folder: 'stacks' })}\na: 1\n`,
    'f',
    z.strictObject({ a: z.number() }),
  );
  expect(parsed).toEqual({ value: { a: 1 } });
});
