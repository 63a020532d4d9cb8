import fc from 'fast-check';
import { parse } from 'yaml';
import { parseStack, withoutSecrets } from '../../stacks/load';
import { withoutRotating, withSecrets } from '../../stacks/rotation';
import { stackText } from '../support/model';

const read = (text: string) => parseStack(text, 'stacks/Pulumi.test.yaml', 'test').secrets;

test('the section comes last in the config, and everything else stays as it was written', () => {
  const around = `# ours\n${stackText}  # the end\nencryptionsalt: v1:abc\n`;
  const written = withSecrets(around, { versions: { 'backup/key': 2 }, rotating: ['backup/key'] });
  const own =
    '  switchyard:secrets:\n    versions:\n      backup/key: 2\n    rotating:\n      - backup/key\n';
  expect(written).toContain(own);
  expect(written.replace(own, '')).toBe(around);
  expect(withSecrets(written, { versions: {}, rotating: [] })).toBe(around);
});

test('a section that stands anywhere is replaced where it stands', () => {
  const [head = '', ...rest] = stackText.split('\n');
  const given = [head, '  switchyard:secrets: { versions: { a: 2 } } # by hand', ...rest].join('\n');
  expect(withSecrets(given, { versions: { a: 3 }, rotating: [] })).toBe(
    [head, '  switchyard:secrets:', '    versions:', '      a: 3', ...rest].join('\n'),
  );
});

test('a file that ends without a line break gets one', () => {
  const written = withSecrets(stackText.trimEnd(), { versions: { a: 2 }, rotating: [] });
  expect(read(written)).toEqual({ versions: { a: 2 }, rotating: [] });
});

test('whatever is written is read back, however often', () => {
  const purpose = fc.stringMatching(/^[a-z0-9-]{1,9}(\/[a-z0-9-]{1,9}){0,2}$/);
  const secrets = fc.record({
    versions: fc.dictionary(purpose, fc.integer({ min: 1, max: 99 }), { maxKeys: 4 }),
    rotating: fc.uniqueArray(purpose, { maxLength: 3 }).map((all) => all.sort()),
  });
  fc.assert(
    fc.property(fc.array(secrets, { minLength: 1, maxLength: 4 }), (all) => {
      let text = stackText;
      for (const one of all) {
        text = withSecrets(text, one);
        expect(read(text)).toEqual({ versions: { ...one.versions }, rotating: one.rotating });
      }
      expect(withSecrets(text, { versions: {}, rotating: [] })).toBe(stackText);
    }),
    { numRuns: 60 },
  );
});

test('what Pods are given while a rotation goes on is the file as it ends', () => {
  const versions = { 'backup/key': 2 };
  expect(withoutRotating(withSecrets(stackText, { versions, rotating: ['backup/key'] }))).toBe(
    withSecrets(stackText, { versions, rotating: [] }),
  );
  expect(withoutRotating(withSecrets(stackText, { versions: {}, rotating: ['backup/key'] }))).toBe(stackText);
  expect(withoutRotating(stackText)).toBe(stackText);
});

test('a config on one line is not taken apart', () => {
  expect(() => withSecrets('config: { a: 1 }\n', { versions: {}, rotating: [] })).toThrow('one key a line');
});

test('a stack file without its secrets keeps every text, blanks that the library loses among them', () => {
  const text = `${stackText}  other:text: "  \\n"\n  other:secret: { secure: v1:abc }\nencryptionsalt: v1:abc\n`;
  const { config, ...rest } = parse(withoutSecrets(text));
  expect(config['other:text']).toBe('  \n');
  expect(config).not.toHaveProperty('other:secret');
  expect(rest).toEqual({});
});
