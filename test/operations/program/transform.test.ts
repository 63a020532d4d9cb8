import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProblemsError } from '../../../catalog/problems';
import { defaultFolders } from '../../../components/load';
import type { Declaration } from '../../../components/shared/declaration';
import { checkAll } from '../../../operations/check';
import { Refusal } from '../../../operations/cli/refusal';
import { transformOf } from '../../../operations/program/transform';
import { root } from '../../support/model';

// `transform.ts` of somebody's own repository, as commands load it.

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'switchyard-transform-'));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

const load = (text: string) => {
  writeFileSync(join(project, 'transform.ts'), text);
  return transformOf({ product: root, project });
};
const one = { type: 'kubernetes:core/v1:Secret', name: 'a', provider: 'ci', args: {} } as Declaration;
const context = { environment: 'test', component: 'jenkins' };

test('a repository without one, and this one, change nothing', () => {
  expect(transformOf({ product: root, project })).toBeUndefined();
  expect(transformOf({ product: root, project: root })).toBeUndefined();
});

test.each([
  ['export default', 'export default'],
  ['export =', 'export ='],
])('%s: it is compiled with what it imports of the repository', (_what, exported) => {
  mkdirSync(join(project, 'lib'));
  writeFileSync(join(project, 'lib', 'names.ts'), "export const name: string = 'mine';\n");
  const transform = load(
    `import { name } from './lib/names';\nconst transform = (one: object) => ({ ...one, name });\n${exported} transform;\n`,
  );
  expect(transform?.(one, context)).toEqual({ ...one, name: 'mine' });
});

test.each([
  [
    'no function',
    'export const transform = 1;\n',
    /^transform\.ts: exports no function\. Write: export default transform;/,
  ],
  ['what does not compile', 'export default (;\n', /^transform\.ts:1: /],
  [
    'a package that is not there',
    "import { x } from 'not-installed-here';\nexport default () => x;\n",
    /^transform\.ts: Cannot find module 'not-installed-here'.* Run npm install in /,
  ],
])('%s is refused', (_what, text, said) => {
  expect(() => load(text)).toThrow(Refusal);
  expect(() => load(text)).toThrow(said);
});

test('check holds what it makes against every rule, and tells its own faults beside them', () => {
  const faults = (text: string): string => {
    try {
      checkAll(defaultFolders(root, root, load(text)), 'lab');
    } catch (error) {
      if (error instanceof ProblemsError) return error.message;
      throw error;
    }
    return '';
  };
  expect(faults('export default () => undefined;\n')).toBe('');
  expect(
    faults("export default ({ type }) => (type.endsWith(':NetworkPolicy') ? [] : undefined);\n"),
  ).toContain('transform.ts: rule namespace-default-deny: registry-namespace (Namespace registry): ');
  expect(faults("export default () => { throw new Error('not today'); };\n")).toContain(
    'transform.ts: gitlab-group: the transform throws: not today.',
  );
});
