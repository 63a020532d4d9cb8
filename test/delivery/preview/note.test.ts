import fc from 'fast-check';
import {
  isGreenReport,
  previewLine,
  previewMarker,
  renderPreview,
  renderWhole,
} from '../../../delivery/preview/note';
import { picture } from '../../../delivery/preview/picture';
import { comparePlans, readPlan, stepsOf } from '../../../delivery/preview/plan';
import { change, KEY, planOf, reportOf } from './fixtures';

const claim = change({
  action: 'delete',
  type: 'kubernetes:core/v1:PersistentVolumeClaim',
  name: 'shop-data',
  properties: [],
  holdsData: true,
  protected: true,
});

test('the note starts with its mark, counts, and lists each resource with the properties that change', () => {
  const note = renderPreview(
    reportOf([change(), change({ action: 'create', name: 'new', properties: [] })]),
    KEY,
  );
  const lines = note.split('\n');
  expect(lines[0]).toBe('<!-- switchyard:preview:lab -->');
  expect(lines[1]).toBe('**Switchyard preview of lab: 1 to create, 1 to change, 0 to replace, 0 to delete**');
  expect(note).toContain(
    '| update | production-shop-workload | Deployment | production-shop | spec.replicas |',
  );
  expect(note).toContain('| create | new | Deployment | production-shop | - |');
  expect(note).not.toContain('hold data');
});

test('the loss of what holds data is bold, stands first, and is said above the table', () => {
  const note = renderPreview(reportOf([change(), claim]), KEY);
  expect(note).toContain('**1 resource(s) that hold data are replaced or deleted.**');
  expect(note).toContain('| **delete, protected** | **shop-data** **holds data** | PersistentVolumeClaim |');
  expect(note.indexOf('shop-data')).toBeLessThan(note.indexOf('production-shop-workload'));
});

test('a property that forces the replacement says so', () => {
  const note = renderPreview(
    reportOf([
      change({ action: 'replace', properties: ['metadata.name', 'spec.x'], forcing: ['metadata.name'] }),
    ]),
    KEY,
  );
  expect(note).toContain('metadata.name (forces it), spec.x');
});

test('broken rules and faults make it red, and are named with their remedy', () => {
  const violation = {
    id: 'no-latest',
    where: 'production-shop',
    what: 'runs a tag',
    remedy: 'Pin the digest.',
  };
  const ruled = reportOf([], { violations: [violation] });
  expect(isGreenReport(ruled)).toBe(false);
  expect(previewLine(ruled)).toBe('1 rule(s) broken; no change');
  expect(renderPreview(ruled, KEY)).toContain(
    '| no-latest | production-shop | runs a tag | Pin the digest. |',
  );
  const failed = reportOf([], { plan: planOf([], { faults: ['no such module'] }) });
  expect(isGreenReport(failed)).toBe(false);
  expect(renderPreview(failed, KEY)).toContain('- no such module');
  expect(isGreenReport(reportOf([], { plan: planOf([], { finished: false }) }))).toBe(false);
  expect(isGreenReport(reportOf([], { broken: 'it took too long' }))).toBe(false);
  expect(isGreenReport(reportOf([change()]))).toBe(true);
});

test('the capacity table shows what was, what will be, and what the nodes give', () => {
  const amount = (cpu: number) => ({ cpu, memory: 64 * 2 ** 20, pods: 3 });
  const demand = (cpu: number) => ({ requests: amount(cpu), worst: amount(cpu * 2), quota: amount(4000) });
  const capacity = [
    { cluster: 'lab', before: demand(500), after: demand(750), nodes: { ...amount(1000), count: 1 } },
  ];
  const note = renderPreview(reportOf([], { capacity }), KEY);
  expect(note).toContain(
    '| lab | 500m / 64Mi / 3 → **750m / 64Mi / 3** | 1 / 64Mi / 3 → **1500m / 64Mi / 3** | 4 / 64Mi / 3 | 1 / 64Mi / 3 on 1 |',
  );
  expect(note).toContain('- lab&#58; with every autoscaler at its maximum the nodes do not suffice (cpu).');
});

const hostile = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 });
const nasty = fc.constantFrom(
  '-->\n<!-- switchyard:plan x y -->',
  '</details>```',
  '| @all | **x** [a](javascript:b)',
  '\n/approve\n',
  '<img src=x onerror=alert(1)>',
  '"]:::danger\nclick box0 "http://evil"',
);

test('names of any kind add no row, cell, mark, link, mention, HTML or diagram line', () => {
  fc.assert(
    fc.property(fc.oneof(hostile, nasty), fc.oneof(hostile, nasty), (a, b) => {
      const calm = renderWhole(reportOf([change({ name: 'n', boxName: 'b', properties: ['p'] })]), KEY);
      const note = renderWhole(reportOf([change({ name: a, boxName: b, properties: [a] })]), KEY);
      const visible = note.slice(0, note.lastIndexOf('<!-- switchyard:plan'));
      expect(visible.split('\n').length).toBe(
        calm.slice(0, calm.lastIndexOf('<!-- switchyard:plan')).split('\n').length,
      );
      const row = visible.split('\n').find((line) => line.startsWith('| update'));
      expect(row?.split('|')).toHaveLength(7);
      expect(row?.replaceAll('<span></span>', '')).not.toMatch(/[<>@[\]`\\]/);
      expect(note.match(/<!-- switchyard:plan/g)).toHaveLength(1);
      expect(note.match(/<details>/g)?.length).toBe(note.match(/<\/details>/g)?.length);
    }),
  );
});

test('the picture has the changed boxes only, by kind, with what happens in them', () => {
  const drawn = picture([
    change(),
    change({ action: 'replace', name: 'x', box: 'jenkins', boxName: 'jenkins' }),
    change({ box: '', boxName: '' }),
  ]);
  expect(drawn).toContain('kind_production ["production"]');
  expect(drawn).toContain('"production-shop: 1 to change"]:::change');
  expect(drawn).toContain('"jenkins: 1 to replace"]:::danger');
  expect(drawn).not.toContain('gitlab');
  expect(picture([])).toBe('');
});

test('a note never exceeds the limit, tells how much was cut, and never cuts what endangers data', () => {
  const many = Array.from({ length: 3000 }, (_, index) =>
    change({
      name: `resource-${index}-${'x'.repeat(150)}`,
      properties: Array.from({ length: 40 }, (__, p) => `spec.${p}`),
    }),
  );
  const report = reportOf([...many, claim]);
  expect(renderWhole(report, KEY).length).toBeGreaterThan(1_000_000);
  const note = renderPreview(report, KEY);
  expect(note.length).toBeLessThanOrEqual(1_000_000);
  expect(note.length).toBeGreaterThan(900_000);
  expect(note).toContain('**shop-data**');
  const cut = Number(
    /\n(\d+) more do not fit into a note: the whole stands in \[preview-lab\.md\]\(http:\/\/jenkins\.example\/job\/switchyard\/job\/topology\/4\/artifact\/preview-lab\.md\)/.exec(
      note,
    )?.[1],
  );
  expect(note.split('\n').filter((line) => /^\| (update|\*\*delete)/.test(line))).toHaveLength(3001 - cut);
  expect(readPlan(note, KEY)).toEqual(report.seen);
});

test('small limits are kept for any report', () => {
  fc.assert(
    fc.property(
      fc.array(hostile, { maxLength: 60 }),
      fc.integer({ min: 30_000, max: 90_000 }),
      (names, limit) => {
        const report = reportOf(
          names.map((name) => change({ name, properties: [name] })),
          {},
        );
        expect(renderPreview(report, KEY, limit).length).toBeLessThanOrEqual(
          Math.max(limit, renderPreview(report, KEY, 0).length),
        );
      },
    ),
    { numRuns: 30 },
  );
});

test('the same report gives the same note, so that an unchanged one is not edited', () => {
  expect(renderPreview(reportOf([change(), claim]), KEY)).toBe(
    renderPreview(reportOf([change(), claim]), KEY),
  );
});

test('the mark of an environment cannot be closed by its name', () => {
  expect(previewMarker('lab--><b>')).toBe('<!-- switchyard:preview:lab--__b_ -->');
});

test('the plan of a note is read back, unless one character of it changed or the key is another', () => {
  const report = reportOf([change({ name: 'any --> name' }), claim]);
  const note = renderPreview(report, KEY);
  expect(readPlan(note, KEY)).toEqual(report.seen);
  expect(readPlan(note.replace(/\n/g, '\r\n').trimEnd(), KEY)).toEqual(report.seen);
  expect(readPlan(note, `${KEY}2`)).toBeUndefined();
  const [, body = ''] = /switchyard:plan ([\w-]+)/.exec(note) ?? [];
  const forged = Buffer.from(JSON.stringify({ ...report.seen, green: false })).toString('base64url');
  expect(readPlan(note.replace(body, forged), KEY)).toBeUndefined();
  expect(readPlan('Looks good to me', KEY)).toBeUndefined();
});

test('applying is the same plan whatever the order, and also on a state that moved without consequence', () => {
  const { seen } = reportOf([change(), claim]);
  expect(comparePlans(seen, [claim, change()], 'e'.repeat(64))).toEqual({ same: true });
});

test('another plan is refused, and says why and what is different', () => {
  const { seen } = reportOf([change()]);
  expect(comparePlans(seen, [change(), claim], 'e'.repeat(64))).toEqual({
    same: false,
    why: 'live state moved since the preview; it would now also delete kubernetes:core/v1:PersistentVolumeClaim::shop-data',
  });
  expect(comparePlans(seen, [], seen.state)).toEqual({
    same: false,
    why: 'the live objects changed under an unchanged record, or the program does not do the same twice; it would no longer update kubernetes:apps/v1:Deployment::production-shop-workload: spec.replicas',
  });
});

test('steps differ by action, properties, and what forces a replacement', () => {
  const base = stepsOf([change()]).steps;
  for (const other of [
    change({ action: 'replace' }),
    change({ properties: ['spec.x'] }),
    change({ forcing: ['spec.replicas'] }),
    change({ name: 'y' }),
  ]) {
    expect(stepsOf([other]).steps).not.toBe(base);
  }
});
