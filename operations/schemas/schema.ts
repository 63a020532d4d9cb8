import { dirname, join } from 'node:path';
import { z } from 'zod';
import { QUARANTINE_FILE, quarantineSchema } from '../../catalog/quarantine';
import { moduleSchema, serviceSchema } from '../../catalog/schema';
import { stackSchema } from '../../stacks/schema';
import { secretSources } from '../../stacks/secrets';
import { CommentReader, type Doc } from './comments';

export const GENERATE = 'npm run generate:schemas';

/** As much of JSON Schema (draft 7, which every editor reads) as our files need. */
export interface JsonSchema {
  $schema?: string;
  $comment?: string;
  title?: string;
  description?: string;
  type?: string;
  default?: unknown;
  const?: unknown;
  enum?: readonly unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  pattern?: string;
  format?: string;
  properties?: Record<string, JsonSchema>;
  patternProperties?: Record<string, JsonSchema>;
  required?: readonly string[];
  items?: JsonSchema;
  additionalProperties?: boolean | JsonSchema;
  anyOf?: readonly JsonSchema[];
  oneOf?: readonly JsonSchema[];
}

/** Writes what the comments say into a schema of the same shape; a description that the schema has stays. */
export function describe(schema: JsonSchema, doc: Doc | undefined): JsonSchema {
  if (!doc) return schema;
  const described: JsonSchema = { ...schema };
  const text = schema.description ?? doc.text;
  // Where the schema knows the default itself, the comment need not say it.
  const preset = doc.preset && schema.default === undefined ? `Default: ${doc.preset}.` : undefined;
  if (text ?? preset) described.description = [text, preset].filter((part) => part !== undefined).join(' ');
  if (schema.properties) {
    described.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([key, inner]) => [
        key,
        describe(inner, doc.properties.get(key)),
      ]),
    );
  }
  if (schema.items) described.items = describe(schema.items, doc.items);
  if (typeof schema.additionalProperties === 'object') {
    described.additionalProperties = describe(schema.additionalProperties, doc.values);
  }
  if (schema.anyOf)
    described.anyOf = schema.anyOf.map((option, index) => describe(option, doc.options[index]));
  if (schema.oneOf)
    described.oneOf = schema.oneOf.map((option, index) => describe(option, doc.options[index]));
  return described;
}

/** One kind of file that people write. */
export interface FileKind {
  readonly name: 'module' | 'service' | 'stack' | 'quarantine';
  readonly title: string;
  /** Path of such a file, as people know it. */
  readonly file: string;
  /** Folder whose files are of this kind; absent for files of other repositories. */
  readonly folder?: string;
  /** Source of the Zod schema. */
  readonly source: string;
  readonly schema: JsonSchema;
}

/** What Pulumi wraps around a stack's keys: the project's prefix, `config:`, and keys of providers beside ours. */
function stackFile(keys: JsonSchema): JsonSchema {
  const prefixed = Object.entries(keys.properties ?? {}).map(([key, schema]) => [
    `switchyard:${key}`,
    schema,
  ]);
  const secrets = Object.entries(secretSources).map(([key, variable]): [string, JsonSchema] => [
    `switchyard:${key}`,
    {
      description: `Secret; "pulumi config set --secret switchyard:${key}" writes it. Default: the environment variable ${variable}.`,
      type: 'object',
      properties: { secure: { type: 'string', description: 'What Pulumi encrypted.' } },
      required: ['secure'],
      additionalProperties: false,
    },
  ]);
  return {
    type: 'object',
    properties: {
      config: {
        description: 'Settings of the environment.',
        type: 'object',
        properties: Object.fromEntries([...prefixed, ...secrets]),
        // Keys of other namespaces (`gitlab:`, `kubernetes:`) belong to providers.
        patternProperties: { '^(?!switchyard:)[^:]+:.+$': {} },
        required: (keys.required ?? []).map((key) => `switchyard:${key}`),
        additionalProperties: false,
      },
    },
    required: ['config'],
  };
}

/** The kinds of files with their schemas, descriptions and all. */
export function fileKinds(root: string): FileKind[] {
  const comments = new CommentReader();
  const make = (
    name: FileKind['name'],
    file: string,
    source: string,
    constant: string,
    zod: z.ZodType,
    title: string,
  ): FileKind => {
    const bare = z.toJSONSchema(zod, {
      io: 'input',
      target: 'draft-7',
      unrepresentable: 'any',
    }) as JsonSchema;
    const { $schema, ...described } = describe(bare, comments.read(join(root, source), constant));
    const schema: JsonSchema = {
      $schema,
      $comment: `Generated from ${source} by "${GENERATE}". Do not edit.`,
      title,
      ...(name === 'stack' ? stackFile(described) : described),
    };
    const folder = name === 'quarantine' ? {} : { folder: dirname(file) };
    return { name, title, file, ...folder, source, schema };
  };
  return [
    make(
      'module',
      'catalog/modules/<name>.yaml',
      'catalog/schema.ts',
      'moduleSchema',
      moduleSchema,
      'A module',
    ),
    make(
      'service',
      'catalog/services/<kind>.yaml',
      'catalog/schema.ts',
      'serviceSchema',
      serviceSchema,
      'A service',
    ),
    make(
      'stack',
      'stacks/Pulumi.<environment>.yaml',
      'stacks/schema.ts',
      'stackSchema',
      stackSchema,
      'An environment',
    ),
    make(
      'quarantine',
      QUARANTINE_FILE,
      'catalog/quarantine.ts',
      'quarantineSchema',
      quarantineSchema,
      'Quarantined tests, in the repository of a module',
    ),
  ];
}
