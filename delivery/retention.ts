import type { StoredImage } from '../clients/registry';

/** How a merge request stands: still open, or ended at a time (Unix seconds), or not to be found out. */
export type RequestState =
  | { readonly state: 'open' | 'unknown' }
  | { readonly state: 'ended'; readonly at: number };

export interface RetentionInput {
  readonly images: readonly StoredImage[];
  /** Digests that a ledger names, or named as late as a rollback may reach. */
  readonly named: ReadonlySet<string>;
  /** Merge requests of the repository's module, by number. */
  readonly requests: ReadonlyMap<number, RequestState>;
  /** Unix seconds. */
  readonly now: number;
  /** Days that an image stays after its merge request ended. */
  readonly days: number;
}

export interface ImageDecision {
  readonly digest: string;
  readonly tags: readonly string[];
  readonly remove: boolean;
  readonly why: string;
}

const DAY = 86_400;
/** Tags that delivery gives: see `imageTag`, `cacheTag`, `replacedTag` and `deploy`. The cache of main has one that is none of them. */
const requestTag = /^mr-([1-9]\d*)-[0-9a-f]{8}(?:-cache)?(?:-was-(?:[0-9a-f]{8}|[0-9a-f]{64}))?$/;
const releaseTag = /^release-[0-9a-f]{12}$/;

/** The merge request that a tag was built for. */
export const requestOfTag = (tag: string): number | undefined => {
  const found = requestTag.exec(tag);
  return found ? Number(found[1]) : undefined;
};

/**
 * Which images of a repository go. One goes only when everything is known of it and nothing speaks for it: no ledger
 * names it or a part of it, it is no part of one that stays, each of its tags is one that delivery gave, and every
 * merge request it was built for ended long enough ago.
 */
export function decideImages({ images, named, requests, now, days }: RetentionInput): ImageDecision[] {
  const why = ({ digest, tags, parts }: StoredImage): string | undefined => {
    if (named.has(digest) || parts.some((part) => named.has(part))) return 'a ledger names it';
    const foreign = tags.find((tag) => !requestTag.test(tag) && !releaseTag.test(tag));
    if (foreign !== undefined) return `"${foreign}" is no tag of delivery's`;
    const numbers = tags.flatMap((tag) => requestOfTag(tag) ?? []);
    if (numbers.length === 0) return 'nothing says which merge request it came from';
    for (const number of numbers) {
      const request: RequestState = requests.get(number) ?? { state: 'unknown' };
      if (request.state === 'open') return `!${number} is open`;
      if (request.state !== 'ended') return `nobody knows what became of !${number}`;
      if (request.at > now - days * DAY) return `!${number} ended less than ${days} days ago`;
    }
    return undefined;
  };
  const reasons = new Map(images.map((image) => [image.digest, why(image)]));
  // An index that stays keeps its parts, and those theirs.
  for (let grew = true; grew; ) {
    grew = false;
    for (const { digest, parts } of images) {
      if (reasons.get(digest) === undefined) continue;
      for (const part of parts) {
        if (reasons.has(part) && reasons.get(part) === undefined) {
          reasons.set(part, `it is part of ${digest}, which stays`);
          grew = true;
        }
      }
    }
  }
  const decided = images.map(({ digest, tags }): ImageDecision => {
    const reason = reasons.get(digest);
    return {
      digest,
      tags,
      remove: reason === undefined,
      why: reason ?? `its merge request ended more than ${days} days ago, and no ledger names it`,
    };
  });
  // What has no tag of its own goes with the last index that it is a part of: nothing else would ever free it.
  const kept = new Set([...named, ...images.map(({ digest }) => digest)]);
  for (const { digest, parts } of images)
    if (reasons.get(digest) !== undefined) for (const part of parts) kept.add(part);
  for (const { digest, parts } of images) {
    for (const part of parts) {
      if (kept.has(part)) continue;
      kept.add(part);
      decided.push({ digest: part, tags: [], remove: true, why: `a part of ${digest}, which goes` });
    }
  }
  return decided;
}

/** Every digest anywhere in a text: of a ledger, or of what a ledger's history added and took away. */
export const digestsIn = (text: string): string[] => text.match(/sha256:[0-9a-f]{64}/g) ?? [];
