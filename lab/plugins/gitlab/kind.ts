import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckFailure } from '../shared/server';
import type { Props } from '../shared/values';
import type { Client } from './client';

/** How one resource of the package maps to GitLab's REST API. */
export interface Kind {
  /** Inputs that reach GitLab. What the schema has besides is refused by name. */
  covered: readonly string[];
  /** Inputs that steer this plug-in or matter at creation only: their change touches nothing in GitLab. */
  local?: readonly string[];
  /** Property -> field of the API, where it is not the property in snake_case. */
  rename?: Readonly<Record<string, string>>;
  /** Inputs whose change asks for a new object, besides those that the schema marks. */
  replace?: readonly string[];
  /** Documented values of an input (of each item, when it is a list); the schema does not carry them. */
  values?: Readonly<Record<string, readonly string[]>>;
  /** What GitLab is told when an input is taken away; inputs that are not here then keep GitLab's value. */
  reset?: Readonly<Props>;
  /** Lists whose order means nothing. */
  unordered?: readonly string[];
  /** Inputs that an import fills in, besides the required ones. */
  imported?: readonly string[];
  /** GitLab allows only one such object, so the old one goes first. */
  deleteBeforeReplace?: boolean;
  /** `name` is made from the resource's name when it is not given. */
  autoname?: boolean;
  /** Outputs that an update may change: unknown in a preview of one. */
  moving?: readonly string[];
  /** Faults that need more than one input to see. Inputs may be unknown. */
  validate?(inputs: Props): CheckFailure[];
  /** Fields of a list's items that GitLab fills in: what is declared is compared without them. */
  filledIn?: Readonly<Record<string, readonly string[]>>;
  /** What the official provider asks GitLab before it plans: the reason why these inputs are refused. */
  plan?(client: Client, inputs: Props): Promise<string | undefined>;
  /** True when the object must change although no input did, e.g. a token that is due for rotation. */
  due?(state: Props, inputs: Props): boolean;
  /** Returns the id, and outputs that GitLab shows only now. */
  create(client: Client, inputs: Props): Promise<{ id: string; once?: Props }>;
  /** GitLab's fields as it has them, `undefined` when the object is gone. `state`: the last known outputs, if any. */
  read(client: Client, id: string, state: Props): Promise<Props | undefined>;
  /** `changed`: the inputs that differ, resets included. Returns outputs that GitLab shows only now. */
  update?(
    client: Client,
    id: string,
    changed: Props,
    inputs: Props,
    state: Props,
  ): Promise<Props | undefined>;
  delete(client: Client, id: string, state: Props): Promise<void>;
}

/** `mergeRequestsEvents` -> `merge_requests_events`. */
export const snakeCase = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** A property's field in the API. */
export const fieldOf = (kind: Pick<Kind, 'rename'>, property: string): string =>
  kind.rename?.[property] ?? snakeCase(property);

/** The request body of these inputs; local ones and what is not given stay out. */
export function bodyOf(
  kind: Pick<Kind, 'rename' | 'covered'>,
  inputs: Props,
  without: readonly string[] = [],
): Props {
  const body: Props = {};
  for (const property of kind.covered) {
    const value = inputs[property];
    if (value !== undefined && !without.includes(property)) body[fieldOf(kind, property)] = value;
  }
  return body;
}

/** A path segment: ids and full paths alike. */
export const segment = (value: unknown): string => encodeURIComponent(String(value));

/** Splits `<project>:<rest>`, the form of the official provider's composite ids. */
export function splitId(id: string): [string, string] {
  const at = id.indexOf(':');
  if (at <= 0 || at === id.length - 1)
    throw new Error(`"${id}" is not an id of the form "<project or group>:<id>"`);
  return [id.slice(0, at), id.slice(at + 1)];
}

/** Asks again until the answer is true. @throws after `seconds` */
export async function until(what: string, seconds: number, done: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + seconds * 1000;
  for (let pause = 100; !(await done()); pause = Math.min(2000, pause * 2)) {
    if (Date.now() > end) throw new Error(`GitLab: ${what} has not happened after ${seconds} s`);
    await sleep(pause);
  }
}

/** GitLab's numbers of its access levels. */
const LEVELS: Readonly<Record<string, number>> = {
  'no one': 0,
  minimal: 5,
  guest: 10,
  planner: 15,
  reporter: 20,
  developer: 30,
  maintainer: 40,
  owner: 50,
  admin: 60,
};

export const levelNumber = (name: unknown): number => {
  const level = LEVELS[String(name)];
  if (level === undefined) throw new Error(`"${String(name)}" is not an access level`);
  return level;
};

export const levelName = (level: unknown): string =>
  Object.entries(LEVELS).find(([, number]) => number === level)?.[0] ?? String(level);

export const MEMBER_LEVELS = [
  'minimal',
  'guest',
  'planner',
  'reporter',
  'developer',
  'maintainer',
  'owner',
] as const;
