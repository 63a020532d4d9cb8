import type { types } from '@pulumi/kubernetes';
import { emptyDir, restrictedContainer, withDisk } from '../../catalog/containers';
import { defaultImages } from '../../stacks/schema';
import type { Declaration } from '../shared/declaration';
import { handle } from '../shared/handle';
import {
  backedUp,
  contentHash,
  fencedNamespace,
  ingressSpec,
  namespaceHandle,
  object,
  pullSecretHandle,
  restrictedPod,
  retained,
} from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import { outside, portOf, REGISTRY_PORT } from '../shared/network';
import { htpasswdRef, inputRef, type Ref, secretRef, text } from '../shared/references';
import { derivedLogin, loginPurpose } from '../shared/registry-login';
import { rotatedMark } from '../shared/rotation';
import { COLLECT_REQUEST, collectScript } from './collect';
import { hasProxy, proxyConfig, registryConfig } from './config';
import type { ExistingRegistrySpec, RegistrySpec } from './registry';

const USER = 1000;
const CONFIG = '/config/config.yml';

type Container = types.input.core.v1.Container;

const about = ({ environment }: RegistrySpec) => ({
  name: 'registry',
  component: 'registry',
  environment,
});
const within = (spec: RegistrySpec, name: string) => ({
  namespace: spec.namespace,
  name,
  labels: labels(about(spec)),
});
const match = selector('registry', 'registry');
const line = (user: string): Ref => text`${htpasswdRef(user, loginPurpose(user))}\n`;

/** Users of every registry: who may only pull, and the topology itself. */
export const registryLogins = {
  pull: derivedLogin(names.pullUser),
  push: derivedLogin(names.pushUser),
} as const;

/** What others wait for or read of a registry, by the component's name. */
export const registryHandles = (name: string) =>
  ({
    namespace: namespaceHandle(name),
    pullSecret: pullSecretHandle(name),
    config: handle('kubernetes:core/v1:ConfigMap', `${name}-config`),
    credentials: handle('kubernetes:core/v1:Secret', `${name}-credentials`),
    storage: handle('kubernetes:core/v1:PersistentVolumeClaim', `${name}-storage`),
    deployment: handle('kubernetes:apps/v1:Deployment', `${name}-deployment`),
    service: handle('kubernetes:core/v1:Service', `${name}-service`),
  }) as const;

type Handles = ReturnType<typeof registryHandles>;

/** Configuration and users: the topology's own, who pulls, builds' base images, and one user a module. */
function configuration(spec: RegistrySpec, { namespace, config, credentials }: Handles): Declaration[] {
  const { access = 'separate', modules = [], s3 } = spec;
  const users = [
    names.pullUser,
    names.pushUser,
    // Builds' code is foreign: they have a login only where the proxy lets it read base images and nothing else.
    ...(access === 'separate' ? [names.basesUser] : []),
    ...modules.map(names.modulePushUser),
  ];
  const keys = s3?.credentials;
  const after = { dependsOn: [namespace] };
  return [
    object(
      config.type,
      config.name,
      'ci',
      within(spec, 'registry-config'),
      {
        data: {
          'config.yml': registryConfig(spec),
          ...(hasProxy(spec) ? { 'nginx.conf': proxyConfig(spec) } : {}),
        },
      },
      after,
    ),
    object(
      credentials.type,
      credentials.name,
      'ci',
      within(spec, 'registry-credentials'),
      {
        stringData: {
          htpasswd: users.map(line).reduce((all, one) => text`${all}${one}`),
          httpSecret: secretRef('registry/http'),
          ...(keys
            ? {
                accessKey: inputRef('s3.credentials.accessKey', keys.accessKey),
                secretKey: inputRef('s3.credentials.secretKey', keys.secretKey),
              }
            : {}),
        },
      },
      after,
    ),
  ];
}

function volume(spec: RegistrySpec, { namespace, storage: claim }: Handles): Declaration[] {
  const { s3, storage = '100Gi', storageClass } = spec;
  if (s3) return [];
  const where = within(spec, 'registry-storage');
  return [
    object(
      claim.type,
      claim.name,
      'ci',
      { ...where, labels: { ...where.labels, ...backedUp } },
      {
        spec: {
          accessModes: ['ReadWriteOnce'],
          ...(storageClass ? { storageClassName: storageClass } : {}),
          resources: { requests: { storage } },
        },
      },
      { dependsOn: [namespace], ...(keepsImages(spec) ? retained : {}) },
    ),
  ];
}

/** Whether the volume of images stays when the registry goes. */
const keepsImages = ({ onDelete = 'retain', s3 }: RegistrySpec): boolean => onDelete === 'retain' && !s3;

/** A variable that Distribution reads, from the registry's Secret. */
const fromSecret = (name: string, key: string) => ({
  name,
  valueFrom: { secretKeyRef: { name: 'registry-credentials', key } },
});

function podSpec(spec: RegistrySpec): types.input.core.v1.PodSpec {
  const { image = defaultImages.registry, proxyImage = defaultImages.registryProxy, s3, tlsSecret } = spec;
  const proxy = hasProxy(spec);
  const alive = proxy
    ? { httpGet: { path: '/healthz', port: REGISTRY_PORT, scheme: tlsSecret ? 'HTTPS' : 'HTTP' } }
    : { tcpSocket: { port: REGISTRY_PORT } };
  const ports = [{ name: 'registry', containerPort: REGISTRY_PORT }];
  const tls = tlsSecret ? [{ name: 'tls', mountPath: '/tls', readOnly: true }] : [];
  const env = [
    fromSecret('REGISTRY_HTTP_SECRET', 'httpSecret'),
    ...(s3?.credentials
      ? [
          fromSecret('REGISTRY_STORAGE_S3_ACCESSKEY', 'accessKey'),
          fromSecret('REGISTRY_STORAGE_S3_SECRETKEY', 'secretKey'),
        ]
      : []),
  ];
  const mounts = [
    { name: 'config', mountPath: '/config', readOnly: true },
    { name: 'auth', mountPath: '/auth', readOnly: true },
    ...(s3 ? [] : [{ name: 'storage', mountPath: '/var/lib/registry' }]),
    { name: 'tmp', mountPath: '/tmp' },
  ];
  const resources = withDisk(
    { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '512Mi' } },
    '2Gi',
  );
  const registry: Container = {
    name: 'registry',
    image,
    args: ['serve', CONFIG],
    env,
    ...(proxy ? {} : { ports }),
    readinessProbe: { ...alive, periodSeconds: 5 },
    livenessProbe: { ...alive, periodSeconds: 20 },
    resources,
    securityContext: restrictedContainer,
    volumeMounts: mounts,
  };
  const before: Container = {
    name: 'proxy',
    image: proxyImage,
    command: ['nginx', '-e', '/dev/stderr', '-c', '/config/nginx.conf', '-g', 'daemon off;'],
    ports,
    readinessProbe: { ...alive, periodSeconds: 5 },
    livenessProbe: { tcpSocket: { port: REGISTRY_PORT }, periodSeconds: 20 },
    resources: withDisk({ requests: { cpu: '20m', memory: '32Mi' }, limits: { memory: '128Mi' } }, '2Gi'),
    securityContext: restrictedContainer,
    volumeMounts: [
      { name: 'config', mountPath: '/config', readOnly: true },
      { name: 'auth', mountPath: '/auth', readOnly: true },
      ...tls,
      { name: 'proxy-tmp', mountPath: '/tmp' },
    ],
  };
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: restrictedPod(USER),
    initContainers: [
      {
        name: 'collect',
        image,
        command: ['sh', '-c', collectScript(CONFIG)],
        env,
        resources,
        securityContext: restrictedContainer,
        volumeMounts: [...mounts, { name: 'collect', mountPath: '/collect', readOnly: true }],
      },
    ],
    containers: [registry, ...(proxy ? [before] : [])],
    volumes: [
      { name: 'config', configMap: { name: 'registry-config' } },
      {
        name: 'auth',
        secret: {
          secretName: 'registry-credentials',
          items: [{ key: 'htpasswd', path: 'htpasswd' }],
        },
      },
      ...(tlsSecret ? [{ name: 'tls', secret: { secretName: tlsSecret } }] : []),
      ...(s3 ? [] : [{ name: 'storage', persistentVolumeClaim: { claimName: 'registry-storage' } }]),
      { name: 'collect', configMap: { name: COLLECT_REQUEST, optional: true } },
      emptyDir('tmp', '1Gi'),
      ...(proxy ? [emptyDir('proxy-tmp', '1Gi')] : []),
    ],
  };
}

function ingressDeclarations(name: string, spec: RegistrySpec, { service }: Handles): Declaration[] {
  const { address, ingress } = spec;
  if (!ingress) return [];
  const host = address.split(':')[0] ?? address;
  const where = within(spec, 'registry');
  return [
    object(
      'kubernetes:networking.k8s.io/v1:Ingress',
      `${name}-ingress`,
      'ci',
      Object.keys(ingress.annotations).length > 0 ? { ...where, annotations: ingress.annotations } : where,
      {
        spec: ingressSpec(ingress, { host, service: 'registry', port: 'registry' }),
      },
      { dependsOn: [service] },
    ),
  ];
}

/**
 * Distribution with users and a place for its images.
 * @param name of the component: what the names of all declarations begin with
 */
export function registryDeclarations(name: string, spec: RegistrySpec | ExistingRegistrySpec): Declaration[] {
  if (spec.existing) return [];
  const { address, nodePort, s3, versions = {} } = spec;
  const handles = registryHandles(name);
  const { namespace, config, credentials, storage, deployment, service } = handles;
  const common = labels(about(spec));
  return [
    ...fencedNamespace({
      prefix: name,
      namespace: spec.namespace,
      provider: 'ci',
      labels: about(spec),
      quota: { pods: 4, cpu: '2', memory: '4Gi', disk: '16Gi', claims: 2 },
      // Nodes pull, and nodes have no labels that a policy could name.
      open: [{ port: REGISTRY_PORT, pods: match }],
      egress: spec.egress ?? (s3 ? [outside(s3.endpoint ? portOf(s3.endpoint) : 443)] : []),
      // A namespace takes its claims along when it goes.
      retain: keepsImages(spec),
      pullFrom: { address, pull: registryLogins.pull },
    }),
    ...configuration(spec, handles),
    ...volume(spec, handles),
    object(
      service.type,
      service.name,
      'ci',
      within(spec, 'registry'),
      {
        spec: {
          type: nodePort ? 'NodePort' : 'ClusterIP',
          selector: match,
          ports: [
            {
              name: 'registry',
              port: REGISTRY_PORT,
              targetPort: REGISTRY_PORT,
              protocol: 'TCP',
              ...(nodePort ? { nodePort } : {}),
            },
          ],
        },
      },
      { dependsOn: [deployment] },
    ),
    object(
      deployment.type,
      deployment.name,
      'ci',
      within(spec, 'registry'),
      {
        spec: {
          replicas: 1,
          // The volume goes to one node at a time, and garbage is collected only where nobody else serves: the old Pod
          // must leave before the new one comes.
          strategy: { type: 'Recreate' },
          revisionHistoryLimit: 3,
          selector: { matchLabels: match },
          template: {
            metadata: {
              labels: { ...common, ...match },
              annotations: {
                'switchyard.dev/config-hash': contentHash([
                  registryConfig(spec),
                  hasProxy(spec) ? proxyConfig(spec) : '',
                ]),
                ...rotatedMark(versions, 'registry'),
              },
            },
            spec: podSpec(spec),
          },
        },
      },
      { dependsOn: [credentials, config, ...(s3 ? [] : [storage])] },
    ),
    object(
      'kubernetes:policy/v1:PodDisruptionBudget',
      `${name}-disruption`,
      'ci',
      within(spec, 'registry'),
      // One Pod must be movable: pulls are tried again until it is back.
      { spec: { maxUnavailable: 1, selector: { matchLabels: match } } },
      { dependsOn: [namespace] },
    ),
    ...ingressDeclarations(name, spec, handles),
  ];
}
