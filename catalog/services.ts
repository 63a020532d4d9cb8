import { entryOf } from './entry';
import type { Module, Service, ServiceUse } from './load';

/** Services by kind. */
export type Services = Readonly<Record<string, Service>>;

/** @throws Error when the services lack the kind: a fault of the program, since loading a catalog checks it */
export function serviceOf(services: Services, { kind }: Pick<ServiceUse, 'kind'>): Service {
  const service = entryOf(services, kind);
  if (!service) throw new Error(`the catalog lost service "${kind}"`);
  return service;
}

/** The services of a module that are made here and can be dumped. */
export const dumpedServices = (services: Services, module: Pick<Module, 'services'>): ServiceUse[] =>
  module.services.filter((use) => {
    const { backup } = serviceOf(services, use);
    return !use.existing && backup !== undefined && 'dump' in backup;
  });
