import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** Pulumi loads a TypeScript compiler for function serialisation, which no program of ours uses. */
const withoutCompiler: Plugin = {
  name: 'without-compiler',
  setup(builder) {
    builder.onResolve({ filter: /\/typescript-shim$/ }, ({ path }) => ({
      path,
      namespace: 'without-compiler',
    }));
    builder.onLoad({ filter: /.*/, namespace: 'without-compiler' }, () => ({
      contents: 'module.exports = {};',
    }));
  },
};

/** Bundled programs of the delivery image; each starts in a fraction of what its sources would take. */
const programs = { delivery: 'delivery/cli.ts', switchyard: 'operations/cli.ts' } as const;

/**
 * Lays out `dist/image`: the context of the delivery image, which judges, merges and deploys with the very programs,
 * catalog and stacks of this checkout. Same sources, same bytes.
 */
export async function buildDeliveryImage(root: string, out = join(root, 'dist', 'image')): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, 'bin'), { recursive: true });
  for (const [name, entry] of Object.entries(programs)) {
    await build({
      absWorkingDir: root,
      entryPoints: [entry],
      outfile: join(out, 'lib', `${name}.js`),
      bundle: true,
      platform: 'node',
      target: 'node22',
      format: 'cjs',
      plugins: [withoutCompiler],
      // Reached only by builds and ts-node, neither of which runs inside the image.
      external: ['esbuild', 'typescript', 'ts-node', 'node-gyp/bin/node-gyp.js'],
      logLevel: 'warning',
    });
    const launcher = join(out, 'bin', name);
    writeFileSync(launcher, `#!/bin/sh\nexec node /opt/switchyard/lib/${name}.js "$@"\n`);
    chmodSync(launcher, 0o755);
  }
  const catalog = process.env.SWITCHYARD_CATALOG ?? join(root, 'catalog');
  for (const part of ['modules', 'services']) {
    cpSync(join(catalog, part), join(out, 'catalog', part), { recursive: true });
  }
  mkdirSync(join(out, 'stacks'));
  cpSync(process.env.SWITCHYARD_STACKS ?? join(root, 'stacks'), join(out, 'stacks'), {
    recursive: true,
    filter: (source) => !source.endsWith('.ts'),
  });
  cpSync(join(root, 'delivery', 'library'), join(out, 'library'), { recursive: true });
  cpSync(join(root, 'delivery', 'image', 'Dockerfile'), join(out, 'Dockerfile'));
}
