import { parse } from 'yaml';
import { type Module, parseCatalog } from '../../../catalog/load';
import { ProblemsError } from '../../../catalog/problems';
import { prometheusConfig } from '../../../components/autoscaling/config';
import { METRIC, quantity } from '../../../components/autoscaling/module';
import { topologyBoxes } from '../../../components/boxes';
import type { Model } from '../../../components/model';
import type { Declaration } from '../../../components/shared/declaration';
import { autoscalingSpec } from '../../../components/specs';
import { renderTopology } from '../../../operations/render';
import { assertRules } from '../../../rules/assert';
import { parseStack } from '../../../stacks/load';
import { FOREIGN } from '../../../text/yaml';
import { catalogTexts, stackText, testModel } from '../../support/model';

const shop = (more = ''): string => `${catalogTexts.modules['shop.yaml']}${more}`;
const SCALING = 'production: { scaling: { qps: 50, min: 2, max: 20 } }\n';

function modelWith(module: string, stack = ''): Model {
  const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': module } });
  const settings = parseStack(`${stackText}${stack}`, 'stacks/Pulumi.test.yaml', 'test');
  return testModel({ catalog, modules: catalog.modules, settings });
}
const declarationsOf = (model: Model): Declaration[] =>
  topologyBoxes(model).flatMap(({ declarations }) => [...declarations]);
/** Arguments of a declaration, as plain data. */
// biome-ignore lint/suspicious/noExplicitAny: each test looks into another kind.
function args(model: Model, name: string): any {
  const found = declarationsOf(model).find((one) => one.name === name);
  if (!found) throw new Error(`nothing is called ${name}`);
  return JSON.parse(JSON.stringify(found.args));
}
const named = (model: Model, pattern: RegExp): string[] =>
  declarationsOf(model)
    .map(({ name }) => name)
    .filter((name) => pattern.test(name));

const scaled = modelWith(shop(SCALING));

type Scaling = Module['production']['scaling'];

test('every rule holds, with a proxy, with a metric of its own, and with a Prometheus of the site', () => {
  const own = shop(
    'production: { scaling: { qps: 0.5, min: 1, max: 3, metric: { path: /metrics, name: hits } } }\n',
  );
  for (const model of [
    scaled,
    modelWith(own),
    modelWith(shop(SCALING), '  switchyard:autoscaling: { existing: { namespace: monitoring } }\n'),
  ])
    expect(() => assertRules(model)).not.toThrow();
});

test('without a module that scales nothing speaks of it', () => {
  const plain = modelWith(shop());
  const text = [...renderTopology(plain).values()].join('\n');
  expect(/autoscal|haproxy|switchyard_requests|metrics-adapter|apiservices/i.exec(text)?.[0]).toBeUndefined();
  expect(named(plain, /proxy|autoscal/)).toEqual([]);
});

test('the autoscaler: requests of a Pod, CPU of the module as a backstop, up at once, down slowly', () => {
  expect(args(scaled, 'production-shop-autoscaler').spec).toEqual({
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop' },
    minReplicas: 2,
    maxReplicas: 20,
    metrics: [
      {
        type: 'Pods',
        pods: { metric: { name: METRIC }, target: { type: 'AverageValue', averageValue: '50' } },
      },
      {
        type: 'ContainerResource',
        containerResource: {
          name: 'cpu',
          container: 'module',
          target: { type: 'Utilization', averageUtilization: 100 },
        },
      },
    ],
    behavior: {
      scaleUp: {
        stabilizationWindowSeconds: 0,
        selectPolicy: 'Max',
        policies: [
          { type: 'Percent', value: 100, periodSeconds: 15 },
          { type: 'Pods', value: 4, periodSeconds: 15 },
        ],
      },
      scaleDown: {
        stabilizationWindowSeconds: 300,
        selectPolicy: 'Max',
        policies: [{ type: 'Percent', value: 20, periodSeconds: 60 }],
      },
    },
  });
  const other = modelWith(
    shop(
      'production: { scaling: { qps: 0.25, min: 1, max: 3, cpu: 80, down: { windowSeconds: 60, percent: 50 } } }\n',
    ),
  );
  expect(args(other, 'production-shop-autoscaler').spec).toMatchObject({
    metrics: [
      { pods: { target: { averageValue: '250m' } } },
      { containerResource: { target: { averageUtilization: 80 } } },
    ],
    behavior: {
      scaleDown: { stabilizationWindowSeconds: 60, policies: [{ value: 50, periodSeconds: 60 }] },
    },
  });
});

test('a target is written as the API server gives it back, so that no look finds another one', () => {
  // Quantity.String of k8s.io/apimachinery.
  const written = [0.001, 0.5, 1, 1.5, 50, 1000, 1500, 20_000, 1_000_000].map(quantity);
  expect(written).toEqual(['1m', '500m', '1', '1500m', '50', '1k', '1500', '20k', '1M']);
});

test('the number of Pods is the autoscaler’s: it begins with min, and no run sets it back', () => {
  const deployment = declarationsOf(scaled).find(({ name }) => name === 'production-shop-workload');
  expect(deployment?.ignoreChanges).toContain('spec.replicas');
  expect(args(scaled, 'production-shop-workload').spec.replicas).toBe(2);
  const plain = declarationsOf(modelWith(shop())).find(({ name }) => name === 'production-shop-workload');
  expect(plain?.ignoreChanges ?? []).not.toContain('spec.replicas');
});

test('the quota holds the most Pods, twice for a rollout, with their proxies', () => {
  const hard = args(
    modelWith(shop(`resources: { cpu: "1", memory: 1Gi }\n${SCALING}`)),
    'production-shop-quota',
  ).spec.hard;
  // 41 Pods of the module and two of its service.
  expect(hard.pods).toBe('43');
  expect(Number(hard['requests.cpu'])).toBeGreaterThanOrEqual(41 * 1.05);
});

describe('the Pod of a module that scales', () => {
  const { spec, metadata } = args(scaled, 'production-shop-workload').spec.template;

  test('has the proxy before the module, which the Service leads to and the module’s port is closed behind', () => {
    const [proxy] = spec.initContainers;
    expect(proxy).toMatchObject({ name: 'proxy', restartPolicy: 'Always', image: 'haproxy:3.0.20-alpine' });
    expect(args(scaled, 'production-shop-service').spec.ports[0]).toMatchObject({
      port: 80,
      targetPort: 'http',
    });
    expect([proxy.ports, spec.containers[0].ports]).toEqual([
      [
        { name: 'http', containerPort: 18080 },
        { name: 'metrics', containerPort: 18404 },
      ],
      [{ name: 'module', containerPort: 8080 }],
    ]);
    expect(args(scaled, 'production-shop-proxy').data['haproxy.cfg']).toContain(
      'server module 127.0.0.1:8080 maxconn 50 ',
    );
    expect(named(scaled, /^production-shop-allow-/).sort()).toEqual([
      'production-shop-allow-18080',
      'production-shop-allow-6379',
      'production-shop-allow-metrics',
    ]);
  });

  test('probes the module itself, so that no probe is counted', () => {
    const [container] = spec.containers;
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
      expect(container[probe].httpGet.port).toBe(8080);
  });

  test('the module serves on until the proxy has ended its connections', () => {
    expect(spec.initContainers[0].lifecycle.preStop.exec.command).toEqual([
      'sh',
      '-c',
      'sleep 5; kill -USR1 1',
    ]);
    expect(spec.containers[0].lifecycle.preStop.sleep.seconds).toBe(7);
  });

  test('starts anew when the proxy’s configuration changes', () => {
    const other = modelWith(shop('production: { scaling: { qps: 50, min: 2, max: 20, concurrency: 7 } }\n'));
    const hash = (annotations: Record<string, string>) => annotations['switchyard.dev/config-hash'];
    expect(hash(args(other, 'production-shop-workload').spec.template.metadata.annotations)).not.toBe(
      hash(metadata.annotations),
    );
  });
});

test('a module with a metric of its own has no proxy, and is asked at its own port', () => {
  const own = modelWith(
    shop(
      'production: { scaling: { qps: 50, min: 2, max: 20, metric: { path: /stats, name: hits_total } } }\n',
    ),
  );
  expect(args(own, 'production-shop-workload').spec.template.spec.initContainers).toBeUndefined();
  expect(args(own, 'production-shop-service').spec.ports[0].targetPort).toBe(8080);
  const config = parse(args(own, 'autoscaling-prometheus-config').data['prometheus.yml']);
  expect(config.scrape_configs[0]).toMatchObject({
    metrics_path: '/stats',
    relabel_configs: expect.arrayContaining([expect.objectContaining({ replacement: '$1:8080' })]),
    metric_relabel_configs: [
      { source_labels: ['__name__'], regex: 'hits_total', action: 'keep' },
      { target_label: '__name__', replacement: 'switchyard_requests_total' },
    ],
  });
});

describe('what measures', () => {
  // go-yaml, which Prometheus reads it with, ends a line there (YAML 1.1, 5.4).
  test.each(['\u2028', '\u2029', '\u0085'])(
    'no text of a module is a line of its configuration: %j',
    (end) => {
      const path = `/x${end}  - job_name:${end}      evil`;
      const written = prometheusConfig(
        (autoscalingSpec(scaled)?.modules ?? []).map(({ module, namespace }) => {
          const scaling = { ...module.production.scaling, metric: { path, name: 'x' } } as Scaling;
          return { module: { ...module, production: { ...module.production, scaling } }, namespace };
        }),
      );
      expect(written).not.toMatch(FOREIGN);
      expect(parse(written).scrape_configs[0].metrics_path).toBe(path);
    },
  );

  test('Prometheus asks the Pods of modules that scale only, and keeps one counter of each', () => {
    const config = parse(args(scaled, 'autoscaling-prometheus-config').data['prometheus.yml']);
    expect(config.global).toEqual({ scrape_interval: '5s', scrape_timeout: '4s' });
    expect(config.scrape_configs).toHaveLength(1);
    expect(config.scrape_configs[0]).toMatchObject({
      job_name: 'shop',
      kubernetes_sd_configs: [{ role: 'pod', namespaces: { names: ['prod-shop'] } }],
    });
  });

  test('NaN, which the adapter takes for 0, never gets there', () => {
    const { rules } = parse(args(scaled, 'autoscaling-metrics-adapter-config').data['config.yaml']);
    expect(rules[0].metricsQuery).toMatch(/ >= 0$/);
    expect(rules[0].name.as).toBe(METRIC);
  });

  test('both may list the Pods of such modules, and nothing else in any namespace', () => {
    expect(args(scaled, 'production-shop-metrics-role').rules).toEqual([
      { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
    ]);
    const bound = declarationsOf(scaled).filter(
      ({ type, args: given }) =>
        type.includes('Binding') && JSON.stringify(given).includes('"namespace":"autoscaling"'),
    );
    expect(bound.map(({ name }) => name).sort()).toEqual([
      'autoscaling-authentication',
      'autoscaling-delegator',
      'production-shop-metrics-binding',
    ]);
  });

  test('the API server knows the adapter by a certificate of the topology’s own, not by skipping the check', () => {
    const { spec } = args(scaled, 'autoscaling-api');
    expect(spec.caBundle).toBe('«certificate:bundle:autoscaling/adapter»');
    expect(spec.insecureSkipTLSVerify).toBeUndefined();
  });

  test('only Prometheus reaches the metrics of a Pod, only the adapter Prometheus', () => {
    expect(args(scaled, 'production-shop-allow-metrics').spec).toEqual({
      podSelector: {
        matchLabels: { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/component': 'module' },
      },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [
            {
              namespaceSelector: {
                matchExpressions: [
                  { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['autoscaling'] },
                ],
              },
              podSelector: {
                matchLabels: {
                  'app.kubernetes.io/name': 'prometheus',
                  'app.kubernetes.io/component': 'autoscaling',
                },
              },
            },
          ],
          ports: [{ protocol: 'TCP', port: 18404 }],
        },
      ],
    });
    expect(args(scaled, 'autoscaling-allow-9090').spec.ingress[0].from).toBeDefined();
  });

  test('those of the site are used instead, where the stack says so', () => {
    const existing = modelWith(
      shop(SCALING),
      '  switchyard:autoscaling: { existing: { namespace: monitoring } }\n',
    );
    expect(named(existing, /^autoscaling|metrics-(role|binding)/)).toEqual([]);
    expect(args(existing, 'production-shop-workload').spec.template.metadata.annotations).toMatchObject({
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': '18404',
      'prometheus.io/path': '/metrics',
    });
    expect(JSON.stringify(args(existing, 'production-shop-allow-metrics'))).toContain('"monitoring"');
  });

  test('whoever looks for drift may read what is new, and only where it is', () => {
    const look = (model: Model): string => JSON.stringify(args(model, 'drift-reader'));
    const project = '  switchyard:topologyProject: {}\n';
    expect(look(modelWith(shop(SCALING), project))).toContain('apiservices');
    expect(look(modelWith(shop(), project))).not.toContain('apiservices');
  });
});

describe('what cannot be is told at its line', () => {
  const faultsOf = (production: string, before = ''): string[] => {
    try {
      modelWith(shop(`${before}production:\n  ${production}\n`));
      return [];
    } catch (error) {
      if (error instanceof ProblemsError) return error.message.split('\n');
      throw error;
    }
  };
  test.each([
    [
      'scaling: { qps: 0, min: 1, max: 2 }',
      'catalog/modules/shop.yaml:5: production.scaling.qps: is no number of requests per second. Write what one Pod is to have: 50.',
    ],
    [
      'scaling: { qps: 50, min: 3, max: 2 }',
      'catalog/modules/shop.yaml:5: production.scaling.min: is more than max, 2. Lower it, or raise max.',
    ],
    [
      'scaling: { qps: 50, min: 1, max: 2, metric: { path: /m, name: "a b" } }',
      'catalog/modules/shop.yaml:5: production.scaling.metric.name: is not the name of a metric. Use letters, digits, "_" and ":", no digit first.',
    ],
    [
      'scaling: { qps: 50, min: 1, max: 2, concurrency: 5, metric: { path: /m, name: a } }',
      'catalog/modules/shop.yaml:5: production.scaling.concurrency: is unused: with metric there is no proxy. Leave one of the two out.',
    ],
    [
      'replicas: 3\n  scaling: { qps: 50, min: 1, max: 2 }',
      'catalog/modules/shop.yaml:5: production.replicas: stands beside scaling, whose autoscaler alone sets the number of Pods. Remove it: scaling.min are there from the beginning.',
    ],
    [
      'drainSeconds: 28\n  scaling: { qps: 50, min: 1, max: 2 }',
      'catalog/modules/shop.yaml:5: production.drainSeconds: 28 and the 2 s of the proxy before the module leave nothing of the 30 s in which a Pod must end. Write less, or raise production.terminationGraceSeconds.',
    ],
  ])('%s', (production, fault) => {
    expect(faultsOf(production)).toEqual([fault]);
  });

  test('a port that is the proxy’s', () => {
    expect(faultsOf('scaling: { qps: 50, min: 1, max: 2 }', 'port: 18080\n')).toEqual([
      'catalog/modules/shop.yaml:4: port: 18080 is a port of the proxy that counts the requests of production.scaling. Choose another port.',
    ]);
  });
});
