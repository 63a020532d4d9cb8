import { parseLedger } from '../catalog/ledger';
import { exitCode, Failure } from '../clients/failure';
import { WorkingCopy } from '../clients/git';
import type { GitLab } from '../clients/gitlab';
import { GitLabError } from '../clients/gitlab-api';
import type { Cluster } from '../clients/kubernetes-in-pod';
import type { Registry } from '../clients/registry';
import { decideImages, digestsIn, type ImageDecision, type RequestState, requestOfTag } from './retention';

const LEDGER_BRANCH = 'main';
/** Repositories of modules; others (Jenkins, delivery) are named by the stack and not by a ledger. */
const MODULES = 'modules/';
/** ConfigMap that the registry looks for when it starts; components/registry/collect.ts reads it. */
const COLLECT_REQUEST = 'registry-collect';
const OURS = {
  'app.kubernetes.io/managed-by': 'switchyard',
  'app.kubernetes.io/part-of': 'switchyard',
  'switchyard.dev/purpose': 'clean-up',
} as const;
const DAY = 86_400;

export interface Ledgers {
  /** Digests that some environment runs, and those that one ran within the time that a rollback may reach. */
  readonly named: ReadonlySet<string>;
  /** The same with the repository that each lies in: `modules/orders@sha256:…`. */
  readonly images: ReadonlySet<string>;
}

/** Images of modules anywhere in a text, without the registry's host. */
const imagesIn = (text: string): string[] => text.match(/\bmodules\/[a-z0-9-]+@sha256:[0-9a-f]{64}/g) ?? [];

/**
 * Reads all environments' ledgers and their history.
 * @throws ProblemsError when a ledger is broken, Failure when it cannot be read: then nothing may be removed
 */
export async function readLedgers(
  remote: { readonly url: string; readonly token: string },
  folder: string,
  since: number,
): Promise<Ledgers> {
  const copy = new WorkingCopy(folder, remote);
  await copy.open();
  await copy.fetchUntil([LEDGER_BRANCH], async () => false);
  const named = new Set<string>();
  const images = new Set<string>();
  const note = (text: string): void => {
    for (const digest of digestsIn(text)) named.add(digest);
    for (const image of imagesIn(text)) images.add(image);
  };
  for (const file of await copy.files(LEDGER_BRANCH)) {
    if (!file.endsWith('.yaml')) continue;
    const text = await copy.text(LEDGER_BRANCH, file);
    for (const { image } of Object.values(parseLedger(text, `release-ledger/${file}`).modules)) {
      note(image);
    }
  }
  // Taken as text: an older form of the file names its digests as well.
  note(await copy.changes(LEDGER_BRANCH, since));
  return { named, images };
}

/** How a merge request stands, for retention: what GitLab will not tell counts as unknown, and keeps the image. */
export async function requestState(
  gitlab: Pick<GitLab, 'mergeRequest'>,
  project: string,
  iid: number,
): Promise<RequestState> {
  try {
    const request = await gitlab.mergeRequest(project, iid);
    if (request.state === 'opened' || request.state === 'locked') return { state: 'open' };
    const at = Date.parse((request.state === 'merged' ? request.merged_at : request.closed_at) ?? '') / 1000;
    return Number.isFinite(at) ? { state: 'ended', at } : { state: 'unknown' };
  } catch (error) {
    // The project went with its module, or the number was never one of its.
    if (error instanceof GitLabError && error.status === 404) return { state: 'unknown' };
    throw error;
  }
}

export interface CollectRequest {
  readonly registry: Pick<Registry, 'repositories' | 'images' | 'remove'>;
  readonly gitlab: Pick<GitLab, 'mergeRequest'>;
  readonly cluster: Pick<Cluster, 'list' | 'remove' | 'createConfigMap'>;
  /** Path of a module's project. */
  readonly projectOf: (module: string) => string;
  /** Reads the ledgers: once to decide, and again before anything is removed. */
  readonly ledgers: () => Promise<Pick<Ledgers, 'named'>>;
  /** Namespace of the registry's Pod. */
  readonly namespace: string;
  readonly days: number;
  /** Unix seconds. */
  readonly now: number;
  /** Only say what would go. */
  readonly dryRun: boolean;
  readonly say: (line: string) => void;
}

/**
 * Removes the images that nothing needs, then has the registry free their blobs: it is asked to collect, and restarted.
 * @returns what went, by repository
 */
export async function collectRegistry(request: CollectRequest): Promise<Record<string, ImageDecision[]>> {
  const { registry, gitlab, cluster, say, namespace } = request;
  const selector = Object.entries(OURS)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  if (!request.dryRun) {
    // Yesterday's request is fulfilled, or will be asked for again below.
    for (const old of await cluster.list('configmaps', namespace, selector)) {
      if (old.name === COLLECT_REQUEST) await cluster.remove('configmaps', old);
    }
  }
  const decide = async (repository: string, { named }: Pick<Ledgers, 'named'>): Promise<ImageDecision[]> => {
    const images = await registry.images(repository);
    const requests = new Map<number, RequestState>();
    for (const number of new Set(
      images.flatMap(({ tags }) => tags.flatMap((tag) => requestOfTag(tag) ?? [])),
    )) {
      requests.set(
        number,
        await requestState(gitlab, request.projectOf(repository.slice(MODULES.length)), number),
      );
    }
    return decideImages({ images, named, requests, now: request.now, days: request.days });
  };
  const ledgers = await request.ledgers();
  const planned: Record<string, ImageDecision[]> = {};
  for (const repository of (await registry.repositories()).filter((name) => name.startsWith(MODULES))) {
    const decisions = await decide(repository, ledgers);
    const going = decisions.filter(({ remove }) => remove);
    say(`${repository}: ${decisions.length - going.length} stay, ${going.length} go`);
    if (going.length > 0) planned[repository] = going;
  }
  if (request.dryRun || Object.keys(planned).length === 0) return planned;

  // A deploy may have put one of them into a ledger while we looked, and a build may have made the same once more.
  const again = await request.ledgers();
  const removed: Record<string, ImageDecision[]> = {};
  for (const [repository, going] of Object.entries(planned)) {
    const still = (await decide(repository, again)).filter(({ remove }) => remove);
    for (const image of going.filter(({ digest }) => still.some((one) => one.digest === digest))) {
      await registry.remove(repository, image.digest);
      removed[repository] = [...(removed[repository] ?? []), image];
      say(`removed: ${repository}@${image.digest} (${image.tags.join(', ')}): ${image.why}`);
    }
  }
  if (Object.keys(removed).length > 0) {
    await cluster.createConfigMap(namespace, COLLECT_REQUEST, { ...OURS }, { requested: 'yes' });
    const pods = await cluster.list(
      'pods',
      namespace,
      'app.kubernetes.io/name=registry,app.kubernetes.io/component=registry,app.kubernetes.io/part-of=switchyard',
    );
    if (pods.length === 0) {
      throw new Failure(
        exitCode.red,
        `registry: there is no Pod of it in ${namespace}.`,
        'It frees the space when it next starts.',
      );
    }
    for (const pod of pods) await cluster.remove('pods', pod);
  }
  return removed;
}

/** Start of the time in which a ledger's history counts, Unix seconds. */
export const historyStart = (now: number, releaseDays: number): number => now - releaseDays * DAY;
