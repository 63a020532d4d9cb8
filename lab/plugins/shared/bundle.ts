import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

export interface BundleOptions {
  /** Provider name: the launcher is `pulumi-resource-<name>`. */
  name: string;
  /** Entry point that calls `servePlugin`. */
  entry: string;
  /** Folder for `<name>.js`. */
  outDir: string;
  /** Folder for the launcher; must be on the engine's PATH. */
  binDir: string;
  /** Node the launcher starts. */
  node: string;
  /** Path of the bundle as the launcher sees it, for a launcher that goes into an image. @default outDir/<name>.js */
  bundlePath?: string;
}

/** Bundles one plug-in into a single file (starts in a fraction of a second) and writes its launcher. */
export async function bundlePlugin(options: BundleOptions): Promise<{ bundle: string; launcher: string }> {
  const bundle = path.resolve(options.outDir, `${options.name}.js`);
  await build({
    entryPoints: [options.entry],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    logLevel: 'error',
    minifySyntax: true,
  });
  const launcher = path.resolve(options.binDir, `pulumi-resource-${options.name}`);
  await mkdir(path.dirname(launcher), { recursive: true });
  await writeFile(launcher, launcherScript(options.node, options.bundlePath ?? bundle));
  await chmod(launcher, 0o755);
  return { bundle, launcher };
}

/** The launcher's text; both paths are quoted for the shell. */
export function launcherScript(node: string, bundle: string): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  return `#!/bin/sh\nexec ${quote(node)} ${quote(bundle)} "$@"\n`;
}
