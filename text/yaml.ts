import {
  type CreateNodeOptions,
  Document,
  type DocumentOptions,
  type SchemaOptions,
  type ToStringOptions,
  visit,
} from 'yaml';

/**
 * What the YAML library (2.9) writes as a block whose blanks it does not read again: blanks, line breaks and tabs alone,
 * a blank among them, and a line break at the end.
 */
const LOST = /^(?=.* )[ \t\n]*\n$/s;

/** A value as YAML that is read as the same value again. */
export function yamlText(
  value: unknown,
  options: CreateNodeOptions & DocumentOptions & SchemaOptions & ToStringOptions,
): string {
  const document = new Document(value, options);
  visit(document, {
    Scalar: (_key, scalar) => {
      if (typeof scalar.value === 'string' && LOST.test(scalar.value)) scalar.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString(options);
}
