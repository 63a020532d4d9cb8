import {
  containerResources,
  MODULE_USER,
  moduleEnvironment,
  restrictedContainer,
  serviceContainer,
} from '../../catalog/containers';
import type { Module, Service, ServiceUse } from '../../catalog/load';
import { resolveImage } from '../../stacks/load';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { fencedNamespace, object, restrictedPod } from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import { secretRef } from '../shared/references';

const DATABASE = 'module';

/** Pod-internal name of the variable through which a template's `{password}` reaches a service's container. */
const PASSWORD_VARIABLE = 'SWITCHYARD_SERVICE_PASSWORD';

function access(module: Module, use: ServiceUse, variable: string) {
  return {
    host: `${use.name}.${names.productionNamespace(module.name)}.svc`,
    user: module.name.replaceAll('-', '_'),
    password: `$(${variable})`,
    database: DATABASE,
  };
}

function serviceOf(model: Model, use: ServiceUse): Service {
  const service = model.catalog.services[use.kind];
  if (!service) throw new Error(`the catalog lost service "${use.kind}"`);
  return service;
}

function statefulService(model: Model, module: Module, use: ServiceUse): Declaration[] {
  const prefix = `production-${module.name}`;
  const name = `${prefix}-${use.name}`;
  const namespace = names.productionNamespace(module.name);
  const service = serviceOf(model, use);
  const imageOf = (version: string) =>
    resolveImage(model.settings, `${use.kind}:${version}`, service.versions[version]?.image ?? '');
  const image = imageOf(use.production?.version ?? use.version);
  const common = labels({
    name: use.name,
    component: 'service',
    environment: model.settings.environment,
    module: module.name,
    purpose: 'production',
  });
  const match = selector(use.name, 'service');
  const secretName = `${use.name}-credentials`;
  const within = (objectName: string) => ({ namespace, name: objectName, labels: common });
  const { container, dataVolume, scratchVolumes, probe } = serviceContainer(
    use,
    service,
    image,
    access(module, use, PASSWORD_VARIABLE),
    [{ name: PASSWORD_VARIABLE, valueFrom: { secretKeyRef: { name: secretName, key: 'password' } } }],
  );
  return [
    object(
      'kubernetes:core/v1:Secret',
      `${name}-credentials`,
      'production',
      within(secretName),
      { stringData: { password: secretRef(`service/${module.name}/${use.name}`) } },
      { dependsOn: [`${prefix}-namespace`] },
    ),
    object(
      'kubernetes:core/v1:Service',
      `${name}-service`,
      'production',
      within(use.name),
      {
        spec: {
          selector: match,
          ports: [{ name: 'service', port: service.port, targetPort: service.port, protocol: 'TCP' }],
        },
      },
      { dependsOn: [`${name}-workload`] },
    ),
    object(
      'kubernetes:apps/v1:StatefulSet',
      `${name}-workload`,
      'production',
      {
        ...within(use.name),
        // Beside the workload, so that a difference from what was tested is seen where it matters.
        annotations: {
          'switchyard.dev/tested-image': imageOf(use.version),
          ...(use.production ? { 'switchyard.dev/version-reason': use.production.reason } : {}),
        },
      },
      {
        spec: {
          replicas: 1,
          serviceName: use.name,
          selector: { matchLabels: match },
          template: {
            metadata: { labels: { ...common, ...match } },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              securityContext: restrictedPod(service.runAsUser),
              containers: [{ ...container, readinessProbe: { ...probe, periodSeconds: 5 } }],
              volumes: scratchVolumes,
            },
          },
          volumeClaimTemplates: [
            {
              metadata: { name: dataVolume },
              spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: use.storage } } },
            },
          ],
        },
      },
      { dependsOn: [`${name}-credentials`] },
    ),
  ];
}

function workload(model: Model, module: Module): Declaration[] {
  const release = model.releases[module.name];
  // Nothing was released yet: the namespace and the services stand ready, the first deploy brings the workload.
  if (!release) return [];
  const name = `production-${module.name}`;
  const namespace = names.productionNamespace(module.name);
  const common = labels({
    name: module.name,
    component: 'module',
    environment: model.settings.environment,
    module: module.name,
    purpose: 'production',
  });
  const match = selector(module.name, 'module');
  const within = (objectName: string) => ({ namespace, name: objectName, labels: common });
  const passwords = module.services.map((use, index) => ({
    name: `${PASSWORD_VARIABLE}_${index}`,
    valueFrom: { secretKeyRef: { name: `${use.name}-credentials`, key: 'password' } },
  }));
  const environment = {
    ...Object.assign(
      {},
      ...module.services.map((use, index) =>
        moduleEnvironment(serviceOf(model, use), access(module, use, `${PASSWORD_VARIABLE}_${index}`)),
      ),
    ),
    ...module.environment,
    PORT: String(module.port),
  };
  const probe = (path: string) => ({ httpGet: { path, port: module.port } });
  return [
    object(
      'kubernetes:apps/v1:Deployment',
      `${name}-workload`,
      'production',
      {
        ...within(module.name),
        // People who look at the cluster find the way back to the commit.
        annotations: { 'switchyard.dev/commit': release.commit },
      },
      {
        spec: {
          replicas: module.production.replicas,
          selector: { matchLabels: match },
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          progressDeadlineSeconds: 300,
          template: {
            metadata: { labels: { ...common, ...match } },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              imagePullSecrets: [{ name: names.pullSecret }],
              securityContext: restrictedPod(MODULE_USER),
              terminationGracePeriodSeconds: module.production.terminationGraceSeconds,
              topologySpreadConstraints: [
                {
                  maxSkew: 1,
                  topologyKey: 'kubernetes.io/hostname',
                  whenUnsatisfiable: 'ScheduleAnyway',
                  labelSelector: { matchLabels: match },
                },
              ],
              containers: [
                {
                  name: 'module',
                  image: release.image,
                  env: [
                    ...passwords,
                    ...Object.keys(environment)
                      .sort()
                      .map((key) => ({ name: key, value: environment[key] })),
                  ],
                  ports: [{ name: 'http', containerPort: module.port }],
                  startupProbe: { ...probe(module.probes.ready), periodSeconds: 1, failureThreshold: 120 },
                  readinessProbe: { ...probe(module.probes.ready), periodSeconds: 5 },
                  livenessProbe: { ...probe(module.probes.live), periodSeconds: 10 },
                  resources: containerResources(module.resources),
                  securityContext: restrictedContainer,
                  volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
                },
              ],
              volumes: [{ name: 'tmp', emptyDir: {} }],
            },
          },
        },
      },
      { dependsOn: module.services.map((use) => `${name}-${use.name}-service`) },
    ),
    object(
      'kubernetes:core/v1:Service',
      `${name}-service`,
      'production',
      within(module.name),
      {
        spec: {
          type: module.production.nodePort ? 'NodePort' : 'ClusterIP',
          selector: match,
          ports: [
            {
              name: 'http',
              port: 80,
              targetPort: module.port,
              protocol: 'TCP',
              ...(module.production.nodePort ? { nodePort: module.production.nodePort } : {}),
            },
          ],
        },
      },
      { dependsOn: [`${name}-workload`] },
    ),
    object(
      'kubernetes:policy/v1:PodDisruptionBudget',
      `${name}-disruption`,
      'production',
      within(module.name),
      {
        spec: { maxUnavailable: 1, selector: { matchLabels: match } },
      },
      { dependsOn: [`${name}-namespace`] },
    ),
  ];
}

/** What a deploy job may change: one module's namespace, and in it only what a rollout changes. */
function deployerRole(model: Model, module: Module): Declaration[] {
  const prefix = `production-${module.name}`;
  const namespace = names.productionNamespace(module.name);
  const within = {
    namespace,
    name: names.deployer,
    labels: labels({
      name: names.deployer,
      component: 'production',
      environment: model.settings.environment,
      module: module.name,
    }),
  };
  const write = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
  const read = ['get', 'list', 'watch'];
  return [
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:Role',
      `${prefix}-deployer-role`,
      'production',
      within,
      {
        rules: [
          { apiGroups: ['apps'], resources: ['deployments', 'statefulsets'], verbs: write },
          { apiGroups: [''], resources: ['services', 'secrets', 'configmaps'], verbs: write },
          { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: write },
          { apiGroups: ['apps'], resources: ['replicasets', 'controllerrevisions'], verbs: read },
          { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: read },
          {
            apiGroups: [''],
            resources: ['pods', 'events', 'endpoints', 'persistentvolumeclaims'],
            verbs: read,
          },
        ],
      },
      { dependsOn: [`${prefix}-namespace`] },
    ),
    object(
      'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
      `${prefix}-deployer-binding`,
      'production',
      within,
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: names.deployer },
        subjects: [{ kind: 'ServiceAccount', name: names.deployer, namespace: names.deployNamespace }],
      },
      { dependsOn: [`${prefix}-deployer-role`] },
    ),
  ];
}

/** One module in production: its namespace, its services, and the released workload. */
export function productionResources(model: Model, module: Module): Declaration[] {
  const prefix = `production-${module.name}`;
  return [
    ...fencedNamespace({
      prefix,
      namespace: names.productionNamespace(module.name),
      provider: 'production',
      labels: {
        name: module.name,
        component: 'production',
        environment: model.settings.environment,
        module: module.name,
        purpose: 'production',
      },
      // One surge Pod beside the replicas, and each service once more while it is replaced.
      quota: {
        pods: module.production.replicas + 1 + 2 * module.services.length,
        cpu: '16',
        memory: '32Gi',
        claims: module.services.length,
      },
      open: [module.port, ...new Set(module.services.map((use) => serviceOf(model, use).port))],
      pullFrom: model.settings.registry.address,
    }),
    ...deployerRole(model, module),
    ...module.services.flatMap((use) => statefulService(model, module, use)),
    ...workload(model, module),
  ];
}
