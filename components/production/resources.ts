import { diskOf, servicePorts } from '../../catalog/containers';
import type { Module } from '../../catalog/load';
import type { Resources } from '../../catalog/schema';
import { namespacesOf, productionPriority } from '../../stacks/namespaces';
import { moduleAutoscaling, PROXY_RESOURCES, proxied, requestPort } from '../autoscaling/module';
import { backupRole } from '../backup/role';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { fencedNamespace, type OpenPort, object } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { toSameNamespace } from '../shared/network';
import { bytes, millicores, wholeCores, wholeGibibytes } from '../shared/quantities';
import { serviceOf } from './access';
import { deployerRole } from './deployer';
import { moduleWaysOut } from './network';
import { keepsData } from './retention';
import { anyService, statefulService } from './service';
import { modulePods, workload } from './workload';

/** What the modules of production share: their rank among Pods. */
export function productionSharedResources(model: Model): Declaration[] {
  const { environment, production } = model.settings;
  return [
    object(
      'kubernetes:scheduling.k8s.io/v1:PriorityClass',
      'production-priority',
      'production',
      {
        name: productionPriority(model.settings),
        labels: labels({ name: productionPriority(model.settings), component: 'production', environment }),
      },
      {
        value: 100_000,
        globalDefault: false,
        // Without preemption it still decides who waits first, and who is evicted last when a node runs short.
        preemptionPolicy: production.preempt ? 'PreemptLowerPriority' : 'Never',
        description: 'Workloads and databases of production, made by Switchyard',
      },
    ),
  ];
}

/** The module for everyone; its services for nobody but the module. */
function openPorts(model: Model, module: Module): OpenPort[] {
  const ports = new Set(
    module.services
      .filter((use) => !use.existing)
      .flatMap((use) => servicePorts(serviceOf(model, use)).map(({ port }) => port)),
  );
  return [
    { port: requestPort(module), pods: modulePods(module) },
    ...[...ports].map((port) => ({
      port,
      pods: anyService,
      from: modulePods(module),
      ...(port === requestPort(module) ? { name: `services-${port}` } : {}),
    })),
  ];
}

/** Further ways out, for the module's own Pods. */
function waysOut(model: Model, module: Module): Declaration[] {
  const egress = moduleWaysOut(model, module);
  if (egress.length === 0) return [];
  const name = `production-${module.name}`;
  return [
    object(
      'kubernetes:networking.k8s.io/v1:NetworkPolicy',
      `${name}-module-egress`,
      'production',
      {
        namespace: namespacesOf(model.settings).production(module.name),
        name: 'allow-module-egress',
        labels: labels({
          name: module.name,
          component: 'production',
          environment: model.settings.environment,
          module: module.name,
          purpose: 'production',
        }),
      },
      { spec: { podSelector: { matchLabels: modulePods(module) }, policyTypes: ['Egress'], egress } },
      { dependsOn: [`${name}-namespace`] },
    ),
  ];
}

/** What the namespace may hold: its worst moment, and never less than a small site's share. */
function quota(model: Model, module: Module) {
  const made = module.services.filter((use) => !use.existing);
  // In a rollout the old Pods still drain while the new ones are there already, and one surges; so with each service.
  const { scaling, replicas } = module.production;
  const copies = 2 * (scaling?.max ?? replicas) + 1;
  const total = (amount: (resources: Resources) => number): number =>
    copies * (amount(module.resources) + (proxied(module) ? amount(PROXY_RESOURCES) : 0)) +
    made.reduce((sum, use) => sum + 2 * amount(use.resources ?? serviceOf(model, use).resources), 0);
  return {
    pods: copies + 2 * made.length,
    cpu: wholeCores(
      Math.max(
        16_000,
        total(({ cpu }) => millicores(cpu)),
      ),
    ),
    memory: wholeGibibytes(
      Math.max(
        bytes('32Gi'),
        total(({ memory }) => bytes(memory)),
      ),
    ),
    disk: wholeGibibytes(total((resources) => bytes(diskOf(resources)))),
    claims: made.length,
  };
}

/** One module in production: its namespace, its services, and the released workload. */
export function productionResources(model: Model, module: Module): Declaration[] {
  return [
    ...fencedNamespace({
      prefix: `production-${module.name}`,
      namespace: namespacesOf(model.settings).production(module.name),
      provider: 'production',
      labels: {
        name: module.name,
        component: 'production',
        environment: model.settings.environment,
        module: module.name,
        purpose: 'production',
      },
      quota: quota(model, module),
      open: openPorts(model, module),
      // The module and its services; a database has no business beyond.
      egress: [toSameNamespace],
      // A namespace takes its claims along when it goes.
      retain: keepsData(model, module),
      pullFrom: model.settings.registry.address,
    }),
    ...waysOut(model, module),
    ...deployerRole(model, module),
    ...backupRole(model, module),
    ...module.services.flatMap((use) => statefulService(model, module, use)),
    ...workload(model, module),
    ...moduleAutoscaling(model, module),
  ];
}
