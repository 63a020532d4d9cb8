import { stringify } from 'yaml';
import type { StackSettings } from '../../stacks/schema';

/** Port that clients reach, whether the registry or the proxy before it listens there. */
export const REGISTRY_PORT = 5000;
/** Port of the registry itself behind the proxy, on the Pod's loopback only. */
const INNER_PORT = 5001;

export const hasProxy = (settings: StackSettings): boolean => settings.registry.access === 'separate';

/**
 * Distribution's configuration; keys of 2.8 and 3 alike. What is secret comes by the environment, which Distribution
 * lets override each key.
 * Source: https://distribution.github.io/distribution/about/configuration/
 */
export function registryConfig(settings: StackSettings): string {
  const { s3, tlsSecret } = settings.registry;
  const proxy = hasProxy(settings);
  return stringify(
    {
      version: 0.1,
      log: { fields: { service: 'registry' } },
      auth: { htpasswd: { realm: 'switchyard', path: '/auth/htpasswd' } },
      storage: {
        cache: { blobdescriptor: 'inmemory' },
        delete: { enabled: true },
        ...(s3
          ? {
              s3: {
                bucket: s3.bucket,
                region: s3.region,
                ...(s3.endpoint
                  ? { regionendpoint: s3.endpoint, secure: s3.endpoint.startsWith('https:') }
                  : {}),
                ...(s3.folder ? { rootdirectory: s3.folder } : {}),
              },
              // Nodes need a way to the registry only, not to the bucket as well.
              redirect: { disable: true },
            }
          : { filesystem: { rootdirectory: '/var/lib/registry' } }),
      },
      http: {
        addr: proxy ? `127.0.0.1:${INNER_PORT}` : `:${REGISTRY_PORT}`,
        headers: { 'X-Content-Type-Options': ['nosniff'] },
        // Behind the proxy the registry knows neither its scheme nor its name.
        ...(proxy ? { relativeurls: true } : {}),
        ...(tlsSecret && !proxy ? { tls: { certificate: '/tls/tls.crt', key: '/tls/tls.key' } } : {}),
      },
      health: { storagedriver: { enabled: true, interval: '10s', threshold: 3 } },
    },
    { sortMapEntries: true, lineWidth: 0 },
  );
}

/**
 * nginx before the registry: reading needs either user, everything else the one that may push. The registry's htpasswd
 * stays on behind it.
 */
export function proxyConfig(settings: StackSettings): string {
  const tls = settings.registry.tlsSecret
    ? [
        '    ssl_certificate /tls/tls.crt;',
        '    ssl_certificate_key /tls/tls.key;',
        '    ssl_protocols TLSv1.2 TLSv1.3;',
      ]
    : [];
  return `${[
    'worker_processes 2;',
    'pid /tmp/nginx.pid;',
    'error_log /dev/stderr warn;',
    'events { worker_connections 1024; }',
    'http {',
    '  access_log off;',
    '  server_tokens off;',
    '  client_body_temp_path /tmp/body;',
    '  proxy_temp_path /tmp/proxy;',
    '  fastcgi_temp_path /tmp/fastcgi;',
    '  uwsgi_temp_path /tmp/uwsgi;',
    '  scgi_temp_path /tmp/scgi;',
    '  # Layers are large, and go through without being kept here.',
    '  client_max_body_size 0;',
    '  proxy_request_buffering off;',
    '  proxy_buffering off;',
    '  proxy_http_version 1.1;',
    '  proxy_read_timeout 900s;',
    '  proxy_set_header Host $http_host;',
    '  server {',
    `    listen ${REGISTRY_PORT}${tls.length > 0 ? ' ssl' : ''};`,
    ...tls,
    '    location /v2/ {',
    '      auth_basic "switchyard";',
    '      auth_basic_user_file /auth/htpasswd;',
    '      # GET allows HEAD. Every other method writes or deletes.',
    '      limit_except GET {',
    '        auth_basic "switchyard";',
    '        auth_basic_user_file /auth/htpasswd-push;',
    '      }',
    `      proxy_pass http://127.0.0.1:${INNER_PORT};`,
    '    }',
    '    location = /healthz {',
    `      proxy_pass http://127.0.0.1:${INNER_PORT}/;`,
    '    }',
    '    location / { return 404; }',
    '  }',
    '}',
  ].join('\n')}\n`;
}
