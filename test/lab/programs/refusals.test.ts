import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'yaml';
import { type CatalogTexts, parseCatalog } from '../../../catalog/load';
import { type Problem, ProblemsError } from '../../../catalog/problems';
import type { Model } from '../../../components/model';
import { isTemplate } from '../../../components/shared/references';
import { toYaml } from '../../../operations/render/yaml';
import { fileKinds, type JsonSchema } from '../../../operations/schemas/schema';
import { ENFORCE, refusedAt } from '../../../rules/admission';
import { assertRules } from '../../../rules/assert';
import { type Facts, factsOf } from '../../../rules/facts';
import { type Item, isKubernetes, kindOf } from '../../../rules/facts/item';
import { fields } from '../../../rules/facts/read';
import { kubernetesSchema, type OpenApiDocument, SCHEMA } from '../../../rules/kubernetes/generate';
import { modelItems } from '../../../rules/model';
import { parseStack } from '../../../stacks/load';
import { documents, variations } from '../../support/generated';
import { ingressWith, moduleWith, NARROWER, REFUSED, TAKEN } from '../../support/kubernetes-names';
import { catalogTexts, root, stackText, testModel } from '../../support/model';
import { scaled } from '../../support/scale';
import { type HollowCluster, startHollowCluster } from './hollow-cluster';

// Whatever the rules and the schemas let through, a real API server takes: asked by creating each object in a dry run,
// which goes through its schema, its validation and its admission and keeps nothing.

/** The usual run is the same each time: what a new seed finds is for the nightly one to tell. */
const { cases, seed } = scaled<{ cases: number; seed: number | undefined }>({
  usual: { cases: 400, seed: 20_261_128 },
  all: { cases: 100_000, seed: undefined },
});
/** Starts of a cluster beside all else that a machine does, and the cases themselves. */
const TIMEOUT = scaled({ usual: 15 * 60_000, all: 12 * 3_600_000 });

let folder: string;
let cluster: HollowCluster;
let agent: Agent;

/** The one namespace that exists: of a namespace's own name its own object tells. */
const SCRATCH = 'scratch';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-refusals-'));
  cluster = await startHollowCluster('refusing', folder);
  agent = new Agent({ keepAlive: true, maxSockets: 4, ca: readFileSync(join(folder, 'refusing', 'ca.crt')) });
  await cluster.core.createNamespace({ body: { metadata: { name: SCRATCH } } });
  for (const name of ['tests', 'default'])
    await cluster.core
      .createNamespacedServiceAccount({ namespace: SCRATCH, body: { metadata: { name } } })
      .catch((error: { code?: number }) => {
        if (error.code !== 409) throw error;
      });
}, TIMEOUT);

afterAll(async () => {
  agent?.destroy();
  await cluster?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
}, TIMEOUT);

function ask(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
  const token = cluster.kubeconfig.getCurrentUser()?.token ?? '';
  return new Promise((resolve, reject) => {
    const sent = request(
      `${cluster.server}${path}`,
      { method, agent, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
        );
        answer.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Kinds as addresses name them. */
const plural = (kind: string): string => {
  const lower = kind.toLowerCase();
  if (lower.endsWith('y')) return `${lower.slice(0, -1)}ies`;
  return lower.endsWith('s') ? `${lower}es` : `${lower}s`;
};
const WHOLE_CLUSTER = new Set([
  'Namespace',
  'PriorityClass',
  'ClusterRole',
  'ClusterRoleBinding',
  'APIService',
]);

interface Asked {
  readonly path: string;
  readonly body: object;
}

/** What is Base64 at run time: a Secret's data, another Secret's output, and an authority's certificate. */
const knownAsBytes = (data: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      isTemplate(value) ? Buffer.from(value.shown).toString('base64') : value,
    ]),
  );

function asked(item: Item): Asked {
  const [, group = '', version = ''] = /^kubernetes:([^/]+)\/([^:]+):/.exec(item.type) ?? [];
  const kind = kindOf(item);
  const api = group === 'core' ? `/api/${version}` : `/apis/${group}/${version}`;
  const within = WHOLE_CLUSTER.has(kind) ? '' : `/namespaces/${SCRATCH}`;
  const { namespace: _namespace, ...metadata } = fields(item.args, 'metadata');
  return {
    path: `${api}${within}/${plural(kind)}?dryRun=All&fieldValidation=Strict`,
    body: {
      ...item.args,
      apiVersion: group === 'core' ? version : `${group}/${version}`,
      kind,
      metadata: { ...metadata, ...(item.planned ? { name: 'test-pod' } : {}) },
      ...(kind === 'Secret' ? { data: knownAsBytes(fields(item.args, 'data')) } : {}),
      ...(kind === 'APIService' ? { spec: knownAsBytes(fields(item.args, 'spec')) } : {}),
    },
  };
}

/** Pods of Jenkins' templates, by an account that is there. */
const agents = (facts: Facts): Asked[] =>
  facts.jenkins.templates.flatMap(({ pod }) => {
    const spec = fields(pod, 'spec');
    return spec.containers === undefined
      ? []
      : [
          {
            path: `/api/v1/namespaces/${SCRATCH}/pods?dryRun=All&fieldValidation=Strict`,
            body: {
              apiVersion: 'v1',
              kind: 'Pod',
              metadata: { ...fields(pod, 'metadata'), name: 'agent' },
              spec: { ...spec, serviceAccountName: 'default' },
            },
          },
        ];
  });

const known = new Set<string>();

/** What the API server says against an object; nothing when it takes it, or has taken its like before. */
async function refusal({ path, body }: Asked): Promise<string[]> {
  const text = JSON.stringify(body);
  const hash = createHash('sha256').update(path).update(text).digest('base64');
  if (known.has(hash)) return [];
  known.add(hash);
  const { status, text: answer } = await ask('POST', path, body);
  // Named as one that is there: whatever validates it came before.
  if (status === 201 || status === 409) return [];
  return [`${status} ${path}: ${answer.slice(0, 1500)}\n${text.slice(0, 3000)}`];
}

const schemas = Object.fromEntries(fileKinds(root).map(({ name, schema }) => [name, schema])) as Record<
  'module' | 'service' | 'stack',
  JsonSchema
>;

interface Texts {
  readonly catalog: CatalogTexts;
  readonly stack: string;
}

const yamlOf = (data: unknown): string =>
  toYaml({ data })
    .replace(/^data:( |\n)/, '')
    .replace(/^ {2}/gm, '');

/** One file at a time is generated; the others are right, so that most of what is refused is its own fault. */
const texts: fc.Arbitrary<Texts> = fc.oneof(
  documents(schemas.module).map((data) => ({
    catalog: { ...catalogTexts, modules: { 'shop.yaml': yamlOf(data) } },
    stack: stackText,
  })),
  documents(schemas.service).map((data) => {
    const versions = (data as { versions?: object } | null)?.versions;
    const version = versions && typeof versions === 'object' ? (Object.keys(versions)[0] ?? '1.0') : '1.0';
    const use = { kind: 'other', version, name: 'store' };
    return {
      catalog: {
        services: { 'other.yaml': yamlOf(data) },
        modules: { 'shop.yaml': yamlOf({ description: 'sells', owners: ['ada'], services: [use] }) },
      },
      stack: stackText,
    };
  }),
  variations(parse(stackText), 'config', schemas.stack).map((data) => ({
    catalog: catalogTexts,
    stack: yamlOf(data).replace(/^( *"?switchyard:environment"?:).*$/m, '$1 test'),
  })),
);

function modelOf({ catalog: written, stack }: Texts): Model {
  const settings = parseStack(stack, 'stacks/Pulumi.test.yaml', 'test');
  const catalog = parseCatalog(written);
  return testModel({
    settings,
    catalog,
    modules: catalog.modules,
    releases: {},
    files: { ...written, stacks: { 'Pulumi.test.yaml': stack } },
  });
}

/** What the rules have against a model, as `check` tells it. */
function brokenProblems(model: Model): readonly Problem[] {
  try {
    assertRules(model);
    return [];
  } catch (error) {
    if (error instanceof ProblemsError) return error.problems;
    throw error;
  }
}

const isLocated = (problem: Problem): boolean =>
  /^(catalog\/(modules|services)|stacks)\//.test(problem.file) && (problem.line ?? 0) >= 1;

test(
  'the schema that the rules check by is what this API server publishes',
  async () => {
    const documentsOf = new Map<string, OpenApiDocument>();
    for (const api of [
      'api/v1',
      ...['apps', 'batch', 'policy'].map((group) => `apis/${group}/v1`),
      'apis/autoscaling/v2',
      ...['scheduling', 'rbac.authorization', 'networking', 'apiregistration'].map(
        (group) => `apis/${group}.k8s.io/v1`,
      ),
    ]) {
      const { text } = await ask('GET', `/openapi/v3/${api}`);
      documentsOf.set(api.replaceAll('/', '__'), JSON.parse(text) as OpenApiDocument);
    }
    const made = kubernetesSchema((document) => {
      const found = documentsOf.get(document);
      if (!found) throw new Error(`no ${document} was asked for`);
      return found;
    });
    expect(JSON.parse(made)).toEqual(JSON.parse(readFileSync(SCHEMA, 'utf8')));
  },
  TIMEOUT,
);

test(
  'every object of this repository’s test model is one that the API server takes',
  async () => {
    const { items } = modelItems(testModel());
    const facts = factsOf(items);
    const refused = [];
    for (const each of [...items.filter(isKubernetes).map(asked), ...agents(facts)])
      refused.push(...(await refusal(each)));
    expect(refused).toEqual([]);
    expect(known.size).toBeGreaterThan(30);
  },
  TIMEOUT,
);

test(
  'names at the edges of what Kubernetes takes are taken and refused as the table has them, ours and this API server alike',
  async () => {
    const path = `/apis/networking.k8s.io/v1/namespaces/${SCRATCH}/ingresses?dryRun=All&fieldValidation=Strict`;
    const answers: Record<string, number> = {};
    const wanted: Record<string, number> = {};
    for (const [status, table] of [
      [201, TAKEN],
      [422, REFUSED],
      [201, NARROWER],
    ] as const) {
      for (const [what, example] of table) {
        wanted[what] = status;
        answers[what] = (await ask('POST', path, ingressWith(example))).status;
      }
    }
    expect(answers).toEqual(wanted);
    // And what our program makes of the names that `check` takes.
    const refused: string[] = [];
    for (const [, example] of TAKEN) {
      const written = { ...catalogTexts, modules: { 'shop.yaml': moduleWith(example) } };
      const { items } = modelItems(modelOf({ catalog: written, stack: stackText }));
      const made = items.filter((item) => isKubernetes(item) && kindOf(item) === 'Ingress').map(asked);
      expect(made).toHaveLength(1);
      for (const each of made) refused.push(...(await refusal(each)));
    }
    expect(refused).toEqual([]);
  },
  TIMEOUT,
);

/** A Pod that every level takes, and what makes it another one. */
const sound = () => ({
  spec: {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } as Record<
      string,
      unknown
    >,
    volumes: [] as object[],
    containers: [
      {
        name: 'one',
        image: 'one:1',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } as Record<
          string,
          unknown
        >,
      } as Record<string, unknown> & { securityContext: Record<string, unknown> },
    ],
  } as Record<string, unknown> & {
    securityContext: Record<string, unknown>;
    volumes: object[];
    containers: (Record<string, unknown> & { securityContext: Record<string, unknown> })[];
  },
  annotations: {} as Record<string, string>,
});
type Made = ReturnType<typeof sound>;
const onPod =
  (context: object) =>
  ({ spec }: Made) =>
    void Object.assign(spec.securityContext, context);
const onContainer =
  (context: object) =>
  ({ spec }: Made) =>
    void Object.assign(spec.containers[0]?.securityContext ?? {}, context);
const withVolume =
  (volume: object) =>
  ({ spec }: Made) =>
    void spec.volumes.push({ name: `volume-${spec.volumes.length}`, ...volume });
const CHANGES: Readonly<Record<string, (pod: Made) => void>> = {
  hostNetwork: ({ spec }) => void Object.assign(spec, { hostNetwork: true }),
  hostPID: ({ spec }) => void Object.assign(spec, { hostPID: true }),
  hostIPC: ({ spec }) => void Object.assign(spec, { hostIPC: true }),
  'a hostPath': withVolume({ hostPath: { path: '/' } }),
  'an nfs': withVolume({ nfs: { server: 'nfs.test', path: '/' } }),
  'an emptyDir': withVolume({ emptyDir: {} }),
  'a volume of nothing': withVolume({}),
  'a projected volume': withVolume({ projected: { sources: [] } }),
  'a sysctl': onPod({ sysctls: [{ name: 'kernel.msgmax', value: '1' }] }),
  'a sysctl that is let through': onPod({ sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1 1 1' }] }),
  'root, by the Pod': onPod({ runAsUser: 0 }),
  'root, by the container': onContainer({ runAsUser: 0 }),
  'runAsNonRoot: false, by the Pod': onPod({ runAsNonRoot: false }),
  'runAsNonRoot: false, by the container': onContainer({ runAsNonRoot: false }),
  'no word of root': onPod({ runAsNonRoot: undefined }),
  'the container’s own word of root': onContainer({ runAsNonRoot: true }),
  'no seccomp': onPod({ seccompProfile: undefined }),
  'no seccomp, by the Pod': onPod({ seccompProfile: { type: 'Unconfined' } }),
  'no seccomp, by the container': onContainer({ seccompProfile: { type: 'Unconfined' } }),
  'the container’s own seccomp': onContainer({ seccompProfile: { type: 'RuntimeDefault' } }),
  'no AppArmor': onContainer({ appArmorProfile: { type: 'Unconfined' } }),
  AppArmor: onPod({ appArmorProfile: { type: 'RuntimeDefault' } }),
  privileged: onContainer({ privileged: true, allowPrivilegeEscalation: true }),
  escalation: onContainer({ allowPrivilegeEscalation: undefined }),
  'a capability': onContainer({ capabilities: { drop: ['ALL'], add: ['SYS_PTRACE'] } }),
  'a common capability': onContainer({ capabilities: { drop: ['ALL'], add: ['CHOWN'] } }),
  'the capability of low ports': onContainer({ capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }),
  'all capabilities that it had': onContainer({ capabilities: { drop: ['CHOWN'] } }),
  'a hostPort': ({ spec }) =>
    void Object.assign(spec.containers[0] ?? {}, { ports: [{ containerPort: 80, hostPort: 80 }] }),
  'a probe of another host': ({ spec }) =>
    void Object.assign(spec.containers[0] ?? {}, {
      livenessProbe: { httpGet: { path: '/', port: 80, host: '169.254.169.254' } },
    }),
  'a type of SELinux': onPod({ seLinuxOptions: { type: 'spc_t' } }),
  'a user of SELinux': onContainer({ seLinuxOptions: { user: 'system_u' } }),
  'a level of SELinux': onPod({ seLinuxOptions: { level: 's0' } }),
  'a bare container before it': ({ spec }) =>
    void Object.assign(spec, { initContainers: [{ name: 'first', image: 'first:1' }] }),
};

test(
  'a Pod that this API server’s Pod Security refuses is one that the rule refuses, and no other',
  async () => {
    for (const level of ['baseline', 'restricted']) {
      const labels = { [ENFORCE]: level, [`${ENFORCE}-version`]: 'latest' };
      await cluster.core.createNamespace({ body: { metadata: { name: level, labels } } });
      const body = { metadata: { name: 'default' } };
      await cluster.core
        .createNamespacedServiceAccount({ namespace: level, body })
        .catch((error: { code?: number }) => {
          if (error.code !== 409) throw error;
        });
    }
    const names = Object.keys(CHANGES);
    const answers = async (chosen: readonly string[], level: string): Promise<number> => {
      const pod = sound();
      for (const name of chosen) CHANGES[name]?.(pod);
      const { status, text } = await ask('POST', `/api/v1/namespaces/${level}/pods?dryRun=All`, {
        metadata: { name: 'pod', annotations: pod.annotations },
        spec: pod.spec,
      });
      // What is no Pod at all is refused before.
      if (status === 422 && chosen.length > 1) return status;
      const refused = refusedAt(level, pod as never).flatMap((part) => part.refused);
      expect({ chosen, level, status, refused, text: status === 201 ? '' : text }).toMatchObject({
        status: refused.length > 0 ? 403 : 201,
        text: refused.length > 0 ? expect.stringContaining('violates PodSecurity') : '',
      });
      return status;
    };
    for (const level of ['baseline', 'restricted']) {
      await answers([], level);
      for (const name of names) await answers([name], level);
    }
    const several = fc.subarray(names, { minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(several, fc.constantFrom('baseline', 'restricted'), async (chosen, level) => {
        fc.pre((await answers(chosen, level)) !== 422);
      }),
      {
        numRuns: scaled({ usual: 60, all: 5000 }),
        ...(seed === undefined ? {} : { seed }),
      },
    );
  },
  TIMEOUT,
);

test(
  'generated catalogs and stacks are refused with located faults, or the API server takes them',
  async () => {
    const count = { refused: 0, broken: 0, taken: 0 };
    await fc.assert(
      fc.asyncProperty(texts, async (written) => {
        let model: Model;
        try {
          model = modelOf(written);
        } catch (error) {
          if (!(error instanceof ProblemsError)) throw error;
          count.refused += 1;
          const lost = error.problems.filter((problem) => !isLocated(problem));
          if (error.problems.length === 0 || lost.length > 0)
            throw new Error(`not located: ${JSON.stringify(lost)}`);
          return;
        }
        const { items, untestable } = modelItems(model);
        const facts = factsOf(items, untestable);
        const broken = brokenProblems(model);
        if (broken.length > 0) {
          count.broken += 1;
          const lost = broken.filter((problem) => !isLocated(problem));
          if (lost.length > 0) throw new Error(`against a rule, and not located: ${JSON.stringify(lost)}`);
          return;
        }
        const answers = await Promise.all(
          [...items.filter(isKubernetes).map(asked), ...agents(facts)].map(refusal),
        );
        const refused = answers.flat();
        if (refused.length > 0)
          throw new Error(
            `taken by us and refused there:\n${refused[0]}\n${JSON.stringify(written).slice(0, 4000)}`,
          );
        count.taken += 1;
      }),
      {
        numRuns: cases,
        endOnFailure: true,
        ...(seed === undefined ? {} : { seed }),
      },
    );
    process.stdout.write(
      `refused ${count.refused}, against a rule ${count.broken}, taken ${count.taken}; ${known.size} distinct objects\n`,
    );
    // Neither side may be a rare accident, or the test would show nothing.
    expect(count.taken).toBeGreaterThan(0);
    expect(count.refused).toBeGreaterThan(0);
  },
  TIMEOUT,
);
