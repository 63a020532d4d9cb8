import { type Place, placeOf } from '../catalog/place';
import { defaultFolders } from '../components/load';
import program from '../index';
import { checkAll } from './check';
import { beforePlainPulumi } from './program/plain';
import { transformOf } from './program/transform';

// What a repository of one's own imports from the package `switchyard`.

export { findModule, loadCatalog } from '../catalog/load';
export { Autoscaling, type AutoscalingArgs } from '../components/autoscaling/autoscaling';
export { Backup, type BackupArgs } from '../components/backup/backup';
export { GitLab, type GitLabArgs } from '../components/gitlab/gitlab';
export { GitLabModule, type GitLabModuleArgs } from '../components/gitlab/gitlab-module';
export { Jenkins, type JenkinsArgs } from '../components/jenkins/jenkins';
export { ModuleProduction, type ModuleProductionArgs } from '../components/production/module-production';
export { Production, type ProductionArgs } from '../components/production/production';
export { Registry, type RegistryArgs } from '../components/registry/registry';
export { IN_PLACE } from '../components/shared/in-place';
export type { ExistingJenkins } from '../components/shared/jenkins-endpoint';
export type { Transform, TransformContext } from '../components/shared/transform';
export { ModuleTests, type ModuleTestsArgs } from '../components/testing/module-tests';
export { Testing, type TestingArgs } from '../components/testing/testing';

function placeIn(folder: string): Place {
  const { product, project } = placeOf(__dirname, folder);
  if (project !== undefined) return { product, project };
  throw new Error(
    `${folder}: neither this folder nor one around it has Pulumi.yaml, catalog/ and stacks/. Pass the repository's folder, as in topology(__dirname).`,
  );
}

/** Whether plain `pulumi` runs the program: its Node.js host says so by variables, the Automation API without any. */
const isPlainPulumi = (): boolean => process.env.PULUMI_NODEJS_PROJECT !== undefined;

/**
 * The whole topology of a repository, as Pulumi's program, with what its `transform.ts` changes, if it has one. Under plain
 * `pulumi` it lays out what images are built from first, as the `switchyard` CLI does.
 * @param folder the repository: `__dirname` of its `index.ts`
 * @returns addresses that people need, to be the stack's outputs
 */
export async function topology(folder: string): Promise<Record<string, string>> {
  const place = placeIn(folder);
  const transform = transformOf(place);
  if (isPlainPulumi())
    await beforePlainPulumi(defaultFolders(place.product, place.project, transform), place);
  return program(place, transform);
}

/**
 * Checks the catalog, every stack file and every rule, as `switchyard check` does.
 * @param folder the repository, or a folder in it
 * @throws an Error with one line a fault
 */
export function check(folder: string): void {
  const place = placeIn(folder);
  checkAll(defaultFolders(place.product, place.project, transformOf(place)));
}
