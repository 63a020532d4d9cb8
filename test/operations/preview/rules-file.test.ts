import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCatalog } from '../../../catalog/load';
import { violationSchema } from '../../../delivery/preview/note';
import { writeBrokenRules } from '../../../operations/preview/rules-file';
import { catalogTexts, testModel } from '../../support/model';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'record-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = () => join(folder, 'rules.json');
const rules = () => JSON.parse(readFileSync(file(), 'utf8'));

test('broken rules are written as delivery reads them, and none when all hold', () => {
  writeBrokenRules(file(), testModel());
  expect(rules()).toEqual([]);
  const catalog = parseCatalog({
    ...catalogTexts,
    modules: {
      'shop.yaml': `${catalogTexts.modules['shop.yaml']}environment: { DB_PASSWORD: hunter2 }\n`,
    },
  });
  writeBrokenRules(file(), testModel({ catalog, modules: catalog.modules }));
  const found = rules();
  expect(found).toHaveLength(1);
  expect(violationSchema.parse(found[0])).toEqual(found[0]);
  expect(found[0]).toMatchObject({
    id: 'no-plain-secret-variables',
    what: 'DB_PASSWORD is a plain value.',
    remedy: 'Put it into a Secret and use valueFrom.secretKeyRef.',
  });
});
