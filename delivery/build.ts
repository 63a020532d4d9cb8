import { join, resolve } from 'node:path';
import { build } from 'esbuild';

/**
 * Bundles `delivery` into one file that needs nothing but Node 22.
 * @param outfile where it goes. @default dist/delivery.js at the repository's root
 * @returns the file's absolute path
 */
export async function buildDelivery(outfile = join(__dirname, '..', 'dist', 'delivery.js')): Promise<string> {
  await build({
    entryPoints: [join(__dirname, 'main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    banner: { js: '#!/usr/bin/env node' },
    legalComments: 'none',
    logLevel: 'warning',
  });
  return resolve(outfile);
}
