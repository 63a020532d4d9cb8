import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The file that this one writes: `npm run generate:kubernetes -- <folder>`. */
export const SCHEMA = join(__dirname, 'schema.json');

/** Every kind that the topology declares, by Pulumi's type, and the Pods of tests; its definition and where that is. */
const KINDS: Readonly<Record<string, readonly [document: string, definition: string]>> = {
  'kubernetes:core/v1:Namespace': ['api__v1', 'io.k8s.api.core.v1.Namespace'],
  'kubernetes:core/v1:ConfigMap': ['api__v1', 'io.k8s.api.core.v1.ConfigMap'],
  'kubernetes:core/v1:Secret': ['api__v1', 'io.k8s.api.core.v1.Secret'],
  'kubernetes:core/v1:Service': ['api__v1', 'io.k8s.api.core.v1.Service'],
  'kubernetes:core/v1:ServiceAccount': ['api__v1', 'io.k8s.api.core.v1.ServiceAccount'],
  'kubernetes:core/v1:PersistentVolumeClaim': ['api__v1', 'io.k8s.api.core.v1.PersistentVolumeClaim'],
  'kubernetes:core/v1:ResourceQuota': ['api__v1', 'io.k8s.api.core.v1.ResourceQuota'],
  'kubernetes:core/v1:LimitRange': ['api__v1', 'io.k8s.api.core.v1.LimitRange'],
  'kubernetes:core/v1:Pod': ['api__v1', 'io.k8s.api.core.v1.Pod'],
  'kubernetes:apps/v1:Deployment': ['apis__apps__v1', 'io.k8s.api.apps.v1.Deployment'],
  'kubernetes:apps/v1:StatefulSet': ['apis__apps__v1', 'io.k8s.api.apps.v1.StatefulSet'],
  'kubernetes:batch/v1:Job': ['apis__batch__v1', 'io.k8s.api.batch.v1.Job'],
  'kubernetes:batch/v1:CronJob': ['apis__batch__v1', 'io.k8s.api.batch.v1.CronJob'],
  'kubernetes:scheduling.k8s.io/v1:PriorityClass': [
    'apis__scheduling.k8s.io__v1',
    'io.k8s.api.scheduling.v1.PriorityClass',
  ],
  'kubernetes:rbac.authorization.k8s.io/v1:Role': [
    'apis__rbac.authorization.k8s.io__v1',
    'io.k8s.api.rbac.v1.Role',
  ],
  'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding': [
    'apis__rbac.authorization.k8s.io__v1',
    'io.k8s.api.rbac.v1.RoleBinding',
  ],
  'kubernetes:rbac.authorization.k8s.io/v1:ClusterRole': [
    'apis__rbac.authorization.k8s.io__v1',
    'io.k8s.api.rbac.v1.ClusterRole',
  ],
  'kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding': [
    'apis__rbac.authorization.k8s.io__v1',
    'io.k8s.api.rbac.v1.ClusterRoleBinding',
  ],
  'kubernetes:networking.k8s.io/v1:NetworkPolicy': [
    'apis__networking.k8s.io__v1',
    'io.k8s.api.networking.v1.NetworkPolicy',
  ],
  'kubernetes:networking.k8s.io/v1:Ingress': [
    'apis__networking.k8s.io__v1',
    'io.k8s.api.networking.v1.Ingress',
  ],
  'kubernetes:policy/v1:PodDisruptionBudget': [
    'apis__policy__v1',
    'io.k8s.api.policy.v1.PodDisruptionBudget',
  ],
  'kubernetes:autoscaling/v2:HorizontalPodAutoscaler': [
    'apis__autoscaling__v2',
    'io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler',
  ],
  'kubernetes:apiregistration.k8s.io/v1:APIService': [
    'apis__apiregistration.k8s.io__v1',
    'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService',
  ],
};

/** As much of OpenAPI 3 as Kubernetes' documents use. */
interface OpenApi {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, OpenApi>>;
  readonly additionalProperties?: OpenApi;
  readonly items?: OpenApi;
  readonly allOf?: readonly OpenApi[];
  readonly oneOf?: readonly OpenApi[];
}

/** One of the documents that an API server publishes under `/openapi/v3`. */
export interface OpenApiDocument {
  readonly components: { readonly schemas: Readonly<Record<string, OpenApi>> };
}

const PREFIX = '#/components/schemas/';
const INT32 = { minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };

/** Only what decides whether a value is taken, as JSON Schema; what people read and what Kubernetes adds goes. */
function trimmed(schema: OpenApi, refer: (definition: string) => void): Record<string, unknown> {
  const inner = (of: OpenApi) => trimmed(of, refer);
  // A property that refers to a definition has it in an `allOf` of one, beside its default.
  const [only] = schema.allOf ?? [];
  if (only) return inner(only);
  if (schema.$ref) {
    const name = schema.$ref.slice(PREFIX.length);
    refer(name);
    return { $ref: `#/definitions/${name}` };
  }
  return {
    ...(schema.type ? { type: schema.type } : {}),
    ...(schema.format === 'int32' ? INT32 : {}),
    ...(schema.oneOf ? { oneOf: schema.oneOf.map(inner) } : {}),
    ...(schema.required ? { required: schema.required } : {}),
    ...(schema.properties
      ? {
          properties: Object.fromEntries(
            Object.entries(schema.properties)
              // What the server itself fills in is nothing that we declare.
              .filter(([name]) => name !== 'status' && name !== 'managedFields')
              .map(([name, property]) => [name, inner(property)]),
          ),
          additionalProperties: false,
        }
      : {}),
    ...(schema.additionalProperties ? { additionalProperties: inner(schema.additionalProperties) } : {}),
    ...(schema.items ? { items: inner(schema.items) } : {}),
  };
}

/**
 * Text of the schema file: a JSON Schema of each kind, one definition a line.
 * @param read a published document by its name in Kubernetes' sources, e.g. `apis__apps__v1`
 */
export function kubernetesSchema(read: (document: string) => OpenApiDocument): string {
  const documents = new Map<string, OpenApiDocument>();
  const found = new Map<string, Record<string, unknown>>();
  const visit = (document: string, definition: string): void => {
    if (found.has(definition)) return;
    const known = documents.get(document) ?? read(document);
    documents.set(document, known);
    const schema = known.components.schemas[definition];
    if (!schema) throw new Error(`${document} has no ${definition}`);
    found.set(definition, {});
    found.set(
      definition,
      trimmed(schema, (name) => visit(document, name)),
    );
  };
  for (const [document, definition] of Object.values(KINDS)) visit(document, definition);
  const kinds = Object.entries(KINDS).map(
    ([type, [, definition]]) => `    ${JSON.stringify(type)}: ${JSON.stringify(definition)}`,
  );
  const definitions = [...found.keys()]
    .sort()
    .map((name) => `    ${JSON.stringify(name)}: ${JSON.stringify(found.get(name))}`);
  return `{
  "$comment": "Generated from what Kubernetes publishes under /openapi/v3 by \\"npm run generate:kubernetes\\". Do not edit.",
  "kinds": {
${kinds.join(',\n')}
  },
  "definitions": {
${definitions.join(',\n')}
  }
}
`;
}

if (require.main === module) {
  const folder = process.argv[2];
  if (!folder) throw new Error('Name the folder api/openapi-spec/v3 of Kubernetes’ sources.');
  const read = (document: string) =>
    JSON.parse(readFileSync(join(folder, `${document}_openapi.json`), 'utf8')) as OpenApiDocument;
  writeFileSync(SCHEMA, kubernetesSchema(read));
}
