import { databasesOf, homePod, makeWay, wake } from '../../../operations/rebuild/restore';
import { testModel } from '../../support/model';

const model = testModel();

test('before a push, protections and hooks to our Jenkins go; hooks of others stay', async () => {
  const removed: string[] = [];
  await makeWay(
    {
      get: async (path) =>
        path.endsWith('/hooks')
          ? [
              { id: 3, url: 'https://jenkins.test/project/switchyard/shop' },
              { id: 4, url: 'https://chat.test/hook' },
              { id: 5, url: 'https://jenkins.test.elsewhere/project' },
            ]
          : [
              { id: 9, name: 'main' },
              { id: 10, name: 'release/*' },
            ],
      remove: async (path) => {
        removed.push(path);
      },
    },
    'switchyard/shop',
    'https://jenkins.test',
  );
  expect(removed).toEqual([
    'projects/switchyard%2Fshop/hooks/3',
    'projects/switchyard%2Fshop/protected_branches/main',
    'projects/switchyard%2Fshop/protected_branches/release%2F*',
  ]);
});

test("the Pod that holds Jenkins' home is as restricted as Jenkins, and does not stay", () => {
  const { pod, place } = homePod(model);
  expect(place).toEqual({ namespace: 'ci', pod: 'rebuild-jenkins-home', container: 'home' });
  expect(pod).toMatchObject({
    metadata: { name: 'rebuild-jenkins-home', namespace: 'ci' },
    spec: {
      automountServiceAccountToken: false,
      activeDeadlineSeconds: 3600,
      restartPolicy: 'Never',
      securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 },
      containers: [
        {
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
      volumes: [{ persistentVolumeClaim: { claimName: 'jenkins-home' } }],
    },
  });
});

test('a module that scales has Pods again when its databases are filled; of others an up sets the number', async () => {
  const { production } = model.modules[0] as (typeof model.modules)[number];
  const scaling = { qps: 50, min: 3, max: 9, cpu: 100, down: { windowSeconds: 300, percent: 20 } };
  const scaledTo = async (replicas: number | undefined, scales: boolean): Promise<number[]> => {
    const said: number[] = [];
    await wake(
      { production: { ...production, ...(scales ? { scaling } : {}) } },
      {
        read: async () => (replicas === undefined ? undefined : { spec: { replicas } }),
        scale: async (pods) => void said.push(pods),
      },
    );
    return said;
  };
  expect(await scaledTo(0, true)).toEqual([3]);
  for (const [replicas, scales] of [
    [5, true],
    [undefined, true],
    [0, false],
  ] as const)
    expect(await scaledTo(replicas, scales)).toEqual([]);
});

test('only services that are made here and can be dumped are filled', () => {
  for (const [item, { module, service, place }] of databasesOf(model)) {
    expect(item).toBe(`${module}/${service}`);
    expect(place.namespace).toBe(`prod-${module}`);
  }
  const existing = testModel({
    modules: model.modules.map((module) => ({
      ...module,
      services: module.services.map((use) => ({
        ...use,
        existing: { host: 'db.test', credentialsFrom: 'DB_PASSWORD' },
      })),
    })),
  });
  expect(databasesOf(existing).size).toBe(0);
});
