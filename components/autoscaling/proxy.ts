/** What the proxy before a module is told of it. Numbers only: no text of a file gets into its configuration. */
export interface ProxySettings {
  /** Port that it takes requests at. */
  readonly port: number;
  /** Port of its metrics, and of its own readiness. */
  readonly metricsPort: number;
  /** Port of the module, in the same Pod. */
  readonly modulePort: number;
  /** Requests that the module has at once; more wait, and not for long. */
  readonly concurrency: number;
  /** Seconds after which a proxy that ends its connections ends itself. */
  readonly stopSeconds: number;
}

/** Connections that the proxy holds; it needs some 40 KB for each that has a request. */
export const PROXY_CONNECTIONS = 2000;

/**
 * Configuration of HAProxy from 2.6 on, in a module's own Pod: it counts the requests, hands on as many at once as the
 * module may have, lets more wait a second, and then answers 503 with `Retry-After`. Probes do not come by: the kubelet
 * asks the module itself. SIGUSR1 has it end its connections one after the other, each with its last answer.
 * Source: https://docs.haproxy.org/2.6/configuration.html
 */
export const proxyConfig = ({
  port,
  metricsPort,
  modulePort,
  concurrency,
  stopSeconds,
}: ProxySettings): string => `global
  maxconn ${PROXY_CONNECTIONS}
  hard-stop-after ${stopSeconds}s

defaults
  mode http
  timeout connect 2s
  timeout queue 1s
  timeout http-request 30s
  timeout http-keep-alive 75s
  # How long an answer may take is the module's matter.
  timeout client 1h
  timeout server 1h
  timeout tunnel 24h

frontend requests
  bind :${port}
  option forwardfor if-none
  # A module may close an idle connection while a request is on its way: what changes nothing is sent again.
  http-request disable-l7-retry unless { method GET HEAD OPTIONS }
  default_backend module

backend module
  retry-on conn-failure empty-response
  retries 2
  http-error status 503 content-type text/plain string "Too many requests at once: try again in a second." hdr Retry-After 1
  server module 127.0.0.1:${modulePort} maxconn ${concurrency} pool-purge-delay 2s

frontend metrics
  bind :${metricsPort}
  monitor-uri /ready
  monitor fail if { stopping }
  http-request use-service prometheus-exporter if { path /metrics }
`;
