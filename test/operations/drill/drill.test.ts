import { buildsIn, type Fingerprint, lostBetween } from '../../../operations/drill/fingerprint';
import { type DrillReport, faultsOf, reportMarkdown, reportSvg } from '../../../operations/drill/report';

const before: Fingerprint = {
  repositories: { 'orders refs/heads/main': 'a1', 'orders refs/tags/v1': 'b2' },
  images: { orders: 'registry/modules/orders@sha256:1' },
  databases: { 'orders/mysql': 'c3' },
  builds: { 'switchyard/orders': '1 2' },
};

test('nothing is lost where all is there again; builds that came since are no loss', () => {
  expect(lostBetween(before, { ...before, builds: { 'switchyard/orders': '1 2 3' } })).toEqual([]);
});

test('a moved ref, another image, other rows and a missing build are each told', () => {
  const after: Fingerprint = {
    repositories: { 'orders refs/heads/main': 'a0' },
    images: { orders: 'registry/modules/orders@sha256:1 (not ready)' },
    databases: {},
    builds: { 'switchyard/orders': '2 12' },
  };
  expect(lostBetween(before, after).map(({ kind, what, after: now }) => [kind, what, now])).toEqual([
    ['repositories', 'orders refs/heads/main', 'a0'],
    ['repositories', 'orders refs/tags/v1', ''],
    ['images', 'orders', 'registry/modules/orders@sha256:1 (not ready)'],
    ['databases', 'orders/mysql', ''],
    ['builds', 'switchyard/orders', '2 12'],
  ]);
});

test("builds are read from the folders of Jenkins' home", () => {
  const paths = [
    'jobs/switchyard/jobs/orders/builds/10',
    'jobs/switchyard/jobs/orders/builds/9',
    'jobs/seed/builds/1',
    'jobs/switchyard/jobs/orders/builds/legacyIds',
    '',
  ];
  expect(buildsIn(paths.join('\n'))).toEqual({ seed: '1', 'switchyard/orders': '9 10' });
});

const measured = {
  environment: 'lab',
  struckAt: '2026-11-24T12:00:00.000Z',
  steps: [
    { name: 'foundation', seconds: 90 },
    { name: 'topology', seconds: 30 },
  ],
  rtoSeconds: 120,
  rpoSeconds: { repositories: 90_000, databases: 600 },
  lost: [],
  compared: { repositories: 2, images: 1, databases: 1, builds: 1 },
  targets: { rtoMinutes: 2, rpoMinutes: 10 },
};

test('at its targets a drill holds; repositories are judged by what they lost, not by the age of a snapshot', () => {
  expect(faultsOf(measured)).toEqual([]);
});

test('above a target, or with anything lost, it fails and says why', () => {
  const [lost] = lostBetween(before, { ...before, databases: { 'orders/mysql': 'd4' } });
  expect(
    faultsOf({
      ...measured,
      rtoSeconds: 121,
      rpoSeconds: { databases: 660 },
      lost: lost ? [lost] : [],
    }),
  ).toEqual([
    'RTO 2 min 01 s is above the target of 2 min',
    'RPO of databases, 11 min, is above the target of 10 min',
    'databases orders/mysql: was c3, is d4',
  ]);
});

test('the report leads with the verdict and has each step; the plot draws them one after the other', () => {
  const report: DrillReport = { ...measured, faults: [] };
  const text = reportMarkdown(report);
  expect(text.split('\n')[0]).toBe('# Drill of lab: held');
  expect(text).toContain('| foundation | 1 min 30 s |');
  expect(text).not.toContain('What is wrong');
  expect(reportMarkdown({ ...report, faults: ['it burnt'] })).toMatch(
    /^# Drill of lab: FAILED\n[\s\S]*- it burnt/,
  );
  const svg = reportSvg(report);
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)"/g)].map(([, x, width]) => [
    Number(x),
    Number(width),
  ]);
  expect(bars).toHaveLength(2);
  const [first = [], second = []] = bars;
  expect(second[0]).toBeCloseTo((first[0] ?? 0) + (first[1] ?? 0), 0);
  expect((first[1] ?? 0) / (second[1] ?? 1)).toBeCloseTo(3, 1);
  expect(svg).toContain('target 2 min');
  expect(reportSvg({ ...report, environment: 'a<b' })).toContain('a&lt;b');
});
