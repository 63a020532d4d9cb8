import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { transformSync } from 'esbuild';
import { defaultFolders, loadModel } from '../../../components/load';
import { renderTopology } from '../index';

/** Where the compiled script and the README's picture stand, below the checkout. */
export const SCRIPT_FILE = 'operations/render/page/script.generated.ts';
export const PICTURE_FILE = 'docs/topology.svg';

const SOURCE = 'operations/render/page/browser/script.ts';

/** The page's script for browsers of the last years, as a module that holds its text. */
export function generatedScript(root: string): string {
  const { code } = transformSync(readFileSync(join(root, SOURCE), 'utf8'), {
    loader: 'ts',
    target: 'es2022',
    format: 'iife',
    minify: true,
    charset: 'ascii',
  });
  // Inside an element `script` these two would end it or hide its end.
  if (/<\/script|<!--/i.test(code)) throw new Error(`${SOURCE} holds "</script" or "<!--"`);
  return `// Generated from ${SOURCE} by \`npm run generate:page\`. Do not edit.\nexport const SCRIPT = ${JSON.stringify(code.trim())};\n`;
}

/** The picture of the example topology: what `npm run show` draws. */
export const generatedPicture = (root: string): string =>
  renderTopology(loadModel(defaultFolders(root), 'lab')).get('topology.svg') ?? '';

if (require.main === module) {
  const root = resolve(__dirname, '..', '..', '..');
  writeFileSync(join(root, SCRIPT_FILE), generatedScript(root));
  writeFileSync(join(root, PICTURE_FILE), generatedPicture(root));
}
