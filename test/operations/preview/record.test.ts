import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCatalog } from '../../../catalog/load';
import { violationSchema } from '../../../delivery/preview/note';
import { openRecord } from '../../../operations/preview/record';
import { catalogTexts, testModel } from '../../support/model';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'record-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const rules = () => JSON.parse(readFileSync(join(folder, 'rules.json'), 'utf8'));

test('broken rules stand in the record as delivery reads them, and none when all hold', () => {
  openRecord(folder).rules(testModel());
  expect(rules()).toEqual([]);
  const catalog = parseCatalog({
    ...catalogTexts,
    modules: {
      'shop.yaml': `${catalogTexts.modules['shop.yaml']}environment: { DB_PASSWORD: hunter2 }\n`,
    },
  });
  openRecord(folder).rules(testModel({ catalog, modules: catalog.modules }));
  const found = rules();
  expect(found).toHaveLength(1);
  expect(violationSchema.parse(found[0])).toEqual(found[0]);
  expect(found[0]).toMatchObject({
    id: 'no-plain-secret-variables',
    what: 'DB_PASSWORD is a plain value.',
    remedy: 'Put it into a Secret and use valueFrom.secretKeyRef.',
  });
});

test('events are lines; those of an earlier run go', () => {
  writeFileSync(join(folder, 'events.jsonl'), 'of yesterday\n');
  const record = openRecord(folder);
  record.event({ sequence: 1, timestamp: 2 });
  record.event({ sequence: 2, timestamp: 3 });
  expect(readFileSync(join(folder, 'events.jsonl'), 'utf8')).toBe(
    '{"sequence":1,"timestamp":2}\n{"sequence":2,"timestamp":3}\n',
  );
});
