import {
  type Filled,
  moduleEnvironment,
  PASSWORD_VARIABLE,
  type ServiceAccess,
} from '../../catalog/containers';
import { entryOf } from '../../catalog/entry';
import type { Module, Service, ServiceUse } from '../../catalog/load';
import { namespacesOf } from '../../stacks/namespaces';
import { containerText } from '../../text/kubernetes';
import type { Model } from '../model';
import { givenRef, type Ref, secretRef } from '../shared/references';

const DATABASE = 'module';

/** @throws Error when the catalog lacks the service: a fault of the program, since loading checks it */
export function serviceOf(model: Model, use: ServiceUse): Service {
  const service = entryOf(model.catalog.services, use.kind);
  if (!service) throw new Error(`the catalog lost service "${use.kind}"`);
  return service;
}

/** How a module reaches a service in production: one that is made here, or one that stands already. */
export function access(model: Model, module: Module, use: ServiceUse, variable: string): ServiceAccess {
  return {
    host: use.existing?.host ?? `${use.name}.${namespacesOf(model.settings).production(module.name)}.svc`,
    user: use.existing?.user ?? module.name.replaceAll('-', '_'),
    password: { variable },
    database: use.existing?.database ?? DATABASE,
  };
}

export const credentialsName = (use: ServiceUse): string => `${use.name}-credentials`;

/** Below this path stands every secret of a module's production. */
export const modulePurpose = (module: string): string => `service/${module}`;

/** Purpose of the password of a service that is made here. */
export const servicePurpose = (module: Pick<Module, 'name'>, use: Pick<ServiceUse, 'name'>): string =>
  `${modulePurpose(module.name)}/${use.name}`;

/** The password of a service: derived, or brought by the environment for one that stands already. */
export const passwordRef = (module: Module, use: ServiceUse): Ref =>
  use.existing ? givenRef(use.existing.credentialsFrom) : secretRef(servicePurpose(module, use));

export interface ModuleVariables {
  /** What anyone may read: goes into a ConfigMap. */
  readonly plain: Readonly<Record<string, string>>;
  /** Entries of the container itself: Kubernetes fills passwords only into those. */
  readonly own: readonly (
    | { readonly name: string; readonly value: string }
    | {
        readonly name: string;
        readonly valueFrom: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
      }
  )[];
}

/** The environment of a module in production; what it declares itself wins over what its services bring. */
export function moduleVariables(model: Model, module: Module): ModuleVariables {
  const fromServices: Record<string, Filled> = Object.assign(
    {},
    ...module.services.map((use, index) => {
      const service = serviceOf(model, use);
      return moduleEnvironment(
        { ...service, port: use.existing?.port ?? service.port },
        access(model, module, use, `${PASSWORD_VARIABLE}_${index}`),
      );
    }),
  );
  const written = { ...module.environment, PORT: String(module.port) };
  const all: Record<string, Filled> = {
    ...fromServices,
    ...Object.fromEntries(
      Object.entries(written).map(([name, text]) => [name, { source: containerText(text), plain: text }]),
    ),
  };
  const plain: Record<string, string> = {};
  const filled: { name: string; value: string }[] = [];
  for (const name of Object.keys(all).sort()) {
    const value = all[name];
    if (value?.plain === undefined) filled.push({ name, value: value?.source ?? '' });
    else plain[name] = value.plain;
  }
  return {
    plain,
    own: [
      ...module.services.map((use, index) => ({
        name: `${PASSWORD_VARIABLE}_${index}`,
        valueFrom: { secretKeyRef: { name: credentialsName(use), key: 'password' } },
      })),
      ...filled,
    ],
  };
}
