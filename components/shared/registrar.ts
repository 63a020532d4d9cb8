import * as docker from '@pulumi/docker';
import * as gitlab from '@pulumi/gitlab';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import type { Declaration, ProviderRole, ResourceType } from './declaration';
import { EDITION, protectionArgs } from './edition';
import type { Handle } from './handle';
import { kindOf, type Packages, type ResourceByType } from './kinds';
import { needsOf } from './order';
import { untilReachable } from './reachable';
import { isSecret, isTemplate, type Reference, type Template } from './references';
import { Secrets, type Versions } from './secrets';

/** A login of something that Switchyard did not make. */
export interface Brought {
  readonly user: string;
  readonly password: pulumi.Output<string>;
}

export interface RegistrarInputs {
  /** Root of all derived secrets. */
  readonly seed: pulumi.Output<string>;
  /** Whose secrets they are: another environment's differ under the same seed. */
  readonly environment: string;
  /** Versions of secrets that were rotated. @default each has its first */
  readonly versions?: Versions;
  /** Secrets that the environment brings, by name; each already an `Output` secret. @default none */
  readonly given?: Readonly<Record<string, pulumi.Output<string>>>;
  /**
   * Credentials that a person brings instead of a derived secret, by the secret's purpose. @default every secret is
   * derived
   */
  readonly brought?: Readonly<Record<string, Brought>>;
  /** What was looked up, by `what:key` of its reference, and GitLab's edition under {@link EDITION}. */
  readonly found?: Readonly<Record<string, string>>;
  /**
   * Makes a provider when the first resource needs it; undefined leaves the resource with its component's.
   * @default every resource has its component's
   */
  readonly provider?: (role: ProviderRole) => pulumi.ProviderResource | undefined;
  /** Waits until an address answers. @default {@link untilReachable} */
  readonly reach?: (url: string) => Promise<void>;
}

const packages: Packages = { docker, gitlab, k8s };

/** What Pulumi takes among plain arguments. */
const isPulumis = (value: object): boolean =>
  pulumi.Output.isInstance(value) ||
  value instanceof Promise ||
  pulumi.asset.Asset.isInstance(value) ||
  pulumi.asset.Archive.isInstance(value) ||
  pulumi.Resource.isInstance(value);

const base64 = (text: string | undefined): string | undefined =>
  text === undefined ? text : Buffer.from(text).toString('base64');

/**
 * A Secret's texts as its `data`. The API server turns `stringData` into that, but nobody owns what it made there: of a
 * Secret that is changed in place a key that is no longer written would stay (kubernetes/kubernetes#108008). Without any
 * text it has no `data` either: the official provider takes an empty one for a change at each preview.
 */
function inData(args: { readonly data?: object; readonly stringData?: object }): object {
  const { stringData, data, ...rest } = args;
  if (stringData === undefined) return args;
  // Each may be known only as a whole.
  if ([stringData, data].some((one) => one !== undefined && isPulumis(one)))
    return {
      ...rest,
      data: pulumi
        .all([pulumi.output(data), pulumi.output(stringData as pulumi.Input<Record<string, string>>)])
        .apply(([known, texts]) => {
          const encoded = Object.entries(texts ?? {}).map(([key, text]) => [key, base64(text)]);
          return { ...known, ...Object.fromEntries(encoded) };
        }),
    };
  const encoded = Object.entries(stringData).map(([key, text]): [string, unknown] => [
    key,
    pulumi.output(text as pulumi.Input<string | undefined>).apply(base64),
  ]);
  const all = { ...data, ...Object.fromEntries(encoded) };
  return Object.keys(all).length === 0 ? rest : { ...rest, data: all };
}

/** What is left as it was applied, where the engine finds it: a Secret's texts stand in its `data`. */
const ignoredOf = ({ type, ignoreChanges }: Declaration): string[] | undefined =>
  ignoreChanges?.map((path) =>
    type === 'kubernetes:core/v1:Secret' ? path.replace(/^stringData(?=$|[.[])/, 'data') : path,
  );

/** Turns declarations into resources and puts run-time values in the place of references. */
export class Registrar {
  private readonly registered = new Map<string, pulumi.CustomResource>();
  private readonly types = new Map<string, ResourceType>();
  private readonly providers = new Map<ProviderRole, pulumi.ProviderResource>();

  constructor(private readonly inputs: RegistrarInputs) {}

  /** @throws Error when a declaration refers to one that was not registered before it: a fault of the program */
  register(declaration: Declaration, parent: pulumi.Resource): pulumi.CustomResource {
    const Resource = kindOf(declaration.type).resource(packages);
    for (const name of needsOf(declaration)) this.find(name, declaration.name);
    const args = this.resolve(declaration.existing === undefined ? this.argsOf(declaration) : {}) as object;
    const resource = new Resource(
      declaration.name,
      (declaration.type === 'kubernetes:core/v1:Secret' ? inData(args) : args) as never,
      {
        parent,
        aliases: declaration.aliases?.map((name) => ({ name })),
        id: this.existingId(declaration),
        provider: this.provider(declaration.provider),
        dependsOn: this.dependencies(declaration),
        protect: declaration.protect,
        retainOnDelete: declaration.retainOnDelete,
        ignoreChanges: ignoredOf(declaration),
        deleteBeforeReplace: declaration.type.startsWith('kubernetes:') ? true : undefined,
      },
    );
    this.registered.set(declaration.name, resource);
    this.types.set(declaration.name, declaration.type);
    return resource;
  }

  /** What a declaration became. @throws Error when it was not registered yet: a fault of the program */
  resource<T extends ResourceType>({ name, type }: Handle<T>): ResourceByType[T] {
    const resource = this.find(name, 'a component');
    if (this.types.get(name) !== type) throw new Error(`"${name}" is no ${type}`);
    return resource as ResourceByType[T];
  }

  /** What a reference becomes, for whoever has no declaration to put it in. */
  output(reference: Template): pulumi.Output<string> {
    return pulumi.output(this.filled(reference) as pulumi.Input<string>);
  }

  private argsOf(declaration: Declaration): object {
    return declaration.type === 'gitlab:index/branchProtection:BranchProtection'
      ? protectionArgs(declaration.args, this.inputs.found?.[EDITION])
      : declaration.args;
  }

  private dependencies(declaration: Declaration): pulumi.Input<pulumi.Resource[]> {
    const resources = (declaration.dependsOn ?? []).map((name) => this.find(name, declaration.name));
    const { needsAnswer } = declaration;
    if (!needsAnswer || pulumi.runtime.isDryRun()) return resources;
    return pulumi
      .all(resources.map(({ id }) => id))
      .apply(async () => (this.inputs.reach ?? untilReachable)(needsAnswer).then(() => resources));
  }

  private provider(role: ProviderRole): pulumi.ProviderResource | undefined {
    const provider = this.providers.get(role) ?? this.inputs.provider?.(role);
    if (provider) this.providers.set(role, provider);
    return provider;
  }

  private existingId({ existing }: Declaration): pulumi.Output<pulumi.ID> | undefined {
    return existing === undefined ? undefined : pulumi.output(this.resolve(existing) as pulumi.Input<string>);
  }

  private find(name: string, wantedBy: string): pulumi.CustomResource {
    const found = this.registered.get(name);
    if (!found) throw new Error(`"${wantedBy}" needs "${name}", which is not declared before it`);
    return found;
  }

  /** What a reference becomes; a secret whatever it was made of, where it stands for one. */
  private value(reference: Reference): pulumi.Output<unknown> {
    const value = this.plainValue(reference);
    const type = reference.kind === 'output' ? this.types.get(reference.resource) : undefined;
    return isSecret(reference, type) ? pulumi.secret(value) : value;
  }

  private given(name: string): pulumi.Output<string> {
    const value = this.inputs.given?.[name];
    if (!value) throw new Error(`secret "${name}" is used but was not given`);
    return value;
  }

  private plainValue(reference: Reference): pulumi.Output<unknown> {
    const { seed, environment, versions, brought = {}, found = {} } = this.inputs;
    const derived = (derive: (secrets: Secrets) => string) =>
      seed.apply((root) => derive(new Secrets(root, environment, versions)));
    switch (reference.kind) {
      case 'found': {
        const value = found[`${reference.what}:${reference.key}`];
        if (value === undefined) throw new Error(`${reference.what} "${reference.key}" was not looked up`);
        return pulumi.output(value);
      }
      case 'secret':
        return (
          brought[reference.purpose]?.password ?? derived((secrets) => secrets.secret(reference.purpose))
        );
      case 'basic': {
        const login = brought[reference.purpose];
        if (login)
          return login.password.apply((password) =>
            Buffer.from(`${login.user}:${password}`).toString('base64'),
          );
        return derived((secrets) => secrets.basic(reference.user, reference.purpose));
      }
      case 'htpasswd':
        return derived((secrets) => secrets.htpasswd(reference.user, reference.purpose));
      case 'certificate': {
        const { purpose, host, part } = reference;
        const made = derived((secrets) => secrets.certificate(purpose, host, part));
        // Made of a secret, and none itself: an API server is to show whom it trusts.
        return part === 'key' ? made : pulumi.unsecret(made);
      }
      case 'key':
        if (reference.of === undefined) return derived((secrets) => secrets.key(reference.path));
        return this.given(reference.of.variable).apply((root) =>
          new Secrets(root, reference.of?.environment ?? environment).key(reference.path),
        );
      case 'given':
        return this.given(reference.name);
      case 'input': {
        const { user, value } = reference;
        if (user === undefined) return pulumi.output(value);
        const login = pulumi
          .output(value)
          .apply((password) => Buffer.from(`${user}:${password}`).toString('base64'));
        return pulumi.secret(login);
      }
      case 'output': {
        const resource = this.find(reference.resource, 'a reference');
        const [property = '', ...rest] = reference.property.split('.');
        const output = (resource as unknown as Record<string, pulumi.Output<unknown>>)[
          property
        ] as pulumi.Output<unknown>;
        if (rest.length === 0) return output;
        return output.apply((map) => (map as Record<string, unknown> | undefined)?.[rest.join('.')]);
      }
    }
  }

  /**
   * Arguments with run-time values in the place of references. Plain data is copied; what Pulumi itself knows is passed
   * on untouched, with whatever it says of itself (an output, that it is a secret).
   * @throws Error for an object of any other class, which would reach the provider as some of its properties
   */
  private resolve(value: unknown): unknown {
    if (isTemplate(value)) return this.filled(value);
    if (Array.isArray(value)) return value.map((inner) => this.resolve(inner));
    if (typeof value === 'function') throw new Error('a function is no argument of a resource');
    if (value === null || typeof value !== 'object' || isPulumis(value)) return value;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== null && prototype !== Object.prototype)
      throw new Error(`an object of class ${value.constructor.name} is no argument of a resource`);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.resolve(inner)]));
  }

  private filled({ pieces }: Template): unknown {
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) return typeof only === 'string' ? only : this.value(only);
    return pulumi
      .all(
        pieces.map((piece) =>
          typeof piece === 'string' ? pulumi.output<unknown>(piece) : this.value(piece),
        ),
      )
      .apply((values) => values.join(''));
  }
}
