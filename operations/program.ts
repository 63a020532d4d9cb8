import { existsSync } from 'node:fs';
import Module from 'node:module';
import { join } from 'node:path';
import type { PulumiFn } from '@pulumi/pulumi/automation';
import { OWN_PROGRAM } from '../catalog/place';
import { here, product } from './place';
import { EXIT, Refusal } from './refusal';

/** Packages that `index.ts` imports come from its own repository, as under plain Node.js. */
async function compiled(project: string): Promise<string> {
  // Loaded here, because the delivery image, whose program is bundled with it, has no bundler.
  const { build } = await import('esbuild');
  try {
    const { outputFiles } = await build({
      absWorkingDir: project,
      entryPoints: [OWN_PROGRAM],
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
    const place = first?.location ? `${first.location.file}:${first.location.line}` : OWN_PROGRAM;
    throw new Refusal(`${place}: ${first?.text ?? 'does not compile'}`, EXIT.badInput);
  }
}

/**
 * Loads the program of somebody's own repository, as a module of that repository.
 * @throws Refusal for one that is missing, does not compile, lacks its packages or exports no function
 */
export async function ownProgram(project: string): Promise<PulumiFn> {
  const file = join(project, OWN_PROGRAM);
  if (!existsSync(file))
    throw new Refusal(
      `${OWN_PROGRAM}: ${project} has none. Take the one that \`switchyard init\` writes.`,
      EXIT.badInput,
    );
  const module = new Module(file);
  const internal = module as unknown as { _compile: (code: string, name: string) => void };
  module.filename = file;
  module.paths = (Module as unknown as { _nodeModulePaths: (folder: string) => string[] })._nodeModulePaths(
    project,
  );
  const code = await compiled(project);
  try {
    internal._compile(code, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    const said = (error as Error).message.split('\n')[0];
    throw new Refusal(`${OWN_PROGRAM}: ${said}. Run npm install in ${project} first.`, EXIT.badInput);
  }
  const exported: unknown = module.exports?.default ?? module.exports;
  if (typeof exported === 'function') return exported as PulumiFn;
  throw new Refusal(
    `${OWN_PROGRAM}: exports no function for Pulumi to run. Write: export = async () => topology(__dirname);`,
    EXIT.badInput,
  );
}

/** What the engine runs: this repository's own `index.ts`, or that of the repository around the current folder. */
export async function programHere(): Promise<PulumiFn> {
  const { project } = here();
  if (project !== product) return ownProgram(project);
  const { default: program } = await import('../index');
  return () => program();
}
