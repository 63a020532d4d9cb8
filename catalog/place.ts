import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PROGRAM_FILE, rootOf } from './program';

/** The two folders that the program reads from. They are one where Switchyard runs from its own repository. */
export interface Place {
  /**
   * What comes with Switchyard: service templates, the shared library, the contexts of images, templates of modules. The
   * checkout, the installed package's `dist/package`, or the folder of the delivery image.
   */
  readonly product: string;
  /** A company's own: `Pulumi.yaml`, `catalog/`, `stacks/`, `index.ts`. */
  readonly project: string;
}

/** Source of the program of somebody's own repository. */
export const OWN_PROGRAM = 'index.ts';

/** Source of what such a repository changes in all declarations, where it has one. */
export const OWN_TRANSFORM = 'transform.ts';

/** An installed package has both: templates, as a checkout has, and the note which program it is, as the image has. */
const isPackage = (product: string): boolean =>
  ['catalog', PROGRAM_FILE].every((name) => existsSync(join(product, name)));

const isProject = (folder: string): boolean =>
  ['Pulumi.yaml', 'catalog', 'stacks'].every((name) => existsSync(join(folder, name)));

/** The nearest folder that is somebody's own repository: this one, or one around it. */
function projectAround(folder: string): string | undefined {
  if (isProject(folder)) return folder;
  const above = dirname(folder);
  return above === folder ? undefined : projectAround(above);
}

/**
 * Where the program finds what it reads.
 * @param own folder of a file of the program
 * @param from a folder of somebody's own repository. A checkout and the delivery image are their own, wherever they are
 * run from. @default the current folder
 * @returns without a project where an installed package runs outside of any
 */
export function placeOf(
  own: string,
  from = process.cwd(),
): Pick<Place, 'product'> & { readonly project?: string } {
  const product = rootOf(own);
  return { product, project: isPackage(product) ? projectAround(resolve(from)) : product };
}
