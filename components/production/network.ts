import { isIPv4 } from 'node:net';
import { servicesIn } from '../../catalog/addresses';
import type { Module, ServiceUse } from '../../catalog/load';
import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import { type EgressRule, outside, toNamespace, toRange } from '../shared/network';
import { moduleVariables, serviceOf } from './access';

/** What a service that stands already answers at. One that goes by a name has addresses that no policy knows. */
function toExisting(model: Model, use: ServiceUse): EgressRule[] {
  if (!use.existing) return [];
  const { host, port = serviceOf(model, use).port } = use.existing;
  const [inCluster] = servicesIn(host);
  if (inCluster) return [toNamespace(inCluster.namespace)];
  return [isIPv4(host) ? toRange({ cidr: `${host}/32`, ports: [port] }) : outside(port)];
}

/**
 * Where a module's own Pods may connect to besides DNS and what is in their namespace: services that stand already,
 * namespaces that its variables name, and what its file names. The Pods there say at which ports they take whom.
 */
export function moduleWaysOut(model: Model, module: Module): EgressRule[] {
  const { plain, own: filled } = moduleVariables(model, module);
  const texts = [
    ...Object.values(plain),
    ...filled.flatMap((entry) => ('value' in entry ? [entry.value] : [])),
  ];
  const own = namespacesOf(model.settings).production(module.name);
  const named = new Set(texts.flatMap(servicesIn).map(({ namespace }) => namespace));
  return [
    ...[...named]
      .filter((namespace) => namespace !== own)
      .sort()
      .map((namespace) => toNamespace(namespace)),
    ...module.services.flatMap((use) => toExisting(model, use)),
    ...module.production.egress.map(toRange),
  ];
}
