import { lastManager, scaledBy, type Witnesses, withAuthors } from '../../../operations/drift/authors';
import { outOfSight } from '../../../operations/drift/fenced';
import { autoscaledWorkloads, type Expected, findDrift, SeenGatherer } from '../../../operations/drift/find';
import {
  type DriftReport,
  driftLines,
  driftMarker,
  driftNote,
  driftSamples,
} from '../../../operations/drift/tell';
import { ends, type StepOf } from '../../support/events';
import { released } from '../../support/model';

const SECRET = { '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270' };
const nothing: Expected = { autoscaled: new Set(), releases: {} };
const type = 'kubernetes:apps/v1:Deployment';

const deployment = (image: string, replicas: number, commit = 'c'.repeat(40)) => ({
  metadata: {
    name: 'shop',
    namespace: 'prod-shop',
    labels: { 'switchyard.dev/module': 'shop', 'app.kubernetes.io/component': 'module' },
    annotations: { 'switchyard.dev/commit': commit },
  },
  spec: { replicas, template: { spec: { containers: [{ name: 'module', image }] } } },
});

const look = (...steps: StepOf[]) => {
  const gatherer = new SeenGatherer();
  for (const step of steps) gatherer.take(ends(step, true));
  return gatherer;
};
const change = (before: Record<string, unknown>, after: Record<string, unknown>, more = {}): StepOf => ({
  op: 'update',
  type,
  name: 'production-shop-workload',
  before,
  after,
  ...more,
});
const fieldsOf = (step: StepOf, expected = nothing) =>
  findDrift(look(step).seen, expected).flatMap(({ fields }) => fields.map(({ field }) => field));

describe('what is drift', () => {
  test('a changed field is, with both values', () => {
    expect(fieldsOf(change(deployment('a@sha256:1', 2), deployment('a@sha256:1', 5)))).toEqual([
      { path: 'spec.replicas', declared: '2', live: '5' },
    ]);
  });

  test('another spelling of the same amount and what is empty are not, other amounts and other texts are', () => {
    const container = (resources: object, more: object = {}) => ({
      ...deployment('a', 1),
      spec: { template: { spec: { containers: [{ name: 'module', resources, ...more }] } } },
    });
    const declared = { requests: { cpu: '1000m', memory: '1024Mi' }, limits: { memory: '0.5Gi' } };
    const live = { requests: { cpu: '1', memory: '1Gi' }, limits: { memory: '512Mi' } };
    expect(fieldsOf(change(container(declared), container(live)))).toEqual([]);
    expect(fieldsOf(change(container(declared, { args: [], env: {} }), container(live)))).toEqual([]);
    const more = { ...live, limits: { memory: '513Mi' } };
    expect(fieldsOf(change(container(declared), container(more))).map(({ live: now }) => now)).toEqual([
      '513Mi',
    ]);
    const pod = (more: object) => ({ ...deployment('a', 1), spec: more });
    expect(fieldsOf(change(pod({ hostNetwork: false }), pod({})))).toEqual([]);
    expect(fieldsOf(change(pod({ hostNetwork: false }), pod({ hostNetwork: true })))).toHaveLength(1);
    // Its absence means true.
    expect(fieldsOf(change(pod({ automountServiceAccountToken: false }), pod({})))).toHaveLength(1);
    // A version is no amount.
    const labelled = (version: string) => ({ ...deployment('a', 1), spec: { version } });
    expect(fieldsOf(change(labelled('1000m'), labelled('1')))).toHaveLength(1);
    const quiet = { type: 'gitlab:index/project:Project' };
    expect(fieldsOf(change({ description: 'x' }, { description: '' }, quiet))).toHaveLength(1);
    expect(fieldsOf(change(container(declared, { args: ['--safe'] }), container(live)))).toHaveLength(1);
  });

  test('a resource that is gone is, without fields', () => {
    const [found] = findDrift(
      look({ op: 'delete', type, name: 'x', before: deployment('a', 1) }).seen,
      nothing,
    );
    expect(found).toMatchObject({ seen: { name: 'x', boxName: 'production-shop' }, fields: [] });
    expect(found?.seen.after).toBeUndefined();
  });

  test('the Job of a migration that is gone is, but not where a release took its place', () => {
    const job = {
      metadata: {
        name: 'shop-migrate-b',
        namespace: 'prod-shop',
        labels: { 'switchyard.dev/module': 'shop', 'app.kubernetes.io/component': 'migration' },
        annotations: { 'switchyard.dev/commit': released.commit },
      },
    };
    const gone = (releases: Expected['releases'], before: object = job) =>
      findDrift(
        look({
          op: 'delete',
          type: 'kubernetes:batch/v1:Job',
          name: 'production-shop-migration',
          before: before as Record<string, unknown>,
        }).seen,
        { ...nothing, releases },
      ).length;
    expect(gone({ shop: { ...released, migrate: true } })).toBe(1);
    expect(gone({ shop: { ...released, commit: 'c'.repeat(40), migrate: true } })).toBe(0);
    expect(gone({ shop: released })).toBe(0);
    const other = { metadata: { name: 'x', namespace: 'ci', labels: {} } };
    expect(gone({ shop: released }, other)).toBe(1);
  });

  test('what is the same in the end, boxes and providers are not; boxes that were looked at are known', () => {
    const { seen, boxes } = look(
      change(deployment('a', 2), deployment('a', 2)),
      { op: 'same', box: 'jenkins', type, name: 'y' },
      {
        op: 'update',
        type: 'pulumi:providers:kubernetes',
        name: 'ci-cluster',
        before: { a: 1 },
        after: { a: 2 },
      },
    );
    expect(findDrift(seen, nothing)).toEqual([]);
    expect([...boxes].sort()).toEqual(['jenkins', 'production']);
  });

  test('replicas under an autoscaler of the state are not, those of other workloads are', () => {
    const scaler = (target: object, kind = 'kubernetes:autoscaling/v2:HorizontalPodAutoscaler') => ({
      type: kind,
      inputs: { metadata: { namespace: 'prod-shop' }, spec: { scaleTargetRef: target } },
    });
    const scaled = change(deployment('a', 2), deployment('a', 5));
    for (const resource of [
      scaler({ kind: 'Deployment', name: 'shop' }),
      scaler({ name: 'shop' }, 'kubernetes:keda.sh/v1alpha1:ScaledObject'),
    ]) {
      const autoscaled = autoscaledWorkloads({ resources: [resource] });
      expect(fieldsOf(scaled, { ...nothing, autoscaled })).toEqual([]);
    }
    const other = autoscaledWorkloads({ resources: [scaler({ kind: 'Deployment', name: 'other' })] });
    expect(fieldsOf(scaled, { ...nothing, autoscaled: other })).toHaveLength(1);
    expect(autoscaledWorkloads({}).size).toBe(0);
  });

  test('the release that the ledger names is not, any other image is', () => {
    const expected: Expected = { ...nothing, releases: { shop: released } };
    const before = deployment('old@sha256:1', 2);
    expect(fieldsOf(change(before, deployment(released.image, 2, released.commit)), expected)).toEqual([]);
    expect(fieldsOf(change(before, deployment('evil@sha256:2', 2)), expected)).toEqual([
      { path: 'spec.template.spec.containers[0].image', declared: 'old@sha256:1', live: 'evil@sha256:2' },
    ]);
    expect(fieldsOf(change(before, deployment(released.image, 2, released.commit)))).toHaveLength(2);
  });

  test('a secret is never shown: not the declared one, nor what someone put in its place', () => {
    const cases: StepOf[] = [
      change({ token: { ...SECRET, ciphertext: '[secret]' } }, { token: 'hunter2' }),
      change({ data: { a: '[secret]' } }, { data: { a: 'hunter2' } }, { type: 'kubernetes:core/v1:Secret' }),
      change({ env: [] }, { env: [{ name: 'DB_PASSWORD', value: 'hunter2' }] }),
      change(
        { env: [{ name: 'DB_PASSWORD', value: 'old' }] },
        { env: [{ name: 'DB_PASSWORD', value: 'hunter2' }] },
      ),
      change({ hook: { adminToken: 'x' } }, { hook: { adminToken: 'hunter2' } }),
    ];
    for (const step of cases) {
      expect(fieldsOf(step)).toEqual([{ path: expect.any(String), declared: '(secret)', live: '(secret)' }]);
    }
  });
});

describe('who changed it', () => {
  const applied = {
    manager: 'pulumi-kubernetes-1',
    operation: 'Apply',
    time: '2026-11-01T00:00:00Z',
    fieldsV1: { 'f:spec': { 'f:strategy': {} } },
  };
  const live = {
    spec: { replicas: 5, template: { spec: { containers: [{ name: 'module', image: 'b' }] } } },
    metadata: {
      managedFields: [
        applied,
        {
          manager: 'kubectl-edit',
          operation: 'Update',
          time: '2026-11-02T00:00:00Z',
          fieldsV1: { 'f:spec': { 'f:replicas': {} } },
        },
        {
          manager: 'kubectl-set',
          operation: 'Update',
          time: new Date('2026-11-03T00:00:00Z'),
          fieldsV1: {
            'f:spec': {
              'f:template': {
                'f:spec': { 'f:containers': { 'k:{"name":"module"}': { '.': {}, 'f:image': {} } } },
              },
            },
          },
        },
      ],
    },
  };

  test('the field manager that owns the field, also inside of a list', () => {
    expect(lastManager(live, ['spec', 'replicas'])).toEqual({
      who: 'kubectl-edit',
      at: '2026-11-02T00:00:00Z',
    });
    expect(lastManager(live, ['spec', 'template', 'spec', 'containers', 0, 'image'])).toEqual({
      who: 'kubectl-set',
      at: '2026-11-03T00:00:00.000Z',
    });
  });

  // As kube-apiserver 1.37 writes it: ScaleHandler#ToParent takes the field from who applied it, and gives no time.
  const scaled = (manager: string) => ({
    spec: { replicas: 5 },
    metadata: {
      managedFields: [
        applied,
        { manager, operation: 'Update', subresource: 'scale', fieldsV1: { 'f:spec': { 'f:replicas': {} } } },
        {
          manager: 'kube-controller-manager',
          operation: 'Update',
          subresource: 'status',
          time: '2026-11-04T00:00:00Z',
          fieldsV1: { 'f:status': { 'f:replicas': {} } },
        },
      ],
    },
  });

  test('who scaled by the scale subresource, and never who only counted the Pods', () => {
    expect(lastManager(scaled('kubectl'), ['spec', 'replicas'])).toEqual({ who: 'kubectl' });
    expect(scaledBy(scaled('kubectl'))).toBe('kubectl');
    expect(scaledBy(scaled('pulumi-kubernetes-1'))).toBeUndefined();
    // Nobody owns this one, and of those who wrote none could have.
    expect(lastManager(scaled('kubectl'), ['spec', 'paused'])).toBeUndefined();
  });

  test('a field that was taken away has no owner: it was perhaps whoever wrote last', () => {
    expect(lastManager(live, ['metadata', 'labels', 'team'])?.who).toBe('kubectl-set, perhaps');
    expect(lastManager({ metadata: {} }, ['spec'])).toBeUndefined();
    expect(lastManager(undefined, ['spec'])).toBeUndefined();
  });

  const asking = (answers: Record<string, unknown>): Witnesses & { asked: string[] } => {
    const asked: string[] = [];
    return {
      asked,
      object: async (cluster, { apiVersion, kind, metadata }) => {
        asked.push(`${cluster} ${apiVersion} ${kind} ${metadata.namespace}/${metadata.name}`);
        return live;
      },
      gitlab: async (path) => {
        asked.push(path);
        return answers[path];
      },
    };
  };
  const authorsOf = async (step: StepOf, witnesses: Witnesses) =>
    withAuthors(findDrift(look(step).seen, nothing), witnesses);

  test('the live object is asked of the cluster of its provider', async () => {
    const witnesses = asking({});
    const [found] = await authorsOf(change(deployment('b', 2), deployment('b', 5)), witnesses);
    expect(witnesses.asked).toEqual(['production apps/v1 Deployment prod-shop/shop']);
    expect(found?.fields).toEqual([
      {
        path: 'spec.replicas',
        declared: '2',
        live: '5',
        by: { who: 'kubectl-edit', at: '2026-11-02T00:00:00Z' },
      },
    ]);
  });

  const gitlab = (
    kind: string,
    before: Record<string, unknown>,
    after: Record<string, unknown>,
    id: string,
  ) => change(before, after, { box: 'gitlab', type: kind, name: 'g', id });

  test("a file's author is that of its last commit", async () => {
    const path = 'projects/9/repository/commits?ref_name=main&path=vars%2Fa.groovy&per_page=1';
    const file = { project: '9', branch: 'main', filePath: 'vars/a.groovy' };
    const step = gitlab(
      'gitlab:index/repositoryFile:RepositoryFile',
      { ...file, content: 'a' },
      { ...file, content: 'b' },
      '9:main:vars/a.groovy',
    );
    const answers = { [path]: [{ author_name: 'Ada', committed_date: '2026-11-02T00:00:00Z' }] };
    const [found] = await authorsOf(step, asking(answers));
    expect(found?.by).toEqual({ who: 'Ada', at: '2026-11-02T00:00:00Z' });
  });

  test('audit events name the author of the rest, where the edition has them', async () => {
    const step = gitlab('gitlab:index/project:Project', { description: 'a' }, { description: 'b' }, '9');
    const audit = [{ created_at: '2026-11-02T00:00:00Z', details: { author_name: 'Grace' } }];
    const [told] = await authorsOf(step, asking({ 'projects/9/audit_events?per_page=1': audit }));
    expect(told?.by).toEqual({ who: 'Grace', at: '2026-11-02T00:00:00Z' });
    const activity = { 'projects/9': { last_activity_at: '2026-11-03T00:00:00Z' } };
    const [guessed] = await authorsOf(step, asking(activity));
    expect(guessed?.by).toEqual({ who: 'someone, last active', at: '2026-11-03T00:00:00Z' });
  });

  test('drift is told also where nobody can be asked', async () => {
    const silent: Witnesses = {
      object: () => Promise.reject(new Error('down')),
      gitlab: () => Promise.reject(new Error('down')),
    };
    const [found] = await authorsOf(change(deployment('b', 2), deployment('b', 5)), silent);
    expect(found?.fields).toEqual([{ path: 'spec.replicas', declared: '2', live: '5' }]);
    const step = gitlab('gitlab:index/project:Project', { description: 'a' }, { description: 'b' }, '9');
    expect(await authorsOf(step, silent)).toEqual([expect.not.objectContaining({ by: expect.anything() })]);
  });
});

describe('how it is told', () => {
  const resource = {
    urn: 'urn',
    name: 'production-shop-workload',
    type,
    kind: 'Deployment',
    box: 'production',
    boxName: 'production-shop',
    gone: false,
    fields: [
      {
        path: 'spec.replicas',
        declared: '2',
        live: '5 | `@all`',
        by: { who: 'kubectl-edit', at: '2026-11-02T00:00:00Z' },
      },
    ],
  };
  const report: DriftReport = {
    environment: 'lab',
    checkedAt: '2026-11-24T00:00:00.000Z',
    boxes: ['gitlab', 'production'],
    resources: [
      resource,
      { ...resource, name: 'hook', kind: 'GitLab ProjectHook', box: 'gitlab', gone: true, fields: [] },
    ],
  };
  const clean = { ...report, resources: [] };

  test('lines: by box, then resource, then field with its author', () => {
    expect(driftLines(report)).toEqual([
      'gitlab',
      '  GitLab ProjectHook hook is gone',
      'production',
      '  Deployment production-shop-workload',
      '    spec.replicas: 2 → 5 | `@all` (kubectl-edit at 2026-11-02T00:00:00Z)',
      'drift of lab: 2 resources drifted from what was applied',
    ]);
    expect(driftLines(clean)).toEqual(['drift of lab: no drift']);
  });

  test('lines: what others wrote there moves no cursor and ends no line', () => {
    const by = { who: 'Mallory\u001b[2J\u001b]0;title\u0007' };
    const field = { path: 'content', declared: 'a', live: 'b\u001b[1A\r\u009b2K', by };
    const lines = driftLines({ ...report, resources: [{ ...resource, fields: [field] }] });
    expect(lines.join('')).not.toMatch(/\p{Cc}/u);
    expect(lines[2]).toBe('    content: a → b?[1A??2K (Mallory?[2J?]0;title?)');
  });

  test('the note is found again by its first line, and a live value breaks no table', () => {
    const note = driftNote(report).split('\n');
    expect(note[0]).toBe(driftMarker('lab'));
    expect(note).toContain(
      '| Deployment `production-shop-workload` | `spec.replicas` | `2` | <code>5 &#124; &#96;&#64;<span></span>all&#96;</code> | `kubectl-edit at 2026-11-02T00:00:00Z` |',
    );
    expect(note).toContain('| GitLab ProjectHook `hook` | | | **gone** | `unknown` |');
    expect(driftNote(clean)).toContain('No drift at 2026-11-24T00:00:00.000Z.');
    expect(driftNote(clean)).not.toContain('|');
  });

  test('the metric counts by box, and says 0 of a box without drift', () => {
    expect(driftSamples({ ...report, resources: [resource] })).toEqual([
      {
        name: 'switchyard_drift_resources',
        labels: { environment: 'lab', box: 'gitlab' },
        value: 0,
      },
      {
        name: 'switchyard_drift_resources',
        labels: { environment: 'lab', box: 'production' },
        value: 1,
      },
      {
        name: 'switchyard_drift_checked_timestamp_seconds',
        labels: { environment: 'lab' },
        value: 1795478400,
      },
    ]);
  });
});

describe('a look through a fence', () => {
  const urn = (type: string, name: string) =>
    `urn:pulumi:test::switchyard::switchyard:index:Topology$switchyard:production:Production$${type}::${name}`;
  const provider = (name: string, context: string) => ({
    urn: urn('pulumi:providers:kubernetes', name),
    type: 'pulumi:providers:kubernetes',
    inputs: { context },
  });
  const of = (name: string, resource: string, by = '') => ({
    urn: urn(resource, name),
    type: resource,
    inputs: null,
    provider: by && `${urn('pulumi:providers:kubernetes', by)}::some-id`,
  });
  const deploymentOf = (...resources: object[]) => ({ manifest: {}, resources });

  test('leaves out Secrets, tokens of the group, images, and clusters that are not reached, and counts them', () => {
    const state = deploymentOf(
      { urn: urn('pulumi:pulumi:Stack', 's'), type: 'pulumi:pulumi:Stack' },
      provider('ci-cluster', 'one'),
      provider('production-cluster', 'two'),
      of('a', 'kubernetes:core/v1:Secret', 'ci-cluster'),
      of('b', 'kubernetes:core/v1:ConfigMap', 'ci-cluster'),
      of('c', 'kubernetes:core/v1:Secret', 'production-cluster'),
      of('d', type, 'production-cluster'),
      of('e', 'gitlab:index/groupAccessToken:GroupAccessToken'),
      of('f', 'gitlab:index/projectHook:ProjectHook'),
      of('g', 'docker:index/image:Image'),
    );
    const { exclude, unseen } = outOfSight(state, new Set(['one']));
    expect(exclude.map((name) => name.split('::').at(-1))).toEqual(['a', 'c', 'd', 'e', 'g']);
    expect(unseen).toEqual([
      { kind: 'Deployment', count: 1 },
      { kind: 'GitLab GroupAccessToken', count: 1 },
      { kind: 'Image', count: 1 },
      { kind: 'Secret', count: 2 },
    ]);
    expect(outOfSight(deploymentOf(), new Set())).toEqual({ exclude: [], unseen: [] });
  });

  test('takes no placeholder of a secret for a value, and still sees the fields beside it', () => {
    const placeholder = `withheld-${'0'.repeat(32)}`;
    const before = { a: placeholder, b: { c: [`token=${placeholder}`] }, d: 1, e: SECRET };
    const step = change(before, { a: 'x', b: { c: [] }, d: 2, e: SECRET });
    expect(fieldsOf(step, { ...nothing, withheld: true })).toEqual([{ path: 'd', declared: '1', live: '2' }]);
    expect(fieldsOf(step).map(({ path }) => path)).toEqual(['a', 'b.c', 'd']);
  });

  test('takes no certificate that a placeholder makes for the one that the API server trusts', () => {
    const spec = { caBundle: 'of the placeholder', groupPriorityMinimum: 100 };
    const step = {
      ...change({ spec }, { spec: { caBundle: 'real', groupPriorityMinimum: 200 } }),
      type: 'kubernetes:apiregistration.k8s.io/v1:APIService',
    };
    const paths = (expected: typeof nothing) => fieldsOf(step, expected).map(({ path }) => path);
    expect(paths({ ...nothing, withheld: true })).toEqual(['spec.groupPriorityMinimum']);
    expect(paths(nothing)).toEqual(['spec.caBundle', 'spec.groupPriorityMinimum']);
  });

  test('says in the note and in the lines what it did not see', () => {
    const report: DriftReport = {
      environment: 'test',
      checkedAt: '2026-11-24T03:47:00Z',
      boxes: ['jenkins'],
      resources: [],
      unseen: [
        { kind: 'Image', count: 2 },
        { kind: 'Secret', count: 31 },
      ],
    };
    expect(driftNote(report)).toMatch(/No drift at .*\.\n\nNot looked at: 2 Image, 31 Secret\.\n$/);
    expect(driftLines(report)).toContain('Not looked at: 2 Image, 31 Secret.');
    for (const unseen of [[], undefined])
      expect(driftNote({ ...report, unseen })).not.toContain('Not looked');
  });
});
