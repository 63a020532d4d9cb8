import { isMap, isPair, isScalar, parseDocument } from 'yaml';
import { yamlText } from '../text/yaml';
import type { StackSettings } from './schema';

export type SecretSettings = StackSettings['secrets'];

const KEY = 'switchyard:secrets';

/** Loading has looked for keys that stand twice; the library's own look for them takes the square of their number. */
const read = (text: string) => parseDocument(text, { uniqueKeys: false });

/** The section as a stack file has it, sorted; empty where every secret has its first version. */
function section({ versions, rotating }: SecretSettings, indent: string): string {
  const sorted = Object.fromEntries(Object.entries(versions).sort(([a], [b]) => (a < b ? -1 : 1)));
  const parts = {
    ...(Object.keys(sorted).length > 0 ? { versions: sorted } : {}),
    ...(rotating.length > 0 ? { rotating: [...rotating].sort() } : {}),
  };
  if (Object.keys(parts).length === 0) return '';
  return yamlText({ [KEY]: parts }, { lineWidth: 0 })
    .trimEnd()
    .split('\n')
    .map((line) => `${indent}${line}\n`)
    .join('');
}

/**
 * The text of a stack file with other versions; everything else stays as people wrote it.
 * @throws Error when the text has no `config`: loading refuses such a file before
 */
export function withSecrets(text: string, secrets: SecretSettings): string {
  const config = read(text).get('config', true);
  if (!isMap(config) || !config.range) throw new Error('the stack file has no config');
  const [first] = config.items;
  if (config.flow || !first || !isScalar(first.key) || !first.key.range) {
    throw new Error('the config of the stack file is written on one line; write one key a line');
  }
  const lineOf = (at: number): number => text.lastIndexOf('\n', at - 1) + 1;
  const indent = text.slice(lineOf(first.key.range[0]), first.key.range[0]);
  const written = section(secrets, indent);
  const index = config.items.findIndex(
    (pair) => isPair(pair) && isScalar(pair.key) && pair.key.value === KEY,
  );
  const own = index < 0 ? undefined : config.items[index];
  if (!own) {
    const start = lineOf(first.key.range[0]);
    const end = endOf(text, config.range[1]);
    const before = text.slice(0, end);
    return start > end ? text : `${before}${before.endsWith('\n') ? '' : '\n'}${written}${text.slice(end)}`;
  }
  const from = lineOf(isScalar(own.key) ? (own.key.range?.[0] ?? 0) : 0);
  const next = config.items[index + 1];
  const to =
    next && isScalar(next.key) && next.key.range ? lineOf(next.key.range[0]) : endOf(text, config.range[1]);
  return `${text.slice(0, from)}${written}${text.slice(to)}`;
}

/** The end of the line in which a position is, or the position itself where a line begins there. */
function endOf(text: string, at: number): number {
  if (at === 0 || text[at - 1] === '\n') return at;
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}

/**
 * The text of a stack file as it is when a rotation that has begun will have ended: what Pods are given, so that they
 * need not be given it twice.
 */
export function withoutRotating(text: string): string {
  const section = read(text).getIn(['config', KEY], true);
  if (!isMap(section) || !section.has('rotating')) return text;
  const { versions = {} } = section.toJSON() as Partial<SecretSettings>;
  return withSecrets(text, { versions, rotating: [] });
}
