import { isTemplate } from '../../components/shared/references';
import { unicodeEscape } from '../../text/unicode';

/** Words that YAML 1.1, which kubectl reads, or YAML 1.2 takes for something else than a string. */
const RESERVED = new Set(['true', 'false', 'yes', 'no', 'on', 'off', 'y', 'n', 'null', '~']);

/** What every reader takes for a string without quotes: a letter first, and no indicator of YAML's anywhere. */
const PLAIN = /^[A-Za-z/_][\w./@-]*(:[\w./@-]+)*( [\w./@-]+(:[\w./@-]+)*)*$/;

/** Characters that a reader may refuse, fold or take for a line's end; inside double quotes they are escaped. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029\ufeff]/g;

/** Text of several lines that reads the same as a literal block: no odd white space at either end or inside. */
const BLOCK = /^[^\s][^\t\r]*\S\n?$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NOT_IN_BLOCK = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ud800-\udfff]/;

function quoted(text: string): string {
  return JSON.stringify(text).replace(UNSAFE, unicodeEscape);
}

function plainOrQuoted(text: string): string {
  return PLAIN.test(text) && !RESERVED.has(text.toLowerCase()) ? text : quoted(text);
}

function scalar(given: unknown, indent: string): string {
  const value = isTemplate(given) ? given.shown : given;
  if (typeof value !== 'string') return value === null || value === undefined ? 'null' : String(value);
  if (!value.includes('\n') || !BLOCK.test(value) || NOT_IN_BLOCK.test(value)) return plainOrQuoted(value);
  const ends = value.endsWith('\n');
  const lines = (ends ? value.slice(0, -1) : value).split('\n');
  return `${ends ? '|' : '|-'}\n${lines.map((line) => (line === '' ? '' : indent + line)).join('\n')}`;
}

const isCollection = (value: unknown): value is object =>
  value !== null && typeof value === 'object' && !isTemplate(value);

/** Lines of a list or map; the first line has no indentation, since it may follow a dash. */
function block(value: object, indent: string): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    return value
      .map((item) => `- ${isCollection(item) ? nested(item, inner) : scalar(item, inner)}`)
      .join(`\n${indent}`);
  }
  return entries(value)
    .map(([key, item]) => {
      const place = isCollection(item) && !isEmpty(item) ? `\n${inner}` : ' ';
      const text = isCollection(item) ? nested(item, inner) : scalar(item, inner);
      return `${plainOrQuoted(key)}:${place}${text}`;
    })
    .join(`\n${indent}`);
}

const entries = (value: object): [string, unknown][] =>
  Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));

const isEmpty = (value: object): boolean =>
  Array.isArray(value) ? value.length === 0 : entries(value).length === 0;

function nested(value: object, indent: string): string {
  if (isEmpty(value)) return Array.isArray(value) ? '[]' : '{}';
  return block(value, indent);
}

/**
 * Plain data as YAML that means the same to readers of YAML 1.1 (kubectl) and 1.2: keys sorted, no anchors, strings
 * quoted wherever a reader might take them for something else. Equal data gives equal bytes.
 *
 * References are written as people read them, `«secret:hook/orders»`.
 *
 * Ours, because a catalog of hundreds of modules is thousands of objects, and the general writer takes most of the time
 * that `render` has.
 */
export function toYaml(value: object): string {
  return `${nested(value, '')}\n`;
}
