import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { restrictedContainer } from '../../catalog/containers';
import { imageFor } from '../../stacks/load';
import { hookTokenPurpose } from '../gitlab/resources';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { dockerConfig, fencedNamespace, object, restrictedPod } from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import { givenRef, outputRef, secretRef } from '../shared/references';
import { agentRole } from '../testing/resources';
import { cascSecrets, cascYaml, credentialIds } from './casc';

const PORT = 8080;
const USER = 1000;

/** Images that the topology builds itself, by its own registry's name. */
function builtImage(
  model: Model,
  name: string,
  repository: string,
  build: { readonly context: string; readonly dockerfile: string; readonly base: string },
): Declaration {
  const { registry } = model.settings;
  return {
    type: 'docker:index/image:Image',
    name,
    provider: 'docker',
    args: {
      imageName: `${registry.address}/${repository}`,
      build: {
        context: build.context,
        dockerfile: build.dockerfile,
        args: { BASE: build.base },
        platform: 'linux/amd64',
      },
      registry: {
        server: `${registry.scheme}://${registry.address}`,
        username: names.pushUser,
        password: secretRef(`registry/${names.pushUser}`),
      },
    },
    dependsOn: ['registry-service'],
    // A Service exists a moment before its address answers, and the engine pushes at once when it built from its cache.
    needsAnswer: `${registry.scheme}://${registry.address}/v2/`,
  };
}

function namespaces(model: Model): Declaration[] {
  const { environment, registry } = model.settings;
  const about = (name: string) => ({ name, component: 'jenkins', environment, purpose: 'ci' });
  const agentNamespaces = [
    ['agents', names.agentsNamespace],
    ['deploy', names.deployNamespace],
  ] as const;
  return [
    ...fencedNamespace({
      prefix: 'jenkins',
      namespace: names.ciNamespace,
      provider: 'ci',
      labels: about('jenkins'),
      quota: { pods: 4, cpu: '4', memory: '8Gi', claims: 2 },
      open: [PORT],
      pullFrom: registry.address,
    }),
    ...agentNamespaces.flatMap(([prefix, namespace]) => [
      ...fencedNamespace({
        prefix,
        namespace,
        provider: 'ci',
        labels: about(prefix),
        quota: { pods: 20, cpu: '16', memory: '32Gi', claims: 0 },
        pullFrom: registry.address,
      }),
      ...agentRole(prefix, namespace, labels(about(prefix))),
    ]),
    ...fencedNamespace({
      prefix: 'build',
      namespace: names.buildNamespace,
      provider: 'ci',
      labels: about('buildkit'),
      // Rootless BuildKit needs seccomp and AppArmor off to make its user namespaces; nothing else runs here.
      level: 'privileged',
      quota: { pods: 2, cpu: '8', memory: '16Gi', claims: 1 },
      open: [1234],
    }),
  ];
}

function buildkit(model: Model): Declaration[] {
  const { settings } = model;
  const common = labels({ name: 'buildkitd', component: 'buildkit', environment: settings.environment });
  const match = selector('buildkitd', 'buildkit');
  const within = (name: string) => ({ namespace: names.buildNamespace, name, labels: common });
  const plain = [
    ...(settings.registry.scheme === 'http' ? [settings.registry.address] : []),
    ...(settings.images.mirror && settings.images.mirrorInsecure ? [settings.images.mirror] : []),
  ].sort();
  const toml = `${plain.map((address) => `[registry."${address}"]\n  http = true\n  insecure = true\n`).join('\n')}`;
  return [
    object(
      'kubernetes:core/v1:ConfigMap',
      'build-config',
      'ci',
      within('buildkitd'),
      { data: { 'buildkitd.toml': toml } },
      { dependsOn: ['build-namespace'] },
    ),
    object(
      'kubernetes:core/v1:Service',
      'build-service',
      'ci',
      within('buildkitd'),
      {
        spec: {
          selector: match,
          ports: [{ name: 'buildkit', port: 1234, targetPort: 1234, protocol: 'TCP' }],
        },
      },
      { dependsOn: ['build-deployment'] },
    ),
    object(
      'kubernetes:apps/v1:Deployment',
      'build-deployment',
      'ci',
      within('buildkitd'),
      {
        spec: {
          replicas: 1,
          selector: { matchLabels: match },
          strategy: { type: 'Recreate' },
          template: {
            metadata: {
              labels: { ...common, ...match },
              annotations: { 'switchyard.dev/config-hash': hash(toml) },
            },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              containers: [
                {
                  name: 'buildkitd',
                  image: imageFor(settings, 'buildkit'),
                  args: [
                    '--addr',
                    'unix:///run/user/1000/buildkit/buildkitd.sock',
                    '--addr',
                    'tcp://0.0.0.0:1234',
                    '--config',
                    '/config/buildkitd.toml',
                    '--oci-worker-no-process-sandbox',
                  ],
                  ports: [{ name: 'buildkit', containerPort: 1234 }],
                  readinessProbe: { tcpSocket: { port: 1234 }, periodSeconds: 3 },
                  securityContext: {
                    runAsUser: USER,
                    runAsGroup: USER,
                    seccompProfile: { type: 'Unconfined' },
                    appArmorProfile: { type: 'Unconfined' },
                  },
                  resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '2Gi' } },
                  volumeMounts: [
                    { name: 'config', mountPath: '/config', readOnly: true },
                    { name: 'state', mountPath: '/home/user/.local/share/buildkit' },
                  ],
                },
              ],
              volumes: [
                { name: 'config', configMap: { name: 'buildkitd' } },
                { name: 'state', emptyDir: {} },
              ],
            },
          },
        },
      },
      { dependsOn: ['build-config'] },
    ),
  ];
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

function credentials(model: Model): Declaration[] {
  const credential = (name: string, id: string, type: string, data: Record<string, string>) =>
    object(
      'kubernetes:core/v1:Secret',
      name,
      'ci',
      {
        namespace: names.ciNamespace,
        name: id,
        labels: {
          ...labels({ name: 'jenkins', component: 'jenkins', environment: model.settings.environment }),
          'jenkins.io/credentials-type': type,
        },
        annotations: { 'jenkins.io/credentials-description': 'Made by Switchyard' },
      },
      { stringData: data },
      { dependsOn: ['jenkins-namespace'] },
    );
  const botToken = outputRef('gitlab-bot', 'token');
  return [
    credential('jenkins-bot-token', credentialIds.botToken, 'secretText', { text: botToken }),
    credential('jenkins-bot-login', credentialIds.botLogin, 'usernamePassword', {
      username: 'oauth2',
      password: botToken,
    }),
    credential('jenkins-certificate-key', credentialIds.certificateKey, 'secretText', {
      text: secretRef('certificate'),
    }),
  ];
}

function deployAccess(model: Model): Declaration[] {
  const { settings } = model;
  const common = labels({ name: names.deployer, component: 'jenkins', environment: settings.environment });
  const within = (name: string) => ({ namespace: names.deployNamespace, name, labels: common });
  const after = { dependsOn: ['deploy-namespace'] };
  const account = '/var/run/secrets/kubernetes.io/serviceaccount';
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'cluster',
        cluster: { server: 'https://kubernetes.default.svc', 'certificate-authority': `${account}/ca.crt` },
      },
    ],
    users: [{ name: names.deployer, user: { tokenFile: `${account}/token` } }],
    contexts: [
      {
        name: settings.clusters.production.context,
        context: { cluster: 'cluster', user: names.deployer, namespace: names.deployNamespace },
      },
    ],
    'current-context': settings.clusters.production.context,
  };
  return [
    object('kubernetes:core/v1:ServiceAccount', 'deploy-account', 'ci', within(names.deployer), {}, after),
    object(
      'kubernetes:core/v1:ConfigMap',
      'deploy-kubeconfig',
      'ci',
      within('deploy-kubeconfig'),
      { data: { config: stringify(kubeconfig, { sortMapEntries: true }) } },
      after,
    ),
    object(
      'kubernetes:core/v1:Secret',
      'deploy-environment',
      'ci',
      within('deploy-environment'),
      { stringData: Object.fromEntries(settings.deployEnvironment.map((name) => [name, givenRef(name)])) },
      after,
    ),
    object(
      'kubernetes:core/v1:Secret',
      'agents-push',
      'ci',
      { namespace: names.agentsNamespace, name: 'registry-push', labels: common },
      {
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': dockerConfig(settings.registry.address, names.pushUser) },
      },
      { dependsOn: ['agents-namespace'] },
    ),
  ];
}

function controller(model: Model): Declaration[] {
  const { settings } = model;
  const common = labels({ name: 'jenkins', component: 'jenkins', environment: settings.environment });
  const match = selector('jenkins', 'jenkins');
  const within = (name: string) => ({ namespace: names.ciNamespace, name, labels: common });
  const after = { dependsOn: ['jenkins-namespace'] };
  const casc = cascYaml(model);
  const probe = { httpGet: { path: '/login', port: PORT } };
  return [
    object('kubernetes:core/v1:ServiceAccount', 'jenkins-account', 'ci', within('jenkins'), {}, after),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      'jenkins-credentials-role',
      'ci',
      within('jenkins-credentials'),
      { rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] }] },
      after,
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      'jenkins-credentials-binding',
      'ci',
      within('jenkins-credentials'),
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'jenkins-credentials' },
        subjects: [{ kind: 'ServiceAccount', name: 'jenkins', namespace: names.ciNamespace }],
      },
      { dependsOn: ['jenkins-credentials-role', 'jenkins-account'] },
    ),
    object(
      'kubernetes:core/v1:ConfigMap',
      'jenkins-casc',
      'ci',
      within('jenkins-casc'),
      { data: { 'jenkins.yaml': casc } },
      after,
    ),
    object(
      'kubernetes:core/v1:Secret',
      'jenkins-casc-secrets',
      'ci',
      within('jenkins-casc-secrets'),
      {
        stringData: {
          [cascSecrets.adminPassword]: secretRef('jenkins/admin'),
          ...Object.fromEntries(
            [
              ...model.modules.map((module) => module.name),
              ...(settings.topologyProject ? [settings.topologyProject.path] : []),
            ].map((name) => [cascSecrets.hookToken(name), secretRef(hookTokenPurpose(name))]),
          ),
        },
      },
      after,
    ),
    object(
      'kubernetes:core/v1:PersistentVolumeClaim',
      'jenkins-home',
      'ci',
      within('jenkins-home'),
      {
        spec: {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: settings.jenkins.storage } },
        },
      },
      after,
    ),
    object(
      'kubernetes:core/v1:Service',
      'jenkins-service',
      'ci',
      within('jenkins'),
      {
        spec: {
          type: settings.jenkins.nodePort ? 'NodePort' : 'ClusterIP',
          selector: match,
          ports: [
            {
              name: 'http',
              port: PORT,
              targetPort: PORT,
              protocol: 'TCP',
              ...(settings.jenkins.nodePort ? { nodePort: settings.jenkins.nodePort } : {}),
            },
          ],
        },
      },
      { dependsOn: ['jenkins-controller'] },
    ),
    object(
      'kubernetes:apps/v1:StatefulSet',
      'jenkins-controller',
      'ci',
      within('jenkins'),
      {
        spec: {
          replicas: 1,
          serviceName: 'jenkins',
          selector: { matchLabels: match },
          template: {
            metadata: {
              labels: { ...common, ...match },
              annotations: { 'switchyard.dev/config-hash': hash(casc) },
            },
            spec: {
              serviceAccountName: 'jenkins',
              enableServiceLinks: false,
              imagePullSecrets: [{ name: names.pullSecret }],
              securityContext: restrictedPod(USER),
              terminationGracePeriodSeconds: 60,
              containers: [
                {
                  name: 'jenkins',
                  image: outputRef('jenkins-image', 'repoDigest'),
                  env: [
                    { name: 'CASC_JENKINS_CONFIG', value: '/var/jenkins_casc' },
                    {
                      name: 'JAVA_OPTS',
                      value: '-Djenkins.install.runSetupWizard=false -XX:MaxRAMPercentage=60',
                    },
                    { name: 'JENKINS_OPTS', value: '--webroot=/var/jenkins_cache/war' },
                    { name: 'SECRETS', value: '/run/secrets/jenkins' },
                  ],
                  ports: [{ name: 'http', containerPort: PORT }],
                  // A cold Jenkins with its plugins takes minutes on a small node.
                  startupProbe: { ...probe, periodSeconds: 3, failureThreshold: 200 },
                  readinessProbe: { ...probe, periodSeconds: 10, timeoutSeconds: 5 },
                  livenessProbe: { ...probe, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 5 },
                  resources: {
                    requests: {
                      cpu: settings.jenkins.resources.cpu,
                      memory: settings.jenkins.resources.memory,
                    },
                    limits: { memory: settings.jenkins.resources.memoryLimit },
                  },
                  securityContext: restrictedContainer,
                  volumeMounts: [
                    { name: 'home', mountPath: '/var/jenkins_home' },
                    { name: 'casc', mountPath: '/var/jenkins_casc', readOnly: true },
                    { name: 'casc-secrets', mountPath: '/run/secrets/jenkins', readOnly: true },
                    { name: 'cache', mountPath: '/var/jenkins_cache' },
                    { name: 'tmp', mountPath: '/tmp' },
                  ],
                },
              ],
              volumes: [
                { name: 'home', persistentVolumeClaim: { claimName: 'jenkins-home' } },
                { name: 'casc', configMap: { name: 'jenkins-casc' } },
                { name: 'casc-secrets', secret: { secretName: 'jenkins-casc-secrets' } },
                { name: 'cache', emptyDir: {} },
                { name: 'tmp', emptyDir: {} },
              ],
            },
          },
        },
      },
      {
        dependsOn: [
          'jenkins-casc',
          'jenkins-casc-secrets',
          'jenkins-home',
          'jenkins-credentials-binding',
          'jenkins-bot-token',
          'jenkins-bot-login',
          'jenkins-certificate-key',
          'jenkins-pull',
          'gitlab-library-main',
        ],
      },
    ),
    object(
      'kubernetes:policy/v1:PodDisruptionBudget',
      'jenkins-disruption',
      'ci',
      within('jenkins'),
      { spec: { maxUnavailable: 1, selector: { matchLabels: match } } },
      after,
    ),
  ];
}

/** Jenkins, its agents' namespaces, and BuildKit beside it. */
export function jenkinsResources(model: Model): Declaration[] {
  const { settings } = model;
  return [
    ...namespaces(model),
    builtImage(model, 'jenkins-image', 'switchyard/jenkins', {
      context: 'components/jenkins/image',
      dockerfile: 'components/jenkins/image/Dockerfile',
      base: imageFor(settings, 'jenkins'),
    }),
    builtImage(model, 'delivery-image', 'switchyard/delivery', {
      context: 'dist/image',
      dockerfile: 'dist/image/Dockerfile',
      base: imageFor(settings, 'agent'),
    }),
    ...buildkit(model),
    ...credentials(model),
    ...deployAccess(model),
    ...controller(model),
  ];
}
