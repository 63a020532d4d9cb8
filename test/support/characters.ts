import fc from 'fast-check';

/** Code points between U+D800 and U+DFFF are halves of characters. */
const [HALVES, COUNT] = [0xd800, 0x800];

/**
 * Any character of Unicode, what is not assigned among them. It is fast-check's unit "binary", which takes a second and
 * 100 MB of each suite: to know one of its characters again it makes a table of all.
 */
export const character: fc.Arbitrary<string> = fc.nat({ max: 0x10ffff - COUNT }).map(
  (index) => String.fromCodePoint(index < HALVES ? index : index + COUNT),
  (text) => {
    const point = typeof text === 'string' ? (text.codePointAt(0) ?? -1) : -1;
    const isHalf = point >= HALVES && point < HALVES + COUNT;
    if (point < 0 || isHalf || text !== String.fromCodePoint(point)) throw new Error('not one character');
    return point < HALVES ? point : point - COUNT;
  },
);
