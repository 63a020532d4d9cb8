import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Model } from '../components/model';
import { root } from './place';

/** Lays out what the program builds the delivery image from, where this is a checkout. */
export async function layOutImage({ settings }: Model): Promise<void> {
  if (!existsSync(join(root, 'delivery', 'cli.ts'))) return;
  // Loaded here, because the delivery image, which has no bundler, runs this file too.
  const { buildDeliveryImage } = await import('./build');
  await buildDeliveryImage(root, { previews: settings.topologyProject !== undefined });
}
