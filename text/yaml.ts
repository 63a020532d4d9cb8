import {
  type CreateNodeOptions,
  Document,
  type DocumentOptions,
  type SchemaOptions,
  type ToStringOptions,
  visit,
} from 'yaml';
import { unicodeEscape } from './unicode';

/**
 * What the YAML library (2.9) writes as a block whose blanks it does not read again: blanks, line breaks and tabs alone,
 * a blank among them, and a line break at the end.
 */
const LOST = /^(?=.* )[ \t\n]*\n$/s;

/**
 * What readers of YAML 1.1 (SnakeYAML in Jenkins, PyYAML, libyaml) take for the end of a line, or refuse wherever it
 * stands: the library writes YAML 1.2, where it is text like any other.
 */
export const FOREIGN = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** Words that YAML 1.1 knows and the library's `compat` does not: the default value, and the merge. */
const WORDS = /^(?:=|<<)$/;

const isQuoted = (text: string): boolean => text.search(FOREIGN) >= 0 || WORDS.test(text) || LOST.test(text);

/** Whether a value may hold a text to quote, as a key or a value. Of what is no plain data it is not known. */
function mayHoldQuoted(value: unknown): boolean {
  if (typeof value === 'string') return isQuoted(value);
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(mayHoldQuoted);
  if (Object.getPrototypeOf(value) !== Object.prototype) return true;
  return Object.entries(value).some(([key, inner]) => isQuoted(key) || mayHoldQuoted(inner));
}

/**
 * A value as YAML that is read as the same value again, by readers of YAML 1.2 and of 1.1. No text in it is anything
 * but text to either.
 */
export function yamlText(
  value: unknown,
  options: CreateNodeOptions & DocumentOptions & SchemaOptions & ToStringOptions,
): string {
  const both = { ...options, compat: 'yaml-1.1' } as const;
  const document = new Document(value, both);
  // To go through a document takes a tenth of the time of writing it, and hardly any has such a text.
  if (mayHoldQuoted(value))
    visit(document, {
      Scalar: (_key, scalar) => {
        if (typeof scalar.value === 'string' && isQuoted(scalar.value)) scalar.type = 'QUOTE_DOUBLE';
      },
    });
  // They stand in double quotes and nowhere else.
  return document.toString(both).replace(FOREIGN, unicodeEscape);
}
