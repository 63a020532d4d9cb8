import fc from 'fast-check';
import { disguises, hide, redact } from '../../text/hide';

test('a value is hidden plain and in the forms in which programs print it', () => {
  const value = 'a "secret"/value+1';
  const bytes = Buffer.from(value);
  for (const text of [
    value,
    JSON.stringify({ value }),
    encodeURIComponent(value),
    bytes.toString('hex'),
    bytes.toString('base64'),
    [...value].reverse().join(''),
  ]) {
    const hidden = hide(`before ${text} after`, [value]);
    expect(hidden.found).toBe(1);
    expect(hidden.text).toContain('[hidden]');
    for (const form of disguises(value)) expect(hidden.text).not.toContain(form);
  }
});

/** Of eight characters and more, with whatever programs escape. */
const value = fc
  .array(fc.constantFrom(...'aB3"\'<>&+/=%\\ \néü-_$'), { minLength: 9, maxLength: 40 })
  .map((all) => `x${all.join('')}y`)
  // What is blank at a break is no character of a value.
  .filter((text) => text.replace(/\s/g, '').length >= 9 && !/[ \t]|\n\n/.test(text));

test('a value is hidden in every form, also where it is broken over lines that are indented, begin with a mark, or are JSON', () => {
  const gap = fc.constantFrom('', '\n', '\r\n', '\n    ', ' \n\t', '\n  | ', '\n+ ', '\\n', '\\\\n');
  fc.assert(
    fc.property(
      value.chain((text) =>
        fc.record({
          text: fc.constant(text),
          form: fc.constantFrom(...disguises(text)),
          gap,
          every: fc.integer({ min: 1, max: 20 }),
        }),
      ),
      ({ text, form, gap: between, every }) => {
        const pieces = [...form].reduce<string[]>((all, one, index) => {
          if (index % every === 0) all.push('');
          return [...all.slice(0, -1), `${all.at(-1)}${one}`];
        }, []);
        // Where a break is one of the value's own, or reads as a part of it, it is another text.
        fc.pre(between === '' || !/\n/.test(form));
        fc.pre(!between.includes('\\') || !form.includes('\\'));
        expect(hide(`before: ${pieces.join(between)};after`, [text])).toEqual({
          text: 'before: [hidden];after',
          found: 1,
        });
      },
    ),
  );
});

test('values that overlap, hold or begin each other leave no rest of any', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1'), minLength: 8, maxLength: 12 });
  fc.assert(
    fc.property(piece, piece, piece, (a, b, c) => {
      const secrets = [`${a}${b}`, `${b}${c}`, a, `${a}${b}`.slice(0, 9)];
      expect(hide(`x ${a}${b}${c} y`, secrets).text).toBe('x [hidden] y');
      expect(redact(`x ${a}${b}${c} y`, secrets)).toBe('x [hidden] y');
    }),
  );
});

test('a key of several lines is hidden where one of its lines is told alone; what stands around it in every key is not', () => {
  const [first, second] = [
    'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ',
    'C7VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMv',
  ];
  const key = `-----BEGIN PRIVATE KEY-----\n${first}\n${second}\n-----END PRIVATE KEY-----\n`;
  expect(hide(`12:00 ${second}.`, [key])).toEqual({ text: '12:00 [hidden].', found: 1 });
  expect(hide('-----BEGIN PRIVATE KEY-----', [key]).found).toBe(0);
  const certificate = `-----BEGIN CERTIFICATE-----\n${first}\n-----END CERTIFICATE-----\n`;
  expect(hide(first, [`${certificate}${key.replace(first, second)}`]).found).toBe(0);
});

test('a log as large as one may be takes as long for a thousand values as for one', () => {
  const text = 'a line of a log, as programs write them\n'.repeat(50_000);
  const secrets = Array.from({ length: 1000 }, (_, index) => `value-${index}-of-a-secret`);
  const began = performance.now();
  expect(hide(`${text}value-7-of-a-secret`, secrets).found).toBe(1);
  expect(performance.now() - began).toBeLessThan(20_000);
});

test('base64 is recognised wherever the value begins in what was encoded', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (before, after) => {
      const encoded = Buffer.from(`${before}the-secret-value-of-this-test${after}`).toString('base64');
      expect(hide(encoded, ['the-secret-value-of-this-test']).found).toBe(1);
    }),
  );
});

test('text without the value stays as it is, and short words are no secrets', () => {
  expect(hide('nothing here', ['some-secret-value'])).toEqual({ text: 'nothing here', found: 0 });
  expect(hide('true is root', ['true', 'root'])).toEqual({ text: 'true is root', found: 0 });
});

test('a value inside another leaves no rest of the longer one', () => {
  expect(hide('x long-secret-tail y', ['long-secret', 'long-secret-tail']).text).toBe('x [hidden] y');
});

test('what is redacted is without the secrets, and without what looks like a GitLab token', () => {
  expect(redact('login with s3cret-value failed', ['s3cret-value'])).toBe('login with [hidden] failed');
  expect(redact('token glpat-abcdefghijklmnopqrst12 refused', [])).toBe('token [hidden] refused');
});
