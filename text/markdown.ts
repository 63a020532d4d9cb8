// Text in GitLab's Markdown. Beside Markdown itself, GitLab looks for quick actions in the lines of the source, and for
// references, mentions, emoji and addresses in each text of the rendered HTML, where an entity is its character already
// (lib/gitlab/quick_actions/extractor.rb, lib/banzai/filter/references, emoji_filter.rb, autolink_filter.rb).

/** Ends one text of the HTML and begins another: no reference goes across it, and no reader sees or copies it. */
const BREAK = '<span></span>';

/** What references, mentions, emoji and addresses begin with or cannot be without. */
const SEPARATED = /[@#!~%$&^[*:.]/;

/** What says the same to every reader as it stands. A "." is an entity after "www", which makes an address. */
const SPECIAL = /(?<=www)\.|[^\p{L}\p{N} .,;()=…'"/-]/giu;

/** Control characters, halves of pairs, what is no character, and what turns the direction of the text around. */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text of others as part of a line: no Markdown, no HTML, no mention, no reference, no link, no quick action. White space
 * of any kind becomes one space, and a control character U+FFFD. For the inside of a line only: its beginning is ours.
 * @param limit characters of the text after which it is cut, with "…"
 */
export function markdownText(text: string, limit = Number.POSITIVE_INFINITY): string {
  // Without halves of pairs: a cut between the two would leave one.
  const characters = [...text.replace(/\s+/g, ' ').trim()];
  const cut =
    characters.length > limit ? [...characters.slice(0, limit - 1), '…'].join('') : characters.join('');
  return cut.replace(UNSEEN, '\ufffd').replace(SPECIAL, (character, at: number, whole: string) => {
    const entity = `&#${character.codePointAt(0)};`;
    return SEPARATED.test(character) && /\S/.test(whole[at + 1] ?? ' ') ? entity + BREAK : entity;
  });
}

/** The same in the type of code. A text that says nothing special is written as people write it. */
export const markdownCode = (text: string): string =>
  /^[\p{L}\p{N}.,;:()=/+_"'{}→…«»-]+( [\p{L}\p{N}.,;:()=/+_"'{}→…«»-]+)*$/u.test(text)
    ? `\`${text}\``
    : `<code>${markdownText(text)}</code>`;
