import * as pulumi from '@pulumi/pulumi';
import type { Place } from '../../catalog/place';
import { ProblemsError } from '../../catalog/problems';
import { type Folders, loadModel } from '../../components/load';
import { environmentOf } from '../../stacks/names';
import { layOutImages } from '../build/lay-out';

/**
 * What comes before the program where plain `pulumi` runs it: the `switchyard` CLI lays out what images are built from by
 * itself.
 * @param place a repository that installs Switchyard. @default Switchyard's own
 * @throws pulumi.RunError with the faults of catalog and stack, which Pulumi prints as it is, without a stack trace
 */
export async function beforePlainPulumi(folders: Folders, place?: Place): Promise<void> {
  try {
    await layOutImages(loadModel(folders, environmentOf(pulumi.getStack())), place);
  } catch (error) {
    throw error instanceof ProblemsError ? new pulumi.RunError(error.message) : error;
  }
}
