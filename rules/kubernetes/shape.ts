import Ajv, { type ErrorObject, type ValidateFunction } from 'ajv';
import gitlab from '../../sdks/gitlab-schema.json';
import { UNKNOWN } from '../facts/read';
import kubernetes from './schema.json';

/** What is wrong inside a resource. */
export interface Fault {
  /** Where, as people write it: `spec.ports[0].port`. */
  readonly path: string;
  /** What, in a sentence without its end. */
  readonly what: string;
}

type Shape = Readonly<Record<string, unknown>>;

/** A JSON pointer to a definition: `/` in a name is written as `~1`. */
const definition = (document: string, name: string): string =>
  `${document}#/definitions/${name.replaceAll('/', '~1')}`;

/** A property of Pulumi's package schema as JSON Schema: the two differ in the words around them only. */
function shapeOf(property: Shape): Shape {
  if (typeof property.$ref === 'string')
    return { $ref: definition('', property.$ref.slice('#/types/'.length)) };
  return {
    ...(property.type === undefined ? {} : { type: property.type }),
    ...(property.items === undefined ? {} : { items: shapeOf(property.items as Shape) }),
    ...(property.additionalProperties === undefined
      ? {}
      : { additionalProperties: shapeOf(property.additionalProperties as Shape) }),
  };
}

const closed = (properties: Shape, required: readonly string[] = []): Shape => ({
  type: 'object',
  required,
  properties: Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, shapeOf(property as Shape)]),
  ),
  additionalProperties: false,
});

interface PackageTypes {
  readonly resources: Readonly<
    Record<string, { readonly inputProperties: Shape; readonly requiredInputs?: readonly string[] }>
  >;
  readonly types: Readonly<
    Record<string, { readonly properties?: Shape; readonly required?: readonly string[] }>
  >;
}

/** The official package's schema, by which its plug-in checks what it is given. */
const gitlabTypes: PackageTypes = gitlab;

const gitlabDefinitions = (): Shape =>
  Object.fromEntries([
    ...Object.entries(gitlabTypes.resources).map(([type, { inputProperties, requiredInputs }]) => [
      type,
      closed(inputProperties, requiredInputs),
    ]),
    ...Object.entries(gitlabTypes.types).map(([type, { properties = {}, required }]) => [
      type,
      closed(properties, required),
    ]),
  ]);

let schemas: Ajv | undefined;
const compiled = new Map<string, ValidateFunction | undefined>();

/** Compiled at its first use, and once: who neither checks nor runs anything pays nothing. */
function validatorOf(type: string): ValidateFunction | undefined {
  if (compiled.has(type)) return compiled.get(type);
  // Compiling is most of the work: without inlining and a second look at its own code it takes half as long.
  schemas ??= new Ajv({
    strict: false,
    allErrors: true,
    verbose: true,
    validateFormats: false,
    inlineRefs: false,
    code: { optimize: false },
  })
    .addSchema({ $id: 'kubernetes', definitions: kubernetes.definitions })
    .addSchema({ $id: 'gitlab', definitions: gitlabDefinitions() });
  const kind = Object.entries(kubernetes.kinds).find(([name]) => name === type)?.[1];
  const $ref =
    kind !== undefined
      ? definition('kubernetes', kind)
      : Object.hasOwn(gitlabTypes.resources, type)
        ? definition('gitlab', type)
        : undefined;
  const validator = $ref === undefined ? undefined : schemas.compile({ $ref });
  compiled.set(type, validator);
  return validator;
}

/** `/spec/ports/0/port` as `spec.ports[0].port`. */
const pathOf = (pointer: string): string =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');

/** A reference stands for what is known later, as whatever type is wanted there. */
const isOpen = (value: unknown): boolean => value === UNKNOWN || /^«[^«»]+»$/.test(String(value));

function tell({ keyword, params, message = '', data }: ErrorObject): string | undefined {
  if (isOpen(data)) return undefined;
  if (keyword === 'additionalProperties') return `has no field "${params.additionalProperty}"`;
  if (keyword === 'required') return `lacks "${params.missingProperty}"`;
  return message;
}

/** How a resource differs from the published schema of its type; nothing for types without one. */
export function shapeFaults(type: string, args: unknown): Fault[] {
  const validate = validatorOf(type);
  if (!validate || validate(args)) return [];
  return (validate.errors ?? []).flatMap((error) => {
    const what = tell(error);
    return what === undefined ? [] : [{ path: pathOf(error.instancePath), what }];
  });
}
