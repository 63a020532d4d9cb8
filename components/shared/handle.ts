import type * as pulumi from '@pulumi/pulumi';
import type { ResourceType } from './declaration';
import type { ResourceByType } from './kinds';
import { outputRef, type Ref } from './references';

/** Names a declaration to others, which wait for it or take what it outputs. A declaration is one itself. */
export interface Handle<T extends ResourceType = ResourceType> {
  readonly type: T;
  readonly name: string;
}

export const handle = <T extends ResourceType>(type: T, name: string): Handle<T> => ({ type, name });

/** Properties of a resource that it outputs. */
type OutputOf<R> = {
  [K in keyof R & string]: R[K] extends pulumi.Output<unknown> ? K : never;
}[keyof R & string];

/**
 * What a declaration outputs, for the arguments of another.
 * @param key one key of a map that it outputs. @default the whole output
 */
export const outputOf = <T extends ResourceType>(
  { name }: Handle<T>,
  property: OutputOf<ResourceByType[T]>,
  key?: string,
): Ref => outputRef(name, key === undefined ? property : `${property}.${key}`);

/** The names under which declarations keep what they wait for. */
export const namesOf = (handles: readonly (Handle | string)[]): string[] =>
  handles.map((one) => (typeof one === 'string' ? one : one.name));
