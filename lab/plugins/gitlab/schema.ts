import packageSchema from '../../../sdks/gitlab-schema.json';
import type { CheckFailure } from '../shared/server';
import { isRecord, type Props, UNKNOWN } from '../shared/values';

interface TypeSpec {
  type?: string;
  $ref?: string;
  items?: TypeSpec;
  additionalProperties?: TypeSpec;
  secret?: boolean;
  willReplaceOnChanges?: boolean;
}

interface ObjectSpec {
  properties?: Record<string, TypeSpec>;
  required?: string[];
}

export interface ResourceSpec {
  properties: Record<string, TypeSpec>;
  /** Outputs that are always there: an input among them has a value of GitLab's own when it is not given. */
  required?: string[];
  inputProperties: Record<string, TypeSpec>;
  requiredInputs?: string[];
}

const resources: Record<string, ResourceSpec> = packageSchema.resources;
const types: Record<string, ObjectSpec> = packageSchema.types;

export const VERSION = packageSchema.version;
export const SCHEMA_JSON = JSON.stringify(packageSchema);

/** @throws when the package has no such resource (or the trimmed schema does not keep it) */
export function resourceSpec(token: string): ResourceSpec {
  const spec = resources[token];
  if (spec) return spec;
  throw new Error(`${token} is not in the schema of the lab's gitlab plug-in (sdks/gitlab-schema.json)`);
}

/** Inputs whose change asks for a new object, as far as the schema knows. */
export function replacedByChange(spec: ResourceSpec): string[] {
  return Object.entries(spec.inputProperties)
    .filter(([, property]) => property.willReplaceOnChanges)
    .map(([name]) => name);
}

/** Outputs that are secret by nature. */
export function secretOutputs(spec: ResourceSpec): string[] {
  return Object.entries(spec.properties)
    .filter(([, property]) => property.secret)
    .map(([name]) => name);
}

/**
 * Inputs in the types of the schema, and their faults. Scalars convert as the official provider's bridge converts
 * them: an id that is an output of another resource is a string, although the input wants a number.
 */
export function checkInputs(spec: ResourceSpec, inputs: Props): { inputs: Props; failures: CheckFailure[] } {
  const failures: CheckFailure[] = [];
  const checked: Props = {};
  for (const [name, value] of Object.entries(inputs)) {
    if (name.startsWith('__')) continue; // the engine's and bridges' own bookkeeping
    const property = spec.inputProperties[name];
    if (!property)
      failures.push({ property: name, reason: `is not an input of this resource${suggestion(spec, name)}` });
    else if (value !== null && value !== undefined)
      checked[name] = checkValue(property, value, name, failures);
  }
  for (const name of spec.requiredInputs ?? []) {
    if (checked[name] === undefined) failures.push({ property: name, reason: 'is required' });
  }
  return { inputs: checked, failures };
}

function suggestion(spec: ResourceSpec, name: string): string {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  const near = Object.keys(spec.inputProperties).find(
    (candidate) =>
      plain(candidate) === plain(name) ||
      plain(candidate).includes(plain(name)) ||
      plain(name).includes(plain(candidate)),
  );
  return near ? `. Did you mean "${near}"?` : '';
}

function checkValue(spec: TypeSpec, value: unknown, path: string, failures: CheckFailure[]): unknown {
  if (value === UNKNOWN) return value;
  const wrong = (expected: string) => {
    // Not the value itself: it may be secret.
    const found = Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`;
    failures.push({ property: path, reason: `must be ${expected}, not ${found}` });
    return value;
  };
  if (spec.$ref) return checkObject(spec.$ref, value, path, failures, wrong);
  switch (spec.type) {
    case 'string':
      if (typeof value === 'string') return value;
      return typeof value === 'number' || typeof value === 'boolean' ? String(value) : wrong('a string');
    case 'integer':
      if (typeof value === 'number') return Number.isInteger(value) ? value : wrong('a whole number');
      return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : wrong('a whole number');
    case 'number':
      return typeof value === 'number' ? value : wrong('a number');
    case 'boolean':
      if (typeof value === 'boolean') return value;
      return value === 'true' || value === 'false' ? value === 'true' : wrong('true or false');
    case 'array': {
      const { items } = spec;
      if (!Array.isArray(value) || !items) return wrong('a list');
      return value.map((item, index) => checkValue(items, item, `${path}[${index}]`, failures));
    }
    case 'object':
      if (!isRecord(value)) return wrong('an object');
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          key,
          spec.additionalProperties
            ? checkValue(spec.additionalProperties, inner, `${path}.${key}`, failures)
            : inner,
        ]),
      );
    default:
      throw new Error(
        `sdks/gitlab-schema.json: type ${JSON.stringify(spec)} of ${path} is not one that this plug-in checks`,
      );
  }
}

function checkObject(
  ref: string,
  value: unknown,
  path: string,
  failures: CheckFailure[],
  wrong: (expected: string) => unknown,
): unknown {
  const type = types[ref.replace('#/types/', '')];
  if (!type) throw new Error(`sdks/gitlab-schema.json: ${ref} is missing`);
  if (!isRecord(value)) return wrong('an object');
  const checked: Props = {};
  for (const [key, inner] of Object.entries(value)) {
    const property = type.properties?.[key];
    if (property) checked[key] = checkValue(property, inner, `${path}.${key}`, failures);
    else if (!key.startsWith('__'))
      failures.push({ property: `${path}.${key}`, reason: 'is not a property here' });
  }
  for (const key of type.required ?? []) {
    if (checked[key] === undefined) failures.push({ property: `${path}.${key}`, reason: 'is required' });
  }
  return checked;
}
