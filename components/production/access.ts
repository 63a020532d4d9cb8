import {
  type Filled,
  moduleEnvironment,
  PASSWORD_VARIABLE,
  type ServiceAccess,
  usersOfTurn,
} from '../../catalog/containers';
import type { Module, ServiceUse } from '../../catalog/load';
import { serviceOf } from '../../catalog/services';
import { containerText } from '../../text/kubernetes';
import { givenRef, type Ref, secretRef } from '../shared/references';
import { versionOf } from '../shared/secrets';
import type { ModuleProductionSpec } from './module-production';

const DATABASE = 'module';

/** How a module reaches a service in production: one that is made here, or one that stands already. */
export function access(
  { module, namespace }: Pick<ModuleProductionSpec, 'module' | 'namespace'>,
  use: ServiceUse,
  variable: string,
): ServiceAccess {
  return {
    host: use.existing?.host ?? `${use.name}.${namespace}.svc`,
    user: use.existing?.user ?? module.name.replaceAll('-', '_'),
    password: { variable },
    database: use.existing?.database ?? DATABASE,
  };
}

/** ConfigMap with a module's plain variables. */
export const environmentName = (module: Pick<Module, 'name'>): string => `${module.name}-environment`;

export const credentialsName = (use: ServiceUse): string => `${use.name}-credentials`;

/** Below this path stands every secret of a module's production. */
export const modulePurpose = (module: string): string => `service/${module}`;

/** Purpose of the password of a service that is made here. */
export const servicePurpose = (module: Pick<Module, 'name'>, use: Pick<ServiceUse, 'name'>): string =>
  `${modulePurpose(module.name)}/${use.name}`;

/** The password of a service: derived, or brought by the environment for one that stands already. */
export const passwordRef = (module: Module, use: ServiceUse): Ref =>
  use.existing ? givenRef(use.existing.credentialsFrom) : secretRef(servicePurpose(module, use));

/** The user of a service that is made here, where two take turns: the variable that names it to the module, and both. */
export interface AlternatingUser {
  readonly variable: string;
  /** Of a version of the password: the user whose turn it is, and the other. */
  readonly usersOf: (version: number) => readonly [next: string, former: string];
  /**
   * The one in use, beside the password; undefined as long as there was no rotation. Then the first one is, which is what
   * the module's plain variables say.
   */
  readonly inUse: string | undefined;
}

export function alternatingUser(spec: ModuleProductionSpec, use: ServiceUse): AlternatingUser | undefined {
  const { module, services = {}, versions = {}, rotating } = spec;
  const service = serviceOf(services, use);
  const variable = service.rotate?.alternates;
  if (use.existing || variable === undefined) return undefined;
  const first = moduleEnvironment(service, access(spec, use, PASSWORD_VARIABLE))[variable]?.plain;
  if (first === undefined) throw new Error(`${use.kind} names no user in ${variable}`);
  const purpose = servicePurpose(module, use);
  const version = versionOf(versions, purpose);
  const rotated = version > 1 || rotating?.includes(purpose) === true;
  const usersOf = (one: number) => usersOfTurn(first, one);
  return { variable, usersOf, inUse: rotated ? usersOf(version)[0] : undefined };
}

export interface ModuleVariables {
  /** What anyone may read: goes into a ConfigMap. */
  readonly plain: Readonly<Record<string, string>>;
  /** Entries of the container itself: Kubernetes fills passwords only into those. */
  readonly own: readonly (
    | { readonly name: string; readonly value: string }
    | {
        readonly name: string;
        readonly valueFrom: {
          readonly secretKeyRef: { readonly name: string; readonly key: string; readonly optional?: true };
        };
      }
  )[];
}

/** The environment of a module in production; what it declares itself wins over what its services bring. */
export function moduleVariables(spec: ModuleProductionSpec): ModuleVariables {
  const { module, services = {} } = spec;
  const fromServices: Record<string, Filled> = Object.assign(
    {},
    ...module.services.map((use, index) => {
      const service = serviceOf(services, use);
      return moduleEnvironment(
        { ...service, port: use.existing?.port ?? service.port },
        access(spec, use, `${PASSWORD_VARIABLE}_${index}`),
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
  // Which service has the last word on a variable.
  const bringing = Object.assign(
    {},
    ...module.services.map((use) =>
      Object.fromEntries(Object.keys(serviceOf(services, use).moduleEnvironment).map((name) => [name, use])),
    ),
  );
  return {
    plain,
    own: [
      ...module.services.map((use, index) => ({
        name: `${PASSWORD_VARIABLE}_${index}`,
        valueFrom: { secretKeyRef: { name: credentialsName(use), key: 'password' } },
      })),
      ...filled,
      // From the Secret that holds the password, so that no Pod sees one without the other.
      ...module.services.flatMap((use) => {
        const variable = alternatingUser(spec, use)?.variable;
        if (variable === undefined || bringing[variable] !== use || Object.hasOwn(written, variable))
          return [];
        const secretKeyRef = { name: credentialsName(use), key: 'user', optional: true } as const;
        return [{ name: variable, valueFrom: { secretKeyRef } }];
      }),
    ],
  };
}
