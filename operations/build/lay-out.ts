import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Place } from '../../catalog/place';
import { imageContext, OWN_JENKINS_CONTEXT, programOf } from '../../catalog/program';
import type { Model } from '../../components/model';
import { here } from '../place';
import { makeNoted, markOf } from './marks';

/** What a context was laid out from. */
interface Origin {
  readonly program: string;
  readonly previews: boolean;
  /** Files of its bundles, relative to what comes with Switchyard → size and time of the last change. */
  readonly files: Readonly<Record<string, string>>;
}

/** Is what lies there made of exactly what the checkout has now? */
function stands(
  checkout: string,
  project: string,
  previews: boolean,
  context: string,
  note: string,
): boolean {
  if (!existsSync(context) || !existsSync(note)) return false;
  const noted = JSON.parse(readFileSync(note, 'utf8')) as Origin;
  return (
    noted.previews === previews &&
    noted.program === programOf(checkout, project) &&
    Object.entries(noted.files).every(([file, mark]) => markOf(checkout, file) === mark)
  );
}

/**
 * Lays out the context of the delivery image, `imageContext`, unless it stands there as this checkout makes it: bundling
 * takes some ten seconds of a processor. Another run of the same checkout never finds half of it.
 * @param checkout what comes with Switchyard
 * @param build see `buildDeliveryImage`
 * @param project whose program it gets, and in which it is laid out. @default `checkout`
 * @returns whether it was laid out anew
 */
export async function layOut(
  checkout: string,
  previews: boolean,
  build: (
    checkout: string,
    options: { readonly out: string; readonly previews: boolean; readonly project: string },
  ) => Promise<readonly string[]>,
  project = checkout,
): Promise<boolean> {
  const context = join(project, imageContext(previews));
  const note = `${context}.json`;
  if (stands(checkout, project, previews, context, note)) return false;
  const made = `${context}.${randomUUID()}`;
  let program = '';
  try {
    await makeNoted(
      checkout,
      note,
      () => {
        program = programOf(checkout, project);
        return build(checkout, { out: made, previews, project });
      },
      () => take(made, context),
      (files): Origin => ({ program, previews, files }),
    );
    return true;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Puts a folder in another one's place, where another run may do the same. */
function take(made: string, context: string): void {
  for (let left = 10; ; left--) {
    rmSync(context, { recursive: true, force: true });
    try {
      renameSync(made, context);
      return;
    } catch (error) {
      if (left === 0 || !['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? ''))
        throw error;
    }
  }
}

/** Paths of a folder's files and their texts. */
const contentOf = (folder: string): Map<string, string> =>
  new Map(
    existsSync(folder)
      ? readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
          const path = join(entry.parentPath, entry.name);
          return entry.isFile() ? [[relative(folder, path), readFileSync(path, 'latin1')]] : [];
        })
      : [],
  );

/**
 * Copies the context of Jenkins' image into a repository that installs Switchyard, unless it stands there.
 * @returns whether it was copied
 */
export function layOutJenkins(product: string, project: string): boolean {
  const from = join(product, 'components', 'jenkins', 'image');
  const context = join(project, OWN_JENKINS_CONTEXT);
  if (isDeepStrictEqual(contentOf(from), contentOf(context))) return false;
  const made = `${context}.${randomUUID()}`;
  try {
    cpSync(from, made, { recursive: true });
    take(made, context);
    return true;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/**
 * Lays out what the program builds images from, where this is a checkout or somebody's own repository.
 * @param place which of them. @default the one around the current folder
 */
export async function layOutImages(
  { settings }: Pick<Model, 'settings'>,
  { product, project }: Place = here(),
): Promise<void> {
  if (!['cli.ts', 'cli.js'].some((name) => existsSync(join(product, 'delivery', name)))) return;
  // Loaded here, because the delivery image, which has no bundler, runs this file too.
  const { buildDeliveryImage } = await import('./bundles');
  await layOut(product, settings.topologyProject !== undefined, buildDeliveryImage, project);
  if (project !== product) layOutJenkins(product, project);
}
