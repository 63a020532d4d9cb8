import type { Problem } from '../../catalog/problems';
import { askText } from '../../clients/ask';
import { imageFor } from '../../stacks/load';
import { repositoryRoot } from '../../stacks/registry';
import { defaultImages, type ImageRole, type StackSettings } from '../../stacks/schema';

/**
 * Time for an answer, in milliseconds: a network that drops what it does not let through answers never. One that passes says
 * nothing of who may push, so that it is asked again in that time; an upload that was begun twice is removed by itself.
 */
const PATIENCE = 5000;
const POLICY = { attempts: 4, baseMs: 200, capMs: 1000, attemptMs: PATIENCE, totalMs: PATIENCE };

interface Asked {
  /** Setting that names it. */
  readonly key: string;
  readonly url: string;
  /** One that images come from: rights differ by repository. */
  readonly repository: string;
}

/**
 * Registries that every build reaches by the network. Ours asks everybody for a login (`components/registry/config.ts`), so
 * that it is none of them.
 */
function reachedByBuilds(settings: StackSettings): Asked[] {
  const { images, registry } = settings;
  const { mirror, mirrorInsecure } = images;
  const roles = Object.keys(defaultImages) as ImageRole[];
  const served = roles
    .map((role) => imageFor(settings, role))
    .find((image) => mirror !== undefined && image.startsWith(`${mirror}/`));
  const path = (image: string, address: string) => image.slice(address.length + 1).replace(/[:@].*/, '');
  return [
    ...(mirror !== undefined && served !== undefined
      ? [
          {
            key: 'config.images.mirror',
            url: `${mirrorInsecure ? 'http' : 'https'}://${mirror}`,
            repository: path(served, mirror),
          },
        ]
      : []),
    ...(registry.existing
      ? [
          {
            key: 'config.registry.address',
            url: `${registry.scheme}://${registry.address}`,
            repository: path(`${repositoryRoot(settings)}/switchyard/delivery`, registry.address),
          },
        ]
      : []),
  ];
}

/** Begins an upload as a build could that was given no login, and gives it up. */
async function takesPush({ url, repository }: Asked): Promise<boolean> {
  const at = `${url}/v2/${repository}/blobs/uploads/`;
  try {
    const { response } = await askText(
      at,
      { method: 'POST', redirect: 'follow' },
      { policy: POLICY, repeatable: true },
    );
    if (response.status !== 202) return false;
    const upload = new URL(response.headers.get('location') ?? '', response.url);
    // One that it keeps all the same, it removes by itself.
    if (upload.origin === new URL(response.url).origin)
      await askText(upload.href, { method: 'DELETE' }, { policy: POLICY }).catch(() => undefined);
    return true;
  } catch {
    // Nodes and builds need a way to it, whoever runs this does not.
    return false;
  }
}

/** One fault for each registry that lets foreign code replace what builds or clusters start from. */
export async function anonymousPushes(settings: StackSettings): Promise<Problem[]> {
  const asked = reachedByBuilds(settings);
  const taken = await Promise.all(asked.map(takesPush));
  return asked
    .filter((_, index) => taken[index])
    .map(({ key, url }) => ({
      file: `stacks/Pulumi.${settings.environment}.yaml`,
      key,
      what: `${new URL(url).host} takes pushes without a login, and every build reaches it: a merge request nobody approved could replace what all modules start from.`,
      remedy: 'Have it refuse whoever pushes without a login.',
    }));
}
