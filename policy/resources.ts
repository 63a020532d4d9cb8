import type { Item } from '../rules/facts/item';
import { at, isFields, UNKNOWN } from '../rules/facts/read';

/** What the adapter reads of a `PolicyResource`: a part of the type, so that a test needs no engine. */
export interface EngineResource {
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  readonly props: Readonly<Record<string, unknown>>;
  readonly provider?: { readonly name: string; readonly props: Readonly<Record<string, unknown>> };
  readonly propertyDependencies: Readonly<Record<string, readonly { readonly name: string }[]>>;
}

/** Packages whose resources the rules know. */
const KNOWN = /^(kubernetes|gitlab|docker):/;

/**
 * A plain copy. Reading what a preview cannot know throws, by design of `@pulumi/policy`; it becomes {@link UNKNOWN}, so
 * that one unknown value does not silence a rule about all others.
 */
function known(read: () => unknown): unknown {
  let value: unknown;
  try {
    value = read();
  } catch {
    return UNKNOWN;
  }
  if (Array.isArray(value)) {
    const entries: readonly unknown[] = value;
    return Array.from({ length: entries.length }, (_, index) => known(() => entries[index]));
  }
  if (isFields(value)) return knownFields(value);
  return value;
}

const knownFields = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.keys(fields).map((key) => [key, known(() => fields[key])]));

/** Providers of the same settings lead to the same cluster. */
function clusterOf(provider: EngineResource['provider']): string | undefined {
  if (!provider) return undefined;
  const settings = knownFields(provider.props);
  const place = ['context', 'cluster', 'kubeconfig'].map((key) => at(settings, key) ?? null);
  return place.every((part) => part === null) ? provider.name : JSON.stringify(place);
}

/** What the engine registered, as the rules read it. Components and providers are left out. */
export function itemsOfResources(resources: readonly EngineResource[]): Item[] {
  return resources
    .filter(({ type }) => KNOWN.test(type))
    .map(({ type, name, props, provider, propertyDependencies }) => ({
      type,
      name,
      provider: provider?.name,
      cluster: type.startsWith('kubernetes:') ? clusterOf(provider) : undefined,
      args: knownFields(props),
      links: Object.fromEntries(
        Object.entries(propertyDependencies).map(([property, needed]) => [
          property,
          needed.map((resource) => resource.name),
        ]),
      ),
    }));
}
