import * as pulumi from '@pulumi/pulumi';
import type { Declaration, ResourceType } from './declaration';
import type { Handle } from './handle';
import { warnUnlessInPlace } from './in-place';
import type { ResourceByType } from './kinds';
import { inOrder } from './order';
import { isTemplate } from './references';
import { Registrar } from './registrar';
import type { Versions } from './secrets';
import { type Transform, transformed } from './transform';

/** What a component that stands alone is given besides its own arguments. */
export interface StandaloneArgs {
  /**
   * Root of the passwords that the component derives, so that the same program makes the same ones again. Text that nobody
   * can guess, e.g. 64 random hexadecimal characters from the stack's encrypted configuration. Another seed is another
   * password for everything.
   */
  readonly seed: pulumi.Input<string>;
  /** Changes what the component declares before it is registered: docs/components/transform.md. @default nothing is changed */
  readonly transform?: Transform;
}

/** What a component of a topology is given besides its own arguments. */
export interface SharedArgs {
  /** Registers the resources of all components, so that they can use each other's. */
  readonly registrar: Registrar;
  /** What a transform made of the declarations of each component, by its name. @default what it declares itself */
  readonly declared?: ReadonlyMap<string, readonly Declaration[]>;
}

/** Where a component's secrets come from: a seed of its own, or the topology that it is part of. */
export type RuntimeArgs = StandaloneArgs | SharedArgs;

/** What a component derives its secrets by. */
interface Derivation {
  readonly environment: string;
  readonly versions?: Versions;
}

/** What a provider may have to delete for a change. */
const MUTABLE: readonly ResourceType[] = ['kubernetes:core/v1:ConfigMap', 'kubernetes:core/v1:Secret'];

const registrarOf = (args: RuntimeArgs & Derivation): Registrar => {
  if ('registrar' in args) return args.registrar;
  const { seed, environment, versions } = args;
  return new Registrar({ seed: pulumi.secret(seed), environment, versions });
};

/** What is registered: what the topology has of it where a transform changed that, or its own transform makes of it. */
function wantedOf(
  name: string,
  declarations: readonly Declaration[],
  args: RuntimeArgs & Derivation,
): readonly Declaration[] {
  if ('registrar' in args) return args.declared?.get(name) ?? declarations;
  const { environment, transform } = args;
  if (!transform) return declarations;
  const options = { environment, file: `transform of "${name}"`, outputs: true };
  return transformed([{ name, declarations }], transform, options).flatMap((box) => box.declarations);
}

/** A component whose children are the declarations of a pure function. */
export class Component extends pulumi.ComponentResource {
  private readonly registrar: Registrar;

  /**
   * @param token type of the component, as in `switchyard:registry:Registry`
   * @param declarations in whatever order reads best: each is registered after those that it needs
   * @param opts with `aliases` for the names that the component had before: what is below it is found by them, too
   * @throws ProblemsError for a transform of its own that is at fault
   */
  constructor(
    token: string,
    name: string,
    declarations: readonly Declaration[],
    args: RuntimeArgs & Derivation,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super(token, name, {}, opts);
    this.registrar = registrarOf(args);
    const wanted = wantedOf(name, declarations, args);
    if (!('registrar' in args) && wanted.some(({ type }) => MUTABLE.includes(type))) {
      warnUnlessInPlace(this, name);
    }
    for (const declaration of inOrder(wanted)) this.registrar.register(declaration, this);
  }

  /** What a reference of its declarations becomes, e.g. a derived password. */
  protected output(value: pulumi.Input<string>): pulumi.Output<string> {
    return isTemplate(value) ? this.registrar.output(value) : pulumi.output(value);
  }

  /** The resource that a declaration of this component became. */
  protected resource<T extends ResourceType>(declared: Handle<T>): ResourceByType[T] {
    return this.registrar.resource(declared);
  }
}
