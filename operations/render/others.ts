import { type Catalog, modulesOf } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { loadStack, stackNames } from '../../stacks/load';
import type { StackSettings } from '../../stacks/schema';
import type { OtherEnvironment } from './facts';

function settingsOf(stacks: string, name: string): StackSettings | undefined {
  try {
    return loadStack(stacks, name);
  } catch (error) {
    // Its faults are reported when that environment is checked or rendered; here it only has nothing to tell.
    if (error instanceof ProblemsError) return undefined;
    throw error;
  }
}

/**
 * What the stack files of all other environments tell, by name; a file with faults is left out.
 * @param stacks the folder of stack files
 */
export const otherEnvironments = (stacks: string, catalog: Catalog, own: string): OtherEnvironment[] =>
  stackNames(stacks)
    .filter((name) => name !== own)
    .sort()
    .flatMap((name): OtherEnvironment[] => {
      const settings = settingsOf(stacks, name);
      if (!settings) return [];
      const { clusters, gitlab, jenkins } = settings;
      return [
        {
          name,
          modules: modulesOf(catalog, settings.modules).map((module) => module.name),
          clusters: { ci: clusters.ci.context, production: clusters.production.context },
          group: gitlab.group,
          gitlab: gitlab.url,
          jenkins: jenkins.url,
        },
      ];
    });
