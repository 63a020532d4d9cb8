import type { types } from '@pulumi/kubernetes';
import { emptyDir, restrictedContainer, withDisk } from '../../catalog/containers';
import { imageFor } from '../../stacks/load';
import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import {
  backedUp,
  contentHash,
  fencedNamespace,
  ingressSpec,
  loginPurpose,
  object,
  restrictedPod,
  retained,
} from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import {
  apiPorts,
  gitlabPort,
  outside,
  portOf,
  REGISTRY_PORT,
  registryPort,
  toNeighbours,
  toRegistry,
} from '../shared/network';
import { givenRef, htpasswdRef, type Ref, secretRef, text } from '../shared/references';
import { rotatedMark } from '../shared/rotation';
import { COLLECT_REQUEST, collectScript } from './collect';
import { buildsLogIn, hasProxy, proxyConfig, registryConfig } from './config';

const USER = 1000;
const CONFIG = '/config/config.yml';

type Container = types.input.core.v1.Container;

const about = (model: Model) => ({
  name: 'registry',
  component: 'registry',
  environment: model.settings.environment,
});
const within = (model: Model, name: string) => ({
  namespace: namespacesOf(model.settings).registry,
  name,
  labels: labels(about(model)),
});
const match = selector('registry', 'registry');
const after = { dependsOn: ['registry-namespace'] };
const line = (user: string): Ref => text`${htpasswdRef(user, loginPurpose(user))}\n`;

/** Configuration and users: the topology's own, who pulls, builds' base images, and one user a module. */
function settingsOf(model: Model): Declaration[] {
  const { settings } = model;
  const users = [
    names.pullUser,
    names.pushUser,
    ...(buildsLogIn(settings) ? [names.basesUser] : []),
    ...model.modules.map((module) => names.modulePushUser(module.name)),
  ];
  const keys = settings.registry.s3?.credentialsFrom;
  return [
    object(
      'kubernetes:core/v1:ConfigMap',
      'registry-config',
      'ci',
      within(model, 'registry-config'),
      {
        data: {
          'config.yml': registryConfig(settings),
          ...(hasProxy(settings) ? { 'nginx.conf': proxyConfig(settings) } : {}),
        },
      },
      after,
    ),
    object(
      'kubernetes:core/v1:Secret',
      'registry-credentials',
      'ci',
      within(model, 'registry-credentials'),
      {
        stringData: {
          htpasswd: users.map(line).reduce((all, one) => text`${all}${one}`),
          httpSecret: secretRef('registry/http'),
          ...(keys ? { accessKey: givenRef(keys.accessKey), secretKey: givenRef(keys.secretKey) } : {}),
        },
      },
      after,
    ),
  ];
}

function storage(model: Model): Declaration[] {
  const { registry } = model.settings;
  if (registry.s3) return [];
  const where = within(model, 'registry-storage');
  return [
    object(
      'kubernetes:core/v1:PersistentVolumeClaim',
      'registry-storage',
      'ci',
      { ...where, labels: { ...where.labels, ...backedUp } },
      {
        spec: {
          accessModes: ['ReadWriteOnce'],
          ...(registry.storageClass ? { storageClassName: registry.storageClass } : {}),
          resources: { requests: { storage: registry.storage } },
        },
      },
      { ...after, ...(registry.onDelete === 'retain' ? retained : {}) },
    ),
  ];
}

/** A variable that Distribution reads, from the registry's Secret. */
const fromSecret = (name: string, key: string) => ({
  name,
  valueFrom: { secretKeyRef: { name: 'registry-credentials', key } },
});

function podSpec(model: Model): types.input.core.v1.PodSpec {
  const { settings } = model;
  const { s3, tlsSecret } = settings.registry;
  const proxy = hasProxy(settings);
  const alive = proxy
    ? { httpGet: { path: '/healthz', port: REGISTRY_PORT, scheme: tlsSecret ? 'HTTPS' : 'HTTP' } }
    : { tcpSocket: { port: REGISTRY_PORT } };
  const ports = [{ name: 'registry', containerPort: REGISTRY_PORT }];
  const tls = tlsSecret ? [{ name: 'tls', mountPath: '/tls', readOnly: true }] : [];
  const env = [
    fromSecret('REGISTRY_HTTP_SECRET', 'httpSecret'),
    ...(s3?.credentialsFrom
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
    image: imageFor(settings, 'registry'),
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
    image: imageFor(settings, 'registryProxy'),
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
        image: imageFor(settings, 'registry'),
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

function ingress(model: Model): Declaration[] {
  const { address, ingress } = model.settings.registry;
  if (!ingress) return [];
  const host = address.split(':')[0] ?? address;
  const where = within(model, 'registry');
  return [
    object(
      'kubernetes:networking.k8s.io/v1:Ingress',
      'registry-ingress',
      'ci',
      Object.keys(ingress.annotations).length > 0 ? { ...where, annotations: ingress.annotations } : where,
      {
        spec: ingressSpec(ingress, { host, service: 'registry', port: 'registry' }),
      },
      { dependsOn: ['registry-service'] },
    ),
  ];
}

/** Distribution with users and a place for its images. */
export function registryResources(model: Model): Declaration[] {
  const { registry } = model.settings;
  if (registry.existing) return [];
  const common = labels(about(model));
  return [
    ...fencedNamespace({
      prefix: 'registry',
      namespace: namespacesOf(model.settings).registry,
      provider: 'ci',
      labels: about(model),
      quota: { pods: 4, cpu: '2', memory: '4Gi', disk: '16Gi', claims: 2 },
      // Nodes pull, and nodes have no labels that a policy could name.
      open: [{ port: REGISTRY_PORT, pods: match }],
      // Retention asks GitLab, the registry itself and the API server; the registry keeps its images in a bucket.
      egress: [
        outside(
          ...apiPorts(model.settings),
          gitlabPort(model.settings),
          registryPort(model.settings),
          ...(registry.s3?.endpoint ? [portOf(registry.s3.endpoint)] : []),
        ),
        ...toRegistry(model.settings),
        ...toNeighbours(model.settings),
      ],
      // A namespace takes its claims along when it goes.
      retain: registry.onDelete === 'retain' && !registry.s3,
      pullFrom: registry.address,
    }),
    ...settingsOf(model),
    ...storage(model),
    object(
      'kubernetes:core/v1:Service',
      'registry-service',
      'ci',
      within(model, 'registry'),
      {
        spec: {
          type: registry.nodePort ? 'NodePort' : 'ClusterIP',
          selector: match,
          ports: [
            {
              name: 'registry',
              port: REGISTRY_PORT,
              targetPort: REGISTRY_PORT,
              protocol: 'TCP',
              ...(registry.nodePort ? { nodePort: registry.nodePort } : {}),
            },
          ],
        },
      },
      { dependsOn: ['registry-deployment'] },
    ),
    object(
      'kubernetes:apps/v1:Deployment',
      'registry-deployment',
      'ci',
      within(model, 'registry'),
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
                  registryConfig(model.settings),
                  hasProxy(model.settings) ? proxyConfig(model.settings) : '',
                ]),
                ...rotatedMark(model.settings, 'registry'),
              },
            },
            spec: podSpec(model),
          },
        },
      },
      {
        dependsOn: ['registry-credentials', 'registry-config', ...(registry.s3 ? [] : ['registry-storage'])],
      },
    ),
    object(
      'kubernetes:policy/v1:PodDisruptionBudget',
      'registry-disruption',
      'ci',
      within(model, 'registry'),
      // One Pod must be movable: pulls are tried again until it is back.
      { spec: { maxUnavailable: 1, selector: { matchLabels: match } } },
      after,
    ),
    ...ingress(model),
  ];
}
