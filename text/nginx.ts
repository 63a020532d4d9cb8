// Text between the words of a directive of nginx (`ngx_conf_read_token` of its src/core/ngx_conf_file.c). It knows four blanks
// and no other: what else looks like one is a part of a word.

const BLANKS = /[ \t\r\n]*/y;
/** In quotes, or up to a blank: a backslash takes what follows, and "${" begins a variable, where "{" alone begins a block. */
const WORD =
  /(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:[^ \t\r\n;{}"'#\\$]|\\.|\$\{?)(?:[^ \t\r\n;{\\$]|\\.|\$\{?)*)(?=[ \t\r\n]|$)/sy;

/**
 * Whether nginx reads a text as words of the directive that it stands in, and nothing else: no end of it, no block, no
 * comment, no quote that goes on behind it.
 */
export function isNginxWords(text: string): boolean {
  const past = (pattern: RegExp, from: number): number => {
    pattern.lastIndex = from;
    return pattern.test(text) ? pattern.lastIndex : -1;
  };
  let at = past(BLANKS, 0);
  while (at < text.length) {
    const end = past(WORD, at);
    if (end < 0) return false;
    at = past(BLANKS, end);
  }
  return true;
}
