import type { Module } from '../../catalog/load';
import { scalingTimes } from '../../catalog/scaling';
import { yamlText } from '../../text/yaml';
import { selector } from '../shared/naming';
import type { ScaledModule } from './autoscaling';
import { METRIC, metricsOf } from './module';

/** What Prometheus keeps each module's counter as, whatever it was called. */
const COUNTER = 'switchyard_requests_total';

const yaml = (value: unknown): string => yamlText(value, { sortMapEntries: true, lineWidth: 0 });

/** Which of a module's series are kept: the counter, and of the proxy's only that of the requests' way in. */
function kept({ production: { scaling } }: Module): object {
  return scaling?.metric
    ? { source_labels: ['__name__'], regex: scaling.metric.name, action: 'keep' }
    : {
        source_labels: ['__name__', 'proxy'],
        regex: 'haproxy_frontend_http_requests_total;requests',
        action: 'keep',
      };
}

function scrapeJob({ module, namespace }: ScaledModule): object {
  const { port, path } = metricsOf(module);
  return {
    job_name: module.name,
    metrics_path: path,
    // A module that tells too much is not read at all: then nothing of it scales in, and memory lasts for the others.
    sample_limit: 10_000,
    body_size_limit: '10MB',
    kubernetes_sd_configs: [
      {
        role: 'pod',
        namespaces: { names: [namespace] },
        selectors: [
          {
            role: 'pod',
            label: Object.entries(selector(module.name, 'module'))
              .map(([key, value]) => `${key}=${value}`)
              .join(','),
          },
        ],
      },
    ],
    relabel_configs: [
      { source_labels: ['__meta_kubernetes_pod_phase'], regex: 'Running', action: 'keep' },
      { source_labels: ['__meta_kubernetes_pod_ip'], target_label: '__address__', replacement: `$1:${port}` },
      { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
      { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' },
    ],
    metric_relabel_configs: [kept(module), { target_label: '__name__', replacement: COUNTER }],
  };
}

/**
 * Configuration of Prometheus, of 2.28 and 3 alike: it asks the Pods of modules that scale, and keeps of each one counter.
 * Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
 */
export const prometheusConfig = (scaled: readonly ScaledModule[]): string =>
  yaml({
    global: { scrape_interval: `${scalingTimes.scrape}s`, scrape_timeout: `${scalingTimes.scrape - 1}s` },
    scrape_configs: scaled.map(scrapeJob),
  });

/**
 * Configuration of prometheus-adapter. It takes NaN for 0 (pkg/custom-provider/provider.go), which would scale in: the
 * comparison leaves NaN out.
 * Source: https://github.com/kubernetes-sigs/prometheus-adapter/blob/master/docs/config.md
 */
export const adapterConfig = (): string =>
  yaml({
    rules: [
      {
        seriesQuery: `${COUNTER}{namespace!="",pod!=""}`,
        resources: { overrides: { namespace: { resource: 'namespace' }, pod: { resource: 'pod' } } },
        name: { matches: `^${COUNTER}$`, as: METRIC },
        metricsQuery: `sum(rate(<<.Series>>{<<.LabelMatchers>>}[${scalingTimes.window}s])) by (<<.GroupBy>>) >= 0`,
      },
    ],
  });
