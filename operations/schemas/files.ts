import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { schemaLine } from './line';
import { referencePage } from './reference';
import { fileKinds } from './schema';

/** All that is generated from the schemas: path below the checkout → text. */
export function generatedFiles(root: string): Map<string, string> {
  const kinds = fileKinds(root);
  return new Map([
    ...kinds.map(({ name, schema }): [string, string] => [
      `schemas/${name}.schema.json`,
      `${JSON.stringify(schema, null, 2)}\n`,
    ]),
    ['docs/reference.md', referencePage(kinds)],
  ]);
}

/** The files of a kind, with the line that each begins with. */
export function describedFiles(root: string): { readonly path: string; readonly line: string }[] {
  return fileKinds(root).flatMap(({ name, folder }) =>
    folder === undefined
      ? []
      : readdirSync(join(root, folder))
          .filter((file) => file.endsWith('.yaml'))
          .sort()
          .map((file) => ({ path: join(folder, file), line: schemaLine({ name, folder }) })),
  );
}

/** Writes the generated files, and the schema's line on top of each file that lacks it. */
export function generate(root: string): void {
  for (const [path, text] of generatedFiles(root)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const { path, line } of describedFiles(root)) {
    const text = readFileSync(join(root, path), 'utf8');
    if (!text.startsWith(line)) writeFileSync(join(root, path), `${line}\n${text}`);
  }
}
