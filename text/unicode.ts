/** A UTF-16 unit as JSON, JavaScript and double-quoted YAML escape it. */
export const unicodeEscape = (unit: string): string =>
  `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
