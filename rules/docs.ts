import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rules } from '.';
import { podSecurityExceptions } from './exceptions';
import type { Rule } from './rule';

/** The page whose tables this file writes: `npm run generate:rules`. */
export const PAGE = join(__dirname, '..', 'docs', 'rules.md');

const escaped = (text: string): string => text.replaceAll('|', '\\|');
/** A table with its columns aligned, as the formatter leaves it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map(escaped));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...others] = cells;
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...others.map(line)].join('\n');
}

const where = (rule: Rule): string => (rule.modelOnly ? 'model' : 'model, policy pack');

/** Tables by the name of their place in the page. */
const tables = (): Readonly<Record<string, string>> => ({
  rules: table(
    ['rule', 'what must hold', 'otherwise', 'runs on'],
    rules.map((rule) => [`\`${rule.id}\``, rule.holds, rule.why, where(rule)]),
  ),
  'model only': table(
    ['rule', 'not in the policy pack, because'],
    rules.flatMap((rule) => (rule.modelOnly ? [[`\`${rule.id}\``, rule.modelOnly]] : [])),
  ),
  exceptions: table(
    ['namespace', 'level', 'reason'],
    Object.entries(podSecurityExceptions).map(([name, { level, reason }]) => [`\`${name}\``, level, reason]),
  ),
});

/** The page with each table between its marks written anew; all else as it was. */
export function withTables(page: string): string {
  return Object.entries(tables()).reduce(
    (text, [name, rows]) =>
      text.replace(
        new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- end of ${name} -->)`),
        (_whole, start: string, end: string) => `${start}\n${rows}\n\n${end}`,
      ),
    page,
  );
}

if (require.main === module) writeFileSync(PAGE, withTables(readFileSync(PAGE, 'utf8')));
