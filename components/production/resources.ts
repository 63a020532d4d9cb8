import { diskOf, servicePorts } from '../../catalog/containers';
import type { Resources } from '../../catalog/schema';
import { dumpedServices, serviceOf } from '../../catalog/services';
import { moduleAutoscaling, PROXY_RESOURCES, proxied, requestPort } from '../autoscaling/module';
import type { Declaration } from '../shared/declaration';
import { execRole } from '../shared/exec-role';
import { fencedNamespace, namespaceHandle, type OpenPort, object } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { toSameNamespace } from '../shared/network';
import { bytes, millicores, wholeCores, wholeGibibytes } from '../shared/quantities';
import { deployerRole } from './deployer';
import { migrationLock, migrationPods } from './migration';
import type { ModuleProductionSpec } from './module-production';
import { moduleWaysOut } from './network';
import type { ProductionSpec } from './production';
import { keepsData } from './retention';
import { anyService, statefulService } from './service';
import { modulePods, workload } from './workload';

/** What the modules of production share: their rank among Pods. */
export function productionDeclarations({
  environment,
  preempt = false,
  priorityClass,
}: ProductionSpec): Declaration[] {
  return [
    object(
      'kubernetes:scheduling.k8s.io/v1:PriorityClass',
      'production-priority',
      'production',
      {
        name: priorityClass,
        labels: labels({ name: priorityClass, component: 'production', environment }),
      },
      {
        value: 100_000,
        globalDefault: false,
        // Without preemption it still decides who waits first, and who is evicted last when a node runs short.
        preemptionPolicy: preempt ? 'PreemptLowerPriority' : 'Never',
        description: 'Workloads and databases of production, made by Switchyard',
      },
    ),
  ];
}

/** The module for everyone; its services for nobody but the module, and what migrates their data. */
function openPorts({ module, services = {} }: ModuleProductionSpec): OpenPort[] {
  const ports = new Set(
    module.services
      .filter((use) => !use.existing)
      .flatMap((use) => servicePorts(serviceOf(services, use)).map(({ port }) => port)),
  );
  return [
    { port: requestPort(module), pods: modulePods(module) },
    ...[...ports].map((port) => ({
      port,
      pods: anyService,
      from: modulePods(module),
      ...(port === requestPort(module) ? { name: `services-${port}` } : {}),
    })),
    ...(module.production.migrate
      ? [...ports].map((port) => ({
          port,
          name: `migration-${port}`,
          pods: anyService,
          from: migrationPods(module),
        }))
      : []),
  ];
}

/** Further ways out, for the module's own Pods and for those that migrate its data. */
function waysOut(name: string, spec: ModuleProductionSpec): Declaration[] {
  const { environment, module, namespace } = spec;
  const egress = moduleWaysOut(spec);
  if (egress.length === 0) return [];
  const allow = (what: string, matchLabels: Record<string, string>): Declaration =>
    object(
      'kubernetes:networking.k8s.io/v1:NetworkPolicy',
      `${name}-${what}-egress`,
      'production',
      {
        namespace,
        name: `allow-${what}-egress`,
        labels: labels({
          name: module.name,
          component: 'production',
          environment,
          module: module.name,
          purpose: 'production',
        }),
      },
      { spec: { podSelector: { matchLabels }, policyTypes: ['Egress'], egress } },
      { dependsOn: [namespaceHandle(name)] },
    );
  return [
    allow('module', modulePods(module)),
    ...(module.production.migrate ? [allow('migration', migrationPods(module))] : []),
  ];
}

/** What the namespace may hold: its worst moment, and never less than a small site's share. */
function quota({ module, services = {} }: ModuleProductionSpec) {
  const made = module.services.filter((use) => !use.existing);
  // In a rollout the old Pods still drain while the new ones are there already, and one surges; so with each service.
  const { scaling, replicas } = module.production;
  const copies = 2 * (scaling?.max ?? replicas) + 1;
  // While a release's data is migrated, the one before may roll on: a node that goes, an autoscaler.
  const migrating = module.production.migrate ? 1 : 0;
  const total = (amount: (resources: Resources) => number): number =>
    copies * (amount(module.resources) + (proxied(module) ? amount(PROXY_RESOURCES) : 0)) +
    migrating * amount(module.resources) +
    made.reduce((sum, use) => sum + 2 * amount(use.resources ?? serviceOf(services, use).resources), 0);
  return {
    pods: copies + migrating + 2 * made.length,
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

/** Lets backups dump a module's databases; part of the module, so that it goes with it. */
function backupRole(name: string, spec: ModuleProductionSpec): Declaration[] {
  const { backup, environment, module, namespace, services = {} } = spec;
  const dumped = dumpedServices(services, module);
  if (!backup || dumped.length === 0) return [];
  return execRole(
    name,
    'production',
    { environment, namespace, module: module.name },
    backup,
    dumped.map((use) => `${use.name}-0`).sort(),
  );
}

/**
 * One module in production: its namespace, its services, and the released workload.
 * @param name of the component: what the names of all declarations begin with
 */
export function moduleProductionDeclarations(name: string, spec: ModuleProductionSpec): Declaration[] {
  const { environment, module, namespace } = spec;
  return [
    ...fencedNamespace({
      prefix: name,
      namespace,
      provider: 'production',
      labels: {
        name: module.name,
        component: 'production',
        environment,
        module: module.name,
        purpose: 'production',
      },
      quota: quota(spec),
      open: openPorts(spec),
      // The module and its services; a database has no business beyond.
      egress: [toSameNamespace],
      // A namespace takes its claims along when it goes.
      retain: keepsData(spec),
      pullFrom: spec.registry,
    }),
    ...migrationLock(name, spec),
    ...waysOut(name, spec),
    ...deployerRole(name, spec),
    ...backupRole(name, spec),
    ...module.services.flatMap((use) => statefulService(name, spec, use)),
    ...workload(name, spec),
    ...moduleAutoscaling(name, spec),
  ];
}
