/** One field in which two values differ. */
export interface Difference {
  /** Keys and indices from the outside in. */
  readonly path: readonly (string | number)[];
  /** Undefined where the one side has no such field. */
  readonly before: unknown;
  readonly after: unknown;
}

/** Marks a secret in the engine's events: https://github.com/pulumi/pulumi, sdk/go/common/resource, `SigKey`. */
const SECRET_KEY = '4dabf18193072939515e22adb298388d';
const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
export const isSecret = (value: unknown): boolean => isRecord(value) && SECRET_KEY in value;

/** Items of a list that carry names are compared by name, as people think of containers, ports and variables. */
function byName(list: readonly unknown[]): Map<string, number> | undefined {
  const names = list.map((item) => (isRecord(item) && typeof item.name === 'string' ? item.name : undefined));
  if (list.length === 0 || names.some((name) => name === undefined)) return undefined;
  const indices = new Map(names.map((name, index) => [String(name), index]));
  return indices.size === list.length ? indices : undefined;
}

function compareLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: readonly (string | number)[],
): Difference[] {
  const [old, now] = [byName(before), byName(after)];
  if (old && now) {
    return [...new Set([...old.keys(), ...now.keys()])].flatMap((name) => {
      const [from, to] = [old.get(name), now.get(name)];
      return compare(
        from === undefined ? undefined : before[from],
        to === undefined ? undefined : after[to],
        [...path, to ?? from ?? 0],
      );
    });
  }
  if (before.length !== after.length) return [{ path, before, after }];
  return before.flatMap((item, index) => compare(item, after[index], [...path, index]));
}

function compare(before: unknown, after: unknown, path: readonly (string | number)[]): Difference[] {
  if (isSecret(before) || isSecret(after)) {
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
  }
  if (isRecord(before) && isRecord(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .sort()
      .flatMap((key) => compare(before[key], after[key], [...path, key]));
  }
  if (Array.isArray(before) && Array.isArray(after)) return compareLists(before, after, path);
  return before === after || JSON.stringify(before) === JSON.stringify(after)
    ? []
    : [{ path, before, after }];
}

/** The fields in which two values differ, outermost keys in alphabetical order. */
export const differences = (before: unknown, after: unknown): Difference[] => compare(before, after, []);

/** `spec.template.spec.containers[0].image`, as Pulumi and kubectl write paths. */
export function pathText(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[\w$-]+$/.test(part)) return `["${part}"]`;
      return index === 0 ? part : `.${part}`;
    })
    .join('');
}

export const differingPaths = (before: unknown, after: unknown): string[] =>
  differences(before, after)
    .map(({ path }) => pathText(path))
    .filter((path) => path !== '' && !path.startsWith('__'));
