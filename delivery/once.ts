import { parseJson } from '../text/json';

/** Members of all objects in a value that JSON gave. */
function membersOf(value: unknown): number {
  let members = 0;
  const left = [value];
  while (left.length > 0) {
    const one = left.pop();
    if (typeof one !== 'object' || one === null) continue;
    const inner = Object.values(one);
    if (!Array.isArray(one)) members += inner.length;
    for (const each of inner) left.push(each);
  }
  return members;
}

/** Members that a text of JSON writes down. */
function membersWritten(text: string): number {
  let members = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (quoted && sign === '\\') at++;
    else if (sign === '"') quoted = !quoted;
    else if (!quoted && sign === ':') members++;
  }
  return members;
}

/**
 * JSON in which no object names a member twice; undefined: the text is none. Of two, JavaScript takes the second, where Go
 * merges what they hold: whoever pulls an image would read another one than was looked at.
 */
export function parseOnce(text: string): unknown {
  const value = parseJson(text);
  return membersOf(value) === membersWritten(text) ? value : undefined;
}
