import { isTemplate, shownText, type Template } from '../../components/shared/references';

/**
 * Rules read arguments as plain data of unknown shape: the same code sees typed declarations and what an engine hands
 * to a policy pack. Whatever is absent, of another shape or not known yet reads as undefined.
 */

/** Stands where a value is known only once the engine has made the resource. */
export const UNKNOWN = '«unknown»';

export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !isTemplate(value);

/** The value at a path of keys. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value;
  for (const key of path) {
    if (!isFields(here) || !Object.hasOwn(here, key)) return undefined;
    here = here[key];
  }
  return here;
}

/** A text, with each reference in it as people read it. What must tell the two apart reads {@link textual}. */
export function text(value: unknown, ...path: readonly string[]): string | undefined {
  const found = textual(value, ...path);
  return found === undefined ? undefined : shownText(found);
}

/** A text as it was declared: plain, or with references in it. */
export function textual(value: unknown, ...path: readonly string[]): string | Template | undefined {
  const found = at(value, ...path);
  return isTextual(found) ? found : undefined;
}

export const isTextual = (value: unknown): value is string | Template =>
  typeof value === 'string' || isTemplate(value);

export function number(value: unknown, ...path: readonly string[]): number | undefined {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : undefined;
}

/** The entries of a list; nothing where there is none. */
export function list(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The fields of an object; none where there is none. */
export function fields(value: unknown, ...path: readonly string[]): Fields {
  const found = at(value, ...path);
  return isFields(found) ? found : {};
}

/** An entry of a map of lists, made on first use. */
export function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}
