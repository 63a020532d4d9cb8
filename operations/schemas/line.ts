import { relative } from 'node:path';

/** Where somebody's own repository has the schemas. */
export const PACKAGE_SCHEMAS = 'node_modules/switchyard/schemas';

/**
 * The comment by which editors find the schema of a file in a folder; both are below the repository.
 * @param schemas folder of the schemas. @default that of this repository
 */
export const schemaLine = (
  kind: { readonly name: string; readonly folder: string },
  schemas = 'schemas',
): string =>
  `# yaml-language-server: $schema=${relative(kind.folder, `${schemas}/${kind.name}.schema.json`)}`;
