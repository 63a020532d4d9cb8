import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { imageContext, programOf } from '../catalog/program';
import type { Model } from '../components/model';
import { makeNoted, markOf } from './marks';
import { root } from './place';

/** What a context was laid out from. */
interface Origin {
  readonly program: string;
  readonly previews: boolean;
  /** Files of its bundles, relative to the checkout → size and time of the last change. */
  readonly files: Readonly<Record<string, string>>;
}

/** Is what lies there made of exactly what the checkout has now? */
function stands(checkout: string, previews: boolean, context: string, note: string): boolean {
  if (!existsSync(context) || !existsSync(note)) return false;
  const noted = JSON.parse(readFileSync(note, 'utf8')) as Origin;
  return (
    noted.previews === previews &&
    noted.program === programOf(checkout) &&
    Object.entries(noted.files).every(([file, mark]) => markOf(checkout, file) === mark)
  );
}

/**
 * Lays out the context of the delivery image, `imageContext`, unless it stands there as this checkout makes it: bundling
 * takes some ten seconds of a processor. Another run of the same checkout never finds half of it.
 * @param build see `buildDeliveryImage`
 * @returns whether it was laid out anew
 */
export async function layOut(
  checkout: string,
  previews: boolean,
  build: (
    checkout: string,
    options: { readonly out: string; readonly previews: boolean },
  ) => Promise<readonly string[]>,
): Promise<boolean> {
  const context = join(checkout, imageContext(previews));
  const note = `${context}.json`;
  if (stands(checkout, previews, context, note)) return false;
  const made = `${context}.${randomUUID()}`;
  let program = '';
  try {
    await makeNoted(
      checkout,
      note,
      () => {
        program = programOf(checkout);
        return build(checkout, { out: made, previews });
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

/** Lays out what the program builds the delivery image from, where this is a checkout. */
export async function layOutImage({ settings }: Model): Promise<void> {
  if (!existsSync(join(root, 'delivery', 'cli.ts'))) return;
  // Loaded here, because the delivery image, which has no bundler, runs this file too.
  const { buildDeliveryImage } = await import('./build');
  await layOut(root, settings.topologyProject !== undefined, buildDeliveryImage);
}
