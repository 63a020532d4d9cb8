import fc from 'fast-check';
import type { StoredImage } from '../../clients/registry';
import { cacheTag, replacedTag } from '../../delivery/gate';
import { decideImages, digestsIn, type RequestState } from '../../delivery/retention';
import { scaled } from '../support/scale';

const DAY = 86_400;
const NOW = 2_000_000_000;
const digest = (n: number): string => `sha256:${n.toString(16).padStart(64, '0')}`;
const image = (n: number, tags: string[], parts: string[] = []): StoredImage => ({
  digest: digest(n),
  tags,
  parts,
});
const ended = (days: number): RequestState => ({ state: 'ended', at: NOW - days * DAY });
const decide = (
  images: StoredImage[],
  requests: Record<number, RequestState> = { 1: ended(31) },
  named: string[] = [],
) =>
  Object.fromEntries(
    decideImages({
      images,
      named: new Set(named),
      requests: new Map(Object.entries(requests).map(([number, state]) => [Number(number), state])),
      now: NOW,
      days: 30,
    }).map(({ digest: of, remove, why }) => [of, remove ? 'go' : why]),
  );

test('an image goes when its merge request ended long ago and no ledger names it', () => {
  expect(decide([image(1, ['mr-1-0123abcd'])])).toEqual({ [digest(1)]: 'go' });
});

test('the cache of a build goes as its image does; the one of main stays', () => {
  expect(
    decide([image(1, ['mr-1-0123abcd-cache']), image(2, ['mr-1-0123abcd-cache', 'buildcache'])]),
  ).toEqual({
    [digest(1)]: 'go',
    [digest(2)]: '"buildcache" is no tag of delivery\'s',
  });
});

test.each([
  ['open', { state: 'open' } as const, '!1 is open'],
  ['unknown', { state: 'unknown' } as const, 'nobody knows what became of !1'],
  ['lately ended', ended(29), '!1 ended less than 30 days ago'],
])('an image whose merge request is %s stays', (_what, state, why) => {
  expect(decide([image(1, ['mr-1-0123abcd'])], { 1: state })).toEqual({ [digest(1)]: why });
});

test('an image stays for the youngest of its merge requests', () => {
  expect(decide([image(1, ['mr-1-0123abcd', 'mr-2-0123abcd'])], { 1: ended(90), 2: ended(3) })).toEqual({
    [digest(1)]: '!2 ended less than 30 days ago',
  });
});

test('a release that no ledger has named for long goes with its merge request', () => {
  const release = image(1, ['mr-1-0123abcd', 'release-0123456789ab']);
  expect(decide([release])).toEqual({ [digest(1)]: 'go' });
  expect(decide([release], undefined, [digest(1)])).toEqual({ [digest(1)]: 'a ledger names it' });
});

test('tags that delivery did not give, and images without a merge request, are left alone', () => {
  expect(
    decide([
      image(1, ['buildcache']),
      image(2, ['mr-1-0123abcd', 'keep-me']),
      image(3, ['release-0123456789ab']),
      image(4, []),
    ]),
  ).toEqual({
    [digest(1)]: '"buildcache" is no tag of delivery\'s',
    [digest(2)]: '"keep-me" is no tag of delivery\'s',
    [digest(3)]: 'nothing says which merge request it came from',
    [digest(4)]: 'nothing says which merge request it came from',
  });
});

test('the parts of an index that stays stay too, however deep', () => {
  const tags = ['mr-1-0123abcd'];
  expect(
    decide([image(3, tags), image(2, tags, [digest(3)]), image(1, tags, [digest(2)])], undefined, [
      digest(1),
    ]),
  ).toEqual({
    [digest(1)]: 'a ledger names it',
    [digest(2)]: `it is part of ${digest(1)}, which stays`,
    [digest(3)]: `it is part of ${digest(2)}, which stays`,
  });
});

test('the parts of an index go with it, but for those that something else needs', () => {
  const index = image(1, ['mr-1-0123abcd'], [digest(2), digest(3), digest(4), digest(5)]);
  expect(
    decide([index, image(6, ['buildcache'], [digest(3)]), image(4, ['buildcache-old'])], undefined, [
      digest(7),
    ]),
  ).toEqual({
    [digest(1)]: 'go',
    [digest(2)]: 'go',
    [digest(4)]: '"buildcache-old" is no tag of delivery\'s',
    [digest(5)]: 'go',
    [digest(6)]: '"buildcache" is no tag of delivery\'s',
  });
});

test('what a rebuild replaced has a tag of its own, however alike the digests of two are that somebody chose', () => {
  const alike = [1, 2].map((n) => `sha256:${'0123abcd'.padEnd(63, '0')}${n}`);
  const tags = alike.map((one) => replacedTag(cacheTag('mr-2147483647-0123abcd'), one));
  expect(new Set(tags).size).toBe(2);
  // What a registry takes as a tag.
  for (const one of tags) expect(one).toMatch(/^\w[\w.-]{0,127}$/);
});

test('what a rebuild replaced goes as its image and its cache do', () => {
  const replaced = [
    image(1, [replacedTag('mr-1-0123abcd', digest(1))]),
    image(2, [replacedTag(cacheTag('mr-1-0123abcd'), digest(2))]),
    // As they were called before December 2026.
    image(3, ['mr-1-0123abcd-cache-was-00000000']),
  ];
  const open = '!1 is open';
  expect(Object.values(decide(replaced))).toEqual(['go', 'go', 'go']);
  expect(Object.values(decide(replaced, { 1: { state: 'open' } }))).toEqual([open, open, open]);
});

const state = fc.oneof(
  fc.constant<RequestState>({ state: 'open' }),
  fc.constant<RequestState>({ state: 'unknown' }),
  fc.integer({ min: 0, max: 100 }).map(ended),
);
const tag = fc.oneof(
  fc.integer({ min: 1, max: 4 }).map((number) => `mr-${number}-0123abcd`),
  fc.constantFrom('release-0123456789ab', 'buildcache', 'latest', 'mr-x', 'mr-1-0123abcd-more'),
);
const repository = fc.uniqueArray(
  fc.record({
    n: fc.integer({ min: 0, max: 9 }),
    tags: fc.array(tag, { maxLength: 3 }),
    parts: fc.array(fc.integer({ min: 0, max: 9 }).map(digest), { maxLength: 3 }),
  }),
  { selector: ({ n }) => n, maxLength: 10 },
);

test('whatever a repository holds, no digest of a ledger goes, nor a part of what stays, nor an open merge request', () => {
  fc.assert(
    fc.property(
      repository,
      fc.array(fc.integer({ min: 0, max: 9 }).map(digest)),
      fc.dictionary(fc.integer({ min: 1, max: 4 }).map(String), state),
      (images, named, requests) => {
        const all = images.map(({ n, tags, parts }) => image(n, tags, parts));
        const outcome = decide(all, requests, named);
        const goes = (of: string): boolean => outcome[of] === 'go';
        for (const { digest: of, tags, parts } of all) {
          if (named.includes(of)) expect(goes(of)).toBe(false);
          if (!goes(of)) for (const part of parts) expect(goes(part)).toBe(false);
          else {
            for (const part of parts) {
              const needed = named.includes(part) || all.some((one) => one.digest === part);
              const shared = all.some((one) => !goes(one.digest) && one.parts.includes(part));
              if (!needed && !shared) expect(goes(part)).toBe(true);
            }
            expect(tags.length).toBeGreaterThan(0);
            for (const each of tags) expect(each).toMatch(/^(mr-\d+-[0-9a-f]{8}|release-[0-9a-f]{12})$/);
            for (const each of tags) {
              const number = /^mr-(\d+)-/.exec(each)?.[1];
              if (number) expect(requests[Number(number)]?.state).toBe('ended');
            }
          }
        }
      },
    ),
    { numRuns: scaled({ usual: 500, all: 20_000 }) },
  );
});

test('digests are found in a ledger and in the lines that a patch took away', () => {
  expect(digestsIn(`-    image: r/x@${digest(1)}\n+    image: r/x@${digest(2)}\n sha256:short`)).toEqual([
    digest(1),
    digest(2),
  ]);
});
