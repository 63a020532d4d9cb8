const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** What markup means something by, and what no XML document may hold, not even as an entity. */
const SPECIAL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /[&<>"'\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text as content or attribute of SVG and HTML. What XML cannot hold becomes "�". */
export const escapeText = (text: string): string => text.replace(SPECIAL, (one) => ENTITIES[one] ?? '\ufffd');

/** Markup that is known to be markup: made by {@link html}, never from a text of somebody's. */
export class Markup {
  constructor(readonly source: string) {}

  toString(): string {
    return this.source;
  }
}

/** What may stand in a template of {@link html}: markup as it is, all else as text; lists one after the other. */
export type Part = Markup | string | number | undefined | false | readonly Part[];

function sourceOf(part: Part): string {
  if (part === undefined || part === false) return '';
  if (part instanceof Markup) return part.source;
  return typeof part === 'object' ? part.map(sourceOf).join('') : escapeText(String(part));
}

/** Markup with what is filled in escaped, as content and as a quoted attribute alike: `html`<p title="${a}">${b}</p>``. */
export const html = (literals: TemplateStringsArray, ...parts: readonly Part[]): Markup =>
  new Markup(literals.reduce((text, literal, index) => text + sourceOf(parts[index - 1]) + literal));

/** The text, cut to a number of characters with "…" where it is longer. */
export function cut(text: string, longest: number): string {
  const characters = [...text];
  return characters.length <= longest ? text : `${characters.slice(0, longest - 1).join('')}…`;
}

/** Colours of light and dark as CSS variables; text on its ground has a contrast of at least 7 to 1 in both. */
export const PALETTE =
  new Markup(`:root{color-scheme:light dark;--ground:#ffffff;--box:#f5f7fa;--sunk:#e9eef5;--line:#c3ccd8;--edge:#8792a2;--text:#1b2330;--soft:#4a5464;--accent:#0b4f94;--tint:#e3eefb}
@media (prefers-color-scheme:dark){:root{--ground:#12161d;--box:#1a202a;--sunk:#242c38;--line:#38424f;--edge:#6b7687;--text:#eef1f6;--soft:#bcc4d0;--accent:#8fc1ff;--tint:#1b2c44}}`);
