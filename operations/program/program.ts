import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PulumiFn } from '@pulumi/pulumi/automation';
import { OWN_PROGRAM } from '../../catalog/place';
import { EXIT, Refusal } from '../cli/refusal';
import { here, product } from '../place';
import { ownSource } from './own-source';

/**
 * Loads the program of somebody's own repository, as a module of that repository.
 * @throws Refusal for one that is missing, does not compile, lacks its packages or exports no function
 */
export async function ownProgram(project: string): Promise<PulumiFn> {
  if (!existsSync(join(project, OWN_PROGRAM)))
    throw new Refusal(
      `${OWN_PROGRAM}: ${project} has none. Take the one that \`switchyard init\` writes.`,
      EXIT.badInput,
    );
  const exported = ownSource(project, OWN_PROGRAM);
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
  const { default: program } = await import('./own-program');
  return () => program();
}
