const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as content or attribute of SVG and HTML. */
export const escapeText = (text: string): string => text.replace(/[&<>"']/g, (one) => ENTITIES[one] ?? one);

/** The text, cut to a number of characters with "…" where it is longer. */
export function cut(text: string, longest: number): string {
  const characters = [...text];
  return characters.length <= longest ? text : `${characters.slice(0, longest - 1).join('')}…`;
}

/** Colours of light and dark as CSS variables; text on its ground has a contrast of at least 7 to 1 in both. */
export const PALETTE = `:root{color-scheme:light dark;--ground:#ffffff;--box:#f5f7fa;--line:#8792a2;--text:#1b2330;--soft:#4a5464;--accent:#0b57a4}
@media (prefers-color-scheme:dark){:root{--ground:#12161d;--box:#1d232d;--line:#5d6878;--text:#eef1f6;--soft:#bcc4d0;--accent:#8fc1ff}}`;
