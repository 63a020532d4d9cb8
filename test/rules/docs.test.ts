import { readFileSync } from 'node:fs';
import { rules } from '../../rules';
import { PAGE, withTables } from '../../rules/docs';

const page = readFileSync(PAGE, 'utf8');

test('docs/rules.md has the tables that the rules make (npm run generate:rules)', () => {
  expect(page).toBe(withTables(page));
});

test('docs/rules.md names every rule', () => {
  // The formatter pads cells.
  const cells = page.replace(/ +\|/g, ' |');
  for (const { id, holds } of rules) expect(cells).toContain(`| \`${id}\` | ${holds} |`);
});
