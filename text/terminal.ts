/** Text of others in a line for a terminal or a log: what would move its cursor, change its colours or end the line is a "?". */
export const plainText = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
