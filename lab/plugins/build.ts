import path from 'node:path';
import { bundlePlugin } from './shared/bundle';

/** The plug-ins, with their entry points beside this file. */
export const PLUGINS = ['gitlab', 'docker'] as const;

export type PluginName = (typeof PLUGINS)[number];

export interface BuildOptions {
  /** Where the bundles go. @default dist/plugins of the repository */
  outDir?: string;
  /** Where the launchers `pulumi-resource-<name>` go. */
  binDir: string;
  /** @default the Node that runs this */
  node?: string;
  /** Folder of the bundles as the launchers see it (an image has its own paths). @default outDir */
  launchFrom?: string;
  /** @default all */
  only?: readonly PluginName[];
}

/** Bundles the plug-ins and writes their launchers; returns the launchers' paths. */
export async function buildPlugins(options: BuildOptions): Promise<string[]> {
  const outDir = options.outDir ?? path.resolve(__dirname, '../../dist/plugins');
  const built = await Promise.all(
    (options.only ?? PLUGINS).map((name) =>
      bundlePlugin({
        name,
        entry: path.join(__dirname, name, 'main.ts'),
        outDir,
        binDir: options.binDir,
        node: options.node ?? process.execPath,
        bundlePath: options.launchFrom && path.posix.join(options.launchFrom, `${name}.js`),
      }),
    ),
  );
  return built.map(({ launcher }) => launcher);
}
