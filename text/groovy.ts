// Text in Groovy 2.4, which Jenkins runs Job DSL and pipelines with. Its lexer knows no character below U+0003 and takes
// U+FFFF for the end of the source; `\uXXXX` is replaced before strings are read, so it cannot hide a line break.

const NAMED: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
  "'": "\\'",
  '\\': '\\\\',
  // No source can hold it.
  '\uffff': '\ufffd',
};

/** Three octal digits, since fewer would take digits that follow for their own. */
const octal = (character: string): string => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;

const escaped = (text: string, special: RegExp): string =>
  text.replace(special, (character) => NAMED[character] ?? octal(character));

/** A string literal, on one line, whose value is the text (U+FFFF reads as U+FFFD). */
export const groovyString = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  `'${escaped(text, /['\\\u0000-\u001f\u007f\uffff]/g)}'`;

/** The same as a literal of several lines, for a whole script: what reads the same in it stays as it is. */
export const groovyBlock = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  `'''${escaped(text, /[\\\u0000-\u0009\u000b-\u001f\u007f\uffff]|'(?=''|$)|(?<='')'/g)}'''`;
