import { isIPv4 } from 'node:net';
import { servicesIn } from '../../catalog/addresses';
import type { ServiceUse } from '../../catalog/load';
import { type Services, serviceOf } from '../../catalog/services';
import { type EgressRule, outside, toNamespace, toRange } from '../shared/network';
import { moduleVariables } from './access';
import type { ModuleProductionSpec } from './module-production';

/** What a service that stands already answers at. One that goes by a name has addresses that no policy knows. */
function toExisting(services: Services, use: ServiceUse): EgressRule[] {
  if (!use.existing) return [];
  const { host, port = serviceOf(services, use).port } = use.existing;
  const [inCluster] = servicesIn(host);
  if (inCluster) return [toNamespace(inCluster.namespace)];
  return [isIPv4(host) ? toRange({ cidr: `${host}/32`, ports: [port] }) : outside(port)];
}

/**
 * Where a module's own Pods may connect to besides DNS and what is in their namespace: services that stand already,
 * namespaces that its variables name, and what its file names. The Pods there say at which ports they take whom.
 */
export function moduleWaysOut(spec: ModuleProductionSpec): EgressRule[] {
  const { module, namespace: own, services = {} } = spec;
  const { plain, own: filled } = moduleVariables(spec);
  const texts = [
    ...Object.values(plain),
    ...filled.flatMap((entry) => ('value' in entry ? [entry.value] : [])),
  ];
  const named = new Set(texts.flatMap(servicesIn).map(({ namespace }) => namespace));
  return [
    ...[...named]
      .filter((namespace) => namespace !== own)
      .sort()
      .map((namespace) => toNamespace(namespace)),
    ...module.services.flatMap((use) => toExisting(services, use)),
    ...module.production.egress.map(toRange),
  ];
}
