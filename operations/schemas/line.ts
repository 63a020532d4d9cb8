import { relative } from 'node:path';

/** The comment by which editors find the schema of a file in a folder; both are below the checkout. */
export const schemaLine = (kind: { readonly name: string; readonly folder: string }): string =>
  `# yaml-language-server: $schema=${relative(kind.folder, `schemas/${kind.name}.schema.json`)}`;
