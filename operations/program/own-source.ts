import Module from 'node:module';
import { join } from 'node:path';
import { EXIT, Refusal } from '../cli/refusal';

/** Packages that a source imports come from its own repository, as under plain Node.js. */
function compiled(project: string, source: string): string {
  // Loaded here, because the delivery image, whose program is bundled with it, has no bundler.
  const { buildSync } = require('esbuild') as typeof import('esbuild');
  try {
    const { outputFiles } = buildSync({
      absWorkingDir: project,
      entryPoints: [source],
      bundle: true,
      write: false,
      platform: 'node',
      target: 'node22',
      format: 'cjs',
      packages: 'external',
      sourcemap: 'inline',
      logLevel: 'silent',
    });
    return outputFiles[0]?.text ?? '';
  } catch (error) {
    const [first] = (
      error as { errors?: { text: string; location?: { file: string; line: number } | null }[] }
    ).errors ?? [{ text: String(error) }];
    const place = first?.location ? `${first.location.file}:${first.location.line}` : source;
    throw new Refusal(`${place}: ${first?.text ?? 'does not compile'}`, EXIT.badInput);
  }
}

/**
 * Loads a source of somebody's own repository, as a module of that repository.
 * @param source its path there
 * @returns what it exports as default, or all of it
 * @throws Refusal for one that does not compile or lacks its packages
 */
export function ownSource(project: string, source: string): unknown {
  const file = join(project, source);
  const module = new Module(file);
  const internal = module as unknown as { _compile: (code: string, name: string) => void };
  module.filename = file;
  module.paths = (Module as unknown as { _nodeModulePaths: (folder: string) => string[] })._nodeModulePaths(
    project,
  );
  const code = compiled(project, source);
  try {
    internal._compile(code, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    const said = (error as Error).message.split('\n')[0];
    throw new Refusal(`${source}: ${said}. Run npm install in ${project} first.`, EXIT.badInput);
  }
  return module.exports?.default ?? module.exports;
}
