import { isDeepStrictEqual } from 'node:util';
import type * as pulumi from '@pulumi/pulumi';
import { type Problem, ProblemsError } from '../../catalog/problems';
import type { Declaration, ProviderRole } from './declaration';
import { inOrder, needsOf } from './order';
import { isTemplate } from './references';

// Changes that a repository of one's own makes to what is declared, before anybody reads it (docs/components/transform.md).

export type { Declaration } from './declaration';

/** Where a declaration stands. */
export interface TransformContext {
  /** Name of the environment, e.g. `production`. */
  readonly environment: string;
  /** Name of the component, e.g. `production-orders`. */
  readonly component: string;
  /** Box of the picture, e.g. `production`. @default none: the component stands alone */
  readonly box?: string;
  /** Set where the component belongs to one module. */
  readonly module?: string;
}

/**
 * What stands in a declaration's place: another one, several, none (`[]`), or itself, where it returns undefined. Pure: the
 * same declaration gives the same result, and what it is given stays as it is.
 */
export type Transform = (
  declaration: Declaration,
  context: TransformContext,
) => Declaration | readonly Declaration[] | undefined;

/** A component with what it declares. */
export interface Declaring {
  readonly name: string;
  readonly box?: string;
  readonly module?: string;
  readonly declarations: readonly Declaration[];
}

export interface TransformOptions<B> {
  readonly environment: string;
  /** What people know the transform by, e.g. `transform.ts`. */
  readonly file: string;
  /** Components that a run may evaluate without the others. @default none */
  readonly alone?: (box: B) => boolean;
  /** Set where values that only the engine knows may stand in a result, and nobody looks at it a second time. */
  readonly outputs?: boolean;
}

/** An object of no class; one that another copy of this module made a reference is none. */
const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

function merged(value: unknown, change: unknown): unknown {
  if (!isPlain(value) || !isPlain(change)) return change;
  const changed = Object.entries(change).map(([key, inner]) => [key, merged(value[key], inner)] as const);
  const all = { ...value, ...Object.fromEntries(changed) };
  return Object.fromEntries(Object.entries(all).filter(([, inner]) => inner !== undefined));
}

/** Arguments of which any part may be left out; a list is a whole one. */
export type Changes<T> = T extends Promise<unknown> | pulumi.OutputInstance<unknown>
  ? never
  : T extends readonly unknown[]
    ? T
    : T extends object
      ? { readonly [K in keyof T]?: Changes<T[K]> }
      : T;

/**
 * A copy of a declaration with some arguments changed: objects are merged, lists and all else replaced, and what is
 * undefined is taken away.
 */
export const withArgs = <D extends Declaration>(declaration: D, args: Changes<D['args']>): D => ({
  ...declaration,
  args: merged(declaration.args, args) as D['args'],
});

function frozen<T>(value: T): T {
  if (Object.isFrozen(value) || !(Array.isArray(value) || isPlain(value))) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) frozen(inner);
  return value;
}

const PROVIDERS: readonly ProviderRole[] = ['ci', 'production', 'gitlab', 'docker'];

/** A path to what is neither plain data nor a reference, e.g. `args.spec`. */
function odd(value: unknown, path: string): string | undefined {
  if (
    isTemplate(value) ||
    value === null ||
    ['string', 'number', 'boolean', 'undefined'].includes(typeof value)
  )
    return undefined;
  if (!Array.isArray(value) && !isPlain(value)) return path;
  for (const [key, inner] of Object.entries(value)) {
    const found = odd(inner, `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Where others find an object: delivery, Jenkins and other boxes are told it by the settings, not by this declaration. */
const addressOf = ({ args }: Declaration): unknown => {
  const { metadata } = args as {
    readonly metadata?: { readonly name?: unknown; readonly namespace?: unknown };
  };
  return [metadata?.name, metadata?.namespace];
};

type Fault = Pick<Problem, 'what' | 'remedy'>;

/** What is wrong with one of those that stand in a declaration's place. */
function faultOf(before: Declaration, after: unknown, outputs: boolean): Fault | undefined {
  const { type, name, provider, args } = isPlain(after) ? after : ({} as Record<string, unknown>);
  if (typeof type !== 'string' || typeof name !== 'string' || name === '' || !isPlain(args))
    return {
      what: 'has something in its place that is no declaration.',
      remedy: 'Return one with type, name, provider and args, as { ...declaration, args } has them.',
    };
  if (!PROVIDERS.includes(provider as ProviderRole))
    return { what: `gets the provider "${provider}".`, remedy: `Use one of ${PROVIDERS.join(', ')}.` };
  if (name === before.name && type !== before.type)
    return {
      what: `is a ${before.type}, and the transform makes it a ${type}.`,
      remedy: 'Leave it out, and add the other one under a name of its own.',
    };
  if (name === before.name && !isDeepStrictEqual(addressOf(after as never), addressOf(before)))
    return {
      what: 'gets another metadata.name or metadata.namespace, by which others find it.',
      remedy: 'Keep both.',
    };
  const place = outputs ? undefined : odd(after, '');
  if (place === undefined) return undefined;
  return {
    what: `has no plain data at ${place.slice(1)}.`,
    remedy: 'Use texts, numbers, lists and objects, and the references that it was given.',
  };
}

/** What a transform makes of one declaration. @throws ProblemsError */
function replaced(
  transform: Transform,
  before: Declaration,
  context: TransformContext,
  { file, outputs = false }: Pick<TransformOptions<never>, 'file' | 'outputs'>,
): readonly Declaration[] {
  const refuse = ({ what, remedy }: Fault): never => {
    throw new ProblemsError([{ file, key: before.name, what, remedy }]);
  };
  const call = (): unknown => {
    try {
      return transform(before, context);
    } catch (error) {
      const said = String((error as Partial<Error> | null | undefined)?.message ?? error);
      return refuse({
        what: `the transform throws: ${said}.`,
        remedy: /read only|not extensible|Cannot delete/.test(said)
          ? 'Return a copy, e.g. of withArgs: what it is given may not be changed.'
          : 'Mend it.',
      });
    }
  };
  const result = call();
  if (!outputs && !isDeepStrictEqual(call(), result))
    refuse({
      what: 'the transform makes two things of it when it is asked twice.',
      remedy: 'Have it depend on nothing but what it is given: no time, no random number, no count.',
    });
  if (result === undefined) return [before];
  if (result === null || typeof (result as Partial<Promise<unknown>>).then === 'function')
    refuse({
      what: `the transform returns ${result === null ? 'null' : 'a promise'}.`,
      remedy: 'Return a declaration, a list of them ([] leaves it out), or undefined to leave it as it is.',
    });
  const all = (Array.isArray(result) ? result : [result]) as readonly Declaration[];
  for (const after of all) {
    const fault = faultOf(before, after, outputs);
    if (fault) refuse(fault);
  }
  const [only] = all;
  if (only && !Array.isArray(result) && only.name !== before.name && !only.aliases?.includes(before.name))
    refuse({
      what: `is renamed to "${only.name}" without an alias: what it is by now would be deleted.`,
      remedy: `Add aliases: ['${before.name}'].`,
    });
  return all;
}

const namesOf = (boxes: readonly Declaring[]): Map<string, number> =>
  new Map(boxes.flatMap(({ declarations }, index) => declarations.map(({ name }) => [name, index] as const)));

/** Names that were given once, and are given again now. */
function duplicates(before: readonly Declaring[], after: readonly Declaring[]): string[] {
  const count = (boxes: readonly Declaring[]): Map<string, number> => {
    const found = new Map<string, number>();
    for (const { declarations } of boxes)
      for (const { name } of declarations) found.set(name, (found.get(name) ?? 0) + 1);
    return found;
  };
  const [was, is] = [count(before), count(after)];
  return [...is].flatMap(([name, times]) => (times > Math.max(1, was.get(name) ?? 0) ? [name] : []));
}

/** What declarations need that is gone, or not there when it is needed. */
function* unmet<B extends Declaring>(
  before: readonly B[],
  after: readonly B[],
  alone: (box: B) => boolean,
): Generator<Fault & { readonly key: string }> {
  const [was, is] = [namesOf(before), namesOf(after)];
  for (const [index, box] of after.entries()) {
    const known = new Set(
      (before[index]?.declarations ?? []).flatMap(needsOf).filter((name) => !was.has(name)),
    );
    for (const declaration of box.declarations)
      for (const name of needsOf(declaration)) {
        const at = is.get(name);
        if (known.has(name) && at === undefined) continue;
        if (at === undefined)
          yield {
            key: declaration.name,
            what: `needs "${name}", which ${was.has(name) ? 'the transform leaves out or renames' : 'nobody declares'}.`,
            remedy: was.has(name) ? 'Keep it, or change what needs it too.' : 'Name one that is declared.',
          };
        else if (at > index || (at !== index && alone(box)))
          yield {
            key: declaration.name,
            what: `needs "${name}" of ${after[at]?.name}, ${alone(box) ? 'and a deploy evaluates' : 'which is made after'} ${box.name}${alone(box) ? ' alone' : ''}.`,
            remedy: alone(box)
              ? 'Have it need what is in its own component.'
              : 'Have it need what is made before.',
          };
      }
  }
}

/**
 * What components declare, with a transform's changes. The order of components stays; within one nothing is ordered yet.
 * @throws ProblemsError with every fault: the transform's own, names that are gone or given twice, circles
 */
export function transformed<B extends Declaring>(
  boxes: readonly B[],
  transform: Transform,
  options: TransformOptions<B>,
): B[] {
  const { environment, file, alone = () => false } = options;
  const problems: Problem[] = [];
  const after = boxes.map((box): B => {
    const context: TransformContext = frozen({
      environment,
      component: box.name,
      ...(box.box ? { box: box.box } : {}),
      ...(box.module ? { module: box.module } : {}),
    });
    const declarations = box.declarations.flatMap((declaration) => {
      try {
        return replaced(transform, frozen(declaration), context, options);
      } catch (error) {
        if (!(error instanceof ProblemsError)) throw error;
        problems.push(...error.problems);
        return [declaration];
      }
    });
    return { ...box, declarations };
  });
  for (const name of duplicates(boxes, after))
    problems.push({
      file,
      key: name,
      what: 'is declared twice.',
      remedy: 'Give one of the two another name.',
    });
  // What is named twice or at fault says little about what needs it.
  if (problems.length === 0)
    for (const fault of unmet(boxes, after, alone)) problems.push({ file, ...fault });
  if (problems.length === 0)
    for (const box of after) {
      try {
        inOrder(box.declarations);
      } catch (error) {
        const what = `${error instanceof Error ? error.message : String(error)}.`;
        problems.push({ file, key: box.name, what, remedy: 'Change dependsOn, the arguments or aliases.' });
      }
    }
  if (problems.length > 0) throw new ProblemsError(problems);
  return after;
}
