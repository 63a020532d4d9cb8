/** A merge request by the full path of its project and its number there. */
export interface Ref {
  readonly project: string;
  readonly iid: number;
}

/** As people write it: `switchyard/orders!3`. */
export const nameOf = ({ project, iid }: Ref): string => `${project}!${iid}`;

/** What a merge request's description says that it depends on. */
export interface Need extends Ref {
  /** `foreign`: not found, or into another branch or project than what queues here. */
  readonly state: 'open' | 'merged' | 'closed' | 'foreign';
}

/** What the order is made of. */
export interface Queued extends Ref {
  /** Since when it may be merged (milliseconds since 1970), or why it may not. */
  readonly ready: { readonly since: number } | { readonly why: string };
  /** Who put it first, by the label. */
  readonly first?: string;
  readonly needs: readonly Need[];
  /** Tests of its head in a row that broke off without a verdict. */
  readonly broke?: { readonly times: number };
}

/** Tests in a row that may break off without a verdict before those behind pass by: they wait for nobody's bad luck. */
export const PASSED_BY = 3;

/** Order of two that do not depend on each other: put first, then not passed by, then since when, then by name. */
function compare(a: Queued, b: Queued): number {
  const keys = (one: Queued): readonly number[] => [
    one.first === undefined ? 1 : 0,
    Math.floor((one.broke?.times ?? 0) / PASSED_BY),
    'since' in one.ready ? one.ready.since : 0,
  ];
  const [ours, theirs] = [keys(a), keys(b)];
  const differs = ours.findIndex((key, index) => key !== theirs[index]);
  if (differs >= 0) return (ours[differs] ?? 0) - (theirs[differs] ?? 0);
  if (a.project !== b.project) return a.project < b.project ? -1 : 1;
  return a.iid - b.iid;
}

/** Which of the open merge requests queue, in their order, and why the others do not. */
export interface Order<T extends Queued> {
  readonly queued: readonly T[];
  readonly held: readonly { readonly request: T; readonly why: string }[];
}

/**
 * Orders by readiness, each behind what it depends on. What depends on something that cannot be merged is held, and so is a
 * circle: that is told, and ends by itself as soon as the description or the other merge request changes.
 */
export function inOrder<T extends Queued>(requests: readonly T[]): Order<T> {
  const known = new Map(requests.map((request) => [nameOf(request), request]));
  const held = new Map<T, string>();
  const settled = new Set<T>();

  /** Why it is held, or undefined. @param path those on the way to it, each needing the next */
  const visit = (request: T, path: readonly T[]): string | undefined => {
    if (settled.has(request)) return held.get(request);
    const found = whyHeld(request, path);
    settled.add(request);
    if (found !== undefined) held.set(request, found);
    return found;
  };
  const whyHeld = (request: T, path: readonly T[]): string | undefined => {
    if ('why' in request.ready) return request.ready.why;
    for (const need of request.needs) {
      if (need.state === 'merged') continue;
      const name = nameOf(need);
      if (need.state === 'closed') return `it depends on ${name}, which is closed`;
      const other = known.get(name);
      if (need.state === 'foreign' || !other) return `it depends on ${name}, which is none that queues here`;
      const circle = [...path, request];
      const at = circle.indexOf(other);
      if (at >= 0) {
        const round = circle.slice(at);
        for (const one of round) {
          const from = round.indexOf(one);
          const names = [...round.slice(from), ...round.slice(0, from), one].map(nameOf);
          held.set(one, `it depends on itself: ${names.join(' → ')}`);
          settled.add(one);
        }
        return held.get(request);
      }
      const why = visit(other, circle);
      // On the way it was found to be one of a circle.
      if (held.has(request)) return held.get(request);
      if (why !== undefined) return `it waits for ${name}, which does not queue (${why})`;
    }
    return undefined;
  };
  for (const request of requests) visit(request, []);

  const queued = new Set<T>();
  const place = (request: T): void => {
    if (queued.has(request) || held.has(request)) return;
    // What it depends on comes first, wherever it would stand by itself.
    const needed = request.needs.flatMap((need) => known.get(nameOf(need)) ?? []);
    for (const need of needed.sort(compare)) place(need);
    queued.add(request);
  };
  for (const request of [...requests].sort(compare)) place(request);
  return {
    queued: [...queued],
    held: requests.flatMap((request) => {
      const why = held.get(request);
      return why === undefined ? [] : [{ request, why }];
    }),
  };
}

/** Queues: projects that a dependency joins are one, each list sorted. */
export function joined(projects: readonly string[], requests: readonly Queued[]): readonly string[][] {
  const queues = new Map(projects.map((project) => [project, new Set([project])]));
  for (const { project, needs } of requests) {
    for (const need of needs) {
      const [a, b] = [queues.get(project), queues.get(need.project)];
      if (need.state !== 'open' || !a || !b || a === b) continue;
      for (const other of b) {
        a.add(other);
        queues.set(other, a);
      }
    }
  }
  return [...new Set(queues.values())].map((queue) => [...queue].sort()).sort((a, b) => (a < b ? -1 : 1));
}
