import { BASES_PATH } from '../../stacks/builds';
import { yamlText } from '../../text/yaml';
import { names } from '../shared/naming';
import { REGISTRY_PORT } from '../shared/network';
import type { RegistrySpec } from './registry';

/** Port of the registry itself behind the proxy, on the Pod's loopback only. */
const INNER_PORT = 5001;

/**
 * The proxy tells users apart, and it ends TLS: nginx reads a renewed certificate by itself, Distribution only when it
 * starts (registry/registry.go).
 */
export const hasProxy = ({ access = 'separate', tlsSecret }: RegistrySpec): boolean =>
  access === 'separate' || tlsSecret !== undefined;

/**
 * Distribution's configuration; keys of 2.8 and 3 alike. What is secret comes by the environment, which Distribution
 * lets override each key.
 * Source: https://distribution.github.io/distribution/about/configuration/
 */
export function registryConfig(spec: RegistrySpec): string {
  const { s3 } = spec;
  const proxy = hasProxy(spec);
  return yamlText(
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
      },
      health: { storagedriver: { enabled: true, interval: '10s', threshold: 3 } },
    },
    { sortMapEntries: true, lineWidth: 0 },
  );
}

/** A repository's path as the registry takes it: no escapes, no empty parts and no dots alone that a path could climb by. */
const REPOSITORY = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*';
const DIGEST = 'sha256:[0-9a-f]{64}';
/** What is read of a repository. */
const READ = `(?:manifests/[A-Za-z0-9_.:-]+|blobs/${DIGEST}|tags/list|blobs/uploads/[A-Za-z0-9_.=-]+)`;

/**
 * Who may ask for what, by user, method and the address as it was sent: what nginx has made of it is not what the registry
 * gets. Whoever is not named here may not. A module's user may mount no other repository's blob: nothing but a digest
 * stands behind its uploads.
 */
const RIGHTS: readonly string[] = [
  `"~^${names.pushUser} "`,
  `"~^${names.pullUser} (?:GET|HEAD) "`,
  `"~^${names.basesUser} (?:GET|HEAD) /v2/(?:${BASES_PATH}/${REPOSITORY}/(?:manifests/[A-Za-z0-9_.:-]+|blobs/${DIGEST}))?(?:\\?[^#]*)?$"`,
  `"~^${names.modulePushUser('(?<reader>[a-z][a-z0-9-]*)')} (?:GET|HEAD) /v2/(?:modules/\\k<reader>/${READ})?(?:\\?[^#]*)?$"`,
  `"~^${names.modulePushUser('(?<writer>[a-z][a-z0-9-]*)')} (?:POST /v2/modules/\\k<writer>/blobs/uploads/|PUT /v2/modules/\\k<writer>/manifests/[A-Za-z0-9_.:-]+|(?:PUT|PATCH) /v2/modules/\\k<writer>/blobs/uploads/[A-Za-z0-9_.=-]+(?:\\?[^#]*)?)$"`,
];

/**
 * nginx before the registry: it tells pulling from pushing, and one module's repository from another's. The registry's
 * htpasswd stays on behind it.
 */
export function proxyConfig({ access = 'separate', tlsSecret }: RegistrySpec): string {
  // With a variable in the name nginx reads the files at each handshake (ngx_http_ssl_module, from 1.15.9), so that a
  // renewed certificate is served once the kubelet has brought it.
  const tls = tlsSecret
    ? [
        '    ssl_certificate $certificates/tls.crt;',
        '    ssl_certificate_key $certificates/tls.key;',
        '    ssl_protocols TLSv1.2 TLSv1.3;',
      ]
    : [];
  const ruled = access === 'separate';
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
    ...(tlsSecret ? ['  map $ssl_server_name $certificates { default /tls; }'] : []),
    ...(ruled
      ? [
          '  # The name that a request claims. Whether it is its own is asked below, of every request that comes this far.',
          '  map "$remote_user $request_method $request_uri" $refused {',
          '    default 1;',
          '    # Without a login: to be asked for one.',
          '    "~^ " 0;',
          ...RIGHTS.map((right) => `    ${right} 0;`),
          '  }',
        ]
      : []),
    '  server {',
    `    listen ${REGISTRY_PORT}${tls.length > 0 ? ' ssl' : ''};`,
    ...tls,
    '    location /v2/ {',
    ...(ruled ? ['      if ($refused) { return 403; }'] : []),
    '      auth_basic "switchyard";',
    '      auth_basic_user_file /auth/htpasswd;',
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
