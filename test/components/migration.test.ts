import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import { productionUrns } from '../../operations/engine/urns';
import { afterDataUrns } from '../../operations/rebuild/stages';
import { check, rules } from '../../rules';
import { assertRules, modelFacts } from '../../rules/assert';
import { defaultImages } from '../../stacks/schema';
import { catalogTexts, modelOf, released } from '../support/model';
import { argsOf, declarationOf, modelWith, namesOf } from '../support/workloads';

// The Job that migrates a module's data for a release, as the topology declares it.

const JOB = 'kubernetes:batch/v1:Job';
const QUOTA = 'kubernetes:core/v1:ResourceQuota';
const POLICY = 'kubernetes:networking.k8s.io/v1:NetworkPolicy';
const NAME = 'production-shop-migration';

const shop = (production: string, more = '') =>
  `description: sells\nowners: [ada]\nservices: [{ kind: cache, version: "1.0" }]\n${more}production: { ${production} }\n`;
const MIGRATES = 'migrate: [python, manage.py, migrate]';

/** A module that migrates; its release as the ledger has it. */
const migrating = (
  production = MIGRATES,
  release: Partial<Model['releases'][string]> = { migrate: true },
  more = '',
): Model => ({
  ...modelWith({ shop: shop(production, more) }),
  releases: { shop: { ...released, ...release } },
});

function problemsOf(text: string): string {
  try {
    parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': text } });
  } catch (error) {
    if (error instanceof ProblemsError) return error.message;
    throw error;
  }
  return '';
}

test('is exactly this, with all that the module’s own Pod has', () => {
  const model = migrating();
  const job = argsOf(model, JOB, NAME) as {
    metadata: object;
    spec: { template: { spec: { containers: object[] } } };
  };
  const workload = argsOf(model, 'kubernetes:apps/v1:Deployment', 'production-shop-workload') as typeof job;
  const own = workload.spec.template.spec as Record<string, unknown> & {
    containers: Record<string, unknown>[];
  };
  const [container] = own.containers;
  const labels = {
    'app.kubernetes.io/name': 'shop',
    'app.kubernetes.io/component': 'migration',
    'app.kubernetes.io/part-of': 'switchyard',
    'app.kubernetes.io/managed-by': 'pulumi',
    'switchyard.dev/environment': 'test',
    'switchyard.dev/module': 'shop',
    'switchyard.dev/purpose': 'production',
  };
  expect(job).toEqual({
    metadata: {
      name: 'shop-migrate-bbbbbbbbbbbb',
      namespace: 'prod-shop',
      labels,
      annotations: { 'switchyard.dev/commit': 'b'.repeat(40), 'pulumi.com/timeoutSeconds': '930' },
    },
    spec: {
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
      activeDeadlineSeconds: 900,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          activeDeadlineSeconds: 600,
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          imagePullSecrets: own.imagePullSecrets,
          priorityClassName: own.priorityClassName,
          securityContext: own.securityContext,
          terminationGracePeriodSeconds: own.terminationGracePeriodSeconds,
          initContainers: [
            {
              name: 'services',
              image: defaultImages.busybox,
              command: ['sh', '-c', expect.any(String), 'services', 'cache.prod-shop.svc', '6379'],
              resources: container?.resources,
              securityContext: container?.securityContext,
            },
          ],
          containers: [
            {
              name: 'migrate',
              command: ['python', 'manage.py', 'migrate'],
              image: container?.image,
              env: container?.env,
              envFrom: container?.envFrom,
              resources: container?.resources,
              securityContext: container?.securityContext,
              volumeMounts: container?.volumeMounts,
            },
          ],
          volumes: own.volumes,
        },
      },
    },
  });
});

describe('its Pod first waits for the services', () => {
  /** Runs the container's command, with an nc that answers so, one time after another. */
  function wait(answers: readonly boolean[], secondsPerLook = 1) {
    const { spec } = argsOf(migrating(), JOB, NAME) as {
      spec: { template: { spec: { initContainers: { command: string[] }[] } } };
    };
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-wait-'));
    const program = (name: string, ...lines: string[]) =>
      writeFileSync(join(folder, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
    const next = (file: string) => `n=$(cat ${folder}/${file} || echo 0); echo $((n + 1)) >${folder}/${file}`;
    program(
      'nc',
      next('asked'),
      `echo "$@" >>${folder}/said`,
      `exit $(sed -n "$((n + 1))p" ${folder}/answers)`,
    );
    program('date', next('looked'), `echo $((n * ${secondsPerLook}))`);
    program('sleep', ':');
    writeFileSync(join(folder, 'answers'), answers.map((one) => (one ? '0\n' : '1\n')).join(''));
    const [shell = '', ...args] = spec.template.spec.initContainers[0]?.command ?? [];
    const ended = spawnSync(shell, args, {
      env: { PATH: `${folder}:${process.env.PATH}` },
      encoding: 'utf8',
      timeout: 10_000,
    });
    const asked = readFileSync(join(folder, 'said'), 'utf8').trimEnd().split('\n');
    rmSync(folder, { recursive: true });
    return { status: ended.status, asked, said: ended.stdout + ended.stderr.replace(/^cat: .*\n/gm, '') };
  }
  const asks = (times: number) => Array<string>(times).fill('-z -w 2 cache.prod-shop.svc 6379');

  test('until each took three connections in a row, and says nothing', () => {
    expect(wait([true, true, true])).toEqual({ status: 0, asked: asks(3), said: '' });
    expect(wait([false, true, true, false, true, true, true])).toEqual({
      status: 0,
      asked: asks(7),
      said: '',
    });
  });

  test('not for ever, and says which did not answer', () => {
    const { status, said } = wait(Array(100).fill(false), 10);
    expect([status, said]).toEqual([
      1,
      'cache.prod-shop.svc:6379 took no connections for 60 s, so the migration was not begun\n',
    ]);
  });

  test('those that stand elsewhere too, by their own ports; a module that has none waits for nothing', () => {
    const of = (services: string) => {
      const text = `description: sells\nowners: [ada]\n${services}production: { ${MIGRATES}, egress: [{ cidr: 10.1.0.0/16, ports: [6380] }] }\n`;
      const model = {
        ...modelWith({ shop: text }),
        releases: { shop: { ...released, migrate: true as const } },
      };
      const { spec } = argsOf(model, JOB, NAME) as {
        spec: { template: { spec: { initContainers?: { command: string[] }[] } } };
      };
      return spec.template.spec.initContainers?.[0]?.command.slice(4);
    };
    const existing = '{ host: cache.example.com, port: 6380, credentialsFrom: CACHE_PASSWORD }';
    expect(of(`services: [{ kind: cache, version: "1.0", existing: ${existing} }]\n`)).toEqual([
      'cache.example.com',
      '6380',
    ]);
    expect(of('')).toBeUndefined();
  });
});

test('stands before the rollout, behind the services and the variables, and stays as it ran', () => {
  const model = migrating();
  const { dependsOn, ignoreChanges } = declarationOf(model, NAME);
  expect(dependsOn).toEqual([
    'production-shop-environment',
    'production-shop-cache-service',
    'production-shop-migration-lock',
  ]);
  expect(ignoreChanges).toEqual(['spec']);
  expect(declarationOf(model, 'production-shop-workload').dependsOn).toContain(NAME);
});

test.each([
  ['what was put back', migrating(MIGRATES, {})],
  ['a module that migrates nothing', migrating('replicas: 2')],
  ['a module that was not released', { ...migrating(), releases: {} }],
])('there is none for %s', (_what, model) => {
  expect(namesOf(model)).not.toContain(NAME);
  const workload = topologyBoxes(model)
    .flatMap(({ declarations }) => declarations)
    .find(({ name }) => name === 'production-shop-workload');
  expect(workload?.dependsOn ?? []).not.toContain(NAME);
});

test('its name is the release’s: another release has another, another command or size has not', () => {
  const nameOf = (model: Model) => (argsOf(model, JOB, NAME).metadata as { name: string }).name;
  const names = [
    migrating(),
    migrating('migrate: [other]'),
    migrating(MIGRATES, { migrate: true }, 'resources: { cpu: "2", memory: 4Gi }\n'),
  ].map(nameOf);
  expect(new Set(names)).toEqual(new Set(['shop-migrate-bbbbbbbbbbbb']));
  expect(nameOf(migrating(MIGRATES, { migrate: true, commit: 'c'.repeat(40) }))).toBe(
    'shop-migrate-cccccccccccc',
  );
});

test('a module without a migration has nothing of it: what is declared is the same, to the byte', () => {
  const without = modelWith({ shop: shop('replicas: 2') });
  const text = JSON.stringify(topologyBoxes(without));
  expect(text).not.toContain('migrat');
  expect(
    JSON.stringify(topologyBoxes({ ...without, releases: { shop: { ...released, migrate: true } } })),
  ).toBe(text);
});

test('the program gets each word as it stands there', () => {
  const { spec } = argsOf(migrating("migrate: [sh, -c, 'echo $(HOME) $HOME $$']"), JOB, NAME) as {
    spec: { template: { spec: { containers: { command: string[] }[] } } };
  };
  // Kubernetes reads `$$` as `$`, and `$(HOME)` as a variable.
  expect(spec.template.spec.containers[0]?.command).toEqual(['sh', '-c', 'echo $$(HOME) $HOME $$$$']);
});

test('its times are the module’s: of its Pod, and of all with what its start may take', () => {
  const { metadata, spec } = argsOf(
    migrating(`${MIGRATES}, migrateSeconds: 60, readySeconds: 30`),
    JOB,
    NAME,
  ) as {
    metadata: { annotations: object };
    spec: { activeDeadlineSeconds: number; template: { spec: object } };
  };
  expect(spec.activeDeadlineSeconds).toBe(90);
  expect(spec.template.spec).toMatchObject({ activeDeadlineSeconds: 60 });
  expect(metadata.annotations).toMatchObject({ 'pulumi.com/timeoutSeconds': '120' });
});

test('one Pod at a time migrates, by a quota that counts no other Pod', () => {
  // It is there before the first Job is.
  const model = migrating(MIGRATES, {});
  expect(argsOf(model, QUOTA, 'production-shop-migration-lock')).toMatchObject({
    metadata: { namespace: 'prod-shop', name: 'migration-lock' },
    spec: { scopes: ['Terminating'], hard: { pods: '1' } },
  });
});

test('its Pods reach what the module’s do, and nobody reaches them: no Service, no budget, no autoscaler counts them', () => {
  const model = migrating(`${MIGRATES}, egress: [{ cidr: 10.1.0.0/16, ports: [5432] }]`);
  const pods = { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/component': 'migration' };
  expect(argsOf(model, POLICY, 'production-shop-migration-6379').spec).toEqual({
    podSelector: { matchLabels: { 'app.kubernetes.io/component': 'service' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: pods } }], ports: [{ protocol: 'TCP', port: 6379 }] }],
  });
  const egress = (name: string) => argsOf(model, POLICY, `production-shop-${name}-egress`).spec as object;
  expect(egress('migration')).toEqual({ ...egress('module'), podSelector: { matchLabels: pods } });
  for (const declaration of topologyBoxes(model).flatMap(({ declarations }) => declarations)) {
    const { spec } = declaration.args as { spec?: { selector?: object } };
    const selector = JSON.stringify(spec?.selector ?? {});
    expect([declaration.name, selector]).toEqual([
      declaration.name,
      expect.not.stringContaining('migration'),
    ]);
  }
});

test('the quota holds it beside the module’s worst moment, and the deployer may make it', () => {
  const hard = (model: Model) =>
    (argsOf(model, QUOTA, 'production-shop-quota').spec as { hard: Record<string, string> }).hard;
  const size = 'resources: { cpu: "4", memory: 8Gi, disk: 4Gi }\n';
  const [without, withIt] = [
    migrating('replicas: 4', {}, size),
    migrating(`replicas: 4, ${MIGRATES}`, {}, size),
  ].map(hard);
  expect([without?.pods, without?.['requests.cpu'], without?.['requests.memory']]).toEqual([
    '11',
    '37',
    '73Gi',
  ]);
  expect([withIt?.pods, withIt?.['requests.cpu'], withIt?.['requests.memory']]).toEqual(['12', '41', '81Gi']);
  const may = (model: Model) =>
    JSON.stringify(
      argsOf(model, 'kubernetes:rbac.authorization.k8s.io/v1:Role', 'production-shop-deployer-role'),
    ).includes('"jobs"');
  expect([may(migrating()), may(migrating('replicas: 2'))]).toEqual([true, false]);
});

test('every rule holds with it', () => {
  expect(() => assertRules(migrating())).not.toThrow();
  expect(check(modelFacts(migrating()), rules)).toEqual([]);
});

test('the look for drift may see Jobs where a module has some, and only there', () => {
  const look = (production: string) => {
    const settings = modelOf({ topologyProject: 'path: topology' }).settings;
    const role = argsOf(
      { ...migrating(production), settings },
      'kubernetes:rbac.authorization.k8s.io/v1:ClusterRole',
      'drift-reader',
    ) as { rules: { apiGroups: string[]; resources: string[] }[] };
    return role.rules
      .filter(({ apiGroups }) => apiGroups[0] === 'batch')
      .flatMap(({ resources }) => resources);
  };
  expect(look(MIGRATES)).toEqual(['jobs', 'cronjobs']);
  expect(look('replicas: 2')).toEqual(['cronjobs']);
});

test('a deploy’s limits name it, and a rebuild makes it when the data is there', () => {
  const model = migrating(MIGRATES, {});
  const urn = expect.stringMatching(/\$kubernetes:batch\/v1:Job::production-shop-migration$/);
  expect(productionUrns('test', model, ['shop'])).toContainEqual(urn);
  expect(afterDataUrns('test', model)).toContainEqual(urn);
});

describe('is refused with its place', () => {
  test.each([
    ['an empty command', 'migrate: []', 'production.migrate: is empty'],
    ['a program without a name', 'migrate: [" "]', 'production.migrate.0: names no program'],
    ['a word that is none', 'migrate: [sh, 1]', 'production.migrate.1'],
    ['no list', 'migrate: "alembic upgrade head"', 'production.migrate'],
    ['a NUL', 'migrate: [sh, "a\\0b"]', 'production.migrate.1: has a NUL character'],
    [
      'a word that no program takes',
      `migrate: [sh, "${'a'.repeat(131_072)}"]`,
      'production.migrate.1: is longer than',
    ],
    ['too many words', `migrate: [${'a,'.repeat(101)}]`, 'production.migrate: has more than 100 entries'],
    ['a login', 'migrate: [psql, "postgres://me:hunter2@db/x"]', 'production.migrate.1'],
    ['no time at all', `${MIGRATES}, migrateSeconds: 5`, 'production.migrateSeconds'],
    ['more than a build waits', `${MIGRATES}, migrateSeconds: 3600`, 'production.migrateSeconds'],
    ['a time for nothing', 'migrateSeconds: 60', 'production.migrateSeconds: is unused'],
  ])('%s', (_what, production, says) => {
    const problems = problemsOf(shop(production));
    expect(problems).toContain(says);
    expect(problems).toMatch(/^catalog\/modules\/shop\.yaml:4: production\.migrate/m);
  });

  test('a module that reaches no data', () => {
    const text = (more: string) => `description: sells\nowners: [ada]\n${more}`;
    const production = `production: { ${MIGRATES} }\n`;
    expect(problemsOf(text(production))).toContain('production.migrate: has no data to migrate');
    expect(problemsOf(text(`environment: { DB: "postgres.data.svc" }\n${production}`))).toBe('');
    expect(
      problemsOf(text(`production: { ${MIGRATES}, egress: [{ cidr: 10.1.0.0/16, ports: [5432] }] }\n`)),
    ).toBe('');
  });
});
