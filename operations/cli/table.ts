const GAP = '  ';

/** The width of each column: that of its widest cell. */
const widthsOf = (rows: readonly (readonly string[])[]): number[] =>
  (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));

/** Lays out rows in columns that are as wide as their widest cell. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = widthsOf(rows);
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
}

/** A text that is longer than there is room for ends in "…". */
export const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

/** Characters that a column keeps, however narrow the table is to be. */
const LEAST = 4;

/**
 * The same in so many characters: the widest of the columns that may be cut is, until the table fits; where these have given all,
 * the widest of all columns. A column keeps four characters, so that a table of many columns may be wider all the same.
 * @param first columns that are cut first, by index
 */
export function columnsWithin(
  width: number,
  rows: readonly (readonly string[])[],
  first: readonly number[],
): string[] {
  const widths = widthsOf(rows);
  const whole = () => widths.reduce((sum, one) => sum + one, GAP.length * (widths.length - 1));
  for (const shrinks of [first, [...widths.keys()]]) {
    while (whole() > width) {
      const widest = shrinks.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a), shrinks[0] ?? 0);
      const now = widths[widest] ?? 0;
      if (!shrinks.includes(widest) || now <= LEAST) break;
      widths[widest] = now - 1;
    }
  }
  return columns(rows.map((row) => row.map((cell, index) => cut(cell, widths[index] ?? 0))));
}
