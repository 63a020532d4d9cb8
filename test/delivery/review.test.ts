import fc from 'fast-check';
import { MERGE_LABEL } from '../../catalog/status';
import type { Push } from '../../clients/gitlab';
import {
  decideReview,
  decideWord,
  isBotsFrom,
  pushersOf,
  type Testimony,
  type Word,
} from '../../delivery/review';
import { moment } from '../../text/moment';
import { sha } from './certificates';

const push = (author_id: number, from: string | null, to: string | null, ref = 'feature'): Push => ({
  author_id,
  push_data: {
    action: from === null ? 'created' : to === null ? 'removed' : 'pushed',
    ref_type: 'branch',
    ref,
    commit_from: from,
    commit_to: to,
  },
});
const created = { action: 'created', ref: 'feature', commit_from: null, commit_to: sha('b') } as const;
/** More refs than GitLab lists one by one. */
const bulk = (author_id: number): Push => ({
  author_id,
  push_data: { action: 'pushed', ref_type: 'branch', ref: null, commit_from: null, commit_to: null },
});

const HEAD = sha('b');
const BOT = 99;
const [ann, ben, cleo] = [
  { id: 1, username: 'ann' },
  { id: 2, username: 'ben' },
  { id: 3, username: 'cleo' },
];
const LATER = '2026-11-28T10:00:00.001Z';

const testimony = (more: Partial<Testimony> = {}): Testimony => ({
  head: HEAD,
  sourceBranch: 'feature',
  approvals: [{ user: cleo, approved_at: LATER }],
  versions: [
    { id: 8, head_commit_sha: HEAD, created_at: '2026-11-28T10:00:00.000Z' },
    { id: 7, head_commit_sha: sha('a'), created_at: '2026-11-28T09:00:00.000Z' },
  ],
  pushes: [push(1, sha('a'), HEAD), push(1, null, sha('a'))],
  people: new Set([1]),
  mayPush: new Set([1, 2, 3, BOT]),
  bot: BOT,
  ...more,
});
const whyNot = (more: Partial<Testimony>): string => {
  const decision = decideReview(testimony(more));
  return 'why' in decision ? decision.why : `by ${decision.by}`;
};

describe('who pushed', () => {
  it('is found push by push, back to the one that made the branch', () => {
    const pushes = [
      push(4, sha('e'), sha('f'), 'other'),
      push(2, sha('a'), HEAD),
      bulk(5),
      push(1, null, sha('a')),
      // An older branch of the same name.
      push(6, sha('1'), null),
      push(6, null, sha('1')),
    ];
    expect(pushersOf(pushes, 'feature', HEAD)).toEqual(new Set([2, 1]));
  });

  it.each<[string, Push[]]>([
    ['nothing is known', []],
    ['the newest is missing', [push(1, null, sha('a'))]],
    ['one in between is missing', [push(1, sha('c'), HEAD), push(1, null, sha('a'))]],
    ['the beginning is missing', [push(1, sha('a'), HEAD)]],
    ['it came with many others', [bulk(1), push(1, null, sha('a'))]],
    ['a tag is called so', [{ author_id: 1, push_data: { ...created, ref_type: 'tag' } }]],
    ['another branch has that commit', [push(1, null, HEAD, 'other')]],
  ])('is unknown where %s', (_what, pushes) => {
    expect(pushersOf(pushes, 'feature', HEAD)).toBeUndefined();
    expect(whyNot({ pushes })).toContain('GitLab does not say who pushed');
  });

  it('is everyone of a chain, whatever else the project saw', () => {
    const commit = fc.nat({ max: 15 }).map((digit) => sha(digit.toString(16)));
    const chain = fc.uniqueArray(commit, { minLength: 1, maxLength: 8 });
    const foreign = fc.array(
      fc.tuple(fc.nat(9), commit, commit).map(([id, a, b]) => push(id + 50, a, b, 'x')),
    );
    fc.assert(
      fc.property(chain, foreign, (commits, others) => {
        const own = commits.map((to, index) => push(index, commits[index - 1] ?? null, to)).reverse();
        const mixed = own.flatMap((one, index) => [...others.slice(index, index + 1), one]);
        expect(pushersOf(mixed, 'feature', commits.at(-1) ?? '')).toEqual(
          new Set(commits.map((_, index) => index)),
        );
      }),
    );
  });
});

describe('a review', () => {
  it('holds by one approval of someone else after the newest commit, whoever else approved', () => {
    const given = { user: 3, at: Date.parse(LATER), of: HEAD };
    expect(decideReview(testimony())).toEqual({ by: 'cleo', given });
    const approvals = [ann, ben, cleo].map((user) => ({ user, approved_at: LATER }));
    expect(decideReview(testimony({ approvals, people: new Set([1, 2]) }))).toEqual({
      by: 'cleo',
      given,
    });
  });

  it.each<[string, Partial<Testimony>, string]>([
    ['nobody approved', { approvals: [] }, 'it waits for an approval'],
    [
      'the bot did',
      { approvals: [{ user: { id: BOT, username: 'b' }, approved_at: LATER }] },
      'b is no person',
    ],
    ['who did may not push', { mayPush: new Set([1]) }, 'cleo is no person who may push'],
    ['who did pushed it', { pushes: [push(3, null, HEAD)] }, 'cleo pushed it'],
    [
      'who did pushed an older commit',
      { pushes: [push(1, sha('a'), HEAD), push(3, null, sha('a'))] },
      'cleo pushed it',
    ],
    ['who did wrote, committed or opened it', { people: new Set([1, 3]) }, 'cleo wrote or opened it'],
    [
      'it was before the commit',
      { approvals: [{ user: cleo, approved_at: '2026-11-28T09:59:59Z' }] },
      'an older commit',
    ],
    [
      'it was as GitLab took the commit in',
      { approvals: [{ user: cleo, approved_at: '2026-11-28T10:00:00Z' }] },
      'an older commit',
    ],
    [
      'it was of the same commit, which went to another branch then: GitLab has a version of each target',
      {
        versions: [
          { id: 9, head_commit_sha: HEAD, created_at: '2026-11-28T11:00:00.000Z' },
          ...testimony().versions,
        ],
      },
      'an older commit',
    ],
    ['nobody knows when', { approvals: [{ user: cleo }] }, 'does not say when'],
    [
      'GitLab shows an older head',
      { versions: testimony().versions.slice(1) },
      'has not taken in bbbbbbbbbbbb yet',
    ],
    ['too many made it to be read', { people: undefined }, 'more commits or committers than are read'],
    ['GitLab shows none', { versions: [] }, 'has not taken in bbbbbbbbbbbb yet'],
  ])('does not hold where %s', (_what, more, why) => {
    expect(whyNot(more)).toContain(why);
  });

  it('counts another zone’s time as the time that it is', () => {
    const approvals = [{ user: cleo, approved_at: '2026-11-28T11:30:00+02:00' }];
    expect(whyNot({ approvals })).toContain('an older commit');
  });
});

// The bot rebased HEAD, which cleo had approved, as REBASED.
const REBASED = sha('c');
const GIVEN = { user: 3, at: Date.parse(LATER), of: HEAD };
const rebase = push(BOT, HEAD, REBASED);
const rebased = (more: Partial<Testimony> = {}): Testimony => {
  const { versions, pushes } = testimony();
  return testimony({
    head: REBASED,
    carried: GIVEN,
    versions: [{ id: 9, head_commit_sha: REBASED, created_at: '2026-11-28T11:00:00.000Z' }, ...versions],
    pushes: [rebase, ...pushes],
    ...more,
  });
};

describe('an approval of what the bot has rebased since', () => {
  it('stands for what came of that, however often', () => {
    expect(decideReview(rebased())).toEqual({ by: 'cleo', given: GIVEN });
    const twice = sha('d');
    expect(
      decideReview(
        rebased({
          head: twice,
          versions: [
            { id: 10, head_commit_sha: twice, created_at: '2026-11-28T12:00:00.000Z' },
            ...rebased().versions,
          ],
          pushes: [push(BOT, REBASED, twice), ...rebased().pushes],
        }),
      ),
    ).toEqual({ by: 'cleo', given: GIVEN });
  });

  it.each<[string, Partial<Testimony>, string]>([
    ['no certificate says so', { carried: undefined }, 'cleo approved an older commit'],
    ['it was taken back', { approvals: [] }, 'it waits for an approval'],
    [
      'it was given anew for the old commit',
      { approvals: [{ user: cleo, approved_at: '2026-11-28T10:30:00Z' }] },
      'cleo approved an older commit',
    ],
    [
      'another approved the old commit',
      { approvals: [{ user: ben, approved_at: LATER }] },
      'ben approved an older commit',
    ],
    ['who gave it may not push any more', { mayPush: new Set([1, 2]) }, 'cleo is no person who may push'],
    [
      'somebody else made the new commit',
      { pushes: [push(1, HEAD, REBASED), ...testimony().pushes] },
      'cleo approved an older commit',
    ],
    [
      'somebody pushed before the bot did',
      {
        pushes: [push(BOT, sha('e'), REBASED), push(1, HEAD, sha('e')), ...testimony().pushes],
      },
      'cleo approved an older commit',
    ],
    [
      'the branch was made anew',
      { pushes: [push(BOT, null, REBASED), push(1, HEAD, null), ...testimony().pushes] },
      'cleo approved an older commit',
    ],
    [
      'GitLab does not say who pushed',
      { pushes: testimony().pushes },
      'GitLab does not say who pushed cccccccccccc',
    ],
    ['GitLab shows the old head', { versions: testimony().versions }, 'has not taken in cccccccccccc yet'],
  ])('counts for nothing where %s', (_what, more, why) => {
    const decision = decideReview(rebased(more));
    expect('why' in decision ? decision.why : decision).toContain(why);
  });

  it('is of the bot’s own pushes only: one by anybody else in any place ends it', () => {
    const commits = [...'0123456789'].map((digit) => sha(digit));
    fc.assert(
      fc.property(fc.nat({ max: 8 }), fc.nat({ max: 8 }), (length, other) => {
        const chain = commits.slice(0, length + 1);
        const pushes = chain
          .slice(1)
          .map((to, index) => push(index === other ? 1 : BOT, chain[index] ?? null, to))
          .reverse();
        const about = { branch: 'feature', head: chain.at(-1) ?? '', of: chain[0] ?? '', bot: BOT };
        expect(isBotsFrom(pushes, about)).toBe(other >= length);
      }),
    );
  });
});

describe('the label by which a person has the queue merge', () => {
  const event = (action: 'add' | 'remove', user: { id: number; username: string }, at: string, id = 1) => ({
    id,
    action,
    label: { id: 4, name: MERGE_LABEL },
    user,
    created_at: at,
  });
  const word = (more: Partial<Word> = {}): Word => ({
    head: HEAD,
    sourceBranch: 'feature',
    labels: ['other', MERGE_LABEL],
    events: [event('add', cleo, LATER)],
    changed: new Map([[4, 0]]),
    versions: testimony().versions,
    pushes: [],
    mayMerge: true,
    bot: BOT,
    ...more,
  });

  it('is of the commit that was the newest then, and its author may set it as well', () => {
    expect(decideWord(word())).toEqual({ by: 'cleo', given: GIVEN });
    expect(decideWord(word({ events: [event('add', ann, LATER)] }))).toMatchObject({ by: 'ann' });
  });

  it('stands for what the bot made of that commit, and for nothing of anybody else', () => {
    const { versions, pushes } = rebased();
    const about = { head: REBASED, versions, carried: GIVEN };
    expect(decideWord(word({ ...about, pushes }))).toEqual({ by: 'cleo', given: GIVEN });
    for (const more of [
      { ...about, pushes, carried: undefined },
      { ...about, pushes: [push(1, HEAD, REBASED), ...pushes.slice(1)] },
      { ...about, pushes, carried: { ...GIVEN, at: GIVEN.at - 1 } },
    ])
      expect(decideWord(word(more))).toEqual({
        why: `cleo set ${MERGE_LABEL} for an older commit: take it off and set it anew`,
      });
  });

  it.each<[string, Partial<Word>, string]>([
    ['nobody set it', { labels: ['other'] }, 'the catalog leaves the merge to people (merge: manual)'],
    ['it was set by who may not merge', { mayMerge: false }, 'cleo, who set'],
    [
      'it was set for an older commit',
      { events: [event('add', cleo, '2026-11-28T09:30:00Z')] },
      'for an older commit',
    ],
    [
      'it was set as GitLab took the commit in',
      { events: [event('add', cleo, '2026-11-28T10:00:00Z')] },
      'for an older commit',
    ],
    [
      'it had another name then, and GitLab tells the second in which that changed',
      { changed: new Map([[4, Math.floor(Date.parse(LATER) / 1000) * 1000]]) },
      `was changed since cleo set it (${moment(LATER)} and ${moment(LATER)})`,
    ],
    [
      'another label of this name was changed, and nothing is known of it',
      { changed: new Map([[5, 0]]) },
      `GitLab does not say when ${MERGE_LABEL} was changed last`,
    ],
    ['GitLab keeps no event of it', { events: [] }, 'GitLab does not say who set'],
    ['GitLab shows an older head', { versions: testimony().versions.slice(1) }, 'has not taken in'],
  ])('counts for nothing where %s', (_what, more, why) => {
    const decision = decideWord(word(more));
    expect('why' in decision ? decision.why : decision).toContain(why);
  });
});
