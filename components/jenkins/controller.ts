import { emptyDir, restrictedContainer, withDisk } from '../../catalog/containers';
import { namespacesOf } from '../../stacks/namespaces';
import type { Declaration } from '../shared/declaration';
import { JENKINS_PORT } from '../shared/jenkins-endpoint';
import { ingressSpec, object, restrictedPod, retained } from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import { inputRef, secretRef } from '../shared/references';
import { casc, cascText } from './casc';
import type { FullSpec } from './defaults';
import { controllerImageOf } from './images';
import { hasAdmin } from './login';
import { cascSecrets, hookTokens, JENKINS_USER, RECONCILER_PURPOSE, reconcilerLogsIn } from './names';
import { agentFiles } from './namespaces';

const CASC_FOLDER = '/var/jenkins_casc';
const SECRETS_FOLDER = '/run/secrets/jenkins';

const afterNamespace = { dependsOn: ['jenkins-namespace'] };

const inOwnNamespace = (spec: FullSpec) => (name: string) => ({
  namespace: namespacesOf(spec).ci,
  name,
  labels: labels({ name: 'jenkins', component: 'jenkins', environment: spec.environment }),
});

/**
 * Given to Jenkins and to the sidecar alike by environment, which is fixed when a container starts: after a new seed
 * both keep the old one until the Pod is made anew.
 */
const reloadToken = {
  name: 'CASC_RELOAD_TOKEN',
  valueFrom: { secretKeyRef: { name: 'jenkins-reload', key: 'token' } },
};

/** Jenkins' rights in its own namespace: to read the Secrets that are its credentials. It runs no Pod there. */
function account(spec: FullSpec): Declaration[] {
  const within = inOwnNamespace(spec);
  return [
    object(
      'kubernetes:core/v1:ServiceAccount',
      'jenkins-account',
      'ci',
      within('jenkins'),
      {},
      afterNamespace,
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      'jenkins-credentials-role',
      'ci',
      within('jenkins-credentials'),
      // The credentials provider lists by label, which a role cannot be limited to.
      { rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] }] },
      afterNamespace,
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      'jenkins-credentials-binding',
      'ci',
      within('jenkins-credentials'),
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'jenkins-credentials' },
        subjects: [{ kind: 'ServiceAccount', name: 'jenkins', namespace: namespacesOf(spec).ci }],
      },
      { dependsOn: ['jenkins-credentials-role', 'jenkins-account'] },
    ),
  ];
}

/** What Jenkins is configured from, and what it keeps. */
function state(spec: FullSpec): Declaration[] {
  const within = inOwnNamespace(spec);
  const home = within('jenkins-home');
  return [
    object(
      'kubernetes:core/v1:ConfigMap',
      'jenkins-casc',
      'ci',
      within('jenkins-casc'),
      { data: { 'jenkins.yaml': cascText(casc(spec)) } },
      // What a new job works with comes before the job: its secrets, and the files of its module.
      {
        dependsOn: ['jenkins-namespace', 'jenkins-casc-secrets', ...agentFiles(spec)],
      },
    ),
    object(
      'kubernetes:core/v1:Secret',
      'jenkins-casc-secrets',
      'ci',
      within('jenkins-casc-secrets'),
      {
        stringData: {
          ...(hasAdmin(spec) ? { [cascSecrets.adminPassword]: secretRef('jenkins/admin') } : {}),
          ...(spec.login?.openIdConnect
            ? { [cascSecrets.emergencyGroup]: secretRef('jenkins/emergency-group') }
            : {}),
          ...(reconcilerLogsIn(spec)
            ? { [cascSecrets.reconcilerPassword]: secretRef(RECONCILER_PURPOSE) }
            : {}),
          ...(spec.login
            ? { [cascSecrets.clientSecret]: inputRef('login.clientSecret', spec.login.clientSecret) }
            : {}),
          ...hookTokens(spec),
        },
      },
      afterNamespace,
    ),
    object(
      'kubernetes:core/v1:Secret',
      'jenkins-reload-token',
      'ci',
      within('jenkins-reload'),
      { stringData: { token: secretRef('jenkins/reload') } },
      afterNamespace,
    ),
    object(
      'kubernetes:core/v1:PersistentVolumeClaim',
      'jenkins-home',
      'ci',
      { ...home, labels: { ...home.labels, 'switchyard.dev/backup': 'true' } },
      {
        spec: {
          accessModes: ['ReadWriteOnce'],
          ...(spec.storageClass ? { storageClassName: spec.storageClass } : {}),
          resources: { requests: { storage: spec.storage } },
        },
      },
      { ...afterNamespace, ...(spec.onDelete === 'retain' ? retained : {}) },
    ),
  ];
}

/** Has changed configuration reloaded, so that Jenkins need not restart; runs from Jenkins' own image. */
const reloader = (spec: FullSpec) => ({
  name: 'reload',
  image: controllerImageOf(spec),
  command: ['bash', '/opt/switchyard/reload-casc.sh'],
  env: [
    { name: 'JENKINS_ADDRESS', value: `http://127.0.0.1:${JENKINS_PORT}` },
    { name: 'WATCHED', value: `${CASC_FOLDER} ${SECRETS_FOLDER}` },
    reloadToken,
  ],
  resources: withDisk({ requests: { cpu: '10m', memory: '16Mi' }, limits: { memory: '64Mi' } }, '256Mi'),
  securityContext: restrictedContainer,
  volumeMounts: [
    { name: 'casc', mountPath: CASC_FOLDER, readOnly: true },
    { name: 'casc-secrets', mountPath: SECRETS_FOLDER, readOnly: true },
  ],
});

/** The one Pod. Only what its template holds restarts it: the image, its settings, never the configuration. */
function workload(spec: FullSpec): Declaration[] {
  const within = inOwnNamespace(spec);
  const match = selector('jenkins', 'jenkins');
  const probe = { httpGet: { path: '/login', port: JENKINS_PORT } };
  const scrape = {
    'prometheus.io/scrape': 'true',
    // With the slash: without it the plugin answers with a redirect.
    'prometheus.io/path': '/prometheus/',
    'prometheus.io/port': String(JENKINS_PORT),
  };
  return [
    object(
      'kubernetes:apps/v1:StatefulSet',
      'jenkins-controller',
      'ci',
      within('jenkins'),
      {
        spec: {
          replicas: 1,
          serviceName: 'jenkins',
          // A Pod that does not get ready is replaced by the next template: see components/production/service.ts.
          podManagementPolicy: 'Parallel',
          selector: { matchLabels: match },
          template: {
            metadata: {
              labels: { ...within('jenkins').labels, ...match },
              ...(spec.metrics ? { annotations: scrape } : {}),
            },
            spec: {
              serviceAccountName: 'jenkins',
              enableServiceLinks: false,
              imagePullSecrets: [{ name: names.pullSecret }],
              securityContext: restrictedPod(JENKINS_USER),
              // Jenkins writes the state of running pipelines before it goes.
              terminationGracePeriodSeconds: 60,
              containers: [
                {
                  name: 'jenkins',
                  image: controllerImageOf(spec),
                  env: [
                    { name: 'CASC_JENKINS_CONFIG', value: CASC_FOLDER },
                    {
                      name: 'JAVA_OPTS',
                      // A restart from the web page ends the container: within it, plugins that a person raised would run.
                      value:
                        '-Djenkins.install.runSetupWizard=false -Dhudson.lifecycle=hudson.lifecycle.ExitLifecycle -XX:MaxRAMPercentage=60',
                    },
                    // The war is unpacked there: the root is read-only.
                    { name: 'JENKINS_OPTS', value: '--webroot=/var/jenkins_cache/war' },
                    { name: 'SECRETS', value: SECRETS_FOLDER },
                    reloadToken,
                  ],
                  ports: [{ name: 'http', containerPort: JENKINS_PORT }],
                  // A cold Jenkins with its plugins takes minutes on a small node: ten are allowed.
                  startupProbe: { ...probe, periodSeconds: 3, timeoutSeconds: 5, failureThreshold: 200 },
                  readinessProbe: { ...probe, periodSeconds: 10, timeoutSeconds: 5 },
                  livenessProbe: { ...probe, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 5 },
                  resources: withDisk(
                    {
                      requests: { cpu: spec.resources.cpu, memory: spec.resources.memory },
                      limits: { memory: spec.resources.memoryLimit },
                    },
                    '8Gi',
                  ),
                  securityContext: restrictedContainer,
                  volumeMounts: [
                    { name: 'home', mountPath: '/var/jenkins_home' },
                    // The image's own, laid down at each start (image/start.sh): the home keeps none of them.
                    { name: 'plugins', mountPath: '/var/jenkins_home/plugins' },
                    { name: 'casc', mountPath: CASC_FOLDER, readOnly: true },
                    { name: 'casc-secrets', mountPath: SECRETS_FOLDER, readOnly: true },
                    { name: 'cache', mountPath: '/var/jenkins_cache' },
                    { name: 'tmp', mountPath: '/tmp' },
                  ],
                },
                reloader(spec),
              ],
              volumes: [
                { name: 'home', persistentVolumeClaim: { claimName: 'jenkins-home' } },
                { name: 'casc', configMap: { name: 'jenkins-casc' } },
                { name: 'casc-secrets', secret: { secretName: 'jenkins-casc-secrets' } },
                emptyDir('plugins', '2Gi'),
                emptyDir('cache', '2Gi'),
                emptyDir('tmp', '2Gi'),
              ],
            },
          },
        },
      },
      {
        dependsOn: [
          'jenkins-casc',
          'jenkins-casc-secrets',
          'jenkins-reload-token',
          'jenkins-home',
          'jenkins-credentials-binding',
          'jenkins-bot-token',
          'jenkins-bot-login',
          'jenkins-certificate-key',
          'jenkins-pull',
          ...spec.after,
        ],
      },
    ),
    object(
      'kubernetes:policy/v1:PodDisruptionBudget',
      'jenkins-disruption',
      'ci',
      within('jenkins'),
      {
        // Of one Pod, a budget of one would protect nothing.
        spec: { maxUnavailable: spec.evictable ? 1 : 0, selector: { matchLabels: match } },
      },
      afterNamespace,
    ),
  ];
}

/** The ways in. */
function access(spec: FullSpec): Declaration[] {
  const { ingress, nodePort } = spec;
  const within = inOwnNamespace(spec);
  return [
    object(
      'kubernetes:core/v1:Service',
      'jenkins-service',
      'ci',
      within('jenkins'),
      {
        spec: {
          type: nodePort ? 'NodePort' : 'ClusterIP',
          selector: selector('jenkins', 'jenkins'),
          ports: [
            {
              name: 'http',
              port: JENKINS_PORT,
              targetPort: JENKINS_PORT,
              protocol: 'TCP',
              ...(nodePort ? { nodePort } : {}),
            },
          ],
        },
      },
      { dependsOn: ['jenkins-controller'] },
    ),
    ...(ingress
      ? [
          object(
            'kubernetes:networking.k8s.io/v1:Ingress',
            'jenkins-ingress',
            'ci',
            { ...within('jenkins'), annotations: { ...ingress.annotations } },
            {
              spec: ingressSpec(ingress, { host: ingress.host, service: 'jenkins', port: 'http' }),
            },
            { dependsOn: ['jenkins-service'] },
          ),
        ]
      : []),
  ];
}

/** Jenkins itself. */
export function controller(spec: FullSpec): Declaration[] {
  return [...account(spec), ...state(spec), ...workload(spec), ...access(spec)];
}
