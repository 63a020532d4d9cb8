import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/model';

// The examples that docs/components begin with are files here, which the compiler checks as a user's program would be: from
// the package's own entry (`paths` of tsconfig.json).

const folder = join(__dirname, 'examples');
const exampleIn = (doc: string): string | undefined =>
  /```ts\n([\s\S]*?)```/.exec(readFileSync(join(root, 'docs/components', doc), 'utf8'))?.[1];

test.each(readdirSync(folder))('%s is what its document begins with', (file) => {
  const text = readFileSync(join(folder, file), 'utf8');
  expect(exampleIn(file.replace(/\.ts$/, '.md'))).toBe(text);
});

test('each class that the package exports for use alone has an example', () => {
  const exported = [
    ...readFileSync(join(root, 'operations/library.ts'), 'utf8').matchAll(/^export \{ ([A-Z]\w+),/gm),
  ].map(([, name = '']) => name);
  const examples = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
  expect(exported).toEqual(
    expect.arrayContaining([
      'Backup',
      'GitLab',
      'GitLabModule',
      'Jenkins',
      'ModuleProduction',
      'ModuleTests',
      'Registry',
    ]),
  );
  expect(exported.filter((name) => !examples.includes(`new ${name}(`))).toEqual([]);
});

test('a kind of one’s own is added as the document shows', () => {
  const text = readFileSync(join(__dirname, 'pod-monitor.ts'), 'utf8');
  const shown = exampleIn('kinds.md')?.replaceAll('switchyard/kinds', '../../components/shared/kinds');
  const code = (all = '') => all.split('\n').filter((line) => !/^\s*(\/\/|\/\*\*)/.test(line) && line !== '');
  expect(code(shown)).toEqual(code(text));
});
