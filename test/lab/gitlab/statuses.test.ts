// Facts of GitLab: app/models/commit_status.rb (state machine), app/services/ci/create_commit_status_service.rb,
// lib/gitlab/ci/status/composite.rb, app/models/concerns/web_hooks/auto_disabling.rb, app/models/hooks/active_hook_filter.rb,
// app/models/concerns/protected_ref.rb, protected_ref_access.rb, app/models/protected_branch.rb.

import fc from 'fast-check';
import { allows, branchRights, matchesPattern } from '../../../lab/gitlab/instance/access';
import {
  isFinished,
  type JobState,
  POSTABLE_STATES,
  pipelineStatus,
  postState,
} from '../../../lab/gitlab/instance/statuses';
import { afterFailure, alertStatus, wantsBranch } from '../../../lab/gitlab/instance/webhooks';

const ALL: readonly JobState[] = ['created', ...POSTABLE_STATES];
const state = fc.constantFrom(...ALL);
const states = fc.array(state, { minLength: 1, maxLength: 8 });

describe('the status of a pipeline', () => {
  it('does not depend on the order or number of equal statuses', () => {
    fc.assert(
      fc.property(states, (given) => {
        const status = pipelineStatus(given);
        expect(pipelineStatus([...given].reverse())).toBe(status);
        expect(pipelineStatus([...given, ...given])).toBe(status);
      }),
    );
  });

  it('is "success" only when every status is success or skipped, with at least one success', () => {
    fc.assert(
      fc.property(states, (given) => {
        const green =
          given.every((one) => one === 'success' || one === 'skipped') && given.includes('success');
        expect(pipelineStatus(given) === 'success').toBe(green);
      }),
    );
  });

  it('is finished exactly when all its statuses are', () => {
    fc.assert(
      fc.property(states, (given) => {
        expect(isFinished(pipelineStatus(given) as JobState)).toBe(given.every(isFinished));
      }),
    );
  });

  it('is "failed" when all are finished and one failed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom<JobState>('success', 'failed', 'canceled', 'skipped')),
        (given) => {
          expect(pipelineStatus([...given, 'failed'])).toBe('failed');
        },
      ),
    );
  });

  it.each<[JobState[], JobState | undefined]>([
    [[], undefined],
    [['pending', 'success'], 'running'],
    [['pending', 'created'], 'pending'],
    [['success', 'canceled'], 'canceled'],
    [['skipped'], 'skipped'],
    [['failed', 'running'], 'running'],
  ])('of %j is %s', (given, expected) => expect(pipelineStatus(given)).toBe(expected));
});

describe('posting a status', () => {
  it('reaches the posted state or is refused and names both ends', () => {
    fc.assert(
      fc.property(state, fc.constantFrom(...POSTABLE_STATES), (from, posted) => {
        const outcome = postState(from, posted);
        if ('state' in outcome) expect(outcome.state).toBe(posted);
        else
          expect(outcome.refusal).toContain(
            `from :${from === 'skipped' && posted === 'running' ? 'pending' : from}`,
          );
      }),
    );
  });

  it('never changes a finished status except that a skipped one can be taken up again', () => {
    for (const from of ['success', 'failed', 'canceled'] as const) {
      for (const posted of POSTABLE_STATES) expect(postState(from, posted)).toHaveProperty('refusal');
    }
  });

  it('refuses "running" on running in GitLab\'s words', () => {
    expect(postState('running', 'running')).toEqual({
      refusal:
        'Cannot transition status via :run from :running (Reason(s): Status cannot transition via "run")',
    });
  });
});

describe('a failing hook', () => {
  const fresh = { recent_failures: 0, disabled_until: null };
  const fail = (
    times: number,
  ): { hook: { recent_failures: number; disabled_until: string | null }; at: number; pauses: number[] } => {
    let hook: { recent_failures: number; disabled_until: string | null } = fresh;
    let at = Date.parse('2026-01-01T00:00:00Z');
    const pauses: number[] = [];
    for (let count = 0; count < times; count += 1) {
      hook = afterFailure(hook, at);
      if (hook.disabled_until) {
        pauses.push((Date.parse(hook.disabled_until) - at) / 60_000);
        at = Date.parse(hook.disabled_until) + 1;
      }
    }
    return { hook, at, pauses };
  };

  it('is disabled for a minute by the fourth failure in a row, not by the third', () => {
    expect(alertStatus(fail(3).hook, Date.now())).toBe('executable');
    const { hook, at } = fail(4);
    expect(alertStatus(hook, at - 2)).toBe('temporarily_disabled');
    expect(alertStatus(hook, at)).toBe('executable');
  });

  it('doubles the pause up to a day and is disabled for good by the fortieth', () => {
    const { pauses, hook, at } = fail(40);
    expect(pauses.slice(0, 5)).toEqual([1, 2, 4, 8, 16]);
    expect(Math.max(...pauses)).toBe(1440);
    expect(alertStatus(fail(39).hook, fail(39).at)).toBe('executable');
    expect(alertStatus(hook, at + 10 ** 12)).toBe('disabled');
  });
});

describe('patterns and rights', () => {
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9/._-]{0,15}$/);

  it('a pattern without * matches only itself; * matches any characters, slashes too', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(matchesPattern(a, b)).toBe(a === b);
        expect(matchesPattern('*', b)).toBe(true);
        expect(matchesPattern(`${a}*${b}`, `${a}/x/${b}`)).toBe(true);
        expect(matchesPattern(`${a}*`, b)).toBe(b.startsWith(a));
      }),
    );
  });

  it('level 0 lets nobody through, a named user goes through whatever the level', () => {
    const nobody = { id: 1, access_level: 0, user_id: null, group_id: null };
    expect(allows([nobody], { id: 7, level: 60 })).toBe(false);
    expect(
      allows([nobody, { id: 2, access_level: 40, user_id: 7, group_id: null }], { id: 7, level: 30 }),
    ).toBe(true);
  });

  it('force-push needs one matching rule to allow it', () => {
    const rule = (pattern: string, force: boolean) => ({
      id: 1,
      project_id: 1,
      name: pattern,
      push: [{ id: 1, access_level: 30, user_id: null, group_id: null }],
      merge: [],
      allow_force_push: force,
    });
    const rights = (...rules: ReturnType<typeof rule>[]) => branchRights(rules, 'main', { id: 1, level: 30 });
    expect(rights(rule('main', true), rule('m*', false))).toEqual({
      protected: true,
      push: true,
      merge: false,
      force: true,
    });
    expect(rights(rule('main', false), rule('x*', true)).force).toBe(false);
  });

  it('reads the branch filter of a hook by its strategy', () => {
    const hook = (
      push_events_branch_filter: string | null,
      branch_filter_strategy: 'wildcard' | 'regex' | 'all_branches',
    ) => ({ push_events_branch_filter, branch_filter_strategy });
    expect(wantsBranch(hook('release/*', 'wildcard'), 'release/1/2')).toBe(true);
    expect(wantsBranch(hook('release/*', 'wildcard'), 'main')).toBe(false);
    expect(wantsBranch(hook('^(main|dev)$', 'regex'), 'dev')).toBe(true);
    expect(wantsBranch(hook('^(main|dev)$', 'regex'), 'develop')).toBe(false);
    expect(wantsBranch(hook('main', 'all_branches'), 'x')).toBe(true);
    expect(wantsBranch(hook(null, 'wildcard'), 'x')).toBe(true);
  });
});
