const MARK = '[hidden]';

/** Values shorter than this are words of every language: hiding them would garble all and protect nothing. */
const SHORTEST = 8;

/** The forms in which a program may print a value without meaning to. */
export function disguises(value: string): string[] {
  const buffer = Buffer.from(value);
  // Base64 depends on where the value begins in what was encoded: the three inner cores, without their edges.
  const shifted = [0, 1, 2].map((pad) => {
    const encoded = Buffer.concat([Buffer.alloc(pad), buffer])
      .toString('base64')
      .replace(/=+$/, '');
    const start = pad === 0 ? 0 : pad + 1;
    const whole = (buffer.length + pad) % 3 === 0 ? encoded.length : encoded.length - 1;
    return encoded.slice(start, whole);
  });
  const json = JSON.stringify(value).slice(1, -1);
  return [
    value,
    json,
    JSON.stringify(json).slice(1, -1),
    encodeURIComponent(value),
    buffer.toString('hex'),
    buffer.toString('hex').toUpperCase(),
    [...value].reverse().join(''),
    ...shifted,
    ...shifted.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ].filter((text) => text.length >= SHORTEST);
}

/**
 * Takes secret values out of a text, also base64, hexadecimal, URL-encoded, JSON-escaped or reversed. A fence behind the fence:
 * whoever computes on a value can always disguise it further, so the code that writes the text must not hold it.
 * @returns the text, and how many values were found in it
 */
export function hide(text: string, secrets: readonly string[]): { text: string; found: number } {
  let found = 0;
  let left = text;
  // Longest first, so that a value inside another leaves no rest of the other.
  for (const secret of [...new Set(secrets)].sort((a, b) => b.length - a.length)) {
    if (secret.length < SHORTEST) continue;
    const before = left;
    for (const form of new Set(disguises(secret))) left = left.replaceAll(form, MARK);
    if (left !== before) found += 1;
  }
  return { text: left, found };
}
